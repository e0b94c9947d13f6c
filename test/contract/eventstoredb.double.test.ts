import {
  ANY,
  EventStoreDBClient,
  excludeSystemEvents,
  jsonEvent,
  MaxAppendSizeExceededError,
  NO_STREAM,
  StreamDeletedError,
  StreamNotFoundError,
  streamNameFilter,
  WrongExpectedVersionError,
  type AppendResult,
  type ResolvedEvent,
} from '@eventstore/db-client';
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startEventStoreDouble, type EventStoreDouble } from '../doubles/eventstoredb.js';
import { until } from '../harness/until.js';
import { failure } from './event-store.contract.js';

// What a real 23.10.6 was seen to answer its own client, asked of the double: what the adapter's tests stand on.

let double: EventStoreDouble;
let client: EventStoreDBClient;

beforeEach(async () => {
  double = await startEventStoreDouble();
  client = EventStoreDBClient.connectionString(double.url);
});

afterEach(async () => {
  await client.dispose();
  await double.stop();
});

const noted = (id: string = randomUUID(), n = 0): ReturnType<typeof jsonEvent> =>
  jsonEvent({ id, type: 'Noted', data: { n }, metadata: { actor: 'test' } });

/** Both ways in which the client appends: over the call that all share, and by a call of its own for a named user. */
const WAYS = { batch: {}, single: { credentials: { username: 'admin', password: 'changeit' } } };

const take = async (items: Readable, count = Infinity): Promise<ResolvedEvent[]> => {
  const taken: ResolvedEvent[] = [];
  for await (const item of items) {
    taken.push(item as ResolvedEvent);
    if (taken.length >= count) break;
  }
  return taken;
};

describe.each(['batch', 'single'] as const)('an append (%s)', (way) => {
  const append = (
    stream: string,
    expectedRevision: bigint | typeof ANY | typeof NO_STREAM,
    events = [noted()],
  ): Promise<AppendResult> => client.appendToStream(stream, events, { expectedRevision, ...WAYS[way] });

  test('answers the revision and the position of its last event; each event has its own', async () => {
    const { nextExpectedRevision, position } = await append('a', NO_STREAM, [noted(), noted()]);
    const [first, second] = await take(client.readAll());
    expect(nextExpectedRevision).toBe(1n);
    expect(second?.event?.position).toEqual(position);
    expect(first?.event?.position?.commit).toBeLessThan(position?.commit ?? 0n);
    expect(double.seen.batches).toBe(way === 'batch' ? 1 : 0);
  });

  test('at a wrong revision is refused with the actual one', async () => {
    const missing = await failure(append('a', 4n));
    expect(missing).toBeInstanceOf(WrongExpectedVersionError);
    expect(missing).toMatchObject({ type: 'wrong-expected-version', actualVersion: 'no_stream' });
    await append('a', NO_STREAM, [noted(), noted()]);
    expect(await failure(append('a', NO_STREAM))).toMatchObject({ actualVersion: 1n });
    expect(await failure(append('a', 0n))).toMatchObject({ actualVersion: 1n });
  });

  test('with the same ids and revision answers the first result, also after later events and a restart', async () => {
    const events = [noted(), noted()];
    const first = await append('a', NO_STREAM, events);
    await append('a', 1n);
    expect(await append('a', NO_STREAM, events)).toEqual(first);
    await double.stop();
    await double.start();
    client = EventStoreDBClient.connectionString(double.url);
    expect(await append('a', NO_STREAM, events)).toEqual(first);
    expect(double.log.events).toHaveLength(3);
  });

  test('with the same id is written again at another revision, and not with other data at the same', async () => {
    const id = randomUUID();
    await append('a', NO_STREAM, [noted(id, 1)]);
    await append('a', NO_STREAM, [noted(id, 2)]);
    expect((await take(client.readStream('a'))).map(({ event }) => event?.data)).toEqual([{ n: 1 }]);
    await append('a', 0n, [noted(id, 3)]);
    expect((await take(client.readStream('a'))).map(({ event }) => event?.data)).toEqual([{ n: 1 }, { n: 3 }]);
  });

  test('with only some of the ids of another is refused', async () => {
    const [one, two] = [noted(), noted()];
    await append('a', NO_STREAM, [one, two]);
    for (const events of [
      [one, noted()],
      [two, one],
      [one, two, noted()],
    ])
      expect(await failure(append('a', NO_STREAM, events))).toBeInstanceOf(WrongExpectedVersionError);
    expect(double.log.events).toHaveLength(2);
  });

  test('at any revision is known again until a restart, and then written twice', async () => {
    const event = noted();
    await append('a', ANY, [event]);
    await append('a', ANY, [event]);
    expect(double.log.events).toHaveLength(1);
    await double.stop();
    await double.start();
    client = EventStoreDBClient.connectionString(double.url);
    await append('a', ANY, [event]);
    expect(double.log.events).toHaveLength(2);
  });

  test('above 1 MiB, or to a stream that is gone for ever, is refused', async () => {
    const large = jsonEvent({ type: 'Noted', data: { x: 'x'.repeat(1_050_000) } });
    expect(await failure(append('a', NO_STREAM, [large]))).toBeInstanceOf(MaxAppendSizeExceededError);
    double.log.tombstone('a');
    expect(await failure(append('a', NO_STREAM))).toBeInstanceOf(StreamDeletedError);
    expect(await failure(take(client.readStream('a')))).toBeInstanceOf(StreamDeletedError);
  });

  test('goes on counting where the stream was soft-deleted', async () => {
    await append('a', NO_STREAM, [noted(), noted()]);
    double.log.softDelete('a');
    expect(await failure(take(client.readStream('a')))).toBeInstanceOf(StreamNotFoundError);
    expect(await append('a', NO_STREAM)).toMatchObject({ nextExpectedRevision: 2n });
    expect((await take(client.readStream('a'))).map(({ event }) => event?.revision)).toEqual([2n]);
  });
});

