import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  answersOf,
  copyTo,
  expectedNames,
  goldenAnswers,
  presentNames,
  REPEATED,
  writeMissing,
} from './golden/data-folder.js';
import { startService, temporaryFolder, upload, type Answer, type RunningService } from './harness/service.js';
import { until } from './harness/until.js';

/* A data folder outlives the version that wrote it: every one that there was is opened, and one from a later version is left alone. */

if (process.env['LETHE_GOLDEN'] === 'write') await writeMissing();

let data: string;
let service: RunningService | null = null;

beforeEach(async () => {
  data = await temporaryFolder();
});

afterEach(async () => {
  await service?.kill();
  service = null;
  await rm(data, { recursive: true, force: true });
});

const start = async (): Promise<RunningService> => (service = await startService({ data }));
const inData = (name: string): string => join(data, name);
const sql = <T>(name: string, work: (db: Database.Database) => T): T => {
  const db = new Database(inData(name));
  try {
    return work(db);
  } finally {
    db.close();
  }
};
const withoutModel = async (): Promise<void> => {
  for (const rest of ['', '-wal', '-shm']) await rm(inData(`read-model.sqlite${rest}`), { force: true });
};
/** Once all of the log is in the read model. */
const settled = async (running: RunningService): Promise<RunningService> => {
  await until('it is ready', async () => (await running.request('GET', '/health/ready')).status === 200);
  return running;
};

it('there is one for every version', async () => {
  const hint = 'LETHE_GOLDEN=write npx vitest run test/data-folder.test.ts writes what is missing';
  expect(await presentNames(), hint).toEqual(expectedNames());
});

