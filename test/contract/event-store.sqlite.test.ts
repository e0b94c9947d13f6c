import Database from 'better-sqlite3';
import fc from 'fast-check';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Corrupt, Full, OutcomeUnknown, RevisionConflict, Unavailable } from '../../src/storage/errors.js';
import { FolderLocked, lockDataFolder, readLock } from '../../src/storage/event-store/lock.js';
import { BEGINNING, type NewEvent } from '../../src/storage/event-store/port.js';
import {
  openSqliteEventStore,
  type SqliteEventStore,
  type SqliteEventStoreOptions,
} from '../../src/storage/event-store/sqlite.js';
import { all, eventStoreContract, failure, follow, ids, noted } from './event-store.contract.js';

let folder: string;
let file: string;
let stores: SqliteEventStore[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lethe-log-'));
  file = join(folder, 'log.sqlite');
  stores = [];
});

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(stores.map((store) => store.close()));
  rmSync(folder, { recursive: true });
});

const open = async (options: Partial<SqliteEventStoreOptions> = {}): Promise<SqliteEventStore> => {
  const store = await openSqliteEventStore({ file, prefix: 'lethe.', mode: 'read-write', ...options });
  stores.push(store);
  return store;
};

const sql = <T>(use: (db: Database.Database) => T): T => {
  const db = new Database(file);
  try {
    return use(db);
  } finally {
    db.close();
  }
};

eventStoreContract('the SQLite adapter', async (prefix) => {
  const path = join(mkdtempSync(join(tmpdir(), 'lethe-contract-')), 'log.sqlite');
  const reopen = (other = prefix): Promise<SqliteEventStore> =>
    openSqliteEventStore({ file: path, prefix: other, mode: 'read-write' });
  return {
    store: await reopen(),
    reopen,
    cleanup: async () => rmSync(dirname(path), { recursive: true }),
  };
});

