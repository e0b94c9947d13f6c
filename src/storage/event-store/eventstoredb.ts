import {
  BACKWARDS,
  END,
  EventStoreDBClient,
  FORWARDS,
  jsonEvent,
  NO_STREAM,
  START,
  streamNameFilter,
  type ReadPosition,
} from '@eventstore/db-client';
import { append } from '@eventstore/db-client/dist/streams/appendToStream/append.js';
import { setMaxListeners } from 'node:events';
import { Unavailable } from '../errors.js';
import { checkAppend } from './append-arguments.js';
import { toMessage } from './eventstoredb.events.js';
import { Reader } from './eventstoredb.reader.js';
import { readConnection } from './eventstoredb.url.js';
import type { Subscribing, Wire } from './eventstoredb.wire.js';
import { Writer } from './eventstoredb.writer.js';
import type { Appended, EventStore, NewEvent, Position, StoredEvent } from './port.js';

export interface EventStoreDbOptions {
  /** As the client reads it: `esdb://user:password@host:2113?tls=false`, `esdb+discover://…`. Without TLS, the client sends no user. */
  readonly url: string;
  /** What the name of each stream begins with. Streams with another prefix, in the same store, are not of this log. */
  readonly prefix: string;
  readonly mode: 'read-write' | 'read-only';
  /** How long an append, and whatever else has something to answer, may stay without an answer. */
  readonly timeoutMs?: number;
}

/**
 * The log in EventStoreDB or KurrentDB, 22.6 or later. Opening it connects to nothing yet: whether the server is there, each call tells.
 *
 * Its user has to be allowed to read `$all`, of which readAll, subscribe and head are made; by default only administrators are.
 *
 * @throws TypeError: the connection string or the prefix is none
 */
export const openEventStoreDb = async (options: EventStoreDbOptions): Promise<EventStore> => {
  const { url, prefix, mode, timeoutMs = 10_000 } = options;
  const connection = readConnection(url);
  if (prefix === '' || prefix.startsWith('$'))
    throw new TypeError(
      `a prefix of streams is not empty, and does not begin with $ as the server's own, unlike '${prefix}'`,
    );
  const wire = new ClientWire(connect(connection.url), connection.place);
  return new Store(wire, prefix, mode === 'read-write', timeoutMs);
};

const connect = (url: string): EventStoreDBClient => {
  try {
    const client = EventStoreDBClient.connectionString(url);
    const turnAway = client['handleError'];
    // It is called and not waited for. While a cluster's nodes are looked for in vain it fails, and nobody but the process would hear of it;
    // whoever waits for the connection hears the same error.
    return Object.assign(client, {
      handleError: (...failed: Parameters<typeof turnAway>) => turnAway(...failed).catch(() => null),
    });
  } catch (error) {
    // The client's parser repeats what it was given, and what it was given may hold a password.
    const isParsers = !(error instanceof Error) || 'connectionString' in error;
    const why = isParsers ? 'look at its hosts, its numbers, and what is true or false' : error.message;
    // eslint-disable-next-line preserve-caught-error -- the cause would carry the password into the log
    throw new TypeError(`the event store's connection string cannot be used: ${why}`);
  }
};

class Store implements EventStore {
  readonly numbersEvents = false;
  private readonly closing = new AbortController();
  private readonly reader: Reader;
  private readonly writer: Writer;
  private closed: Promise<void> | null = null;

  constructor(
    private readonly wire: Wire,
    private readonly prefix: string,
    private readonly isWritable: boolean,
    timeoutMs: number,
  ) {
    setMaxListeners(0, this.closing.signal); // each subscription that waits is one
    this.reader = new Reader(wire, prefix, timeoutMs, this.closing.signal);
    this.writer = new Writer(wire, timeoutMs, async (stream, revision) => {
      const [event] = await this.reader.stream(stream, revision);
      return event?.position ?? null;
    });
  }

  async append(stream: string, expectedRevision: number, events: readonly NewEvent[]): Promise<Appended> {
    const bytes = checkAppend(stream, expectedRevision, events);
    const { prefix, wire } = this;
    if (!stream.startsWith(prefix))
      throw new TypeError(`stream ${stream} does not begin with this log's prefix ${prefix}: it would not be seen`);
    const messages = events.map(toMessage);
    if (!this.isWritable)
      throw new Unavailable(`${wire.place} was opened for reading only: append where it was opened for writing`);
    this.assertOpen();
    return this.writer.append(stream, expectedRevision, messages, bytes);
  }

  async readStream(stream: string, fromRevision = 0): Promise<StoredEvent[]> {
    if (!Number.isInteger(fromRevision) || fromRevision < 0)
      throw new RangeError(`a stream is read from revision 0 or later, not from ${fromRevision}`);
    this.assertOpen();
    return this.reader.stream(stream, fromRevision);
  }