describe.each(await presentNames())('%s', (name) => {
  beforeEach(() => copyTo(name, data));

  it('holds records in every state', async () => {
    const answers = Object.entries(await goldenAnswers(name)) as [string, Answer][];
    const all = (pattern: RegExp): Answer['body'][] =>
      answers.filter(([path]) => pattern.test(path)).flatMap(([, { body }]) => body.items ?? [body]);
    const visibilities = all(/^\/v1\/(files|datasets)\?/).map(({ visibility }) => visibility);
    expect(new Set(visibilities)).toEqual(new Set([1, 0, -1]));
    expect(new Set(all(/^\/v1\/purges$/).map(({ state }) => state))).toEqual(new Set(['done', 'parked']));
    expect(all(/^\/v1\/files\?/).filter(({ hold }) => hold !== null)).toHaveLength(1);
    expect(all(/^\/v1\/operations$/)).toMatchObject([{ state: 'done', counts: { purged: 1 } }]);
    const types = new Set(all(/\/history$/).map(({ type }) => type));
    for (const type of ['RecordRestored', 'RecordHoldReleased', 'ObjectDeleted', 'ObjectKept', 'ObjectDeletionFailed'])
      expect(types).toContain(type);
  });

  it('answers as it did from its log alone', async () => {
    await withoutModel();
    expect(await answersOf(await settled(await start()))).toEqual(await goldenAnswers(name));
  });

  it('opens and answers as it did; then is worked on as any other', async () => {
    const running = await settled(await start());
    const answers = await answersOf(running);
    expect(answers).toEqual(await goldenAnswers(name));
    expect(Object.keys(answers).length).toBeGreaterThan(60);

    // A repeat is recognised, what was parked is deleted, what is held stays, and what is new is stored.
    const body = (): FormData => upload(REPEATED.metadata, REPEATED.content, 'golden.csv');
    const headers = { 'x-actor': 'alice', 'idempotency-key': REPEATED.key };
    const repeat = await running.request('POST', '/v1/files', { body: body(), headers });
    expect([repeat.status, repeat.headers.get('idempotent-replayed')]).toEqual([201, 'true']);
    const other = await running.request('POST', '/v1/files', { body: upload(REPEATED.metadata, 'twice'), headers });
    expect(other.body.code).toBe('idempotency-mismatch');

    const [parked] = (await running.request('GET', '/v1/purges?state=parked')).body.items;
    const path = `/v1/purges/files/${parked.uid}/retry`;
    const retried = await running.request('POST', path, { headers: { prefer: 'wait=20' } });
    expect(retried.body, JSON.stringify(retried.body)).toMatchObject({
      outcome: 'purged',
      receipt: { object: { fate: 'deleted', objects: 1, bytes: 6 } },
    });
    expect(existsSync(join(data, 'objects', retried.body.receipt.object.path))).toBe(false);

    const held = (await running.request('GET', '/v1/files?hold[null]=false')).body.items[0];
    const refused = await running.request('DELETE', `/v1/files/${held.uid}?permanent=true`);
    expect([refused.status, refused.body.code]).toEqual([409, 'on-hold']);
    const created = await running.request('POST', '/v1/files', { body: upload({ key: 'new.csv' }, 'new') });
    expect(created.status, JSON.stringify(created.body)).toBe(201);
    expect(await running.stop()).toBe(0);
  });

  it('with a read model of another version: it is built again from the log', async () => {
    sql('read-model.sqlite', (db) => {
      db.pragma('user_version = 2147483647');
      db.exec('UPDATE meta SET checkpoint = 1');
      db.exec('DELETE FROM catalogue');
    });
    expect(await answersOf(await settled(await start()))).toEqual(await goldenAnswers(name));
  });

  it('with a log in the format of a later version: the start is refused, and says to upgrade', async () => {
    const format = sql('events.sqlite', (db) => Number(db.pragma('user_version', { simple: true })));
    sql('events.sqlite', (db) => db.pragma(`user_version = ${format + 1}`));
    const before = sql('events.sqlite', (db) => db.prepare('SELECT count(*) FROM events').pluck().get());
    const refusal = expect(startService({ data })).rejects;
    await refusal.toThrow(
      `events.sqlite was written by a newer version of Lethe (format ${format + 1}; this one reads ${format}): upgrade Lethe`,
    );
    expect(sql('events.sqlite', (db) => db.prepare('SELECT count(*) FROM events').pluck().get())).toBe(before);
    expect(sql('events.sqlite', (db) => db.pragma('user_version', { simple: true }))).toBe(format + 1);
  });

  it('with a log that is none: the start is refused, and nothing of it is touched', async () => {
    await writeFile(
      inData('events.sqlite'),
      'not a database, but long enough to be taken for one if nobody looks'.repeat(20),
    );
    await expect(startService({ data })).rejects.toThrow(
      /events\.sqlite is not a database, so not Lethe's log: check the path/,
    );
  });

  describe('with an event of a later version in its log', () => {
    /** The last event of a label, which nothing else points back to. @returns the label's address */
    const raise = (): string =>
      sql('events.sqlite', (db) => {
        const find = db.prepare<[], { position: number; stream: string; metadata: string }>(
          `SELECT position, stream, metadata FROM events WHERE stream LIKE 'lethe.labels-%' AND type = 'RecordUpdated'`,
        );
        const [event] = find.all();
        if (event === undefined) throw new Error('no label was updated');
        const metadata = { ...(JSON.parse(event.metadata) as object), version: 99 };
        db.prepare('UPDATE events SET metadata = ? WHERE position = ?').run(JSON.stringify(metadata), event.position);
        return `/v1/labels/${event.stream.slice('lethe.labels-'.length)}`;
      });
    const SENTENCE = /event \d+ \(RecordUpdated of lethe\.labels-\w+\) has version 99, .*: upgrade Lethe/;

    it('a command on that record is refused, and says to upgrade; nothing is appended', async () => {
      // Up to date first: it is the command that meets the event, and not the model.
      const before = await settled(await start());
      await before.stop();
      const path = raise();
      const running = await settled(await start());
      const { headers } = await running.request('GET', '/v1/labels');
      for (const [method, json] of [
        ['PATCH', { name: 'x' }],
        ['DELETE', undefined],
      ] as const) {
        const answer = await running.request(method, path, json === undefined ? {} : { json });
        expect(answer).toMatchObject({ status: 503, body: { code: 'store-unavailable' } });
        expect(answer.body.detail).toMatch(SENTENCE);
      }
      const after = await running.request('GET', '/v1/labels');
      expect(after.headers.get('x-position')).toBe(headers.get('x-position'));
    });

    it('a model that has to be built again stands still there, and says where and to upgrade', async () => {
      raise();
      await withoutModel();
      const running = await start();
      const ready = await until('it says what is wrong', async () => {
        const answer = await running.request('GET', '/health/ready');
        return SENTENCE.test(JSON.stringify(answer.body)) ? answer : null;
      });
      expect(ready.status).toBe(503);
      const answer = await running.request('GET', '/v1/labels');
      expect([answer.status, answer.body.code]).toEqual([503, 'projection-behind']);
      expect((await running.request('GET', '/health/live')).status).toBe(200);
    });
  });
});
