import Database from 'better-sqlite3';
import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Corrupt, Full, OutcomeUnknown, RevisionConflict, Unavailable } from '../errors.js';
import type { Appended, EventStore, NewEvent, Position, StoredEvent } from './port.js';

/** The log in one SQLite file. Reads run on the caller's thread, a few microseconds each; whatever writes, or waits for the disk, runs in sqlite.thread.ts. */
export interface SqliteEventStore extends EventStore {
  /** Tells subscriptions that there may be more: for a store whose file another thread or process writes. */
  wake(): void;

  /** Calls `listener` with the position of the last event of each transaction of this store. Answers what removes it. */
  onAppended(listener: (head: Position) => void): () => void;

  /** What was written so far, and how safely; null for a store that only reads. */
  stats(): WriterStats | null;
}

export interface SqliteEventStoreOptions {
  /** The database's path. Missing folders are made in read-write mode. */
  readonly file: string;
  /** What the name of each stream begins with. Streams with another prefix, in the same file, are not of this log. */
  readonly prefix: string;
  readonly mode: 'read-write' | 'read-only';
  /** Milliseconds after which a disk that does not answer counts as lost: 30,000. */
  readonly answerWithinMs?: number;
  /** An upper bound for the file, in pages of 4 KiB: a disk that is full, for tests. */
  readonly maxPages?: number;
  /** Starts the thread that writes: for tests of what happens when it dies. */
  readonly startThread?: () => Worker;
}

export interface WriterStats {
  readonly transactions: number;
  /** As the writing connection answers: `wal`, and 2 for FULL. */
  readonly journalMode: string;
  readonly synchronous: number;
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

/** How long a subscription at the end sleeps at most: a safety net for writers that cannot wake it. */
const POLL_MS = 1_000;

class Store implements SqliteEventStore {
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

/** Where those who reached the end of the log wait. */
class Bell {
  private readonly waiting = new Set<() => void>();

  ring(): void {
    for (const wake of [...this.waiting]) wake();
  }

  /** Until the next ring, the signal's abort, or the poll, whichever comes first. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(poll);
        signal.removeEventListener('abort', wake);
        this.waiting.delete(wake);
        resolve();
      };
      const poll = setTimeout(wake, POLL_MS).unref();
      signal.addEventListener('abort', wake, { once: true });
      this.waiting.add(wake);
    });
  }
}

/** How many positions one scan looks through: in a file shared with other prefixes it may find few of this one's, and must still be short. */
const SCAN_WINDOW = 10_000;

interface Row {
  readonly position: number;
  readonly stream: string;
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
}

interface Scan {
  readonly events: StoredEvent[];
  /** The log was looked through up to here. */
  readonly seenTo: number;
  readonly atEnd: boolean;
}

/**
 * Reads over a connection of its own. Each statement is run to its end, so that no read transaction outlives a call: one that stayed open
 * would keep SQLite from ever emptying the write-ahead log. Positions are plain numbers here: 2^53 appends take 5,000 years.
 */
class Reader {
  private readonly db: Database.Database;
  private readonly ofStream: Database.Statement<[string, number], Row>;
  private readonly between: Database.Statement<[number, number, string, string, number], Row>;
  private readonly lastBetween: Database.Statement<[number, number, string, string], number>;
  private readonly last: Database.Statement<[], number | null>;
  /** Of this prefix, as known when the log ended at `headSeen`: only what came since is looked through again. */
  private headAt = 0;
  private headSeen = 0;

