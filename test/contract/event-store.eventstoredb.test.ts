import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Corrupt, OutcomeUnknown, RevisionConflict, Unavailable } from '../../src/storage/errors.js';
import { openEventStoreDb, type EventStoreDbOptions } from '../../src/storage/event-store/eventstoredb.js';
import {
  BEGINNING,
  type Appended,
  type EventStore,
  type NewEvent,
  type StoredEvent,
} from '../../src/storage/event-store/port.js';
import { startEventStoreDouble, type EventStoreDouble } from '../doubles/eventstoredb.js';
import type { Proposed } from '../doubles/eventstoredb.log.js';
import { until } from '../harness/until.js';
import { all, eventStoreContract, failure, follow, ids, noted } from './event-store.contract.js';

const PREFIX = 'lethe.';

let double: EventStoreDouble;
let stores: EventStore[];

beforeEach(async () => {
  double = await startEventStoreDouble();
  stores = [];
});

afterEach(async () => {
  double.faults.hang = false;
  await Promise.all(stores.map((store) => store.close()));
  await double.stop();
});

const open = async (options: Partial<EventStoreDbOptions> = {}): Promise<EventStore> => {
  const store = await openEventStoreDb({ url: double.url, prefix: PREFIX, mode: 'read-write', ...options });
  stores.push(store);
  return store;
};

/** An event as the server gets it. */
const proposed = (): Proposed => {
  const { id, type, data, metadata } = noted(0);
  return { id, type, contentType: 'application/json', data: Buffer.from(data), metadata: Buffer.from(metadata) };
};

const abort = new AbortController(); // for subscriptions that end by themselves

const subscribe = (store: EventStore, from = BEGINNING, batchSize = 1_000): ReturnType<typeof follow> =>
  follow(store.subscribe(from, { signal: abort.signal, batchSize }));

/** One event to each of `count` streams, in their order. */
const fill = async (store: EventStore, count: number, name = 'fill'): Promise<NewEvent[]> => {
  const events = Array.from({ length: count }, (_, index) => noted(index));
  for (const [index, event] of events.entries()) await store.append(`${PREFIX}${name}-${index}`, -1, [event]);
  return events;
};

/** As whoever appends has to: the same again, until there is an answer. */
const surely = (store: EventStore, stream: string, expected: number, events: NewEvent[]): Promise<Appended> =>
  until(`an answer for ${stream}`, async () => {
    try {
      return await store.append(stream, expected, events);
    } catch (error) {
      if (error instanceof OutcomeUnknown || error instanceof Unavailable) return null;
      throw error;
    }
  });

eventStoreContract('the EventStoreDB adapter, on the double,', async (prefix) => {
  const server = await startEventStoreDouble();
  const reopen = (other = prefix): Promise<EventStore> =>
    openEventStoreDb({ url: server.url, prefix: other, mode: 'read-write' });
  return { store: await reopen(), reopen, cleanup: () => server.stop() };
});

const live = process.env['LETHE_TEST_EVENTSTORE'] ?? '';

describe.skipIf(live === '')('on a live server [needs LETHE_TEST_EVENTSTORE]', () => {
  eventStoreContract('the EventStoreDB adapter', async (prefix) => {
    const reopen = (other = prefix): Promise<EventStore> =>
      openEventStoreDb({ url: live, prefix: other, mode: 'read-write' });
    return { store: await reopen(), reopen, cleanup: async () => undefined };
  });
});

