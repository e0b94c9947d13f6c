import Database from 'better-sqlite3';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORMATS, NDJSON } from '../../src/api/export.js';
import { decode } from '../../src/events/codec.js';
import { historyRow } from '../../src/projections/project.js';
import { openSqliteEventStore } from '../../src/storage/event-store/sqlite.js';
import { openSqliteReadModel } from '../../src/storage/read-model/sqlite.js';
import type { StoredEvent } from '../../src/storage/event-store/port.js';
import { command, startCommand } from '../harness/command.js';
import { TYPES } from '../harness/event-arbitraries.js';
import { generateLog, typesIn } from '../harness/log-generator.js';
import { dumpOf, projected } from '../harness/projecting.js';
import { startService, temporaryFolder, upload } from '../harness/service.js';
import { storedEvents } from '../harness/stored-events.js';
import { until } from '../harness/until.js';

/*
 * A log leaves one data folder and comes into another: the compiled command line, real processes, and kill -9 in the middle.
 */

let home: string;
const inHome = (name: string): string => join(home, name);
const logOf = (data: string): string => join(data, 'events.sqlite');

beforeAll(async () => {
  home = await temporaryFolder();
});

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

const storedIn = async (data: string): Promise<StoredEvent[]> =>
  storedEvents(await openSqliteEventStore({ file: logOf(data), prefix: 'lethe.', mode: 'read-only' }));

/** Null where there is none, or none any more: it was put in its place just now. */
const openedIn = (file: string): Database.Database | null => {
  if (!existsSync(file)) return null;
  try {
    return new Database(file, { readonly: true, fileMustExist: true });
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code === 'SQLITE_CANTOPEN') return null;
    throw error;
  }
};

/** How many events are in a log for good: what is written and not committed goes with the process. */
const countIn = (unfinished: string): number => {
  const db = openedIn(unfinished);
  if (db === null) return 0;
  try {
    const made = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'events'").get() !== undefined;
    return made ? (db.prepare<[], number>('SELECT count(*) FROM events').pluck().get() ?? 0) : 0;
  } finally {
    db.close();
  }
};

const modelOf = async (stored: readonly StoredEvent[]): Promise<string> =>
  dumpOf(await projected(stored.flatMap((event) => decode('lethe.', event) ?? [])));

const bring = (file: string, data: string) => command(['events', 'import', file, '--data', data]);