  constructor(
    private readonly file: string,
    private readonly prefix: string,
  ) {
    this.db = openDatabase(file, { readonly: true, fileMustExist: true });
    try {
      if (inspect(this.db, file) === 'empty')
        throw new Unavailable(`${file} holds no log yet: start Lethe on it for writing first`);
      // The table's own order, never the index: it is the order asked for, and a scan ends with its first matches.
      const ofPrefix =
        'FROM events NOT INDEXED WHERE position > ? AND position <= ? AND substr(stream, 1, length(?)) = ?';
      const columns = 'position, stream, revision, id, type, data, metadata';
      this.ofStream = this.db.prepare(
        `SELECT ${columns} FROM events WHERE stream = ? AND revision >= ? ORDER BY revision`,
      );
      this.between = this.db.prepare(`SELECT ${columns} ${ofPrefix} ORDER BY position LIMIT ?`);
      this.lastBetween = this.db
        .prepare<[number, number, string, string], number>(`SELECT position ${ofPrefix} ORDER BY position DESC LIMIT 1`)
        .pluck();
      this.last = this.db.prepare<[], number | null>('SELECT max(position) FROM events').pluck();
    } catch (error) {
      this.db.close();
      throw storageError(error, file);
    }
  }

  stream(stream: string, from: number): StoredEvent[] {
    const rows = this.read(() => this.ofStream.all(stream, from));
    rows.forEach((row, index) => {
      if (row.revision === from + index) return;
      throw new Corrupt(
        `${this.file}: stream ${stream} has no revision ${from + index}, but a later one. Restore the file from a backup`,
      );
    });
    return rows.map(toEvent);
  }

  /** At most `size` events after `after`. What is later than the end, as seen first, waits for the next scan. */
  scan(after: number, size: number): Scan {
    return this.read(() => {
      const last = this.last.get() ?? 0;
      if (last <= after) return { events: [], seenTo: after, atEnd: true };
      const upTo = Math.min(last, after + SCAN_WINDOW);
      const rows = this.between.all(after, upTo, this.prefix, this.prefix, size);
      return { events: rows.map(toEvent), seenTo: rows[size - 1]?.position ?? upTo, atEnd: false };
    });
  }

  head(): number {
    return this.read(() => {
      const last = this.last.get() ?? 0;
      if (last > this.headSeen) {
        this.headAt = this.lastBetween.get(this.headSeen, last, this.prefix, this.prefix) ?? this.headAt;
        this.headSeen = last;
      }
      return this.headAt;
    });
  }

  close(): void {
    this.db.close();
  }

  private read<T>(query: () => T): T {
    if (!this.db.open) throw new Unavailable(`${this.file} was closed: open it again to read`);
    try {
      return query();
    } catch (error) {
      throw storageError(error, this.file);
    }
  }
}

const toEvent = ({ position, stream, revision, id, type, data, metadata }: Row): StoredEvent => ({
  position: BigInt(position),
  stream,
  revision,
  id,
  type,
  data,
  metadata,
});

/** How much may wait for the disk: beyond it, appends are refused at once, and memory stays bounded. */
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

interface Waiting {
  readonly append: ThreadAppend;
  readonly bytes: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The near side of the thread that writes. One message, which is one transaction, is with the thread at a time; whatever comes
 * meanwhile waits, and goes as the next one. So the fsync, which is what takes the time, is shared by all that wait for it.
 */
class Writer {
  readonly listeners = new Set<(head: number) => void>();
  stats: WriterStats = { transactions: 0, journalMode: '', synchronous: 0 };
  private waiting: Waiting[] = [];
  private inFlight: Waiting[] = [];
  private count = 0;
  private bytes = 0;
  private scheduled = false;
  /** The thread has a message that it has not answered; stuck: for so long that it is no longer waited for. */
  private busy = false;
  private stuck = false;
  private stuckTimer: NodeJS.Timeout | undefined;
  private closed = false;
  private dead = false;
  private drained: () => void = () => undefined;