describe('a read', () => {
  const fill = async (): Promise<bigint[]> => {
    for (const stream of ['a', 'b', 'a', 'b']) await client.appendToStream(stream, [noted()]);
    return double.log.events.map(({ position }) => position);
  };

  test('of a stream begins at a revision, inclusive, in both directions; a missing one is an error, and none of none too', async () => {
    await fill();
    const revisions = async (options: object): Promise<unknown> =>
      (await take(client.readStream('a', options))).map(({ event }) => event?.revision);
    expect(await revisions({ fromRevision: 1n })).toEqual([1n]);
    expect(await revisions({ direction: 'backwards', fromRevision: 'end' })).toEqual([1n, 0n]);
    expect(await revisions({ direction: 'backwards', fromRevision: 0n })).toEqual([0n]);
    expect(await revisions({ maxCount: 1 })).toEqual([0n]);
    expect(await failure(take(client.readStream('missing')))).toBeInstanceOf(StreamNotFoundError);
    expect(await failure(take(client.readStream('a', { maxCount: 0 })))).toBeInstanceOf(Error);
  });

  test('of $all begins at a position, inclusive forwards and exclusive backwards, and only where an event does', async () => {
    const positions = await fill();
    const at = (index: number): { commit: bigint; prepare: bigint } => ({
      commit: positions[index] ?? 0n,
      prepare: positions[index] ?? 0n,
    });
    const read = async (options: object): Promise<unknown> =>
      (await take(client.readAll(options))).map(({ event }) => event?.position?.commit);
    expect(await read({ fromPosition: at(2) })).toEqual(positions.slice(2));
    expect(await read({ direction: 'backwards', fromPosition: at(2) })).toEqual(positions.slice(0, 2).reverse());
    expect(await read({ direction: 'backwards', fromPosition: 'end', maxCount: 1 })).toEqual(positions.slice(3));
    const between = { commit: at(1).commit + 1n, prepare: at(1).prepare + 1n };
    expect(await failure(read({ fromPosition: between }))).toMatchObject({ type: 'unknown' });
  });
});

describe('a subscription', () => {
  const streams = (events: readonly ResolvedEvent[]): unknown => events.map(({ event }) => event?.streamId);

  test('to a stream begins after a revision, and goes on', async () => {
    await client.appendToStream('a', [noted(), noted()]);
    const subscription = client.subscribeToStream('a', { fromRevision: 0n });
    const taking = take(subscription, 2);
    await client.appendToStream('b', [noted()]);
    await client.appendToStream('a', [noted()]);
    expect((await taking).map(({ event }) => event?.revision)).toEqual([1n, 2n]);
    await subscription.unsubscribe();
  });

  test('to $all is filtered by the server, by prefix and by pattern, of streams and of types', async () => {
    double.log.addNoise(10);
    for (const stream of ['a-1', 'b-1', 'a-2']) await client.appendToStream(stream, [noted()]);
    const filters = [
      { filter: streamNameFilter({ prefixes: ['a-'] }), expected: ['a-1', 'a-2'] },
      { filter: streamNameFilter({ regex: '-1$' }), expected: ['a-1', 'b-1'] },
      { filter: excludeSystemEvents(), expected: ['a-1', 'b-1', 'a-2'] },
    ];
    for (const { filter, expected } of filters) {
      const subscription = client.subscribeToAll({ filter });
      expect(streams(await take(subscription, expected.length))).toEqual(expected);
      await subscription.unsubscribe();
    }
  });

  test('says that it began, how far it looked and that it caught up', async () => {
    double.log.addNoise(250);
    const heard: string[] = [];
    const filter = streamNameFilter({
      prefixes: ['a'],
      maxSearchWindow: 50,
      checkpointInterval: 2,
      checkpointReached: (_, { commit }) => void heard.push(`checkpoint ${commit}`),
    });
    const subscription = client.subscribeToAll({ filter });
    for (const name of ['confirmation', 'caughtUp'] as const) subscription.on(name, () => heard.push(name));
    subscription.resume();
    await until('it caught up', async () => heard.includes('caughtUp'));
    const [second, fourth] = [99, 199].map((index) => double.log.events[index]?.position);
    expect(heard).toEqual(['confirmation', `checkpoint ${second}`, `checkpoint ${fourth}`, 'caughtUp']);
    await subscription.unsubscribe();
  });
});