describe('a server that is down', () => {
  test('is Unavailable to every call, and to opening none; once it is back, the same store goes on', async () => {
    await double.stop();
    const store = await open();
    const event = noted(0);
    const calls = [
      store.append('lethe.a', -1, [event]),
      store.readStream('lethe.a'),
      store.head(),
      all(store.readAll(BEGINNING)),
      subscribe(store).next(1),
    ];
    for (const call of calls) expect(await failure(call)).toBeInstanceOf(Unavailable);
    await double.start();
    expect(await store.append('lethe.a', -1, [event])).toMatchObject({ revision: 0 });
    expect(ids(await store.readStream('lethe.a'))).toEqual([event.id]);
  });

  test('goes down under a store: what was not sent is Unavailable, also while it stays down', async () => {
    const store = await open();
    await store.append('lethe.a', -1, [noted(0)]);
    await double.stop();
    await until('the connection is gone', async () => (await failure(store.head())) instanceof Unavailable);
    for (let round = 0; round < 3; round += 1)
      expect(await failure(store.append('lethe.a', 0, [noted(1)]))).toBeInstanceOf(Unavailable);
    await double.start();
    expect(await store.append('lethe.a', 0, [noted(1)])).toMatchObject({ revision: 1 });
  });

  test('is Unavailable while it is not ready, and while the user may not', async () => {
    const store = await open();
    for (const fault of ['refuse', 'deny'] as const) {
      double.faults[fault] = true;
      expect(await failure(store.append('lethe.a', -1, [noted(0)]))).toBeInstanceOf(Unavailable);
      expect(await failure(store.readStream('lethe.a'))).toBeInstanceOf(Unavailable);
      expect(await failure(store.head())).toBeInstanceOf(Unavailable);
      expect(await failure(subscribe(store).next(1))).toBeInstanceOf(Unavailable);
      double.faults[fault] = false;
    }
    expect(await store.readStream('lethe.a')).toEqual([]);
    expect(double.log.events).toEqual([]);
  });

  test('in a cluster is found again, and nothing fails unheard meanwhile', async () => {
    const url = `${double.url.replace('esdb:', 'esdb+discover:')}&maxDiscoverAttempts=1`;
    const store = await open({ url });
    await store.append('lethe.a', -1, [noted(0)]);
    // One call breaks on its own, and the client looks for the nodes again. While it does so in vain, a call on its old connection breaks.
    double.faults.hang = true;
    const old = failure(store.append('lethe.b', -1, [noted(0)]));
    await until('it is there', async () => double.seen.appends === 2);
    double.faults.hang = false;
    double.faults.loseAnswers = 1;
    expect(await failure(store.append('lethe.c', -1, [noted(0)]))).toBeInstanceOf(OutcomeUnknown);
    double.faults.hang = true;
    const next = failure(store.append('lethe.d', -1, [noted(0)]));
    await until('the nodes are asked for', async () => double.seen.gossips === 2);
    await double.stop();
    expect(await old).toBeInstanceOf(OutcomeUnknown);
    expect(await next).toBeInstanceOf(Unavailable);
    double.faults.hang = false;
    await double.start();
    expect(await store.append('lethe.a', 0, [noted(1)])).toMatchObject({ revision: 1 });
  });

  test('is left for the leader, where another node leads', async () => {
    const store = await open();
    double.faults.notLeader = 1;
    expect(await store.append('lethe.a', -1, [noted(0)])).toMatchObject({ revision: 0 });
    double.faults.notLeader = 1;
    expect(await store.readStream('lethe.a')).toHaveLength(1);
    double.faults.notLeader = 1;
    expect(await store.head()).toBe(double.log.events[0]?.position);
    double.faults.notLeader = 2;
    expect(await failure(store.append('lethe.a', 0, [noted(1)]))).toBeInstanceOf(Unavailable);
  });
});

/* Found by a start beside a busy service: the load waited for an event after the last, and reads for the load. */
test('a read of all that events overtake between its two looks ends with them', async () => {
  const store = await open();
  await fill(store, 3);
  const head = store.head.bind(store);
  vi.spyOn(store, 'head').mockImplementationOnce(async () => {
    const position = await head();
    await fill(store, 2, 'meanwhile');
    return position;
  });
  expect(await all(store.readAll(BEGINNING))).toHaveLength(5);
});

