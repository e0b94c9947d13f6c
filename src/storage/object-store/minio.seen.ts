import type { IncomingHttpHeaders } from 'node:http';
import { Corrupt, Unavailable } from '../errors.js';
import { refused } from './minio.errors.js';
import { codeOf, type Answer, type Wire } from './minio.wire.js';
import { elements, keyIn, textIn, textOf } from './minio.xml.js';
import type { SeenFile } from './port.js';

/** An object by the headers of an answer. */
export interface Stated extends Omit<SeenFile, 'versions'> {
  /** `null` without versions, and of some servers for the version of that name. */
  readonly version: string | null;
  /** The tag of the upload that it came from, if it was one of ours. */
  readonly tag: string | null;
}

/** One version of an object, or a marker that it was deleted. */
export interface Version extends Omit<SeenFile, 'versions'> {
  readonly key: string;
  readonly id: string;
  readonly isMarker: boolean;
}

/** Marks an object with the upload that it came from: after a lost answer it tells whether what lies there is ours. */
export const TAG = 'x-amz-meta-lethe-upload';

/** The right to know whether a bucket has versions. */
export const VERSIONING = 's3:GetBucketVersioning';

/** How often an object may change between a look at it and a look at its versions. */
export const ATTEMPTS = 5;

/** Versions of one object at once. Most have few, and each page may bring others' whose keys only begin alike. */
const PAGE = '100';

/** What the answer to a HEAD or GET says of its object. @throws Corrupt */
export function stated(headers: IncomingHttpHeaders, path: string): Stated {
  const total = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1] ?? headers['content-length'];
  const version = headers['x-amz-version-id'];
  const tag = headers[TAG];
  return {
    etag: bare(headers.etag ?? ''),
    size: wholeNumber(total ?? '', path),
    modifiedAt: seconds(headers['last-modified'] ?? '', path),
    version: typeof version === 'string' ? version : null,
    tag: typeof tag === 'string' ? tag : null,
  };
}

/** What lies at a key; `null` where nothing does, and then whether a marker of its deletion does. */
export async function head(
  wire: Wire,
  key: string,
  path: string,
  signal?: AbortSignal,
): Promise<{ there: Stated | null; marked: boolean }> {
  const of = JSON.stringify(path);
  const answer = await wire.ask({ action: 's3:GetObject', of, method: 'HEAD', key, expects: [404], signal });
  if (answer.status !== 404) return { there: stated(answer.headers, path), marked: false };
  await confirmBucket(wire, answer, signal);
  return { there: null, marked: answer.headers['x-amz-delete-marker'] === 'true' };
}

/**
 * After an answer 404: is it the object that is missing, or the whole bucket? Answers to a HEAD have no body to say so.
 * @throws Unavailable: the bucket is
 */
export async function confirmBucket(wire: Wire, answer: Answer, signal?: AbortSignal): Promise<void> {
  const code = codeOf(answer);
  if (code === 'NoSuchKey') return;
  const action = 's3:ListBucket';
  if (code !== 'NoSuchBucket') {
    const bucket = await wire.ask({ action, method: 'HEAD', expects: [404], signal });
    if (bucket.status !== 404) return;
  }
  throw refused(wire.purpose({ action }), 404, 'NoSuchBucket');
}

/**
 * Whether the bucket has versions, or had them once. A server that does not know of versions has none. An object's own headers don't tell:
 * MinIO names no version for one that was written before there were any, or while they are suspended.
 *
 * @returns null where the access key may not know
 */
export async function hasVersions(wire: Wire, signal?: AbortSignal): Promise<boolean | null> {
  const query = { versioning: '' };
  const answer = await wire.ask({ action: VERSIONING, method: 'GET', query, expects: [403, 501], signal });
  if (answer.status === 501) return false;
  return answer.status === 403 ? null : textOf(answer.text, 'Status') !== null;
}

