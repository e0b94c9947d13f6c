/**
 * Makes what the servers of docker-compose.yml lack when they are new: the replica set of the one MongoDB, and the bucket, with versions.
 * Once more changes nothing. It reads the variables that Lethe reads, and ends with 1 and a sentence where it could not do its work in time.
 */
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'minio';
import { MongoClient } from 'mongodb';
import { parseS3Root } from '../dist/storage/object-store/minio.root.js';

const WITHIN_MS = 120_000;
const LOOK_AGAIN_MS = 500;

const variable = (name) => {
  const given = process.env[name];
  if (given === undefined || given === '') throw new Error(`${name} is not set`);
  return given;
};

const secret = (name) =>
  process.env[`${name}_FILE`] === undefined ? variable(name) : readFileSync(variable(`${name}_FILE`), 'utf8').trim();

/** Tries until it is done: a server that is new, or comes up again, refuses for a while. */
const until = async (what, attempt) => {
  const deadline = performance.now() + WITHIN_MS;
  for (;;) {
    let why = 'not yet';
    try {
      if (await attempt()) return;
    } catch (error) {
      // Its code or name, not its message: that may repeat an address with its password.
      why = String(error?.codeName ?? error?.code ?? error?.name ?? 'unknown');
    }
    if (performance.now() > deadline) throw new Error(`${what}: not within ${WITHIN_MS / 1_000} s (${why})`);
    await setTimeout(LOOK_AGAIN_MS);
  }
};

/** The set has the one member that the address names, by that name: members reach each other, and clients reach them, by it. */
const prepareReplicaSet = async (address) => {
  const url = new URL(address);
  const set = url.searchParams.get('replicaSet');
  if (set === null) throw new Error('LETHE_READ_MODEL names no replica set (…?replicaSet=rs0)');
  url.searchParams.delete('replicaSet');
  url.searchParams.set('directConnection', 'true');

  await until(`the replica set ${set} at ${url.host}`, async () => {
    const client = new MongoClient(url.href, { serverSelectionTimeoutMS: 2_000 });
    try {
      const admin = client.db('admin');
      const { isWritablePrimary, setName } = await admin.command({ hello: 1 });
      if (setName === undefined) {
        await admin.command({ replSetInitiate: { _id: set, members: [{ _id: 0, host: url.host }] } });
        console.log(`the replica set ${set} was made of ${url.host}`);
      }
      return setName !== undefined && isWritablePrimary === true;
    } finally {
      await client.close();
    }
  });
};

/** With versions a deletion names what it deletes, and nothing else can be meant (docs/deleting.md). */
const prepareBucket = async (address) => {
  const { host, port, tls, region, bucket } = parseS3Root(address);
  const client = new Client({
    endPoint: host,
    port,
    useSSL: tls,
    region,
    accessKey: secret('LETHE_S3_ACCESS_KEY'),
    secretKey: secret('LETHE_S3_SECRET_KEY'),
  });
  await until(`the bucket ${bucket} at ${host}:${port}`, async () => {
    if (!(await client.bucketExists(bucket))) {
      await client.makeBucket(bucket, region);
      console.log(`the bucket ${bucket} was made`);
    }
    const { Status: status } = await client.getBucketVersioning(bucket);
    if (status !== 'Enabled') await client.setBucketVersioning(bucket, { Status: 'Enabled' });
    return status === 'Enabled';
  });
};

try {
  await Promise.all([prepareReplicaSet(variable('LETHE_READ_MODEL')), prepareBucket(variable('LETHE_OBJECT_STORE'))]);
  console.log('the servers are prepared');
} catch (error) {
  console.error(`prepare: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
