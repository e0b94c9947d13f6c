import type Database from 'better-sqlite3';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { StoredEvent } from './port.js';
import { fsyncFolder, openForWriting } from './sqlite.file.js';
import { storageError } from './sqlite.format.js';
import { Reader } from './sqlite.reader.js';

/**
 * A log that is laid down as another one held it, positions included: events name positions, and mean those of the log that they were
 * written to. It grows in a file of its own, which takes the log's place once it is whole: nobody ever opens half of it.
 */
export interface SqliteImport {
  /** A log with events lies at its place already, be it the one that an import before this one brought. */
  readonly isThere: boolean;
  /** The events of that log, else of an import that broke off, in their order. */
  held(): Iterable<StoredEvent>;
  /** Forgets what an import that broke off has left. */
  startOver(): void;
  /** Adds events in one transaction, which is on disk when this returns. @throws Full, Unavailable: nothing was written */
  lay(events: readonly StoredEvent[]): void;
  /** Puts the log at its place. Nothing can be laid after that. */
  finish(): void;
  /** Lets go of the file; what is not finished stays, to be gone on with. */
  close(): void;
}

const PAGE = 1_000;

/** Only for whoever holds the data folder's lock. @throws Corrupt, Unavailable, Full */
export const openSqliteImport = ({
  file,
  prefix,
}: {
  readonly file: string;
  readonly prefix: string;
}): SqliteImport => {
  const unfinished = `${file}.importing`;
  const isThere = existsSync(file) && hasEvents(file);
  let db: Database.Database | null = isThere ? null : openForWriting(unfinished);
  const close = (): void => {
    db?.close();
    db = null;
  };
  return {
    isThere,
    *held() {
      const reader = new Reader(isThere ? file : unfinished, prefix);
      try {
        for (let after = 0; ;) {
          const { events, seenTo, atEnd } = reader.scan(after, PAGE);
          yield* events;
          if (atEnd) return;
          after = seenTo;
        }
      } finally {
        reader.close();
      }
    },
    startOver: () => {
      close();
      remove(unfinished);
      db = openForWriting(unfinished);
    },
    lay: (events) => {
      if (db === null) throw new Error('nothing can be laid into a log that is at its place');
      insert(db, events, unfinished);
    },
    finish: () => {
      close(); // SQLite empties the write-ahead log into the file with the last connection
      remove(file);
      renameSync(unfinished, file);
      fsyncFolder(dirname(resolve(file)));
    },
    close,
  };
};

const hasEvents = (file: string): boolean => {
  const db = openForWriting(file);
  try {
    return db.prepare<[], number>('SELECT EXISTS (SELECT 1 FROM events)').pluck().get() === 1;
  } catch (error) {
    throw storageError(error, file);
  } finally {
    db.close();
  }
};

const insert = (db: Database.Database, events: readonly StoredEvent[], file: string): void => {
  const statement = db.prepare<[bigint, string, number, string, string, string, string]>(
    'INSERT INTO events (position, stream, revision, id, type, data, metadata) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const all = db.transaction(() => {
    for (const { position, stream, revision, id, type, data, metadata } of events)
      statement.run(position, stream, revision, id, type, data, metadata);
  });
  try {
    all.immediate();
  } catch (error) {
    throw storageError(error, file);
  }
};

const remove = (file: string): void => {
  for (const rest of ['', '-wal', '-shm']) rmSync(`${file}${rest}`, { force: true });
};
