import type Database from 'better-sqlite3';
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Unavailable } from '../errors.js';
import { APPLICATION_ID, FORMAT, inspect, openDatabase } from './sqlite.format.js';

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

/** Opens the file, makes it where there is none, and sees to it that its name is on disk as safely as its content. */
export const openForWriting = (file: string): Database.Database => {
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

export const fsyncFolder = (folder: string): void => {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
};
