import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'minio';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fetchMongod } from '../servers/fetch-mongod.mjs';
import { findMinio, startMinio, type MinioServer } from '../servers/minio.js';
import { NEEDS_MONGOD, whyNoMongod } from '../servers/mongod.js';
import { ROOT } from './compose.js';

const minio = await findMinio();
const canRun = minio !== null && (await whyNoMongod()) === null;

/** Runs deploy/prepare.mjs. @returns how it ended, and all it said */
const prepare = async (env: Readonly<Record<string, string>>): Promise<{ code: number; said: string }> => {
  const child = spawn(process.execPath, [join(ROOT, 'deploy/prepare.mjs')], { env });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = await once(child, 'close');
  return { code, said };
};

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  return address.port;
};

describe.skipIf(!canRun)(`deploy/prepare.mjs [needs minio] ${NEEDS_MONGOD}`, () => {
  let folder: string;
  let objects: MinioServer;
  let env: Record<string, string>;
  let end: () => Promise<void>;

  beforeAll(async () => {
    if (minio === null) throw new Error('without MinIO nothing here runs');
    folder = await mkdtemp(join(tmpdir(), 'lethe-prepare-'));
    objects = await startMinio(minio);
    const port = await freePort();
    // New: nobody has made a replica set of it. `prepare` waits until it listens.
    const place = ['--bind_ip', '127.0.0.1', '--port', String(port), '--dbpath', folder, '--nounixsocket'];
    const mongod = spawn(await fetchMongod(), ['--replSet', 'rs0', ...place], { stdio: 'ignore' });
    const endWithUs = (): void => void mongod.kill('SIGKILL');
    process.once('exit', endWithUs);
    end = async () => {
      const ended = once(mongod, 'exit');
      endWithUs();
      await ended;
      process.off('exit', endWithUs);
    };
    const secret = join(folder, 's3_secret_key');
    await writeFile(secret, `${objects.secretKey}\n`);
    env = {
      LETHE_READ_MODEL: `mongodb://127.0.0.1:${port}/lethe?replicaSet=rs0`,
      LETHE_OBJECT_STORE: `s3://127.0.0.1:${objects.port}/lethe/some/prefix?tls=false`,
      LETHE_S3_ACCESS_KEY: objects.accessKey,
      LETHE_S3_SECRET_KEY_FILE: secret,
    };
  });
  afterAll(async () => {
    await Promise.all([end(), objects.stop()]);
    await rm(folder, { recursive: true });
  });

  const bucket = async () => {
    const { accessKey, secretKey, port } = objects;
    const client = new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey });
    return client.getBucketVersioning('lethe');
  };
  const members = async () => {
    const client = new MongoClient(env['LETHE_READ_MODEL'] ?? '');
    try {
      const { config } = await client.db('admin').command({ replSetGetConfig: 1 });
      return { version: config.version, hosts: config.members.map(({ host }: { host: string }) => host) };
    } finally {
      await client.close();
    }
  };

  test('makes a replica set of a new server, and a bucket with versions; once more it changes nothing', async () => {
    const first = await prepare(env);
    expect(first).toMatchObject({ code: 0, said: expect.stringContaining('the bucket lethe was made') });
    expect(first.said).toContain('the replica set rs0 was made');
    expect(await bucket()).toMatchObject({ Status: 'Enabled' });
    const made = await members();
    expect(made.hosts).toEqual([new URL(env['LETHE_READ_MODEL'] ?? '').host]);

    expect(await prepare(env)).toEqual({ code: 0, said: 'the servers are prepared\n' });
    expect(await members()).toEqual(made);
  });

  test('says what is missing, and no secret', async () => {
    const { LETHE_OBJECT_STORE: _, ...without } = env;
    expect(await prepare(without)).toEqual({ code: 1, said: 'prepare: LETHE_OBJECT_STORE is not set\n' });
    const alone = { ...env, LETHE_READ_MODEL: 'mongodb://somebody:hidden@127.0.0.1/lethe' };
    const refused = await prepare(alone);
    expect(refused).toMatchObject({ code: 1, said: expect.stringContaining('names no replica set') });
    expect(refused.said).not.toContain('hidden');
  });
});
