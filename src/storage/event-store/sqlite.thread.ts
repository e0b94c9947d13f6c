import type Database from 'better-sqlite3';
import { parentPort, type MessagePort } from 'node:worker_threads';
import { Corrupt, Full, OutcomeUnknown, Unavailable } from '../errors.js';
import { openForWriting } from './sqlite.file.js';
import { storageError } from './sqlite.format.js';
import type { Failure, FromThread, Outcome, ThreadAppend, ToThread } from './sqlite.wire.js';

/**
 * The thread that writes the log, and that waits for the disk so that nobody else has to. Started by sqlite.writer.ts, which says what to
 * open, then sends the appends of one transaction per message, and the next only after the answer.
 */
const serve = (port: MessagePort): void => {
  const answer = (message: FromThread): void => port.postMessage(message);
  let log: Log | null = null;
  port.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'open':
        try {
          log = new Log(message);
          answer({ kind: 'opened', journalMode: log.journalMode, synchronous: log.synchronous });
        } catch (error) {
          answer({ kind: 'refused', failure: toFailure(storageError(error, message.file)) });
          port.close();
        }
        break;
      case 'commit':
        if (log === null) throw new Error('nothing was opened to commit to');
        answer({ kind: 'committed', outcomes: log.commit(message.appends), transactions: log.transactions });
        break;
      case 'close':
        log?.close();
        port.close();
    }
  });
};

const FULL = 2;

class Log {
  transactions = 0;
  readonly journalMode: string;
  readonly synchronous: number;
  private readonly db: Database.Database;
  private readonly begin: Database.Statement<[]>;
  private readonly end: Database.Statement<[]>;
  private readonly lastRevision: Database.Statement<[string], number>;
  private readonly after: Database.Statement<[string, number, number], { id: string; position: number }>;
  private readonly insert: Database.Statement<[string, number, string, string, string, string]>;

  private readonly file: string;

  constructor({ file, maxPages }: { file: string; maxPages: number | null }) {
    this.file = file;
    this.db = openForWriting(file);
    this.journalMode = String(this.db.pragma('journal_mode', { simple: true }));
    this.synchronous = Number(this.db.pragma('synchronous', { simple: true }));
    if (this.journalMode !== 'wal' || this.synchronous !== FULL) {
      throw new Unavailable(
        `${file} can't be kept safely where it lies (journal ${this.journalMode}, synchronous ${this.synchronous}): use a local disk`,
      );
    }
    if (maxPages !== null) this.db.pragma(`max_page_count = ${maxPages}`);
    this.begin = this.db.prepare('BEGIN IMMEDIATE');
    this.end = this.db.prepare('COMMIT');
    this.lastRevision = this.db
      .prepare<[string], number>('SELECT revision FROM events WHERE stream = ? ORDER BY revision DESC LIMIT 1')
      .pluck();
    this.after = this.db.prepare(
      'SELECT id, position FROM events WHERE stream = ? AND revision > ? ORDER BY revision LIMIT ?',
    );
    this.insert = this.db.prepare(
      'INSERT INTO events (stream, revision, id, type, data, metadata) VALUES (?, ?, ?, ?, ?, ?)',
    );
  }

  /** All appends in one transaction. Those that are refused wrote nothing in it, and leave the others alone. */
  commit(appends: readonly ThreadAppend[]): Outcome[] {
    let ending = false;
    try {
      this.begin.run();
      const outcomes = appends.map((append) => this.settled(append) ?? this.write(append));
      ending = true;
      this.end.run();
      if (outcomes.some((outcome) => outcome.kind === 'appended' && outcome.fresh)) this.transactions += 1;
      return outcomes;
    } catch (error) {
      if (this.db.inTransaction) this.db.exec('ROLLBACK');
      const failure = this.failureOf(error, ending);
      return appends.map((append) => this.afterFailure(append, failure));
    }
  }

  close(): void {
    this.db.close();
  }

  /** What an append is answered without writing; null: it can be written. Earlier appends of the same transaction count. */
  private settled({ stream, expected, events }: ThreadAppend): Outcome | null {
    const actual = this.lastRevision.get(stream) ?? -1;
    if (actual === expected) return null;
    const there = this.after.all(stream, expected, events.length);
    const last = there.at(-1);
    const repeated = there.length === events.length && there.every(({ id }, index) => id === events[index]?.id);
    if (last === undefined || !repeated) return { kind: 'conflict', actual };
    return { kind: 'appended', revision: expected + events.length, position: last.position, fresh: false };
  }

  private write({ stream, expected, events }: ThreadAppend): Outcome {
    let position = 0;
    events.forEach(({ id, type, data, metadata }, index) => {
      const { lastInsertRowid } = this.insert.run(stream, expected + 1 + index, id, type, data, metadata);
      position = Number(lastInsertRowid);
    });
    return { kind: 'appended', revision: expected + events.length, position, fresh: true };
  }

  /**
   * Up to the COMMIT nothing can be on disk, and a full disk leaves the commit's own last record out. Where the COMMIT fails in
   * any other way (an fsync that the disk refused), its records may be there whole, and a restart would find them.
   */
  private failureOf(error: unknown, ending: boolean): Failure {
    const failure = toFailure(storageError(error, this.file));
    if (!ending || failure.name === 'Full') return failure;
    return {
      name: 'OutcomeUnknown',
      message: `${failure.message}. The events may or may not be written: repeat with the same ids`,
    };
  }

  /** Who repeats an append that is on disk already must not hear that nothing was written, whatever happened to the others. */
  private afterFailure(append: ThreadAppend, failure: Failure): Outcome {
    try {
      return this.settled(append) ?? { kind: 'failed', failure };
    } catch (error) {
      const { message } = storageError(error, this.file);
      return {
        kind: 'failed',
        failure: { name: 'OutcomeUnknown', message: `${message}. Whether this was appended before can't be told` },
      };
    }
  }
}

const toFailure = (error: Error): Failure => {
  const { message } = error;
  if (error instanceof Full) return { name: 'Full', message };
  if (error instanceof Corrupt) return { name: 'Corrupt', message };
  if (error instanceof OutcomeUnknown) return { name: 'OutcomeUnknown', message };
  if (error instanceof Unavailable) return { name: 'Unavailable', message };
  throw error; // a bug: the thread dies of it, which sqlite.writer.ts reports
};

if (parentPort === null) throw new Error('sqlite.thread.js is started by sqlite.js as a worker thread');
serve(parentPort);