describe('a log of 10,000 events of every type', () => {
  const { recorded, stored } = generateLog(1, 10_000);
  let file: string;
  let model: string;

  beforeAll(async () => {
    file = inHome('generated.ndjson');
    await writeFile(file, FORMATS[NDJSON].lines(recorded.map(historyRow)));
    model = await modelOf(stored);
  });

  test('gives elsewhere the same model, byte for byte', async () => {
    expect([...typesIn(recorded).keys()].sort()).toEqual([...TYPES].sort());
    const data = inHome('elsewhere');
    const { code, out, err } = await bring(file, data);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(`imported 10000 events into ${data}, up to position 10000\n`);
    const imported = await storedIn(data);
    expect(await modelOf(imported)).toBe(model);
    expect((await stat(data)).mode & 0o777).toBe(0o700);
    const bare = ({ metadata: _, ...event }: StoredEvent): object => event;
    expect(imported.map(bare)).toEqual(stored.map(bare));
  });

  test('so does what a live service exports that goes on from it', async () => {
    const [data, copy, exported] = [inHome('long'), inHome('copy-of-long'), inHome('long.ndjson')];
    expect((await bring(file, data)).code).toBe(0);
    const objects = inHome('objects-of-long');
    await mkdir(objects);
    const storages = [{ name: 'default', root: `file:${objects}` }];
    await writeFile(join(data, 'lethe.json'), JSON.stringify({ storages, purges: { attempts: 1 } }));
    const service = await startService({ data });
    await until('it has caught up', async () => (await service.request('GET', '/health/ready')).status === 200);
    const added = await service.request('POST', '/v1/files', { body: upload({ key: 'a.csv' }, 'a\n') });
    expect(added.status, JSON.stringify(added.body)).toBe(201);
    const { uid } = added.body.record;
    expect((await service.request('DELETE', `/v1/files/${uid}`)).body.outcome).toBe('trashed');
    const headers = { prefer: 'wait=30' };
    const purged = await service.request('DELETE', `/v1/files/${uid}?permanent=true`, { headers });
    expect(purged.body.outcome).toBe('purged');
    const { code, out } = await command(['events', 'export', exported, '--url', service.url, '--json']);
    expect(code).toBe(0);
    const { position } = JSON.parse(out) as { position: string };
    await service.stop();

    expect((await bring(exported, copy)).code).toBe(0);
    const [live, brought] = [await storedIn(data), await storedIn(copy)];
    // Its sagas may have gone on since.
    const then = live.filter((event) => event.position <= BigInt(position));
    expect(then.length).toBeGreaterThan(10_000);
    expect([...typesIn(then.flatMap((event) => decode('lethe.', event) ?? [])).keys()].sort()).toEqual(
      [...TYPES].sort(),
    );
    expect(await modelOf(brought)).toBe(await modelOf(then));
    const model = await openSqliteReadModel({ file: join(data, 'read-model.sqlite'), mode: 'read-only' });
    try {
      const upTo = await model.checkpoint();
      expect(upTo).toBeGreaterThanOrEqual(BigInt(position));
      expect(await dumpOf(model)).toBe(await modelOf(live.filter((event) => event.position <= upTo)));
    } finally {
      await model.close();
    }
  });

  test('ends right when it is killed in the middle and started again', async () => {
    const data = inHome('killed');
    const unfinished = `${logOf(data)}.importing`;
    await until(
      'one is killed in the middle',
      async () => {
        await rm(data, { recursive: true, force: true });
        const { child, ended } = startCommand(['events', 'import', file, '--data', data]);
        await until('a part of it is written', async () => child.exitCode !== null || countIn(unfinished) > 0);
        child.kill('SIGKILL');
        return (await ended).signal === 'SIGKILL';
      },
      5,
    );
    expect(existsSync(logOf(data))).toBe(false);

    const { code, out } = await command(['events', 'import', file, '--data', data, '--json']);
    expect(code).toBe(0);
    const { found, events } = JSON.parse(out) as { found: number; events: number };
    expect(events).toBe(10_000);
    expect(found).toBeGreaterThan(0);
    expect(found).toBeLessThan(10_000);
    expect(existsSync(unfinished)).toBe(false);
    expect(await modelOf(await storedIn(data))).toBe(model);

    expect((await bring(file, data)).out).toContain('nothing was changed');
  });

  test('takes the place of what another file had begun', async () => {
    const data = inHome('begun');
    const other = generateLog(2, 50);
    await writeFile(inHome('other.ndjson'), FORMATS[NDJSON].lines(other.recorded.map(historyRow)));
    expect((await bring(inHome('other.ndjson'), data)).code).toBe(0);
    await mkdir(inHome('begun-too'));
    await copyFile(logOf(data), `${logOf(inHome('begun-too'))}.importing`);
    expect((await bring(file, inHome('begun-too'))).code).toBe(0);
    expect(await modelOf(await storedIn(inHome('begun-too')))).toBe(model);

    const refused = await bring(file, data);
    expect(refused.code).toBe(3);
    expect(refused.err).toContain('has a log already');
    expect(await storedIn(data)).toHaveLength(50);
  });
});

describe('a file that is no whole log', () => {
  const { recorded } = generateLog(3, 60);
  const lines = FORMATS[NDJSON].lines(recorded.map(historyRow)).trimEnd().split('\n');
  const changed = (index: number, change: (row: Record<string, unknown>) => object): string[] =>
    lines.map((line, at) =>
      at === index ? JSON.stringify(change(JSON.parse(line) as Record<string, unknown>)) : line,
    );
  /** An event whose stream goes on. */
  const followed = recorded.findIndex(({ uid, revision }) =>
    recorded.some((other) => other.uid === uid && other.revision === revision + 1),
  );
  const follower = recorded.findIndex(
    ({ uid, revision }) => uid === recorded[followed]?.uid && revision === (recorded[followed]?.revision ?? 0) + 1,
  );

  test.each([
    ['is empty', [], 1, 'is empty'],
    ['is cut off', [...lines.slice(0, 40), (lines[40] ?? '').slice(0, 30)], 41, 'is not JSON'],
    ['has no first event', lines.slice(1), 1, 'InstanceCreated'],
    ['lacks an event', lines.filter((_, at) => at !== followed), follower, 'lines are missing'],
    [
      'has two events in the wrong order',
      [...lines.slice(0, 5), lines[6], lines[5], ...lines.slice(7)],
      7,
      'positions rise',
    ],
    [
      'has another actor',
      changed(followed, (row) => ({ ...row, actor: 'mallory' })),
      follower + 1,
      'was changed after it was written',
    ],
    [
      'has a time before the one before',
      changed(follower, (row) => ({ ...row, at: '2001-01-01T00:00:00.000Z' })),
      follower + 1,
      'before the event that it follows',
    ],
    ['has a type of a later version', changed(3, (row) => ({ ...row, type: 'RecordTeleported' })), 4, 'does not know'],
    ['has a version of a later one', changed(3, (row) => ({ ...row, version: 9 })), 4, 'upgrade Lethe'],
    ['has a field too many', changed(3, (row) => ({ ...row, note: 'x' })), 4, 'is not an event as it is exported'],
    ['has data of another type', changed(3, (row) => ({ ...row, data: { what: 1 } })), 4, 'cannot be read'],
  ])('that %s is refused by its line, before anything is written', async (name, text, line, why) => {
    const file = inHome(`${name}.ndjson`);
    await writeFile(file, text.map((each) => `${each}\n`).join(''));
    const data = inHome(name);
    const { code, err } = await bring(file, data);
    expect(err).toContain(`line ${line}: `);
    expect(err).toContain(why);
    expect(code).toBe(1);
    expect(existsSync(logOf(data))).toBe(false);
    expect(existsSync(`${logOf(data)}.importing`)).toBe(false);
  });
});