describe('an append without an answer', () => {
  test('whose answer is lost has an unknown outcome; the repeat answers what the first would have', async () => {
    const store = await open();
    const events = [noted(0), noted(1)];
    double.faults.loseAnswers = 1;
    expect(await failure(store.append('lethe.a', -1, events))).toBeInstanceOf(OutcomeUnknown);
    await fill(store, 3);
    const appended = await store.append('lethe.a', -1, events);
    const stored = await store.readStream('lethe.a');
    expect(ids(stored)).toEqual(ids(events));
    expect(appended).toEqual({ revision: 1, position: stored[1]?.position });
  });

  test('by a server that hangs has an unknown outcome in time; reads are Unavailable in time', async () => {
    const store = await open({ timeoutMs: 200 });
    const event = noted(0);
    double.faults.hang = true;
    const started = performance.now();
    expect(await failure(store.append('lethe.a', -1, [event]))).toBeInstanceOf(OutcomeUnknown);
    expect(await failure(store.readStream('lethe.a'))).toBeInstanceOf(Unavailable);
    expect(await failure(store.head())).toBeInstanceOf(Unavailable);
    expect(await failure(subscribe(store).next(1))).toBeInstanceOf(Unavailable);
    expect(performance.now() - started).toBeLessThan(5_000);
    double.faults.hang = false;
    expect(await store.append('lethe.a', -1, [event])).toMatchObject({ revision: 0 });
  });

  test('is there once, whatever breaks, when it is repeated until it has one', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'lethe-esdb-')), 'log.ndjson');
    const server = await startEventStoreDouble({ dataFile: file });
    const store = await open({ url: server.url });
    const events = Array.from({ length: 200 }, (_, index) => [noted(index), noted(index)]);
    server.faults.loseAnswers = 20;
    const appends = events.map((each, index) => surely(store, `lethe.s${index % 150}-${index}`, -1, each));
    for (let round = 1; round <= 4; round += 1) {
      await until('some are written', async () => server.log.events.length >= 60 * round);
      await server.stop();
      await server.start();
    }
    const appended = await Promise.all(appends);
    const stored = await all(store.readAll(BEGINNING));
    expect(stored).toHaveLength(400);
    expect(ids(stored).sort()).toEqual(ids(events.flat()).sort());
    const positions = new Map(stored.map(({ id, position }) => [id, position]));
    expect(appended.map(({ position }) => position)).toEqual(events.map((each) => positions.get(each[1]?.id ?? '')));
    await store.close();
    await server.stop();
    rmSync(join(file, '..'), { recursive: true });
  });

  test('is not harmed by another one that cannot be written, nor by a client that closes', async () => {
    const [store, other] = [await open(), await open()];
    await store.append('lethe.a', -1, [noted(0)]);
    await other.append('lethe.b', -1, [noted(0)]);
    double.faults.delayMs = 100;
    const underWay = Array.from({ length: 20 }, (_, index) => store.append(`lethe.s${index}`, -1, [noted(index)]));
    await until('they are under way', async () => double.seen.appends === 22);
    const good = noted(0);
    for (const bad of [{ id: 'no-uuid' }, { data: '{' }, { data: '[1]' }, { metadata: 'null' }, { data: '1' }])
      expect(await failure(store.append('lethe.c', -1, [{ ...good, ...bad }]))).toBeInstanceOf(TypeError);
    const conflict = failure(other.append('lethe.b', 7, [good]));
    await other.close();
    expect(await conflict).toBeInstanceOf(RevisionConflict);
    expect((await Promise.all(underWay)).map(({ revision }) => revision)).toEqual(Array<number>(20).fill(0));
  });

  test('waits with no more than a bounded number of bytes', async () => {
    const store = await open({ timeoutMs: 100 });
    double.faults.hang = true;
    const large = JSON.stringify({ x: 'x'.repeat(1_000_000) });
    const appends = Array.from({ length: 68 }, (_, index) =>
      failure(store.append(`lethe.s${index}`, -1, [{ ...noted(0), data: large }])),
    );
    const errors = await Promise.all(appends);
    expect(errors.slice(0, 67).every((error) => error instanceof OutcomeUnknown)).toBe(true);
    expect(errors[67]).toBeInstanceOf(Unavailable);
  });
});

