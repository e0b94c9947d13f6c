import { InvalidPath } from '../errors.js';
import { parseFolder } from './paths.js';

/** Where a storage lies in an S3 server. */
export interface S3Root {
  /** A name, or an address without brackets; lower case. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly region: string;
  readonly bucket: string;
  /** What every key of the storage begins with: empty, or ending in `/`. */
  readonly prefix: string;
}

/** A root that names no place. Its message never quotes the whole of it: somebody may have written keys into it. */
export class InvalidS3Root extends Error {
  override readonly name = 'InvalidS3Root';
  constructor(fault: string) {
    super(`${fault}; a root is s3://host:9000/bucket/prefix?tls=false (also &region=…)`);
  }
}

const HOST = /^[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?$|^\[[0-9a-f:.]+\]$/;
const BUCKET = /^(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const REGION = /^[a-z0-9-]{1,40}$/;

/**
 * Takes a root apart. `tls` is true where it is not said, the port that of the protocol, the region `us-east-1`. A prefix may be written with
 * percent signs, as in every URL, and with or without a `/` at its end.
 *
 * @throws InvalidS3Root
 */
export function parseS3Root(root: string): S3Root {
  const url = parseUrl(root);
  if (url.username !== '' || url.password !== '')
    throw new InvalidS3Root('the root has keys in it, and they do not belong there: give them separately');
  if (url.hash !== '') throw new InvalidS3Root('the root has a "#" in it; write %23 for one in a prefix');

  const host = url.hostname.toLowerCase();
  if (!HOST.test(host)) throw new InvalidS3Root(`the root's host ${JSON.stringify(host)} is no name and no address`);
  const tls = oneOf(url, 'tls', ['true', 'false'], 'true') === 'true';
  const region = parameter(url, 'region') ?? 'us-east-1';
  if (!REGION.test(region)) throw new InvalidS3Root(`the root's region ${JSON.stringify(region)} is none`);
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'tls' && name !== 'region');
  if (unknown !== undefined) throw new InvalidS3Root(`the root takes no parameter ${JSON.stringify(unknown)}`);
  const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port);
  if (port === 0) throw new InvalidS3Root("the root's port is 0, on which nobody listens");

  const [bucket = '', ...folders] = decoded(url.pathname.slice(1)).split('/');
  if (!BUCKET.test(bucket)) throw new InvalidS3Root(`the root's bucket ${JSON.stringify(bucket)} is none`);
  return { host: host.replace(/[[\]]/g, ''), port, tls, region, bucket, prefix: prefixOf(folders.join('/')) };
}

/** A root's place as text, ending in `/`: one root lies within another where its place begins with the other's. */
export function placeOfS3({ host, port, bucket, prefix }: S3Root): string {
  return `s3://${host.includes(':') ? `[${host}]` : host}:${port}/${bucket}/${prefix}`;
}

function parseUrl(root: string): URL {
  if (!root.startsWith('s3://')) throw new InvalidS3Root('the root does not begin with s3://');
  try {
    return new URL(root);
  } catch {
    throw new InvalidS3Root('the root is no URL'); // which part of it is wrong the parser does not say
  }
}

function parameter(url: URL, name: string): string | null {
  const values = url.searchParams.getAll(name);
  if (values.length > 1) throw new InvalidS3Root(`the root has the parameter ${name} twice`);
  return values[0] ?? null;
}

function oneOf(url: URL, name: string, values: readonly string[], otherwise: string): string {
  const value = parameter(url, name) ?? otherwise;
  if (!values.includes(value)) throw new InvalidS3Root(`the root's parameter ${name} takes ${values.join(' or ')}`);
  return value;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new InvalidS3Root('the root has a "%" that begins no character; write %25 for one');
  }
}

function prefixOf(folder: string): string {
  if (folder === '') return '';
  const prefix = folder.endsWith('/') ? folder : `${folder}/`;
  try {
    parseFolder(prefix);
    return prefix;
  } catch (error) {
    if (error instanceof InvalidPath) throw new InvalidS3Root(`the root's prefix is no folder: ${error.message}`);
    throw error;
  }
}