  static async start({
    file,
    maxPages,
    startThread = spawn,
    answerWithinMs = 30_000,
  }: SqliteEventStoreOptions): Promise<Writer> {
    const thread = startThread();
    const writer = new Writer(thread, file, answerWithinMs);
    await new Promise<void>((resolve, reject) => {
      const died = (why: string): void => {
        writer.died(why);
        reject(new Unavailable(`the thread that writes ${file} did not start: ${why}`));
      };
      thread.on('message', (answer: FromThread) => {
        if (answer.kind === 'committed') {
          writer.answered(answer);
        } else if (answer.kind === 'refused') {
          reject(toError(answer.failure));
        } else {
          writer.stats = { transactions: 0, journalMode: answer.journalMode, synchronous: answer.synchronous };
          resolve();
        }
      });
      thread.on('error', (error) => died(error instanceof Error ? error.message : String(error)));
      thread.on('exit', (code) => died(`it ended with code ${code}`));
      writer.post({ kind: 'open', file, maxPages: maxPages ?? null });
    });
    return writer;
  }

  private constructor(
    private readonly thread: Worker,
    private readonly file: string,
    private readonly answerWithinMs: number,
  ) {}

  append(append: ThreadAppend, bytes: number): Promise<Appended> {
    const refusal = this.refusal();
    if (refusal !== null) return Promise.reject(new Unavailable(`${this.file} ${refusal}: nothing was written`));
    if (this.count >= MAX_WAITING || this.bytes + bytes > MAX_WAITING_BYTES) {
      return Promise.reject(
        new Unavailable(
          `${this.count} appends (${this.bytes} bytes) wait for the disk of ${this.file}: try again in a moment`,
        ),
      );
    }
    this.count += 1;
    this.bytes += bytes;
    return new Promise((resolve, reject) => {
      this.waiting.push({ append, bytes, resolve, reject });
      this.schedule();
    });
  }

  /** Takes nothing more; resolves when all that was taken has been answered. */
  async drain(): Promise<void> {
    this.closed = true;
    if (this.count > 0) await new Promise<void>((resolve) => (this.drained = resolve));
  }

  async close(): Promise<void> {
    await this.drain();
    if (this.dead) return;
    const gone = new Promise<void>((resolve) => this.thread.once('exit', () => resolve()));
    if (this.busy) {
      // Stuck in a call to the disk, which nothing can end: don't wait for it.
      this.thread.unref();
      return void this.thread.terminate();
    }
    this.post({ kind: 'close' });
    await gone;
  }

  /** At the end of this turn of the event loop, so that what is appended in one turn goes over together. */
  private schedule(): void {
    if (this.scheduled || this.busy) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.send();
    });
  }

  private send(): void {
    if (this.busy || this.waiting.length === 0) return;
    this.busy = true;
    this.inFlight = this.waiting;
    this.waiting = [];
    this.stuckTimer = setTimeout(() => this.gotStuck(), this.answerWithinMs);
    this.post({ kind: 'commit', appends: this.inFlight.map(({ append }) => append) });
  }

  private answered({ outcomes, transactions }: Extract<FromThread, { kind: 'committed' }>): void {
    clearTimeout(this.stuckTimer);
    this.busy = this.stuck = false;
    this.stats = { ...this.stats, transactions };
    let head = 0;
    const answered = this.inFlight;
    this.inFlight = [];
    outcomes.forEach((outcome, index) => {
      if (outcome.kind === 'appended' && outcome.fresh) head = outcome.position;
      const waiting = answered[index];
      if (waiting !== undefined) this.settle(waiting, outcome); // undefined: it was told OutcomeUnknown when the thread was stuck
    });
    if (this.waiting.length > 0) this.schedule();
    if (this.count === 0) this.drained();
    if (head > 0) for (const listener of this.listeners) listener(head);
  }

  private settle({ append, bytes, resolve, reject }: Waiting, outcome: Outcome): void {
    this.count -= 1;
    this.bytes -= bytes;
    if (outcome.kind === 'appended') resolve({ revision: outcome.revision, position: BigInt(outcome.position) });
    else if (outcome.kind === 'conflict') reject(new RevisionConflict(append.stream, append.expected, outcome.actual));
    else reject(toError(outcome.failure));
  }

  private gotStuck(): void {
    this.stuck = true;
    this.giveUp(`the disk has not answered for ${this.answerWithinMs} ms`);
  }