/** What lies at a key, with its versions where the bucket has them. */
export async function look(wire: Wire, key: string, path: string, signal?: AbortSignal): Promise<SeenFile | null> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const [{ there }, versions] = await Promise.all([head(wire, key, path, signal), hasVersions(wire, signal)]);
    if (there === null) return null;
    if (!(versions ?? there.version !== null)) return unversioned(there);
    const [latest, ...older] = await versionsOf(wire, key, path, signal);
    if (latest?.id === idOf(there) && !latest.isMarker) return versionedFile([latest, ...older]);
  }
  throw new Unavailable(
    `${JSON.stringify(path)} is there and its listing of versions does not show it; is something above it in its path an object? If not, try again`,
  );
}

/** In a bucket with versions. */
export function idOf({ version }: Stated): string {
  return version ?? 'null';
}

export function unversioned({ etag, size, modifiedAt }: Stated): SeenFile {
  return { etag, size, modifiedAt, versions: null };
}

/** @param versions newest first; the first is what is visible */
export function versionedFile([latest, ...older]: readonly [Version, ...Version[]]): SeenFile {
  const { etag, size, modifiedAt } = latest;
  return { etag, size, modifiedAt, versions: [latest, ...older].map(markOf) };
}

/**
 * By which a version is told from every other of its object. The id `null` is used again and again, by each object that is written while
 * versions are suspended: there what was written is part of it.
 */
export function markOf({ id, etag, modifiedAt }: Pick<Version, 'id' | 'etag' | 'modifiedAt'>): string {
  return id === 'null' ? `null;${etag};${modifiedAt}` : id;
}

/** Every version of one object, markers too, newest first. */
export async function versionsOf(wire: Wire, key: string, path: string, signal?: AbortSignal): Promise<Version[]> {
  const all: Version[] = [];
  for await (const version of listVersions(wire, { prefix: key, of: JSON.stringify(path), page: PAGE }, signal)) {
    if (version.key !== key) break; // a longer key; all of them come after
    all.push(version);
  }
  return all;
}

/** Versions of all objects below a prefix, by key, those of one key newest first. */
export async function* listVersions(
  wire: Wire,
  { prefix, of, page = '1000', after }: { prefix: string; of: string; page?: string; after?: string },
  signal?: AbortSignal,
): AsyncGenerator<Version, void, void> {
  let from: Record<string, string> = after === undefined ? {} : { 'key-marker': after };
  for (;;) {
    const query = { 'encoding-type': 'url', 'max-keys': page, prefix, versions: '', ...from };
    const { text } = await wire.ask({ action: 's3:ListBucketVersions', of, method: 'GET', query, signal });
    for (const { name, content } of elements(text, 'Version', 'DeleteMarker')) {
      const key = keyIn(text, textIn(content, 'Key'));
      yield { key, id: textIn(content, 'VersionId'), isMarker: name === 'DeleteMarker', ...listed(content, key) };
    }
    if (textOf(text, 'IsTruncated') !== 'true') return;
    from = {
      'key-marker': keyIn(text, textIn(text, 'NextKeyMarker')),
      'version-id-marker': textOf(text, 'NextVersionIdMarker') ?? '',
    };
  }
}

/** What an entry of a listing says of its object. @throws Corrupt */
export function listed(entry: string, key: string): Omit<SeenFile, 'versions'> {
  return {
    etag: bare(textOf(entry, 'ETag') ?? ''),
    size: wholeNumber(textOf(entry, 'Size') ?? '0', key),
    modifiedAt: seconds(textIn(entry, 'LastModified'), key),
  };
}

/** An etag without its quotes. */
export function bare(etag: string): string {
  return etag.replace(/^(?:W\/)?"(.*)"$/, '$1');
}

function wholeNumber(text: string, path: string): number {
  const number = Number(text);
  if (text !== '' && Number.isSafeInteger(number) && number >= 0) return number;
  throw new Corrupt(`the size of ${JSON.stringify(path)} is ${JSON.stringify(text)}; is this an S3 server?`);
}

/** A header tells whole seconds and a listing tells finer: both are to say the same of one object. */
export function seconds(text: string, path: string): string {
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new Corrupt(`the time of ${JSON.stringify(path)} is ${JSON.stringify(text)}; is this an S3 server?`);
  return new Date(Math.floor(time / 1000) * 1000).toISOString();
}