describe('group commit', () => {
  test('appends of one turn are one transaction', async () => {
    const store = await open();
    await Promise.all(Array.from({ length: 500 }, (_, index) => store.append(`lethe.s${index}`, -1, [noted(index)])));
    expect(store.stats()?.transactions).toBe(1);
  });

  test('appends that come while a transaction runs are the next one, and this thread stays free meanwhile', async () => {
    const store = await open();
    const blocker = new Database(file);
    blocker.exec('BEGIN IMMEDIATE'); // the thread has to wait for it
    const appends = [store.append('lethe.first', -1, [noted(0)])];
    await nextTurn();
    for (let index = 0; index < 50; index += 1) {
      appends.push(store.append(`lethe.s${index}`, -1, [noted(index)]));
      await nextTurn();
      expect(await store.readStream('lethe.first')).toEqual([]); // reads don't wait either
    }
    blocker.close();
    await Promise.all(appends);
    expect(store.stats()?.transactions).toBe(2);
  });

  test('a transaction of refusals alone is none', async () => {
    const store = await open();
    await Promise.allSettled(Array.from({ length: 10 }, () => store.append('lethe.a', 4, [noted(0)])));
    expect(store.stats()?.transactions).toBe(0);
  });

  test('what is refused in a transaction leaves the others in it alone', async () => {
    const store = await open();
    const [one, two] = [noted(1), noted(2)];
    const results = await Promise.allSettled([
      store.append('lethe.a', -1, [one]),
      store.append('lethe.a', -1, [noted(9)]), // loses to the one before
      store.append('lethe.a', 0, [two]), // after the first one
      store.append('lethe.a', -1, [one]), // a repeat
      store.append('lethe.b', 3, [noted(9)]),
      store.append('lethe.b', -1, [noted(3)]),
    ]);
    expect(results.map(({ status }) => status === 'fulfilled')).toEqual([true, false, true, true, false, true]);
    expect(results[1]).toMatchObject({
      reason: { name: 'RevisionConflict', stream: 'lethe.a', expected: -1, actual: 0 },
    });
    expect(results[4]).toMatchObject({
      reason: { name: 'RevisionConflict', stream: 'lethe.b', expected: 3, actual: -1 },
    });
    expect(results[3]).toEqual(results[0]);
    expect(store.stats()?.transactions).toBe(1);
    expect(ids(await store.readStream('lethe.a'))).toEqual(ids([one, two]));
  });

  test('appends of one store take effect in the order of their calls, however they fall into transactions', async () => {
    const step = fc.record({
      stream: fc.nat({ max: 2 }),
      drift: fc.constantFrom(0, 0, 0, -1, 1),
      count: fc.integer({ min: 1, max: 2 }),
      again: fc.option(fc.nat()),
      turn: fc.boolean(),
    });
    const store = await open();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        run += 1;
        const model = new Map<string, string[]>();
        const sent: { stream: string; expected: number; events: NewEvent[] }[] = [];
        const expected: string[] = [];
        const got: Promise<string>[] = [];
        for (const { stream, drift, count, again, turn } of steps) {
          const name = `lethe.${run}-${stream}`;
          const after = Math.max(-1, (model.get(name)?.length ?? 0) - 1 + drift);
          const fresh = { stream: name, expected: after, events: Array.from({ length: count }, (_, n) => noted(n)) };
          const append = (again === null ? undefined : sent[again % Math.max(1, sent.length)]) ?? fresh;
          sent.push(append);
          expected.push(sequentially(model, append));
          got.push(
            store.append(append.stream, append.expected, append.events).then(
              ({ revision }) => `appended ${revision}`,
              (error: unknown) => (error instanceof RevisionConflict ? `conflict ${error.actual}` : String(error)),
            ),
          );
          if (turn) await nextTurn();
        }
        expect(await Promise.all(got)).toEqual(expected);
        for (const [name, held] of model) expect(ids(await store.readStream(name))).toEqual(held);
      }),
      { numRuns: 60 },
    );
  });

  test('refuses what is beyond the bound of what may wait, and takes more afterwards', async () => {
    const store = await open();
    const appends = Array.from({ length: 10_003 }, (_, index) => store.append(`lethe.s${index}`, -1, [noted(index)]));
    const results = await Promise.allSettled(appends);
    const refused = results.flatMap((result, index) =>
      result.status === 'rejected' ? [{ index, reason: result.reason }] : [],
    );
    expect(refused.map(({ index }) => index)).toEqual([10_000, 10_001, 10_002]);
    for (const { reason } of refused) expect(reason).toBeInstanceOf(Unavailable);
    expect(await store.append('lethe.s10000', -1, [noted(0)])).toMatchObject({ revision: 0 });
  });

  test('bounds the bytes that may wait as well', async () => {
    await (await open()).close();
    const store = await open({ startThread: () => double('silent'), answerWithinMs: 1 });
    const large = JSON.stringify({ x: 'x'.repeat(1_000_000) });
    const appends = Array.from({ length: 68 }, (_, index) =>
      store.append(`lethe.s${index}`, -1, [{ ...noted(0), data: large }]),
    );
    const results = await Promise.allSettled(appends);
    const names = results.map((result) => (result.status === 'rejected' ? result.reason.name : ''));
    expect(names).toEqual([...Array<string>(67).fill('OutcomeUnknown'), 'Unavailable']);
  });
});