  private died(why: string): void {
    clearTimeout(this.stuckTimer);
    this.dead = true;
    this.busy = false;
    this.giveUp(`the thread that writes died (${why})`);
  }

  /** What is with the thread may be on disk by now, or yet come there; what still waits was never sent. */
  private giveUp(why: string): void {
    const unknown: Failure = {
      name: 'OutcomeUnknown',
      message: `${this.file}: ${why}; it may or may not be written. Repeat it with the same ids`,
    };
    const unsent: Failure = { name: 'Unavailable', message: `${this.file}: ${why}; nothing was written` };
    const { inFlight, waiting } = this;
    this.inFlight = [];
    this.waiting = [];
    for (const each of inFlight) this.settle(each, { kind: 'failed', failure: unknown });
    for (const each of waiting) this.settle(each, { kind: 'failed', failure: unsent });
    this.drained();
  }

  /** Why nothing more is taken, for good or for now; null: it is. */
  private refusal(): string | null {
    if (this.closed) return 'was closed';
    if (this.dead) return 'has lost the thread that writes it (restart Lethe)';
    if (this.stuck) return 'lies on a disk that does not answer (look at the disk; it goes on by itself)';
    return null;
  }

  private post(message: ToThread): void {
    this.thread.postMessage(message);
  }
}

/**
 * The thread runs the compiled file, whether this one is compiled or run from source by the tests. It takes none of this process's flags:
 * some are not allowed in a thread.
 */
const spawn = (): Worker =>
  new Worker(createRequire(import.meta.url).resolve('#thread/storage/event-store/sqlite.thread'), {
    name: 'event-store',
    execArgv: [],
  });

// What goes between this file and its thread.

export interface ThreadAppend {
  readonly stream: string;
  readonly expected: number;
  readonly events: readonly NewEvent[];
}

export type ToThread =
  | { readonly kind: 'open'; readonly file: string; readonly maxPages: number | null }
  | { readonly kind: 'commit'; readonly appends: readonly ThreadAppend[] }
  | { readonly kind: 'close' };

export type FromThread =
  | { readonly kind: 'opened'; readonly journalMode: string; readonly synchronous: number }
  | { readonly kind: 'refused'; readonly failure: Failure }
  | { readonly kind: 'committed'; readonly outcomes: readonly Outcome[]; readonly transactions: number };

export type Outcome =
  /** `fresh`: written now, and not found to be a repeat. */
  | { readonly kind: 'appended'; readonly revision: number; readonly position: number; readonly fresh: boolean }
  | { readonly kind: 'conflict'; readonly actual: number }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** An error on its way between threads, which keeps its class by name. */
export interface Failure {
  readonly name: 'Corrupt' | 'Full' | 'OutcomeUnknown' | 'Unavailable';
  readonly message: string;
}

const toError = ({ name, message }: Failure): Error => {
  switch (name) {
    case 'Corrupt':
      return new Corrupt(message);
    case 'Full':
      return new Full(message);
    case 'OutcomeUnknown':
      return new OutcomeUnknown(message);
    case 'Unavailable':
      return new Unavailable(message);
  }
};

// The file's format.

/** "Leth": what SQLite keeps in a file's header, so that another program's database is told from a log. */
export const APPLICATION_ID = 0x4c657468;

/** The version of the schema in sqlite.thread.ts, in `user_version`. A later version of Lethe that changes it reads and upgrades this one. */
export const FORMAT = 1;

/** Opens a connection; SQLite itself touches the file only with the first statement. */
export const openDatabase = (file: string, options: Database.Options): Database.Database => {
  try {
    return new Database(file, options);
  } catch (error) {
    // better-sqlite3 itself looks for the folder, and throws a TypeError.
    throw error instanceof TypeError
      ? new Unavailable(`${file} can't be opened: ${error.message}`)
      : storageError(error, file);
  }
};

/**
 * What a file is, before anything is done to it.
 *
 * @throws Corrupt: not a log, or one of another format
 */
export const inspect = (db: Database.Database, file: string): 'log' | 'empty' => {
  const [application, format, objects] = db.transaction(() => [
    Number(db.pragma('application_id', { simple: true })),
    Number(db.pragma('user_version', { simple: true })),
    db.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck().get(),
  ])();
  if (application === 0 && format === 0 && objects === 0) return 'empty';
  if (application !== APPLICATION_ID)
    throw new Corrupt(`${file} is a database of another program, not Lethe's log: check the path`);
  if (format === FORMAT) return 'log';
  throw new Corrupt(
    `${file} was written by a newer version of Lethe (format ${format}; this one reads ${FORMAT}): upgrade Lethe`,
  );
};

/** The port's word for an error of SQLite's; anything else is a bug and stays as it is. */
export const storageError = (error: unknown, file: string): Error => {
  if (!(error instanceof Database.SqliteError)) return error instanceof Error ? error : new Error(String(error));
  const { code, message } = error;
  if (code === 'SQLITE_FULL') return new Full(`no space is left for ${file}: make room. Nothing was written`);
  if (code === 'SQLITE_NOTADB') return new Corrupt(`${file} is not a database, so not Lethe's log: check the path`);
  // SQLITE_ERROR: our statements are fixed, so it's the tables that are not as they were made.
  if (code === 'SQLITE_ERROR' || code.startsWith('SQLITE_CORRUPT')) {
    return new Corrupt(`${file} is damaged (${message}): restore it from a backup`);
  }
  return new Unavailable(
    `${file} can't be read or written (${code}: ${message}): look at the disk, the path and its permissions`,
  );
};

// What goes in.

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_EVENTS = 100;
const MAX_APPEND_BYTES = 1024 * 1024;

/** UUIDs are numbers: their letters' case says nothing. */
const canonical = ({ id, type, data, metadata }: NewEvent): NewEvent => ({
  id: id.toLowerCase(),
  type,
  data,
  metadata,
});

/**
 * Refuses what no adapter can store, before it is queued beside others. The size counts as EventStoreDB's own limit does (`Event.SizeOnDisk`).
 *
 * @returns the size in bytes
 * @throws TypeError, RangeError: a mistake of the caller
 */
const checkAppend = (stream: string, expectedRevision: number, events: readonly NewEvent[]): number => {
  if (typeof stream !== 'string' || stream === '') throw new TypeError('an append needs the name of a stream');
  if (!Number.isSafeInteger(expectedRevision) || expectedRevision < -1) {
    throw new RangeError(
      `an expected revision is -1 or more, a whole number, not ${expectedRevision} (stream ${stream})`,
    );
  }
  if (events.length < 1 || events.length > MAX_EVENTS) {
    throw new RangeError(`an append holds 1 to ${MAX_EVENTS} events, not ${events.length} (stream ${stream})`);
  }
  let bytes = 0;
  for (const { id, type, data, metadata } of events) {
    if (typeof id !== 'string' || !UUID.test(id))
      throw new TypeError(`an event's id is a UUID, not ${id} (stream ${stream})`);
    for (const [name, text] of Object.entries({ type, data, metadata })) {
      if (typeof text !== 'string' || text === '')
        throw new TypeError(`an event's ${name} is a text, and not empty (stream ${stream}, event ${id})`);
    }
    bytes += 2 * type.length + Buffer.byteLength(data) + Buffer.byteLength(metadata);
  }
  if (bytes > MAX_APPEND_BYTES)
    throw new RangeError(`an append holds at most ${MAX_APPEND_BYTES} bytes, not ${bytes} (stream ${stream})`);
  return bytes;
};

const checkBatch = (from: Position, batchSize = 1_000): number => {
  if (from < 0n) throw new RangeError(`a position is 0 or more, not ${from}`);
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw new RangeError(`a batch holds 1 event or more, not ${batchSize}`);
  return batchSize;
};