test('a live service is exported, through its URL and from its folder alike, and goes on elsewhere', async () => {
  const [data, copy] = [inHome('live'), inHome('copy')];
  const config = { storages: [{ name: 'default', root: `file:${inHome('objects')}` }] };
  await Promise.all([data, copy, inHome('objects')].map((each) => mkdir(each)));
  const service = await startService({ data, config });
  const added = await service.request('POST', '/v1/files', {
    body: upload({ key: 'a.csv', description: 'one\u2028line' }, 'a,b\n'),
  });
  const { uid } = added.body.record as { uid: string };
  await service.request('POST', '/v1/datasets', { json: { name: 'd', files: [], description: 'x' } });
  await service.request('PUT', `/v1/files/${uid}/hold`, { json: { reason: 'audit' } });
  await service.request('DELETE', `/v1/files/${uid}/hold`);
  await service.request('DELETE', `/v1/files/${uid}`);
  const purged = await service.request('DELETE', `/v1/files/${uid}?permanent=true`, {
    headers: { Prefer: 'wait=20' },
  });
  expect(purged.body.outcome).toBe('purged');

  const exported = await command(['events', 'export', '--url', service.url]);
  expect(exported.code).toBe(0);
  const file = inHome('live.ndjson');
  const written = await command(['events', 'export', file, '--url', service.url]);
  expect(written).toMatchObject({ code: 0, err: '' });
  expect(await readFile(file, 'utf8')).toBe(exported.out);
  expect((await bring(file, data)).err).toContain('is in use by process');
  await service.stop();
  expect((await command(['events', 'export', '--data', data])).out).toBe(exported.out);

  await writeFile(join(copy, 'lethe.json'), JSON.stringify(config));
  expect(await bring(file, copy)).toMatchObject({ code: 0, err: '' });
  const again = await startService({ data: copy });
  expect((await command(['events', 'export', '--url', again.url])).out).toBe(exported.out);
  expect((await again.request('GET', `/v1/files/${uid}`)).status).toBe(410);
  expect((await again.request('POST', '/v1/files', { body: upload({ key: 'b.csv' }, 'c\n') })).status).toBe(201);
  await again.stop();
});

test('a folder whose read model is that of another log is left alone', async () => {
  const data = inHome('modelled');
  const service = await startService({ data: await mkdir(data).then(() => data) });
  await service.stop();
  for (const rest of ['', '-wal', '-shm']) await rm(`${logOf(data)}${rest}`, { force: true });
  const file = inHome('small.ndjson');
  await writeFile(file, FORMATS[NDJSON].lines(generateLog(2, 50).recorded.map(historyRow)));
  const { code, err } = await bring(file, data);
  expect(err).toContain('remove it (read-model.sqlite');
  expect(code).toBe(3);
  expect(existsSync(logOf(data))).toBe(false);
});

test('a file that is not there is named in words', async () => {
  const missing = inHome('missing.ndjson');
  const said = { code: 1, out: '', err: `lethe: ${missing}: there is no such file or folder\n` };
  expect(await bring(missing, inHome('of nothing'))).toMatchObject(said);
  expect(await command(['replay', missing])).toMatchObject(said);
});
