import { setImmediate as nextTurn } from 'node:timers/promises';
import { Unavailable } from '../errors.js';
import { canonical, checkAppend } from './append-arguments.js';
import type { Appended, EventStore, NewEvent, Position, StoredEvent } from './port.js';
import { Bell } from './sqlite.bell.js';
import { Reader } from './sqlite.reader.js';
import { Writer, type WriterOptions, type WriterStats } from './sqlite.writer.js';

/** The log in one SQLite file. Reads run on the caller's thread, a few microseconds each; whatever writes, or waits for the disk, runs in sqlite.thread.ts. */
export interface SqliteEventStore extends EventStore {
  /** Tells subscriptions that there may be more: for a store whose file another thread or process writes. */
  wake(): void;

  /** Calls `listener` with the position of the last event of each transaction of this store. Answers what removes it. */
  onAppended(listener: (head: Position) => void): () => void;

  /** What was written so far, and how safely; null for a store that only reads. */
  stats(): WriterStats | null;
}

export interface SqliteEventStoreOptions extends WriterOptions {
  /** What the name of each stream begins with. Streams with another prefix, in the same file, are not of this log. */
  readonly prefix: string;
  readonly mode: 'read-write' | 'read-only';
}

/**
 * @throws Corrupt: the file is not a log, or that of a newer Lethe. Unavailable: it can't be opened, or (read-only) isn't there.
 */
export async function openSqliteEventStore(options: SqliteEventStoreOptions): Promise<SqliteEventStore> {
  if (options.mode === 'read-only') return new Store(options, new Reader(options.file, options.prefix), null);
  const writer = await Writer.start(options);
  try {
    return new Store(options, new Reader(options.file, options.prefix), writer);
  } catch (error) {
    await writer.close();
    throw error;
  }
}

class Store implements SqliteEventStore {
  readonly numbersEvents = true;
  private readonly bell = new Bell();
  private closed: Promise<void> | null = null;

  constructor(
    private readonly options: SqliteEventStoreOptions,
    private readonly reader: Reader,
    private readonly writer: Writer | null,
  ) {
    writer?.listeners.add(() => this.bell.ring());
  }

  async append(stream: string, expectedRevision: number, events: readonly NewEvent[]): Promise<Appended> {
    const bytes = checkAppend(stream, expectedRevision, events);
    const { file, prefix } = this.options;
    if (!stream.startsWith(prefix))
      throw new TypeError(`stream ${stream} does not begin with this log's prefix ${prefix}: it would not be seen`);
    if (this.writer === null)
      throw new Unavailable(`${file} was opened for reading only: append where it was opened for writing`);
    return this.writer.append({ stream, expected: expectedRevision, events: events.map(canonical) }, bytes);
  }

  async readStream(stream: string, fromRevision = 0): Promise<StoredEvent[]> {
    if (!Number.isInteger(fromRevision) || fromRevision < 0)
      throw new RangeError(`a stream is read from revision 0 or later, not from ${fromRevision}`);
    return this.reader.stream(stream, fromRevision);
  }

  async *readAll(
    from: Position,
    options: { batchSize?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<StoredEvent[]> {
    const size = checkBatch(from, options.batchSize);
    for (let at = Number(from); ;) {
      options.signal?.throwIfAborted();
      const { events, seenTo, atEnd } = this.reader.scan(at, size);
      if (events.length > 0) yield events;
      if (atEnd) return;
      at = seenTo;
      await nextTurn(); // a long read must not starve whatever else this process does
    }
  }

  async *subscribe(
    from: Position,
    options: { batchSize?: number; signal: AbortSignal },
  ): AsyncGenerator<StoredEvent[]> {
    const size = checkBatch(from, options.batchSize);
    for (let at = Number(from); !options.signal.aborted;) {
      const { events, seenTo, atEnd } = this.reader.scan(at, size);
      at = seenTo;
      if (atEnd) {
        // Nothing comes between the scan and this wait, which are one turn of the event loop: no ring is missed.
        await this.bell.wait(options.signal);
        continue;
      }
      if (events.length > 0) yield events;
      await nextTurn();
    }
  }

  async head(): Promise<Position> {
    return BigInt(this.reader.head());
  }

  wake(): void {
    this.bell.ring();
  }

  onAppended(listener: (head: Position) => void): () => void {
    const told = (head: number): void => listener(BigInt(head));
    this.writer?.listeners.add(told);
    return () => void this.writer?.listeners.delete(told);
  }

  stats(): WriterStats | null {
    return this.writer?.stats ?? null;
  }

  close(): Promise<void> {
    this.closed ??= this.closeOnce();
    return this.closed;
  }

  /** The writing connection goes last: SQLite then empties the write-ahead log into the file and removes it. */
  private async closeOnce(): Promise<void> {
    await this.writer?.drain();
    this.reader.close();
    this.bell.ring();
    await this.writer?.close();
  }
}

const checkBatch = (from: Position, batchSize = 1_000): number => {
  if (from < 0n) throw new RangeError(`a position is 0 or more, not ${from}`);
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw new RangeError(`a batch holds 1 event or more, not ${batchSize}`);
  return batchSize;
};