describe('durability', () => {
  test('the connection that writes has a write-ahead log and a full fsync', async () => {
    expect((await open()).stats()).toEqual({ transactions: 0, journalMode: 'wal', synchronous: 2 });
  });

  test('so it has on a file that was there before, whatever that was left as', async () => {
    await (await open()).close();
    sql((db) => db.pragma('journal_mode = DELETE'));
    expect((await open()).stats()).toMatchObject({ journalMode: 'wal', synchronous: 2 });
  });

  test('missing folders are made', async () => {
    const deep = join(folder, 'a', 'b', 'log.sqlite');
    const store = await open({ file: deep });
    await store.append('lethe.a', -1, [noted(0)]);
    expect(statSync(deep).isFile()).toBe(true);
  });

  test('closing leaves one file: the write-ahead log is in it', async () => {
    const store = await open();
    await store.append('lethe.a', -1, [noted(0)]);
    await store.close();
    expect(readdirSync(folder)).toEqual(['log.sqlite']);
  });

  test('the write-ahead log stays small, with readers that follow', async () => {
    const store = await open();
    const subscription = follow(store.subscribe(BEGINNING, { signal: new AbortController().signal }));
    const data = JSON.stringify({ x: 'x'.repeat(10_000) });
    for (let round = 0; round < 50; round += 1) {
      await Promise.all(
        Array.from({ length: 50 }, (_, index) => store.append(`lethe.${round}-${index}`, -1, [{ ...noted(0), data }])),
      );
      await subscription.next(50 * (round + 1));
    }
    expect(statSync(file).size).toBeGreaterThan(16 * 1024 * 1024);
    expect(statSync(`${file}-wal`).size).toBeLessThan(8 * 1024 * 1024);
    await subscription.end();
  });

  test('what was acknowledged is there after kill -9', async () => {
    const child = run(`
      const { openSqliteEventStore } = await import(${moduleOf('sqlite')});
      const store = await openSqliteEventStore({ file: ${JSON.stringify(file)}, prefix: 'lethe.', mode: 'read-write' });
      const { randomUUID } = await import('node:crypto');
      await Promise.all(Array.from({ length: 8 }, async (_, writer) => {
        for (let revision = -1; ; revision += 1) {
          const id = randomUUID();
          await store.append('lethe.' + writer, revision, [{ id, type: 'Noted', data: '{}', metadata: '{}' }]);
          console.log(id);
        }
      }));`);
    const acknowledged: string[] = [];
    for await (const line of linesOf(child)) {
      if (acknowledged.push(line) === 500) child.kill('SIGKILL');
    }
    const there = new Set(ids(await all((await open()).readAll(BEGINNING))));
    expect(acknowledged.length).toBeGreaterThanOrEqual(500);
    expect(acknowledged.filter((id) => !there.has(id))).toEqual([]);
  });
});

describe('a file that is no log', () => {
  const refused = async (options: Partial<SqliteEventStoreOptions> = {}): Promise<unknown> => {
    const before = readFileSync(file);
    const errors = [await failure(open(options)), await failure(open({ ...options, mode: 'read-only' }))];
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(String(errors[0])).toBe(String(errors[1]));
    return errors[0];
  };

  test('of a newer version is refused, and says so', async () => {
    await (await open()).close();
    sql((db) => db.pragma('user_version = 2'));
    const error = await refused();
    expect(error).toBeInstanceOf(Corrupt);
    expect(String(error)).toMatch(/newer version of Lethe \(format 2; this one reads 1\): upgrade Lethe/);
  });

  test.each(['hello', 'not a database '.repeat(1_000)])(
    'that is no database is refused, and left as it is',
    async (content) => {
      writeFileSync(file, content);
      const error = await refused();
      expect(error).toBeInstanceOf(Corrupt);
      expect(String(error)).toContain(`${file} is not a database`);
    },
  );

  test('of another program is refused, and left as it is', async () => {
    sql((db) => db.exec('CREATE TABLE events (x)'));
    const error = await refused();
    expect(error).toBeInstanceOf(Corrupt);
    expect(String(error)).toContain('another program');
  });

  test('or that cannot be opened is Unavailable', async () => {
    mkdirSync(file);
    expect(await failure(open())).toBeInstanceOf(Unavailable);
    expect(await failure(open({ file: join(file, 'x', '\0') }))).toBeInstanceOf(Unavailable);
    writeFileSync(join(folder, 'plain'), '');
    expect(await failure(open({ file: join(folder, 'plain', 'log.sqlite') }))).toBeInstanceOf(Unavailable);
  });

  test('or that is missing is Unavailable to who only reads, and not made', async () => {
    expect(await failure(open({ mode: 'read-only' }))).toBeInstanceOf(Unavailable);
    expect(await failure(open({ mode: 'read-only', file: join(folder, 'a', 'log.sqlite') }))).toBeInstanceOf(
      Unavailable,
    );
    expect(readdirSync(folder)).toEqual([]);
    writeFileSync(file, '');
    expect(await failure(open({ mode: 'read-only' }))).toBeInstanceOf(Unavailable);
  });

  test('a stream with an event missing is Corrupt', async () => {
    const store = await open();
    await store.append('lethe.a', -1, [noted(0), noted(1), noted(2)]);
    sql((db) => db.exec('DELETE FROM events WHERE revision = 1'));
    expect(await failure(store.readStream('lethe.a'))).toBeInstanceOf(Corrupt);
  });
});

