import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RevisionConflict, Unavailable } from '../../src/storage/errors.js';
import {
  BEGINNING,
  type Appended,
  type EventStore,
  type NewEvent,
  type Position,
  type StoredEvent,
} from '../../src/storage/event-store/port.js';

/** A log for one test, empty below its prefix. */
export interface OpenedLog {
  readonly store: EventStore;
  /** Another store on the same log, as another process would open it, or this one after a restart; with another prefix where one is given. */
  reopen(prefix?: string): Promise<EventStore>;
  /** Removes what is left. The suite has closed every store by then. */
  cleanup(): Promise<void>;
}

/**
 * What every adapter of the EventStore port promises, one test per promise.
 *
 * @param open opens a log with this prefix, which no test had before: on a server, runs can share one log
 */
export const eventStoreContract = (name: string, open: (prefix: string) => Promise<OpenedLog>): void => {
  describe(`${name} keeps the promises of an EventStore`, () => {
    let prefix: string;
    let log: OpenedLog;
    let store: EventStore;
    let stores: EventStore[];
    const abort = new AbortController(); // for subscriptions that end by themselves

    beforeEach(async () => {
      prefix = `contract-${randomUUID()}.`;
      log = await open(prefix);
      store = log.store;
      stores = [store];
    });

    afterEach(async () => {
      await Promise.all(stores.map((each) => each.close()));
      await log.cleanup();
    });

    const reopen = async (other?: string): Promise<EventStore> => {
      const opened = await log.reopen(other);
      stores.push(opened);
      return opened;
    };
    const stream = (uid: string): string => `${prefix}files-${uid}`;

    /** Appends `count` events one at a time, to one stream each, and answers them in order. */
    const fill = async (count: number, from = 0): Promise<NewEvent[]> => {
      const events = Array.from({ length: count }, (_, index) => noted(from + index));
      for (const [index, event] of events.entries()) await store.append(stream(`fill${from + index}`), -1, [event]);
      return events;
    };

    describe('append', () => {
      test('begins a stream after revision -1 and goes on after its last revision', async () => {
        const first = await store.append(stream('a'), -1, [noted(0)]);
        const second = await store.append(stream('a'), 0, [noted(1), noted(2), noted(3)]);
        expect(first.revision).toBe(0);
        expect(second.revision).toBe(3);
        expect(second.position).toBeGreaterThan(first.position);
      });

      test('answers the position of its last event', async () => {
        const { position } = await store.append(stream('a'), -1, [noted(0), noted(1)]);
        const events = await store.readStream(stream('a'));
        expect(events.map((event) => event.position).at(-1)).toBe(position);
      });

      test.each([
        { has: 0, expected: 0 },
        { has: 0, expected: 5 },
        { has: 2, expected: -1 },
        { has: 2, expected: 0 },
        { has: 2, expected: 2 },
        { has: 2, expected: 7 },
      ])(
        'refuses expected revision $expected on a stream with $has events, and writes nothing',
        async ({ has, expected }) => {
          if (has > 0)
            await store.append(
              stream('a'),
              -1,
              Array.from({ length: has }, (_, index) => noted(index)),
            );
          const before = await store.readStream(stream('a'));
          const refused = await failure(store.append(stream('a'), expected, [noted(8), noted(9)]));
          expect(refused).toBeInstanceOf(RevisionConflict);
          expect(refused).toMatchObject({ stream: stream('a'), expected, actual: has - 1 });
          expect(await store.readStream(stream('a'))).toEqual(before);
        },
      );

      test('has one winner among many at the same revision', async () => {
        const racers = Array.from({ length: 20 }, (_, index) => [noted(index), noted(index)]);
        const results = await Promise.allSettled(racers.map((events) => store.append(stream('a'), -1, events)));
        const winners = racers.filter((_, index) => results[index]?.status === 'fulfilled');
        expect(winners).toHaveLength(1);
        expect(ids(await store.readStream(stream('a')))).toEqual(ids(winners[0] ?? []));
        for (const result of results)
          if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(RevisionConflict);
      });

      test('has one winner among two stores on one log', async () => {
        const other = await reopen();
        const results = await Promise.allSettled([
          store.append(stream('a'), -1, [noted(0)]),
          other.append(stream('a'), -1, [noted(1)]),
        ]);
        expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        expect(await other.readStream(stream('a'))).toHaveLength(1);
      });

      test('appends to other streams do not conflict', async () => {
        const streams = Array.from({ length: 50 }, (_, index) => stream(`s${index}`));
        const results = await Promise.all(streams.map((each, index) => store.append(each, -1, [noted(index)])));
        expect(new Set(results.map(({ position }) => position)).size).toBe(50);
      });

      test('survives closing and opening again', async () => {
        const { position } = await store.append(stream('a'), -1, [noted(0), noted(1)]);
        const before = await store.readStream(stream('a'));
        await store.close();
        const again = await reopen();
        expect(await again.readStream(stream('a'))).toEqual(before);
        expect(await again.head()).toBe(position);
        const next = await again.append(stream('a'), 1, [noted(2)]);
        expect(next.revision).toBe(2);
        expect(next.position).toBeGreaterThan(position);
      });

      test('gives back data and metadata that are equal as JSON', async () => {
        const value = {
          text: 'Zoë "quoted" \\ \n \u0000 🗑️',
          nested: [1, null, { deep: [true] }],
          big: 'x'.repeat(100_000),
          '': 0.1,
        };
        const event = {
          ...noted(0),
          data: JSON.stringify(value),
          metadata: JSON.stringify({ actor: 'jürgen', reason: null }),
        };
        await store.append(stream('a'), -1, [event]);
        const [stored] = await store.readStream(stream('a'));
        expect(stored).toMatchObject({ stream: stream('a'), revision: 0, id: event.id, type: event.type });
        expect(JSON.parse(stored?.data ?? '')).toEqual(value);
        expect(JSON.parse(stored?.metadata ?? '')).toEqual({ actor: 'jürgen', reason: null });
      });

      test('takes 100 events, and just under 1 MiB', async () => {
        const many = Array.from({ length: 100 }, (_, index) => noted(index));
        expect(await store.append(stream('many'), -1, many)).toMatchObject({ revision: 99 });
        expect(ids(await store.readStream(stream('many')))).toEqual(ids(many));
        await store.append(stream('large'), -1, [{ ...noted(0), data: textOf(1_048_000) }]);
        expect((await store.readStream(stream('large')))[0]?.data).toHaveLength(1_048_000);
      });
    });

    describe('a repeated append', () => {
      test('answers what the first one answered, and writes nothing', async () => {
        const events = [noted(0), noted(1)];
        const first = await store.append(stream('a'), -1, events);
        expect(await store.append(stream('a'), -1, events)).toEqual(first);
        expect(await store.readStream(stream('a'))).toHaveLength(2);
        expect(await store.head()).toBe(first.position);
      });

      test('does so after later events too', async () => {
        await store.append(stream('a'), -1, [noted(0)]);
        const events = [noted(1), noted(2)];
        const first = await store.append(stream('a'), 0, events);
        await store.append(stream('a'), 2, [noted(3), noted(4)]);
        await fill(3);
        expect(await store.append(stream('a'), 0, events)).toEqual(first);
        expect(await store.readStream(stream('a'))).toHaveLength(5);
      });

      test('does so after a restart, and through another store', async () => {
        const events = [noted(0), noted(1)];
        const first = await store.append(stream('a'), -1, events);
        await store.append(stream('a'), 1, [noted(2)]);
        const other = await reopen();
        expect(await other.append(stream('a'), -1, events)).toEqual(first);
        await other.close();
        await store.close();
        const again = await reopen();
        expect(await again.append(stream('a'), -1, events)).toEqual(first);
        expect(await again.readStream(stream('a'))).toHaveLength(3);
      });

      test('does so while the first is still under way', async () => {
        const events = [noted(0)];
        const answers = await Promise.all(Array.from({ length: 10 }, () => store.append(stream('a'), -1, events)));
        for (const answer of answers) expect(answer).toEqual(answers[0]);
        expect(await store.readStream(stream('a'))).toHaveLength(1);
      });

      test('is known by its ids: other data under the same ids change nothing', async () => {
        const event = noted(0);
        const first = await store.append(stream('a'), -1, [event]);
        expect(await store.append(stream('a'), -1, [{ ...event, data: '{"n":"other"}' }])).toEqual(first);
        expect(JSON.parse((await store.readStream(stream('a')))[0]?.data ?? '')).toEqual({ n: 0 });
      });

      test('is known by its ids in whatever case they are written', async () => {
        const event = noted(0);
        const first = await store.append(stream('a'), -1, [{ ...event, id: event.id.toUpperCase() }]);
        expect(await store.append(stream('a'), -1, [event])).toEqual(first);
        expect(ids(await store.readStream(stream('a')))).toEqual([event.id]);
      });

      test('is none where only some ids are the same', async () => {
        const [one, two, three] = [noted(1), noted(2), noted(3)];
        await store.append(stream('a'), -1, [one, two]);
        expect(await failure(store.append(stream('a'), -1, [one, three]))).toBeInstanceOf(RevisionConflict);
        expect(await failure(store.append(stream('a'), -1, [two, one]))).toBeInstanceOf(RevisionConflict);
        expect(await failure(store.append(stream('a'), -1, [one, two, three]))).toBeInstanceOf(RevisionConflict);
        expect(await store.readStream(stream('a'))).toHaveLength(2);
      });

      test('is none at another revision', async () => {
        const event = noted(1);
        await store.append(stream('a'), -1, [noted(0), event, noted(2)]);
        expect(await failure(store.append(stream('a'), -1, [event]))).toBeInstanceOf(RevisionConflict);
        expect(await failure(store.append(stream('a'), 1, [event]))).toBeInstanceOf(RevisionConflict);
      });
    });

    describe('an append that no adapter could store', () => {
      const good = noted(0);
      test.each<{ what: string; expected?: number; events: NewEvent[] }>([
        { what: 'without events', events: [] },
        { what: 'of 101 events', events: Array.from({ length: 101 }, (_, index) => noted(index)) },
        { what: 'after revision -2', expected: -2, events: [good] },
        { what: 'after revision 0.5', expected: 0.5, events: [good] },
        { what: 'after revision NaN', expected: NaN, events: [good] },
        { what: 'with an id that is not a UUID', events: [{ ...good, id: 'not-a-uuid' }] },
        { what: 'with an empty id', events: [{ ...good, id: '' }] },
        { what: 'with an empty type', events: [{ ...good, type: '' }] },
        { what: 'with empty data', events: [{ ...good, data: '' }] },
        { what: 'with empty metadata', events: [{ ...good, metadata: '' }] },
        { what: 'of more than 1 MiB in all', events: [0, 1].map(() => ({ ...noted(0), data: textOf(600_000) })) },
        { what: 'of more than 1 MiB in metadata', events: [{ ...good, metadata: textOf(1_050_000) }] },
      ])('is refused at once and harms no other: $what', async ({ expected = -1, events }) => {
        const [before, refused, after] = await Promise.allSettled([
          store.append(stream('before'), -1, [noted(0)]),
          store.append(stream('refused'), expected, events),
          store.append(stream('after'), -1, [noted(0)]),
        ]);
        expect(before.status).toBe('fulfilled');
        expect(after.status).toBe('fulfilled');
        expect(refused.status).toBe('rejected');
        if (refused.status === 'rejected') {
          expect(refused.reason instanceof TypeError || refused.reason instanceof RangeError).toBe(true);
        }
        expect(await store.readStream(stream('refused'))).toEqual([]);
      });

      test('is refused outside of the prefix, where this log would not see it', async () => {
        expect(await failure(store.append(`other-${prefix}files-a`, -1, [noted(0)]))).toBeInstanceOf(TypeError);
        expect(await failure(store.append('', -1, [noted(0)]))).toBeInstanceOf(TypeError);
      });
    });

    describe('readStream', () => {
      test('is empty for a stream that has no events', async () => {
        await store.append(stream('a'), -1, [noted(0)]);
        expect(await store.readStream(stream('b'))).toEqual([]);
        expect(await store.readStream(stream(''))).toEqual([]); // no stream, but the beginning of one's name
      });

      test('gives the events of one stream, oldest first, with what they are', async () => {
        const events = [noted(0), noted(1), noted(2)];
        await store.append(stream('a'), -1, events.slice(0, 1));
        await store.append(stream('b'), -1, [noted(9)]);
        await store.append(stream('a'), 0, events.slice(1));
        const read = await store.readStream(stream('a'));
        expect(ids(read)).toEqual(ids(events));
        expect(read.map(({ revision }) => revision)).toEqual([0, 1, 2]);
        expect(read.every((event) => event.stream === stream('a') && typeof event.position === 'bigint')).toBe(true);
        expectRising(read);
      });

      test('begins at a revision, inclusive', async () => {
        const events = Array.from({ length: 5 }, (_, index) => noted(index));
        await store.append(stream('a'), -1, events);
        expect(ids(await store.readStream(stream('a'), 0))).toEqual(ids(events));
        expect(ids(await store.readStream(stream('a'), 3))).toEqual(ids(events.slice(3)));
        expect(await store.readStream(stream('a'), 5)).toEqual([]);
        expect(await store.readStream(stream('b'), 5)).toEqual([]);
      });

      test('refuses a revision that is none', async () => {
        expect(await failure(store.readStream(stream('a'), -1))).toBeInstanceOf(RangeError);
        expect(await failure(store.readStream(stream('a'), 1.5))).toBeInstanceOf(RangeError);
      });

      test('gives a long stream whole', async () => {
        for (let revision = -1; revision < 2_499; revision += 100) {
          await store.append(
            stream('a'),
            revision,
            Array.from({ length: 100 }, (_, index) => noted(index)),
          );
        }
        const read = await store.readStream(stream('a'));
        expect(read.map(({ revision }) => revision)).toEqual(Array.from({ length: 2_500 }, (_, index) => index));
      });
    });

    describe('readAll', () => {
      test('is empty for an empty log', async () => {
        expect(await all(store.readAll(BEGINNING))).toEqual([]);
      });

      test('gives all streams in the order of their positions, which is the order of their appends', async () => {
        const events = await fill(25);
        const read = await all(store.readAll(BEGINNING));
        expect(ids(read)).toEqual(ids(events));
        expectRising(read);
      });

      test('gives each event as readStream gives it', async () => {
        await store.append(stream('a'), -1, [noted(0), noted(1)]);
        expect(await all(store.readAll(BEGINNING))).toEqual(await store.readStream(stream('a')));
      });

      test('begins after a position, exclusive', async () => {
        await fill(10);
        const read = await all(store.readAll(BEGINNING));
        for (const [index, event] of read.entries()) {
          expect(await all(store.readAll(event.position))).toEqual(read.slice(index + 1));
        }
      });

      test.each([1, 3, 10, 11, 1_000])('comes in batches of 1 to %i', async (batchSize) => {
        const events = await fill(10);
        const batches: StoredEvent[][] = [];
        for await (const batch of store.readAll(BEGINNING, { batchSize })) batches.push(batch);
        expect(batches.every(({ length }) => length >= 1 && length <= batchSize)).toBe(true);
        expect(ids(batches.flat())).toEqual(ids(events));
      });

      test('refuses a batch size or a position that is none', async () => {
        expect(await failure(all(store.readAll(BEGINNING, { batchSize: 0 })))).toBeInstanceOf(RangeError);
        expect(await failure(all(store.readAll(-1n)))).toBeInstanceOf(RangeError);
      });

      test('gives what is appended while it reads, up to the end as it is when it comes there', async () => {
        await fill(4);
        const seen: StoredEvent[] = [];
        for await (const batch of store.readAll(BEGINNING, { batchSize: 2 })) {
          seen.push(...batch);
          if (seen.length === 2) await fill(3, 4);
        }
        expect(seen).toHaveLength(7);
        expect(seen).toEqual(await all(store.readAll(BEGINNING)));
      });

      test('gives only the streams of its prefix', async () => {
        const others = [`other-${prefix}`, `${prefix.slice(0, -1)}-more.`];
        const [first, last] = [await fill(3), noted(9)];
        for (const other of others) {
          const elsewhere = await reopen(other);
          const event = noted(0);
          await elsewhere.append(`${other}files-a`, -1, [event]);
          expect(ids(await all(elsewhere.readAll(BEGINNING)))).toEqual([event.id]);
        }
        await store.append(stream('last'), -1, [last]);
        expect(ids(await all(store.readAll(BEGINNING)))).toEqual(ids([...first, last]));
      });

      test('throws the reason of a signal that aborts: an end would look like the head', async () => {
        await fill(4);
        const aborted = new AbortController();
        const reason = new Error('enough');
        const seen: StoredEvent[] = [];
        const reading = (async () => {
          for await (const batch of store.readAll(BEGINNING, { batchSize: 1, signal: aborted.signal })) {
            seen.push(...batch);
            if (seen.length === 2) aborted.abort(reason);
          }
        })();
        expect(await failure(reading)).toBe(reason);
        expect(seen).toHaveLength(2);
        expect(await failure(all(store.readAll(BEGINNING, { signal: aborted.signal })))).toBe(reason);
      });

      test('may be left early', async () => {
        await fill(4);
        for await (const batch of store.readAll(BEGINNING, { batchSize: 1 })) {
          expect(batch).toHaveLength(1);
          break;
        }
        expect(await all(store.readAll(BEGINNING))).toHaveLength(4);
      });
    });

    describe('subscribe', () => {
      test('gives what is there, then what comes', async () => {
        const before = await fill(3);
        const subscription = follow(store.subscribe(BEGINNING, { signal: abort.signal }));
        expect(ids(await subscription.next(3))).toEqual(ids(before));
        const waiting = subscription.next(5);
        const after = await fill(2, 3);
        expect(ids(await waiting)).toEqual(ids([...before, ...after]));
        await subscription.end();
      });

      test('begins after a position, exclusive', async () => {
        await fill(3);
        const head = await store.head();
        const subscription = follow(store.subscribe(head, { signal: abort.signal }));
        const waiting = subscription.next(2);
        const after = await fill(2, 3);
        expect(ids(await waiting)).toEqual(ids(after));
        await subscription.end();
      });

      test('begins with a log that is empty yet', async () => {
        const subscription = follow(store.subscribe(BEGINNING, { signal: abort.signal }));
        const waiting = subscription.next(1);
        const events = await fill(1);
        expect(ids(await waiting)).toEqual(ids(events));
        await subscription.end();
      });

      test('skips nothing and gives nothing twice while others append', async () => {
        const subscriptions = [1, 7, 1_000].map((batchSize) =>
          follow(store.subscribe(BEGINNING, { batchSize, signal: abort.signal })),
        );
        const writers = Array.from({ length: 8 }, async (_, writer) => {
          for (let revision = -1; revision < 29; revision += 2) {
            await store.append(stream(`w${writer}`), revision, [noted(revision), noted(revision)]);
          }
        });
        await Promise.all(writers);
        const expected = await all(store.readAll(BEGINNING));
        expect(expected).toHaveLength(240);
        for (const subscription of subscriptions) {
          expect(await subscription.next(240)).toEqual(expected);
          await subscription.end();
        }
      });

      test('comes in batches of 1 to batchSize', async () => {
        await fill(10);
        const sizes: number[] = [];
        for await (const batch of store.subscribe(BEGINNING, { batchSize: 3, signal: abort.signal })) {
          sizes.push(batch.length);
          if (sizes.reduce((sum, size) => sum + size, 0) === 10) break;
        }
        expect(sizes.every((size) => size >= 1 && size <= 3)).toBe(true);
      });

      test('gives what another store appends', async () => {
        const other = await reopen();
        const subscription = follow(other.subscribe(BEGINNING, { signal: abort.signal }));
        const waiting = subscription.next(2);
        const events = await fill(2);
        expect(ids(await waiting)).toEqual(ids(events));
        await subscription.end();
      });

      test('gives only the streams of its prefix', async () => {
        const other = await reopen(`other-${prefix}`);
        const subscription = follow(store.subscribe(BEGINNING, { signal: abort.signal }));
        const waiting = subscription.next(2);
        await other.append(`other-${prefix}files-a`, -1, [noted(0)]);
        const events = await fill(2);
        expect(ids(await waiting)).toEqual(ids(events));
        await subscription.end();
      });

      test('ends when the signal aborts while it waits', async () => {
        const aborted = new AbortController();
        await fill(1);
        const batches = store.subscribe(BEGINNING, { signal: aborted.signal })[Symbol.asyncIterator]();
        expect((await batches.next()).done).toBe(false);
        const waiting = batches.next();
        aborted.abort();
        expect((await waiting).done).toBe(true);
      });

      test('ends when the signal aborts between two batches', async () => {
        const aborted = new AbortController();
        await fill(5);
        const seen: StoredEvent[] = [];
        for await (const batch of store.subscribe(BEGINNING, { batchSize: 2, signal: aborted.signal })) {
          seen.push(...batch);
          aborted.abort();
        }
        expect(seen.length).toBeLessThanOrEqual(2);
      });

      test('ends at once where the signal has aborted before', async () => {
        await fill(1);
        expect(await all(store.subscribe(BEGINNING, { signal: AbortSignal.abort() }))).toEqual([]);
      });

      test('throws Unavailable when its store is closed: it has not come to an end', async () => {
        const other = await reopen();
        const broken = failure(follow(other.subscribe(BEGINNING, { signal: abort.signal })).next(1));
        await other.close();
        expect(await broken).toBeInstanceOf(Unavailable);
      });
    });

    describe('head', () => {
      test('is 0 for an empty log', async () => {
        expect(await store.head()).toBe(BEGINNING);
      });

      test('is the position of the last event, at once and through every store', async () => {
        const other = await reopen();
        for (let revision = -1; revision < 3; revision += 1) {
          const { position } = await store.append(stream('a'), revision, [noted(revision)]);
          expect(await store.head()).toBe(position);
          expect(await other.head()).toBe(position);
        }
      });

      test('is that of its prefix', async () => {
        const other = await reopen(`other-${prefix}`);
        const append = async (to: EventStore, of: string, revision: number): Promise<Appended> =>
          to.append(`${of}files-a`, revision, [noted(0)]);
        const theirs = await append(other, `other-${prefix}`, -1);
        expect(await store.head()).toBe(BEGINNING);
        const ours = await append(store, prefix, -1);
        expect(await other.head()).toBe(theirs.position);
        await append(other, `other-${prefix}`, 0);
        expect(await store.head()).toBe(ours.position);
        expect((await append(store, prefix, 0)).position).toBe(await store.head());
      });
    });

    describe('close', () => {
      test('waits for what was appended before', async () => {
        const other = await reopen();
        const appends = Array.from({ length: 50 }, (_, index) => other.append(stream(`s${index}`), -1, [noted(index)]));
        await other.close();
        await Promise.all(appends);
        expect(await all(store.readAll(BEGINNING))).toHaveLength(50);
      });

      test('may be repeated', async () => {
        await Promise.all([store.close(), store.close()]);
        await store.close();
      });

      test('leaves a store that refuses', async () => {
        await store.close();
        expect(await failure(store.append(stream('a'), -1, [noted(0)]))).toBeInstanceOf(Unavailable);
        expect(await failure(store.readStream(stream('a')))).toBeInstanceOf(Unavailable);
        expect(await failure(store.head())).toBeInstanceOf(Unavailable);
        expect(await failure(all(store.readAll(BEGINNING)))).toBeInstanceOf(Unavailable);
      });
    });

    /** What is asked of the store: an append after the stream's revision plus `drift`, or `again` what was asked before. */
    const asked = fc.record({
      stream: fc.nat({ max: 2 }),
      drift: fc.constantFrom(0, 0, 0, 0, -1, -2, 1),
      count: fc.integer({ min: 1, max: 3 }),
      again: fc.option(fc.nat()),
    });

    test('any appends by writers that interleave leave what an in-memory model holds', async () => {
      const rounds = fc.array(fc.array(asked, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(rounds, async (plan) => {
          const run = randomUUID();
          const from = await store.head();
          const model = new Model();
          const sent: Attempt[] = [];
          for (const round of plan) {
            const attempts = round.map(({ stream: which, drift, count, again }): Attempt => {
              const repeated = again === null ? undefined : sent[again % Math.max(1, sent.length)];
              if (repeated !== undefined) return repeated;
              const name = stream(`${run}-${which}`);
              const events = Array.from({ length: count }, (_, index) => noted(index));
              return { stream: name, expected: Math.max(-1, model.revision(name) + drift), events };
            });
            sent.push(...attempts);
            const results = await Promise.allSettled(
              attempts.map((each) => store.append(each.stream, each.expected, each.events)),
            );
            model.judge(attempts, results);
          }
          for (const [name, expected] of model.streams) expect(ids(await store.readStream(name))).toEqual(expected);
          const read = await all(store.readAll(from));
          expectRising(read);
          expect(ids(read).sort()).toEqual([...model.streams.values()].flat().sort());
        }),
        { numRuns: 40 },
      );
    });
  });
};

interface Attempt {
  readonly stream: string;
  readonly expected: number;
  readonly events: readonly NewEvent[];
}

/** The log as the port describes it, in a map. Which of several concurrent appends came first, it takes from their positions. */
class Model {
  readonly streams = new Map<string, string[]>();
  private readonly answers = new Map<string, Appended>();

  revision(stream: string): number {
    return (this.streams.get(stream)?.length ?? 0) - 1;
  }

  judge(attempts: readonly Attempt[], results: readonly PromiseSettledResult<Appended>[]): void {
    const before = new Map(attempts.map(({ stream }) => [stream, this.revision(stream)]));
    const known = new Set(this.answers.keys());
    const outcomes = attempts.map((attempt, index) => ({ attempt, key: keyOf(attempt), result: results[index] }));

    const written = outcomes.flatMap(({ attempt, key, result }) =>
      result?.status === 'fulfilled' ? [{ attempt, key, appended: result.value }] : [],
    );
    written.sort((one, other) => Number(one.appended.position - other.appended.position));
    for (const { attempt, key, appended } of written) {
      const first = this.answers.get(key);
      if (first === undefined) this.write(attempt, appended);
      else expect(appended).toEqual(first);
      this.answers.set(key, first ?? appended);
    }

    for (const { attempt, key, result } of outcomes) {
      if (result?.status !== 'rejected') continue;
      const { stream, expected } = attempt;
      const [start, end] = [before.get(stream) ?? -1, this.revision(stream)];
      expect(result.reason).toBeInstanceOf(RevisionConflict);
      expect(result.reason).toMatchObject({ stream, expected });
      expect(result.reason.actual).toBeGreaterThanOrEqual(start);
      expect(result.reason.actual).toBeLessThanOrEqual(end);
      // Refused with reason: it repeats nothing from before, and the stream was elsewhere, at the latest after this round.
      expect(known.has(key)).toBe(false);
      expect(expected !== start || end !== start).toBe(true);
    }
  }

  private write({ stream, expected, events }: Attempt, appended: Appended): void {
    expect(this.revision(stream)).toBe(expected);
    expect(appended.revision).toBe(expected + events.length);
    this.streams.set(stream, [...(this.streams.get(stream) ?? []), ...ids(events)]);
  }
}

const keyOf = ({ stream, expected, events }: Attempt): string => [stream, expected, ...ids(events)].join(' ');

/** An event that says its number. */
export const noted = (n: number): NewEvent => ({
  id: randomUUID(),
  type: 'Noted',
  data: JSON.stringify({ n }),
  metadata: JSON.stringify({ actor: 'contract' }),
});

export const ids = (events: readonly { readonly id: string }[]): string[] => events.map(({ id }) => id);

export const all = async (batches: AsyncIterable<StoredEvent[]>): Promise<StoredEvent[]> => {
  const events: StoredEvent[] = [];
  for await (const batch of batches) events.push(...batch);
  return events;
};

/** What a promise is rejected with. */
export const failure = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it should have failed, and did not');
};

/** A subscription that one asks for its first `count` events, however many batches they come in. */
export const follow = (
  batches: AsyncIterable<StoredEvent[]>,
): { next(count: number): Promise<StoredEvent[]>; end(): Promise<void> } => {
  const iterator = batches[Symbol.asyncIterator]();
  const seen: StoredEvent[] = [];
  return {
    async next(count) {
      while (seen.length < count) {
        const { done, value } = await iterator.next();
        if (done === true) throw new Error(`the subscription ended after ${seen.length} events`);
        seen.push(...value);
      }
      return [...seen];
    },
    async end() {
      await iterator.return?.();
    },
  };
};

/** The JSON text of an object, so many characters long. */
const textOf = (length: number): string => JSON.stringify({ x: 'x'.repeat(length - '{"x":""}'.length) });

const expectRising = (events: readonly { readonly position: Position }[]): void => {
  const positions = events.map(({ position }) => position);
  positions.forEach((position, index) => expect(position).toBeGreaterThan(positions[index - 1] ?? BEGINNING));
};