  async *readAll(
    from: Position,
    { batchSize, signal }: { batchSize?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<StoredEvent[]> {
    const size = checkBatch(from, batchSize);
    signal?.throwIfAborted();
    let head = await this.head();
    if (head <= from) return;
    for await (const batch of this.reader.follow(from, size, signal, 'head')) {
      yield batch;
      signal?.throwIfAborted();
      const last = batch.at(-1)?.position ?? from;
      if (last < head) continue;
      // A batch may reach past the head that was known: what is asked is whether there is more than was read.
      head = await this.head();
      if (head <= last) return;
    }
    signal?.throwIfAborted();
  }

  async *subscribe(
    from: Position,
    { batchSize, signal }: { batchSize?: number; signal: AbortSignal },
  ): AsyncGenerator<StoredEvent[]> {
    const size = checkBatch(from, batchSize);
    if (signal.aborted) return;
    this.assertOpen();
    yield* this.reader.follow(from, size, signal, 'for ever');
  }

  async head(): Promise<Position> {
    this.assertOpen();
    return this.reader.head();
  }

  close(): Promise<void> {
    this.closed ??= this.closeOnce();
    return this.closed;
  }

  private async closeOnce(): Promise<void> {
    await this.writer.drain();
    this.closing.abort();
    await this.wire.dispose();
  }

  private assertOpen(): void {
    if (this.closed !== null) throw this.reader.wasClosed();
  }
}

/** The client's whole use. */
class ClientWire implements Wire {
  constructor(
    private readonly client: EventStoreDBClient,
    readonly place: string,
  ) {}

  /**
   * The client has two ways to append, and chooses this one for a user named with the call. Its other one sends all appends over one call,
   * and keeps who waits for what in one map for the whole process: where that call breaks, the appends of every client fail with it, a late
   * answer to one of them is an exception that nobody can catch, and deadlines mean nothing. A call for each append costs some 0.4 ms more.
   */
  async append(
    stream: string,
    expected: number,
    messages: Parameters<Wire['append']>[2],
    deadlineMs: number,
  ): Promise<{ revision: number; position: Position | null }> {
    const events = messages.map((message) => jsonEvent(message));
    const { nextExpectedRevision, position } = await append.call(this.client, stream, events, {
      expectedRevision: expected === -1 ? NO_STREAM : BigInt(expected),
      batchAppendSize: MAX_MESSAGE_BYTES,
      deadline: deadlineMs,
      ...ofLeader,
    });
    // A position that the server does not know comes as none, or as -1, which is a large number on the wire.
    const isKnown = position !== undefined && position.commit < 2n ** 63n;
    return { revision: Number(nextExpectedRevision), position: isKnown ? position.commit : null };
  }

  stream(stream: string, from: number): ReturnType<Wire['stream']> {
    const read = this.client.readStream(stream, { fromRevision: BigInt(from), ...ofLeader });
    return { items: read, leave: () => left(() => read.cancel()) };
  }

  backwards(before: Position | null, count: number): ReturnType<Wire['backwards']> {
    return this.all(BACKWARDS, before === null ? END : at(before), count);
  }

  forwards(from: Position, count: number): ReturnType<Wire['forwards']> {
    return this.all(FORWARDS, at(from), count);
  }

  subscription(options: Subscribing): ReturnType<Wire['subscription']> {
    const { prefix, after, checkpointInterval, buffer, onConfirmed, onCheckpoint } = options;
    const filter = streamNameFilter({
      prefixes: [prefix],
      maxSearchWindow: 1_000,
      checkpointInterval,
      checkpointReached: (_, { commit }) => onCheckpoint(commit),
    });
    const fromPosition = after === null ? START : at(after);
    const subscription = this.client.subscribeToAll({ fromPosition, filter, ...ofLeader }, { highWaterMark: buffer });
    subscription.on('confirmation', onConfirmed);
    return { items: subscription, leave: () => left(() => subscription.unsubscribe()) };
  }

  dispose(): Promise<void> {
    return this.client.dispose();
  }

  private all(
    direction: typeof FORWARDS | typeof BACKWARDS,
    fromPosition: ReadPosition,
    maxCount: number,
  ): ReturnType<Wire['forwards']> {
    const read = this.client.readAll({ direction, fromPosition, maxCount, ...ofLeader });
    return { items: read, leave: () => left(() => read.cancel()) };
  }
}

/** A follower of the cluster may not know yet what the leader acknowledged. */
const ofLeader = { requiresLeader: true };

const MAX_MESSAGE_BYTES = 3 * 1024 * 1024;

const at = (position: Position): { commit: Position; prepare: Position } => ({ commit: position, prepare: position });

/** Leaving a call that never came about fails with what kept it from coming about, which whoever reads it has heard. */
const left = async (leave: () => Promise<void>): Promise<void> => {
  try {
    await leave();
  } catch {
    return;
  }
};

const checkBatch = (from: Position, batchSize = 1_000): number => {
  if (from < 0n) throw new RangeError(`a position is 0 or more, not ${from}`);
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw new RangeError(`a batch holds 1 event or more, not ${batchSize}`);
  return batchSize;
};