describe('a full disk', () => {
  const large = JSON.stringify({ x: 'x'.repeat(20_000) });

  /** Appends until no more goes in; answers what went in, and what did not. */
  const fillUp = async (
    store: SqliteEventStore,
  ): Promise<{ first: NewEvent; last: number; refused: NewEvent; error: unknown }> => {
    const first = { ...noted(0), data: large };
    await store.append('lethe.a', -1, [first]);
    for (let last = 0; ; last += 1) {
      const event = { ...noted(0), data: large };
      const error = await store.append('lethe.a', last, [event]).then(
        () => null,
        (reason: unknown) => reason,
      );
      if (error !== null) return { first, last, refused: event, error };
    }
  };

  test('is Full, writes nothing, and can be read', async () => {
    const store = await open({ maxPages: 50 });
    const { last, error } = await fillUp(store);
    expect(error).toBeInstanceOf(Full);
    expect(last).toBeGreaterThan(2);
    const events = await store.readStream('lethe.a');
    expect(events).toHaveLength(last + 1);
    expect(await store.head()).toBe(events.at(-1)?.position);
  });

  test('takes the same append once there is room', async () => {
    const full = await open({ maxPages: 50 });
    const { last, refused } = await fillUp(full);
    await full.close();
    const store = await open();
    expect(await store.append('lethe.a', last, [refused])).toMatchObject({ revision: last + 1 });
  });

  test('answers a repeat of what is written as always: it must not hear that nothing was', async () => {
    const store = await open({ maxPages: 50 });
    const { first, last, refused } = await fillUp(store);
    const results = await Promise.allSettled([
      store.append('lethe.a', -1, [first]),
      store.append('lethe.a', last, [refused]),
      store.append('lethe.a', -1, [noted(9)]),
    ]);
    expect(results[0]).toMatchObject({ status: 'fulfilled', value: { revision: 0 } });
    expect(results[1]).toMatchObject({ reason: { name: 'Full' } });
    expect(results[2]).toMatchObject({ reason: { name: 'RevisionConflict' } });
  });
});

describe('a thread that fails', () => {
  beforeEach(async () => {
    const store = await open();
    await store.append('lethe.a', -1, [noted(0)]);
    await store.close();
  });

  test('leaves what it had with an unknown outcome, what waited unwritten, and takes nothing more', async () => {
    const store = await open({ startThread: () => double('dies') });
    const inFlight = failure(store.append('lethe.a', 0, [noted(1)]));
    await nextTurn();
    const waiting = failure(store.append('lethe.b', -1, [noted(1)]));
    expect(await inFlight).toBeInstanceOf(OutcomeUnknown);
    expect(await waiting).toBeInstanceOf(Unavailable);
    expect(await failure(store.append('lethe.a', 0, [noted(1)]))).toBeInstanceOf(Unavailable);
    expect(await store.readStream('lethe.a')).toHaveLength(1);
    await store.close();
  });

  test('that was not yet told of an append has not written it', async () => {
    const threads: Worker[] = [];
    const store = await open({ startThread: () => threads[threads.push(double('silent')) - 1] ?? double('silent') });
    await threads[0]?.terminate();
    expect(await failure(store.append('lethe.a', 0, [noted(1)]))).toBeInstanceOf(Unavailable);
  });

  test('that does not answer in time leaves an unknown outcome, and is taken up again once it answers', async () => {
    const threads: Worker[] = [];
    const startThread = (): Worker => threads[threads.push(double('silent')) - 1] ?? double('silent');
    const store = await open({ startThread, answerWithinMs: 1 });
    expect(await failure(store.append('lethe.a', 0, [noted(1)]))).toBeInstanceOf(OutcomeUnknown);
    const refused = await failure(store.append('lethe.a', 0, [noted(1)]));
    expect(refused).toBeInstanceOf(Unavailable);
    expect(String(refused)).toContain('does not answer');
    const answered = new Promise<void>((resolve) => threads[0]?.once('message', () => resolve()));
    threads[0]?.postMessage({ kind: 'answer now' });
    await answered;
    expect(await failure(store.append('lethe.a', 0, [noted(1)]))).toBeInstanceOf(OutcomeUnknown); // it was sent again
    await store.close();
  });

  test('that cannot start refuses the opening', async () => {
    const startThread = (): Worker => new Worker('process.exit(3)', { eval: true });
    const error = await failure(open({ startThread }));
    expect(error).toBeInstanceOf(Unavailable);
    expect(String(error)).toContain('ended with code 3');
  });

  test('brings over what it says of a disk that fails', async () => {
    for (const [name, type] of Object.entries({ OutcomeUnknown, Unavailable, Full, Corrupt })) {
      const store = await open({ startThread: () => double(name) });
      const error = await failure(store.append('lethe.a', 0, [noted(1)]));
      expect(error).toBeInstanceOf(type);
      expect(String(error)).toContain('as the double says');
    }
  });
});

