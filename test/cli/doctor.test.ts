import { cpSync, existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { command } from '../harness/command.js';
import { freePort } from '../harness/port.js';
import { startService, temporaryFolder, upload } from '../harness/service.js';
import { until } from '../harness/until.js';

let home: string;
let made: string;
let data: string;
let tests = 0;

beforeAll(async () => {
  home = await temporaryFolder();
  made = join(home, 'made');
  await mkdir(made, { mode: 0o700 });
  const service = await startService({ data: made });
  expect((await service.request('POST', '/v1/files', { body: upload({}, 'content') })).status).toBe(201);
  expect(await service.stop()).toBe(0);
});

beforeEach(async () => {
  tests += 1;
  data = join(home, `data${tests}`);
  cpSync(made, data, { recursive: true, preserveTimestamps: true });
  await chmod(data, 0o700);
});

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

interface Examined {
  readonly code: number | null;
  /** What is wrong, or to be warned of: `about: what`. */
  readonly wrong: string[];
  readonly warnings: string[];
  readonly text: string;
}

const doctor = async (env: Record<string, string> = {}): Promise<Examined> => {
  const { code, out, err } = await command(['doctor', '--json', '--data', data], env);
  expect(err).toBe('');
  const { ok, checks } = JSON.parse(out);
  expect(ok).toBe(code === 0);
  const of = (state: string): string[] =>
    checks
      .filter((check: { state: string }) => check.state === state)
      .map(({ about, what, todo }: Record<string, string>) => {
        expect(todo).toMatch(/\w/);
        return `${about}: ${what}`;
      });
  return { code, wrong: of('wrong'), warnings: of('warning'), text: out };
};

const inDatabase = (file: string, sql: string): void => {
  const db = new Database(join(data, file));
  db.exec(sql);
  db.close();
};

describe('lethe doctor', () => {
  test('says of what is well that it is, and leaves nothing behind', async () => {
    const before = await readdir(join(data, 'objects', '.lethe'));
    const { code, out } = await command(['doctor', '--data', data]);
    expect(code, out).toBe(0);
    for (const about of [
      'versions',
      'configuration',
      'data folder',
      'lock',
      'event store',
      'read model',
      'storage default',
    ])
      expect(out).toMatch(new RegExp(`^ok {7}${about}: `, 'm'));
    expect(out).toMatch(/\nnothing is wrong\n$/);
    expect((await readdir(join(data, 'objects', '.lethe'))).filter((name) => name !== 'tmp')).toEqual(
      before.filter((name) => name !== 'tmp'),
    );
  });

  test('names who serves the folder, and whether that one is ready', async () => {
    const service = await startService({ data });
    try {
      await until('it is ready', async () => (await service.request('GET', '/health/ready')).status === 200);
      const { code, text } = await doctor();
      expect(code).toBe(0);
      expect(text).toContain(`process ${service.process.pid} serves the data folder at ${service.url}`);
      expect(text).toContain('is ready');
    } finally {
      await service.kill();
    }
  });

  test('settings that cannot stand are what it finds', async () => {
    expect(await doctor({ LETHE_PORT: 'many' })).toMatchObject({
      code: 1,
      wrong: [expect.stringMatching(/^configuration: LETHE_PORT: takes a port/)],
    });
    await writeFile(join(data, 'lethe.json'), '{"storages": [{}]}');
    expect(await doctor()).toMatchObject({ code: 1, wrong: [expect.stringContaining('lethe.json')] });
    await writeFile(join(data, 'lethe.json'), '{');
    expect(await doctor()).toMatchObject({ code: 1, wrong: [expect.stringContaining('lethe.json is not JSON')] });
  });

  test('servers that do not answer, without a word of their keys', async () => {
    const port = await freePort();
    const secret = 'secret-of-the-tests';
    const examined = await doctor({
      LETHE_EVENT_STORE: `esdb://user:${secret}@127.0.0.1:${port}?tls=false`,
      LETHE_READ_MODEL: `mongodb://user:${secret}@127.0.0.1:${port}/lethe?serverSelectionTimeoutMS=500`,
      LETHE_OBJECT_STORE: `s3://127.0.0.1:${port}/bucket?tls=false`,
      LETHE_S3_ACCESS_KEY: 'user',
      LETHE_S3_SECRET_KEY: secret,
    });
    expect(examined.code).toBe(1);
    expect(examined.wrong.map((what) => what.split(':')[0])).toEqual(['event store', 'read model', 'storage default']);
    expect(examined.text).not.toContain(secret);
  });

  test('a log that lost its end, and a storage that has seen more of it', async () => {
    inDatabase('events.sqlite', 'DELETE FROM events WHERE position > 2');
    const { code, wrong } = await doctor();
    expect(code).toBe(1);
    expect(wrong).toEqual([
      expect.stringMatching(/^read model: stands at position 3, and the log ends at 2/),
      expect.stringMatching(/^storage default: The storage default has seen position 3 of this log/),
    ]);
  });

  test('files that are none', async () => {
    await writeFile(join(data, 'events.sqlite'), 'this is no database, and has some length all the same');
    await rm(join(data, 'events.sqlite-wal'), { force: true });
    const { code, wrong } = await doctor();
    expect({ code, wrong }).toMatchObject({
      code: 1,
      wrong: [expect.stringMatching(/^event store: .*is not a database/)],
    });
  });

  test('a clock that is behind the log', async () => {
    inDatabase('events.sqlite', "UPDATE events SET metadata = json_set(metadata, '$.at', '2999-01-01T00:00:00.000Z')");
    expect(await doctor()).toMatchObject({
      code: 1,
      wrong: [expect.stringMatching(/^clock: the last event is of 2999/)],
    });
  });

  test('another log’s storage, and one that is gone', async () => {
    const owner = join(data, 'objects', '.lethe', 'owner');
    const { position } = JSON.parse(await readFile(owner, 'utf8'));
    await writeFile(owner, JSON.stringify({ instance: '00000000-0000-4000-8000-000000000000', position }));
    const storages = [{ name: 'gone', root: `file:${join(home, 'gone')}` }];
    await writeFile(join(data, 'lethe.json'), JSON.stringify({ storages }));
    const { code, wrong } = await doctor();
    expect(code).toBe(1);
    expect(wrong).toEqual([
      expect.stringMatching(/^storage default: .*belongs to another log/),
      expect.stringMatching(/^storage gone: .*can't be opened: ENOENT/),
    ]);
  });

  test('a default storage that is gone, and does not make it anew', async () => {
    const objects = join(data, 'objects');
    await rm(objects, { recursive: true });
    const { code, wrong } = await doctor();
    expect({ code, wrong }).toEqual({
      code: 1,
      wrong: [expect.stringMatching(/^storage default: .*can't be opened: ENOENT/)],
    });
    expect(existsSync(objects)).toBe(false);
  });

  test('warns of what is not yet wrong', async () => {
    await chmod(data, 0o755);
    expect(await doctor()).toMatchObject({
      code: 0,
      warnings: [`data folder: everybody on this machine may look into ${data}`],
    });
    await rm(data, { recursive: true });
    expect(await doctor()).toMatchObject({ code: 0, warnings: [`data folder: there is none at ${data}`] });
    await mkdir(data, { mode: 0o700 });
    expect((await doctor()).warnings).toEqual(['event store: there is no log yet']);
    // Nothing is made by looking.
    expect(readdirSync(data)).toEqual([]);
  });

  test('works on stores, and not through a service', async () => {
    expect(await command(['doctor', '--url', 'http://127.0.0.1:1'])).toMatchObject({ code: 2, out: '' });
    expect((await command(['doctor', '--help'])).out).toContain('$ lethe doctor --data ./lethe-data');
  });
});