describe('what the server answers an append', () => {
  test('without a position, that is looked up', async () => {
    const store = await open();
    double.faults.hidePositions = true;
    const { position } = await store.append('lethe.a', -1, [noted(0), noted(1)]);
    expect(position).toBe(double.log.events[1]?.position);
  });

  test('of a limit below 1 MiB is a RangeError', async () => {
    const store = await open();
    double.faults.maxAppendBytes = 1_000;
    const error = await failure(
      store.append('lethe.a', -1, [{ ...noted(0), data: JSON.stringify({ x: 'x'.repeat(1_000) }) }]),
    );
    expect(error).toBeInstanceOf(RangeError);
    expect(String(error)).toContain('MaxAppendSize');
  });

  test('never comes where the store was opened for reading only', async () => {
    const store = await open({ mode: 'read-only' });
    expect(await failure(store.append('lethe.a', -1, [noted(0)]))).toBeInstanceOf(Unavailable);
    expect(double.seen.appends).toBe(0);
    expect(await store.head()).toBe(BEGINNING);
  });
});

describe('a subscription', () => {
  test('that is cut throws Unavailable; another one from where it was skips nothing and repeats nothing', async () => {
    const store = await open();
    const seen: StoredEvent[] = [];
    let cuts = 0;
    const reading = until('all 300', async () => {
      try {
        for await (const batch of store.subscribe(seen.at(-1)?.position ?? BEGINNING, {
          batchSize: 7,
          signal: abort.signal,
        })) {
          seen.push(...batch);
          if (seen.length >= 300) return true;
        }
      } catch (error) {
        expect(error).toBeInstanceOf(Unavailable);
        cuts += 1;
      }
      return false;
    });
    const written: NewEvent[] = [];
    for (let round = 0; round < 10; round += 1) {
      written.push(...(await fill(store, 30, `r${round}`)));
      double.log.addNoise(20);
      double.cutSubscriptions();
    }
    await reading;
    expect(ids(seen)).toEqual(ids(written));
    expect(cuts).toBeGreaterThan(3);
  });

  test('goes on over whatever others write: their positions pass, their events do not come', async () => {
    const store = await open();
    const subscription = subscribe(store);
    const first = await fill(store, 2, 'first');
    double.log.addNoise(3_000, (index) => ['$stats-1', 'orders-1', 'lethe-2', '$$lethe.x'][index % 4] ?? '');
    const second = await fill(store, 2, 'second');
    expect(ids(await subscription.next(4))).toEqual(ids([...first, ...second]));
    await subscription.end();
    expect(ids(await all(store.readAll(BEGINNING)))).toEqual(ids([...first, ...second]));
  });

  test('begins with the next event also where the event at its position was scavenged, or where none begins', async () => {
    const store = await open();
    const events = await fill(store, 6);
    const positions = (await all(store.readAll(BEGINNING))).map(({ position }) => position);
    const [gone, between] = [positions[2] ?? 0n, (positions[3] ?? 0n) + 1n];
    double.log.scavenge(({ position }) => position === gone);
    expect(ids(await all(store.readAll(gone)))).toEqual(ids(events.slice(3)));
    expect(ids(await subscribe(store, gone).next(3))).toEqual(ids(events.slice(3)));
    expect(ids(await all(store.readAll(between)))).toEqual(ids(events.slice(4)));
    expect(ids(await subscribe(store, between).next(2))).toEqual(ids(events.slice(4)));
  });

  test('beyond the end waits for what comes after its position', async () => {
    const store = await open();
    await fill(store, 2);
    const beyond = (await store.head()) + 250n;
    expect(await all(store.readAll(beyond))).toEqual([]);
    const waiting = subscribe(store, beyond).next(1);
    await until('it is there', async () => double.seen.subscriptions === 1);
    await fill(store, 4, 'more');
    const [event] = await waiting;
    expect(event?.position).toBeGreaterThan(beyond);
    expect(event).toEqual((await all(store.readAll(beyond)))[0]);
  });

  test('takes no more from the server than it can hold, where its reader is slow', async () => {
    const store = await open();
    for (let stream = 0; stream < 30_000; stream += 1) double.log.append(`lethe.s${stream}`, 'no_stream', [proposed()]);
    const subscription = subscribe(store, BEGINNING, 10);
    await subscription.next(10);
    let before = -1;
    await until('the server has stopped sending', async () => {
      const isStill = double.seen.events === before;
      before = double.seen.events;
      return isStill && before > 10;
    });
    expect(double.seen.events).toBeLessThan(10_000);
    expect(await subscription.next(30_000)).toHaveLength(30_000);
    await subscription.end();
  });

  test('comes in large batches where much is there, since each costs its reader a transaction', async () => {
    const store = await open();
    for (let stream = 0; stream < 5_000; stream += 1) double.log.append(`lethe.s${stream}`, 'no_stream', [proposed()]);
    const sizes: number[] = [];
    for await (const batch of store.readAll(BEGINNING)) sizes.push(batch.length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(5_000);
    expect(sizes.length).toBeLessThan(100);
  });

  test('leaves nothing behind on the server when it is left', async () => {
    const store = await open();
    await fill(store, 3);
    for (let round = 0; round < 5; round += 1) {
      for await (const batch of store.subscribe(BEGINNING, { signal: abort.signal, batchSize: 1 })) {
        expect(batch).toHaveLength(1);
        break;
      }
      await all(store.readAll(BEGINNING, { batchSize: 1 }));
    }
    await until('all have ended', async () => double.openSubscriptions === 0);
    expect(double.seen.subscriptions).toBe(10);
  });
});

describe('the head', () => {
  test('is found behind many events of others, and not looked for there again', async () => {
    const store = await open();
    await fill(store, 3);
    const head = await store.head();
    double.log.addNoise(20_000, (index) => `orders-${index % 10}`);
    expect(await store.head()).toBe(head);
    const { reads, subscriptions } = double.seen;
    expect(await store.head()).toBe(head);
    expect(double.seen).toMatchObject({ reads: reads + 1, subscriptions });
    const { position } = await store.append('lethe.z', -1, [noted(0)]);
    expect(await store.head()).toBe(position);
    expect(double.seen).toMatchObject({ reads: reads + 2, subscriptions });
  });

  test('is found between many events of others by the server, and only when it is there', async () => {
    const [store, late] = [await open(), await open()];
    double.log.addNoise(10_000);
    expect(await store.head()).toBe(BEGINNING);
    const { position } = await store.append('lethe.a', -1, [noted(0)]);
    double.log.addNoise(10_000);
    expect(await late.head()).toBe(position);
    expect(await store.head()).toBe(position);
  });

  test('is that of the log as it is now, also where the database was restored from a backup', async () => {
    const store = await open();
    await fill(store, 20);
    const before = await store.head();
    const port = double.port;
    await double.stop();
    double = await startEventStoreDouble({ port });
    const other = await open();
    const appended = await surely(other, 'lethe.a', -1, [noted(0)]);
    expect(await until('a connection', () => store.head().catch(() => null))).toBe(appended.position);
    expect(appended.position).toBeLessThan(before);
  });
});

describe('a stream that Lethe did not leave so', () => {
  test.each(['tombstone', 'truncate', 'foreign'] as const)('is Corrupt, and says what to do: %s', async (how) => {
    const store = await open();
    await store.append('lethe.a', -1, [noted(0), noted(1), noted(2)]);
    if (how === 'tombstone') double.log.tombstone('lethe.a');
    if (how === 'truncate') double.log.truncate('lethe.a', 1n);
    if (how === 'foreign')
      double.log.append('lethe.a', 2n, [{ ...proposed(), contentType: 'application/octet-stream' }]);
    const error = await failure(store.readStream('lethe.a'));
    expect(error).toBeInstanceOf(Corrupt);
    expect(String(error)).toMatch(/restore the database|another one \(LETHE_STREAM_PREFIX\)/);
    if (how === 'tombstone') expect(await failure(store.append('lethe.a', 2, [noted(3)]))).toBeInstanceOf(Corrupt);
    // What was cut off is still in the log, until a scavenge; what is no event of Lethe's is in nobody's.
    if (how === 'truncate') expect(await all(store.readAll(BEGINNING))).toHaveLength(3);
    else expect(await failure(all(store.readAll(BEGINNING)))).toBeInstanceOf(Corrupt);
  });

  test('is Corrupt to an append that takes it for new, where it was soft-deleted', async () => {
    const store = await open();
    await store.append('lethe.a', -1, [noted(0), noted(1)]);
    double.log.softDelete('lethe.a');
    expect(await store.readStream('lethe.a')).toEqual([]); // no read can tell
    expect(await failure(store.append('lethe.a', -1, [noted(2)]))).toBeInstanceOf(Corrupt);
  });
});

describe('a connection string', () => {
  const opening = (url: string): Promise<EventStore> => open({ url });

  test.each([
    'http://admin:changeit@host:2113',
    'kurrentdb://admin:changeit@host:2113',
    'esdb://admin:changeit@',
    'esdb://admin:changeit@host:port',
    'esdb://admin:changeit@host:2113?tls=perhaps',
    'esdb://admin:changeit@host:2113?tlsVerifyCert=false',
    'esdb://admin:changeit@host:2113?throwOnAppendFailure=false',
    'esdb://admin:changeit@host:2113?color=blue',
    'esdb://admin:changeit@host:2113?tlsCAFile=/nowhere/ca.crt',
  ])('that is none is refused, and its password told to nobody: %s', async (url) => {
    const told = vi.spyOn(console, 'warn');
    const error = await failure(opening(url));
    expect(error).toBeInstanceOf(TypeError);
    expect(`${String(error)} ${JSON.stringify(error)} ${String(error instanceof Error && error.cause)}`).not.toContain(
      'changeit',
    );
    expect(told).not.toHaveBeenCalled();
    told.mockRestore();
  });

  test('with a user is taken, and no error shows the password', async () => {
    const store = await opening(double.url.replace('//', '//admin:changeit@'));
    await store.append('lethe.a', -1, [noted(0)]);
    await double.stop();
    const errors = [await failure(store.head()), await failure(store.append('lethe.a', 0, [noted(1)]))];
    for (const error of errors) {
      expect(error).toBeInstanceOf(Error);
      expect(String(error)).toContain(`EventStoreDB at 127.0.0.1:${double.port}`);
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain('changeit');
    }
  });

  test.each(['', '$lethe.'])('needs a prefix that is Lethe’s own: %j', async (prefix) => {
    expect(await failure(open({ prefix }))).toBeInstanceOf(TypeError);
  });
});

describe('closing', () => {
  test('ends what still waits for the server', async () => {
    const store = await open();
    await store.append('lethe.a', -1, [noted(0)]);
    double.faults.hang = true;
    const calls = [
      store.head(),
      store.readStream('lethe.a'),
      all(store.readAll(BEGINNING)),
      subscribe(store).next(1),
    ].map(failure);
    await store.close();
    for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(Unavailable);
  });

  test('lets the process end', async () => {
    const script = `
      const { openEventStoreDb } = await import(${moduleOf('eventstoredb')});
      const store = await openEventStoreDb({ url: ${JSON.stringify(double.url)}, prefix: 'lethe.', mode: 'read-write' });
      await store.append('lethe.a', -1, [{ id: '${randomUUID()}', type: 'Noted', data: '{}', metadata: '{}' }]);
      for await (const batch of store.subscribe(0n, { signal: new AbortController().signal })) break;
      const waiting = store.subscribe(await store.head(), { signal: new AbortController().signal })[Symbol.asyncIterator]().next();
      const ended = waiting.catch((error) => error.name);
      await store.close();
      console.log((await store.head().catch((error) => error.name)) + ' ' + (await ended));`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 20_000,
    });
    const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    expect(said).toBe('Unavailable Unavailable\n');
    expect(code).toBe(0);
  });
});

const moduleOf = (name: string): string =>
  JSON.stringify(pathToFileURL(createRequire(import.meta.url).resolve(`#thread/storage/event-store/${name}`)).href);
