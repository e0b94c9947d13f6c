import type Database from 'better-sqlite3';
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parentPort, type MessagePort } from 'node:worker_threads';
import { Corrupt, Full, OutcomeUnknown, Unavailable } from '../errors.js';
import { APPLICATION_ID, FORMAT, inspect, openDatabase, storageError } from './sqlite.format.js';
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

/** A change of these lines is a new FORMAT. STRICT: what comes out has the type that went in. AUTOINCREMENT: no position is given out twice. */
const SCHEMA = `
  CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    stream   TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    id       TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    data     TEXT    NOT NULL,
    metadata TEXT    NOT NULL,
    UNIQUE (stream, revision)
  ) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT};
`;

/** How long to wait for another process that writes the same file. The folder's lock keeps Lethe's own away. */
const BUSY_MS = 5_000;
/** The write-ahead log is emptied into the file at each 4 MiB, and cut to this where a burst made it longer. */
const WAL_PAGES = 1_000;
const WAL_KEPT_BYTES = 64 * 1024 * 1024;
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

/** Opens the file, makes it where there is none, and sees to it that its name is on disk as safely as its content. */
const openForWriting = (file: string): Database.Database => {
  const folder = dirname(resolve(file));
  const made = makeFolder(folder);
  const db = openDatabase(file, { timeout: BUSY_MS });
  try {
    const found = inspect(db, file); // before the first pragma that would change somebody else's file
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('fullfsync = ON'); // on macOS a plain fsync leaves the bytes in the disk's own cache
    db.pragma('checkpoint_fullfsync = ON');
    db.pragma(`wal_autocheckpoint = ${WAL_PAGES}`);
    db.pragma(`journal_size_limit = ${WAL_KEPT_BYTES}`);
    if (found === 'empty') {
      // Asked again inside, for another may have been quicker.
      const create = db.transaction(() => {
        if (inspect(db, file) === 'empty') db.exec(SCHEMA);
      });
      create.immediate();
    }
    for (const each of made) fsyncFolder(each);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
};

/** @returns the folders whose list of names has changed, or will by the file */
const makeFolder = (folder: string): string[] => {
  try {
    const first = mkdirSync(folder, { recursive: true });
    const changed = [folder];
    for (let at = folder; first !== undefined && at.length >= first.length; at = dirname(at)) changed.push(dirname(at));
    return changed;
  } catch (error) {
    throw new Unavailable(
      `the folder ${folder} can't be made (${error instanceof Error ? error.message : String(error)})`,
    );
  }
};

const fsyncFolder = (folder: string): void => {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
};

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
