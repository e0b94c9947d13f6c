/**
 * `npm run servers`: fetches what the server suites need, starts a MongoDB and a MinIO on free ports of 127.0.0.1, says how to point Lethe
 * and its tests at them, and ends both with itself. `npm run servers -- --fetch` only fetches.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { fetchMinio } from './fetch-minio.mjs';
import { fetchMongod } from './fetch-mongod.mjs';

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** Asks until the answer is true; a server that ends meanwhile is not waited for. */
const until = async (what, child, ask) => {
  for (let tries = 0; tries < 300; tries += 1) {
    if (child.exitCode !== null) throw new Error(`${what} ended with exit code ${child.exitCode}`);
    if (await ask().catch(() => false)) return;
    await setTimeout(100);
  }
  throw new Error(`${what} does not answer`);
};

const [mongod, minio] = [await fetchMongod(), await fetchMinio()];
console.log(`mongod: ${mongod}\nminio:  ${minio}`);
if (process.argv.includes('--fetch')) process.exit(0);

const folder = mkdtempSync(join(tmpdir(), 'lethe-servers-'));
const children = [];
const end = () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
};
process.once('exit', end);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
const run = (command, args, env) => {
  const child = spawn(command, args, { stdio: 'ignore', env: { ...process.env, ...env } });
  children.push(child);
  return child;
};

const mongoPort = await freePort();
const host = `127.0.0.1:${mongoPort}`;
const mongoData = mkdtempSync(join(folder, 'mongod-'));
const mongo = run(mongod, [
  ...['--replSet', 'rs0', '--bind_ip', '127.0.0.1', '--port', String(mongoPort)],
  ...['--dbpath', mongoData, '--nounixsocket'],
]);
await until('mongod', mongo, async () => {
  const client = new MongoClient(`mongodb://${host}/?directConnection=true`, { serverSelectionTimeoutMS: 500 });
  try {
    const { isWritablePrimary, setName } = await client.db('admin').command({ hello: 1 });
    if (setName === undefined)
      await client.db('admin').command({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host }] } });
    return isWritablePrimary === true;
  } finally {
    await client.close();
  }
});

const minioPort = await freePort();
const keys = { MINIO_ROOT_USER: 'lethe', MINIO_ROOT_PASSWORD: randomBytes(16).toString('hex') };
const store = run(minio, ['server', '--quiet', '--address', `127.0.0.1:${minioPort}`, join(folder, 'minio')], {
  ...keys,
  HOME: folder,
  MINIO_BROWSER: 'off',
  MINIO_UPDATE: 'off',
});
await until('minio', store, async () => (await fetch(`http://127.0.0.1:${minioPort}/minio/health/cluster`)).ok);

console.log(`
export LETHE_READ_MODEL='mongodb://${host}/lethe?replicaSet=rs0'
export LETHE_OBJECT_STORE='s3://127.0.0.1:${minioPort}/lethe?tls=false'
export LETHE_S3_ACCESS_KEY='${keys.MINIO_ROOT_USER}' LETHE_S3_SECRET_KEY='${keys.MINIO_ROOT_PASSWORD}'
export LETHE_TEST_MONGODB='mongodb://${host}/?replicaSet=rs0'

Both end with this command (Ctrl-C).`);
await new Promise(() => undefined);