describe('several stores on one file', () => {
  test('one that only reads cannot append, and has nothing to tell', async () => {
    await (await open()).close();
    const reading = await open({ mode: 'read-only' });
    expect(await failure(reading.append('lethe.a', -1, [noted(0)]))).toBeInstanceOf(Unavailable);
    expect(reading.stats()).toBeNull();
  });

  test('onAppended gives the head of each transaction, and wakes a store that only reads', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }); // so that it is not the poll that wakes it
    const [writing, reading] = [await open(), await open({ mode: 'read-only' })];
    const heads: bigint[] = [];
    const forget = writing.onAppended((head) => {
      heads.push(head);
      reading.wake();
    });
    const subscription = follow(reading.subscribe(BEGINNING, { signal: new AbortController().signal }));
    const waiting = subscription.next(3);
    const event = noted(0);
    const first = await writing.append('lethe.a', -1, [event, noted(1)]);
    await Promise.allSettled([writing.append('lethe.a', -1, [noted(2)]), writing.append('lethe.a', -1, [event])]);
    const second = await writing.append('lethe.a', 1, [noted(3)]);
    expect(await waiting).toHaveLength(3);
    expect(heads).toEqual([first.position, second.position]); // a refusal and a repeat wrote nothing
    forget();
    await writing.append('lethe.a', 2, [noted(4)]);
    expect(heads).toHaveLength(2);
    await subscription.end();
  });

  test('a subscription that nobody wakes looks by itself every second', async () => {
    const [writing, reading] = [await open(), await open({ mode: 'read-only' })];
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const subscription = follow(reading.subscribe(BEGINNING, { signal: new AbortController().signal }));
    const waiting = subscription.next(1);
    await writing.append('lethe.a', -1, [noted(0)]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await waiting).toHaveLength(1);
    await subscription.end();
  });

  test('two that write take turns, and nothing is lost', async () => {
    const writers = [await open(), await open()];
    const written = await Promise.all(
      writers.flatMap((store, writer) =>
        Array.from({ length: 100 }, async (_, index) => {
          const event = noted(index);
          await store.append(`lethe.${writer}-${index}`, -1, [event]);
          return event;
        }),
      ),
    );
    const read = await all((await open({ mode: 'read-only' })).readAll(BEGINNING));
    expect(ids(read).sort()).toEqual(ids(written).sort());
  });

  test('another prefix with very many events does not hide ours', async () => {
    const store = await open();
    const before = await store.append('lethe.a', -1, [noted(0)]);
    expect(await store.head()).toBe(before.position);
    sql((db) =>
      db.exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
               INSERT INTO events (stream, revision, id, type, data, metadata) SELECT 'other.a', i, 'x', 'Noted', '{}', '{}' FROM n`),
    );
    expect(await store.head()).toBe(before.position);
    expect(await (await open()).head()).toBe(before.position);
    const after = await store.append('lethe.a', 0, [noted(1)]);
    expect(await store.head()).toBe(after.position);
    expect((await all(store.readAll(BEGINNING))).map(({ revision }) => revision)).toEqual([0, 1]);
    const subscription = follow(store.subscribe(before.position, { signal: new AbortController().signal }));
    expect((await subscription.next(1)).map(({ position }) => position)).toEqual([after.position]);
    await subscription.end();
  });

  test('a position beyond the end of the log gives nothing until the log comes there', async () => {
    const store = await open();
    await store.append('lethe.a', -1, [noted(0)]);
    expect(await all(store.readAll(10n ** 30n))).toEqual([]);
    const subscription = follow(store.subscribe(2n, { signal: new AbortController().signal }));
    const waiting = subscription.next(1);
    await store.append('lethe.a', 0, [noted(1)]);
    const { position } = await store.append('lethe.a', 1, [noted(2)]);
    expect((await waiting).map((event) => event.position)).toEqual([position]);
    await subscription.end();
  });
});

describe('the lock on a data folder', () => {
  const now = (): Date => new Date('2026-11-23T10:00:00Z');
  const lock = (): ReturnType<typeof lockDataFolder> => lockDataFolder(folder, now);
  const lockedBy = (): FolderLocked => {
    try {
      lock().release();
    } catch (error) {
      if (error instanceof FolderLocked) return error;
      throw error;
    }
    throw new Error('the folder is not locked');
  };

  test('says who holds it', () => {
    const held = lock();
    const said = (): unknown => JSON.parse(readFileSync(join(folder, 'lock.json'), 'utf8'));
    expect(said()).toEqual({ pid: process.pid, url: null, startedAt: '2026-11-23T10:00:00.000Z' });
    expect(readLock(folder)).toEqual({ pid: process.pid, url: null });
    held.publish('http://127.0.0.1:4270');
    expect(said()).toEqual({ pid: process.pid, url: 'http://127.0.0.1:4270', startedAt: '2026-11-23T10:00:00.000Z' });
    expect(readLock(folder)).toEqual({ pid: process.pid, url: 'http://127.0.0.1:4270' });
    held.release();
  });

  test('keeps a second one out, also of the same process', () => {
    const held = lock();
    expect(lockedBy()).toMatchObject({ pid: process.pid, url: null, folder });
    expect(lockedBy().message).toContain(`${folder} is in use by process ${process.pid}. Wait for it to end`);
    held.publish('http://127.0.0.1:4270');
    expect(lockedBy()).toMatchObject({ pid: process.pid, url: 'http://127.0.0.1:4270' });
    expect(lockedBy().message).toContain('Use http://127.0.0.1:4270 instead');
    held.release();
  });

  test('looking at it does not open it', () => {
    const held = lock();
    for (let look = 0; look < 3; look += 1) readLock(folder);
    expect(lockedBy()).toBeInstanceOf(FolderLocked);
    held.release();
  });

  test('ends with its release, which may be repeated', () => {
    const first = lock();
    first.release();
    expect(readLock(folder)).toBeNull();
    const second = lock();
    first.release();
    first.publish('http://127.0.0.1:1');
    expect(readLock(folder)).toEqual({ pid: process.pid, url: null });
    second.release();
    expect(readdirSync(folder)).toEqual(['lock.sqlite']);
  });

  test('is nobody’s where the folder was never locked, or is missing', () => {
    expect(readLock(folder)).toBeNull();
    expect(readLock(join(folder, 'missing'))).toBeNull();
  });

  test('is not held by a file that a dead process left', () => {
    writeFileSync(join(folder, 'lock.json'), JSON.stringify({ pid: 1, url: 'http://127.0.0.1:1', startedAt: '' }));
    expect(readLock(folder)).toBeNull();
    lock().release();
  });

  test('is held also where the file that says by whom cannot be read', () => {
    const held = lock();
    writeFileSync(join(folder, 'lock.json'), '{');
    expect(readLock(folder)).toEqual({ pid: null, url: null });
    expect(lockedBy().message).toContain('in use by another process');
    held.release();
  });

  test('makes the folder', () => {
    lockDataFolder(join(folder, 'a', 'b'), now).release();
    expect(readdirSync(join(folder, 'a', 'b'))).toEqual(['lock.sqlite']);
  });

  test('says what is wrong where it cannot be taken', () => {
    writeFileSync(join(folder, 'lock.sqlite'), 'not a database '.repeat(100));
    expect(lock).toThrow(Corrupt);
    expect(() => readLock(folder)).toThrow(Corrupt);
    expect(() => lockDataFolder(join(folder, 'lock.sqlite'), now)).toThrow(Unavailable);
    mkdirSync(join(folder, 'other', 'lock.json'), { recursive: true });
    expect(() => lockDataFolder(join(folder, 'other'), now)).toThrow(Unavailable);
    expect(readLock(join(folder, 'other'))).toBeNull();
  });

  test('is another process’s until that is killed with -9', async () => {
    const child = run(`
      const { lockDataFolder } = await import(${moduleOf('lock')});
      lockDataFolder(${JSON.stringify(folder)}, () => new Date()).publish('http://127.0.0.1:4270');
      console.log('held');
      setInterval(() => globalThis.gc(), 5);`);
    for await (const line of linesOf(child)) {
      expect(line).toBe('held');
      break;
    }
    expect(readLock(folder)).toEqual({ pid: child.pid, url: 'http://127.0.0.1:4270' });
    expect(lockedBy()).toMatchObject({ pid: child.pid, url: 'http://127.0.0.1:4270' });
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
    expect(readdirSync(folder)).toContain('lock.json'); // left behind, and in nobody's way
    expect(readLock(folder)).toBeNull();
    const held = lock();
    expect(readLock(folder)).toEqual({ pid: process.pid, url: null });
    held.release();
  });
});

/** What an append does to a model of the log, which is a list of ids per stream, and what it is answered. */
const sequentially = (
  model: Map<string, string[]>,
  { stream, expected, events }: { stream: string; expected: number; events: NewEvent[] },
): string => {
  const held = model.get(stream) ?? [];
  const actual = held.length - 1;
  const last = expected + events.length;
  if (actual === expected) model.set(stream, [...held, ...ids(events)]);
  else if (held.slice(expected + 1, last + 1).join() !== ids(events).join()) return `conflict ${actual}`;
  return `appended ${last}`;
};

/** In the place of the thread that writes: says that it has opened, then dies at, ignores or fails whatever it is to commit. */
const double = (behaviour: string): Worker =>
  new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const failed = { kind: 'failed', failure: { name: workerData, message: 'as the double says' } };
     parentPort.on('message', ({ kind, appends }) => {
       if (kind === 'open') parentPort.postMessage({ kind: 'opened', journalMode: 'wal', synchronous: 2 });
       if (kind === 'close') parentPort.close();
       if (kind === 'answer now') parentPort.postMessage({ kind: 'committed', outcomes: [], transactions: 0 });
       if (kind !== 'commit' || workerData === 'silent') return;
       if (workerData === 'dies') process.exit(1);
       parentPort.postMessage({ kind: 'committed', outcomes: appends.map(() => failed), transactions: 0 });
     });`,
    { eval: true, workerData: behaviour },
  );

/** A process of its own, which runs compiled code: see package.json's "imports". */
const run = (script: string): ChildProcess =>
  spawn(process.execPath, ['--expose-gc', '--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });

const moduleOf = (name: string): string =>
  JSON.stringify(pathToFileURL(createRequire(import.meta.url).resolve(`#thread/storage/event-store/${name}`)).href);

const linesOf = (child: ChildProcess): AsyncIterable<string> => {
  if (child.stdout === null) throw new Error('the child has no output');
  return createInterface({ input: child.stdout });
};
