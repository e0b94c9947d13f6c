import { Client } from 'minio';
import { connect } from 'lethe';
import { importPaths, report, storageNamed } from './importing.js';

/*
 * Registers every object of a bucket, or of a prefix in it, that is a storage of the service at LETHE_URL. It lists the bucket with
 * LETHE_S3_ACCESS_KEY and LETHE_S3_SECRET_KEY, which need no more than to list it.
 */

const [name] = process.argv.slice(2);
if (name === undefined) throw new Error('usage: import-bucket <name of the storage>');

async function* objectsIn(root: URL): AsyncGenerator<string> {
  const [, bucket = '', ...rest] = root.pathname.split('/');
  const prefix = rest.filter((part) => part !== '').join('/');
  const s3 = new Client({
    endPoint: root.hostname,
    ...(root.port !== '' && { port: Number(root.port) }),
    useSSL: root.searchParams.get('tls') !== 'false',
    accessKey: process.env['LETHE_S3_ACCESS_KEY'] ?? '',
    secretKey: process.env['LETHE_S3_SECRET_KEY'] ?? '',
  });
  const below = prefix === '' ? '' : `${prefix}/`;
  const listed: AsyncIterable<{ readonly name?: string }> = s3.listObjectsV2(bucket, below, true);
  for await (const { name: key = '' } of listed) {
    // What ends in a slash is a folder that some tool made to look like one.
    if (key !== '' && !key.endsWith('/')) yield key.slice(below.length);
  }
}

await using lethe = await connect({ url: process.env['LETHE_URL'] ?? 'http://127.0.0.1:4270', actor: 'import' });
const { uid, data } = await storageNamed(lethe, name);
if (!data.root.startsWith('s3:')) throw new Error(`${name} is at ${data.root}, which is no bucket: use import-folder`);
report(await importPaths(lethe, uid, objectsIn(new URL(data.root))));
