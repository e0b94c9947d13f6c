import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.js';
import { ConfigError } from '../src/config.stores.js';
import { launchService } from './harness/service.js';

/* Values that cannot stand: each stops the start with the variable's name and what it takes, and no secret. */

const SECRET = 'hunter2-of-the-tests';
const SERVERS = {
  LETHE_EVENT_STORE: 'esdb://127.0.0.1:2113?tls=false',
  LETHE_READ_MODEL: 'mongodb://127.0.0.1:27017/lethe?replicaSet=rs0',
  LETHE_OBJECT_STORE: 's3://127.0.0.1:9000/lethe?tls=false',
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lethe-test-'));
  await writeFile(join(folder, 'not.json'), '{');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const stoppedBy = async (env: Record<string, string>): Promise<string> => {
  const data = await mkdtemp(join(folder, 'data-'));
  const service = await launchService({ data, env });
  try {
    return await service.ready.then(
      () => 'it started',
      (error: unknown) => String(error),
    );
  } finally {
    await service.kill();
  }
};

/** What the configuration alone shows; the process says the same, and no more. */
const refusedFor = (env: Record<string, string>): string => {
  try {
    readConfig({ LETHE_DATA: folder, ...env });
    return 'it is taken';
  } catch (error) {
    return error instanceof ConfigError ? error.message : `not a ConfigError: ${String(error)}`;
  }
};

type Wrong = [name: string, value: string, takes: RegExp];

const WRONG: Wrong[] = [
  ['LETHE_HOST', '0.0.0.0', /loopback/],
  ['LETHE_PORT', '70000', /0 .*to 65535/],
  ['LETHE_EVENT_STORE', 'postgres://localhost', /embedded:.*esdb:\/\/host:2113\?tls=false/],
  ['LETHE_READ_MODEL', 'redis://localhost', /embedded:.*mongodb:\/\/host:27017\/lethe\?replicaSet=rs0/],
  ['LETHE_READ_MODEL', `me:${SECRET}@127.0.0.1/lethe`, /mongodb:\/\//],
  ['LETHE_READ_MODEL', `http://me:a/${SECRET}@127.0.0.1/lethe?password=${SECRET}`, /mongodb:\/\//],
  ['LETHE_OBJECT_STORE', 'ftp://localhost', /file:.*s3:\/\/host:9000\/bucket\/prefix\?tls=false/],
  ['LETHE_S3_ACCESS_KEY', SECRET, /LETHE_S3_SECRET_KEY/],
  ['LETHE_S3_SECRET_KEY', SECRET, /LETHE_S3_ACCESS_KEY/],
  ['LETHE_S3_ACCESS_KEY_FILE', '/nowhere/at/all', /no such file/],
  ['LETHE_S3_SECRET_KEY_FILE', '/nowhere/at/all', /no such file/],
  ['LETHE_STREAM_PREFIX', '$lethe', /letters, digits/],
  ['LETHE_ROLES', 'cook', /api, worker or api,worker/],
  ['LETHE_ROLES', 'api', /embedded/],
  ['LETHE_ROLES', 'worker', /embedded/],
  ['LETHE_TRASH_DAYS', '-1', /whole number of days/],
  ['LETHE_TRASH_DAYS', '0', /whole number of days/],
  ['LETHE_TRASH_DAYS', '1.5', /whole number of days/],
  ['LETHE_TRASH_DAYS', 'a month', /whole number of days/],
  ['LETHE_CONFIG', '/nowhere/lethe.json', /no file/],
  ['LETHE_LOG_LEVEL', 'loud', /trace/],
];

/** What only its adapter can read; and one of the others, which the process says in the same way. */
const UNREADABLE: Wrong[] = [
  ['LETHE_PORT', 'none', /0 .*to 65535/],
  ['LETHE_EVENT_STORE', `esdb://me:${SECRET}@127.0.0.1:2113?tls=false&nonsense=1`, /nonsense/],
  ['LETHE_EVENT_STORE', `esdb://me:${SECRET}@`, /esdb:\/\//],
  ['LETHE_READ_MODEL', `mongodb://me:${SECRET}@127.0.0.1:27017`, /database/],
  ['LETHE_READ_MODEL', `mongodb://me:${SECRET}@127.0.0.1:port/lethe`, /mongodb:\/\//],
  ['LETHE_OBJECT_STORE', `s3://me:${SECRET}@127.0.0.1:9000/lethe`, /keys/],
  ['LETHE_OBJECT_STORE', `s3://127.0.0.1:9000/lethe?secret=${SECRET}`, /secret/],
];

describe('a wrong value', () => {
  it.each(WRONG)('is refused by name: %s=%s', (name, value, takes) => {
    const said = refusedFor({ [name]: value });
    expect(said).toMatch(/^LETHE_[A-Z0-9_]+: /);
    expect(said).toContain(name);
    expect(said).toMatch(takes);
    expect(said).not.toContain(SECRET);
  });

  it.each(UNREADABLE)('stops the start: %s=%s', async (name, value, takes) => {
    const said = await stoppedBy({ [name]: value });
    expect(said).toMatch(/ended at its start \(1\)/);
    expect(said).toMatch(new RegExp(`lethe: ${name}\\b`));
    expect(said).toMatch(takes);
    expect(said).not.toContain(SECRET);
    // A sentence for whoever set it, not a stack.
    expect(said).not.toMatch(/lethe: .*\n\s+at /);
  });

  it('a port that another listens on', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    try {
      await once(other, 'listening');
      const address = other.address();
      const taken = typeof address === 'object' && address !== null ? address.port : 0;
      const said = await stoppedBy({ LETHE_PORT: String(taken) });
      expect(said).toContain(`lethe: LETHE_PORT: something listens at 127.0.0.1:${taken} already`);
      expect(said).not.toMatch(/\n\s+at /);
    } finally {
      other.close();
    }
  });

  it('a data folder that is a file', async () => {
    const said = await stoppedBy({ LETHE_DATA: join(folder, 'not.json') });
    expect(said).toMatch(/lethe: the data folder .*not\.json can't be made/);
    expect(said).not.toMatch(/\n\s+at /);
  });

  it.each(Object.keys(SERVERS))('a role alone needs servers for all three: %s is embedded', (embedded) => {
    const others = Object.entries(SERVERS).filter(([name]) => name !== embedded);
    const said = refusedFor({ ...Object.fromEntries(others), LETHE_ROLES: 'api' });
    expect(said).toMatch(new RegExp(`^LETHE_ROLES: .*and ${embedded} is embedded`));
  });

  it('both ways to give a key', () => {
    const said = refusedFor({ LETHE_S3_ACCESS_KEY: SECRET, LETHE_S3_ACCESS_KEY_FILE: join(folder, 'not.json') });
    expect(said).toMatch(/LETHE_S3_ACCESS_KEY: is set, and so is LETHE_S3_ACCESS_KEY_FILE/);
    expect(said).not.toContain(SECRET);
  });

  it('a configuration file that is none', () => {
    expect(refusedFor({ LETHE_CONFIG: join(folder, 'not.json') })).toMatch(/not\.json is not JSON/);
  });
});
