import { RevisionConflict, Unavailable } from '../storage/errors.js';
import type { Appended, EventStore, NewEvent, Position, StoredEvent } from '../storage/event-store/port.js';

/** The log in memory: several stores, each with its prefix, open on one. It outlives them, as a disk would. */
export class InMemoryLog {
  readonly events: StoredEvent[] = [];
  private readonly streams = new Map<string, StoredEvent[]>();
  private readonly appends = new Map<string, Appended>();
  private readonly bells = new Set<() => void>();

  /** @param gap how many positions are left out before the next event; where it is left out positions count events, from 1 */
  constructor(readonly gap: (() => number) | null = null) {}

  /** Opens a store that sees the streams whose names begin with `prefix`. */
  open(prefix: string): EventStore {
    return new InMemoryEventStore(this, prefix);
  }

  /** Lays down events as they are, positions included: a log that was written elsewhere. They come after all that is there. */
  load(events: Iterable<StoredEvent>): void {
    for (const event of events) this.lay(event);
    this.ring();
  }

  stream(name: string): readonly StoredEvent[] {
    return this.streams.get(name) ?? [];
  }

  append(stream: string, expected: number, events: readonly NewEvent[]): Appended {
    const key = [stream, expected, ...events.map(({ id }) => id)].join(' ');
    const before = this.appends.get(key);
    if (before !== undefined) return before;
    const actual = this.stream(stream).length - 1;
    if (actual !== expected) throw new RevisionConflict(stream, expected, actual);
    let position = this.events.at(-1)?.position ?? 0n;
    events.forEach((event, index) => {
      position += 1n + BigInt(this.gap?.() ?? 0);
      this.lay({ ...event, stream, revision: expected + 1 + index, position });
    });
    const appended = { revision: expected + events.length, position };
    this.appends.set(key, appended);
    this.ring();
    return appended;
  }

  /** Calls back at the next append. @returns how to stop that */
  onAppend(bell: () => void): () => void {
    this.bells.add(bell);
    return () => this.bells.delete(bell);
  }

  private lay(event: StoredEvent): void {
    this.events.push(event);
    const stream = this.streams.get(event.stream);
    if (stream === undefined) this.streams.set(event.stream, [event]);
    else stream.push(event);
  }

  private ring(): void {
    for (const bell of [...this.bells]) bell();
  }
}

/** The event store's port in memory: what its comments say, and nothing else. */
class InMemoryEventStore implements EventStore {
  readonly numbersEvents: boolean;
  private readonly ended = new AbortController();

  constructor(
    private readonly log: InMemoryLog,
    private readonly prefix: string,
  ) {
    this.numbersEvents = log.gap === null;
  }

  async append(stream: string, expectedRevision: number, events: readonly NewEvent[]): Promise<Appended> {
    check(stream, expectedRevision, events);
    if (!stream.startsWith(this.prefix)) throw new TypeError(`stream ${stream} does not begin with ${this.prefix}`);
    this.assertOpen();
    const canonical = events.map(({ id, type, data, metadata }) => ({ id: id.toLowerCase(), type, data, metadata }));
    return this.log.append(stream, expectedRevision, canonical);
  }

  async readStream(stream: string, fromRevision = 0): Promise<StoredEvent[]> {
    if (!Number.isInteger(fromRevision) || fromRevision < 0) {
      throw new RangeError(`a stream is read from revision 0 or later, not from ${fromRevision}`);
    }
    this.assertOpen();
    return this.log.stream(stream).slice(fromRevision);
  }

  async *readAll(
    from: Position,
    { batchSize = 1_000, signal }: { batchSize?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<StoredEvent[]> {
    checkRange(from, batchSize);
    for (let at = from; ;) {
      signal?.throwIfAborted();
      const batch = this.after(at, batchSize);
      const last = batch.at(-1);
      if (last === undefined) return;
      yield batch;
      at = last.position;
    }
  }

  async *subscribe(
    from: Position,
    { batchSize = 1_000, signal }: { batchSize?: number; signal: AbortSignal },
  ): AsyncGenerator<StoredEvent[]> {
    checkRange(from, batchSize);
    for (let at = from; !signal.aborted;) {
      const batch = this.after(at, batchSize);
      const last = batch.at(-1);
      if (last === undefined) await this.more(signal);
      else {
        yield batch;
        at = last.position;
      }
    }
  }

  async head(): Promise<Position> {
    this.assertOpen();
    return this.log.events.findLast(({ stream }) => stream.startsWith(this.prefix))?.position ?? 0n;
  }

  async close(): Promise<void> {
    this.ended.abort();
  }

  private after(position: Position, limit: number): StoredEvent[] {
    this.assertOpen();
    const { events } = this.log;
    const batch: StoredEvent[] = [];
    for (let index = firstAfter(events, position); index < events.length && batch.length < limit; index += 1) {
      const event = events[index];
      if (event?.stream.startsWith(this.prefix) === true) batch.push(event);
    }
    return batch;
  }

  /** Until there is more, or this reader, or this store, has come to its end. */
  private more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        stop();
        signal.removeEventListener('abort', wake);
        this.ended.signal.removeEventListener('abort', wake);
        resolve();
      };
      const stop = this.log.onAppend(wake);
      signal.addEventListener('abort', wake, { once: true });
      this.ended.signal.addEventListener('abort', wake, { once: true });
    });
  }

  private assertOpen(): void {
    if (this.ended.signal.aborted) throw new Unavailable('this store was closed: open the log again');
  }
}

const firstAfter = (events: readonly StoredEvent[], position: Position): number => {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle]?.position ?? 0n) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_EVENTS = 100;
const MAX_BYTES = 1024 * 1024;

const check = (stream: string, expected: number, events: readonly NewEvent[]): void => {
  if (stream === '') throw new TypeError('an append needs the name of a stream');
  if (!Number.isSafeInteger(expected) || expected < -1) throw new RangeError(`no stream is at revision ${expected}`);
  if (events.length < 1 || events.length > MAX_EVENTS) {
    throw new RangeError(`an append holds 1 to ${MAX_EVENTS} events, not ${events.length}`);
  }
  let bytes = 0;
  for (const { id, type, data, metadata } of events) {
    if (!UUID.test(id)) throw new TypeError(`an event's id is a UUID, not ${id}`);
    if ([type, data, metadata].includes('')) throw new TypeError(`the event ${id} has no type, data or metadata`);
    bytes += 2 * type.length + Buffer.byteLength(data) + Buffer.byteLength(metadata);
  }
  if (bytes > MAX_BYTES) throw new RangeError(`an append holds at most ${MAX_BYTES} bytes, not ${bytes}`);
};

const checkRange = (from: Position, batchSize: number): void => {
  if (from < 0n) throw new RangeError(`a position is 0 or more, not ${from}`);
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new RangeError(`a batch holds 1 event or more, not ${batchSize}`);
  }
};
