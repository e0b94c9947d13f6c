import Database from 'better-sqlite3';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Corrupt, Unavailable } from '../errors.js';

/** One process at a time has a data folder open: this one, until it releases the lock or ends, however it ends. */
export interface FolderLock {
  /** Tells others under which URL this process can be reached, instead of opening the folder themselves. */
  publish(url: string): void;
  /** Lets the next one in. Safe to repeat. */
  release(): void;
}

/** Who holds a folder. `pid` is null where the holder has only just taken it and not yet written who it is. */
export interface LockHolder {
  readonly pid: number | null;
  /** Where the holder answers; null when it serves nothing, or not yet. */
  readonly url: string | null;
}

export class FolderLocked extends Error {
  override readonly name = 'FolderLocked';
  readonly pid: number | null;
  readonly url: string | null;

  constructor(
    readonly folder: string,
    { pid, url }: LockHolder,
  ) {
    const who = pid === null ? 'another process' : `process ${pid}`;
    const where = url === null ? '' : `, which answers at ${url}`;
    const instead =
      url === null ? 'Wait for it to end, or stop it' : `Use ${url} instead (--url, LETHE_URL), or stop it`;
    super(`the data folder ${folder} is in use by ${who}${where}. ${instead}`);
    this.pid = pid;
    this.url = url;
  }
}

/**
 * Takes a data folder for this process, and makes the folder where there is none.
 *
 * What locks is SQLite's lock on `lock.sqlite`, which the operating system takes back from a process that ends, kill -9 included.
 * `lock.json` beside it only says who that is, and means nothing while nobody holds the lock. Nothing else may open `lock.sqlite`: POSIX
 * drops a process's locks on a file as soon as that process closes the file anywhere.
 *
 * @throws FolderLocked: another process has it, or this one already. Unavailable: the folder can't be written. Corrupt: `lock.sqlite` is not ours.
 */
export const lockDataFolder = (folder: string, now: () => Date): FolderLock => {
  makeFolder(folder);
  const db = take(folder);
  if (db === null) throw new FolderLocked(folder, readHolder(folder));
  held.add(db);

  const startedAt = now().toISOString();
  const write = (url: string | null): void => writeHolder(folder, { pid: process.pid, url, startedAt });
  try {
    write(null);
  } catch (error) {
    letGo(db);
    throw error;
  }
  return {
    publish(url) {
      if (db.open) write(url);
    },
    release() {
      if (!db.open) return;
      rmSync(join(folder, HOLDER), { force: true }); // while the lock is still ours: the next one's must not go
      letGo(db);
    },
  };
};

/** Who holds a folder now; null when nobody does. Asks for the lock itself, so a `lock.json` that a dead process left does not deceive it. */
export const readLock = (folder: string): LockHolder | null => (isHeld(folder) ? readHolder(folder) : null);

const LOCK = 'lock.sqlite';
const HOLDER = 'lock.json';

/** Long enough to outwait somebody's `readLock`, which looks for a moment. */
const WAIT_MS = 250;

/** A connection that the garbage collector takes loses its lock. These are kept for as long as the process lives. */
const held = new Set<Database.Database>();

/** @returns the connection that holds the lock; null when another does */
const take = (folder: string): Database.Database | null => {
  let db: Database.Database | null = null;
  try {
    db = new Database(join(folder, LOCK), { timeout: WAIT_MS });
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE'); // never ended: nothing is written, and nobody else so much as reads
    return db;
  } catch (error) {
    db?.close();
    return ifBusy(error, folder, null);
  }
};

const isHeld = (folder: string): boolean => {
  if (!existsSync(join(folder, LOCK))) return false;
  let db: Database.Database | null = null;
  try {
    db = new Database(join(folder, LOCK), { readonly: true, fileMustExist: true, timeout: 0 });
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    return ifBusy(error, folder, true);
  } finally {
    db?.close();
  }
};

const letGo = (db: Database.Database): void => {
  held.delete(db);
  db.close();
};

const Holder = z.object({ pid: z.number().int(), url: z.string().nullable(), startedAt: z.string() });

const readHolder = (folder: string): LockHolder => {
  try {
    const { pid, url } = Holder.parse(JSON.parse(readFileSync(join(folder, HOLDER), 'utf8')));
    return { pid, url };
  } catch {
    return { pid: null, url: null }; // not there yet, or not readable: that the folder is held is certain all the same
  }
};

const writeHolder = (folder: string, holder: z.infer<typeof Holder>): void => {
  const temporary = join(folder, `${HOLDER}.new`); // only the holder ever writes it
  try {
    writeFileSync(temporary, `${JSON.stringify(holder, null, 2)}\n`);
    renameSync(temporary, join(folder, HOLDER));
  } catch (error) {
    throw new Unavailable(`${join(folder, HOLDER)} can't be written: ${messageOf(error)}`);
  }
};

const makeFolder = (folder: string): void => {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Unavailable(`the data folder ${folder} can't be made: ${messageOf(error)}`);
  }
};

/** What "somebody holds it" answers; anything else that SQLite says is an error. */
const ifBusy = <T>(error: unknown, folder: string, busy: T): T => {
  const code = error instanceof Database.SqliteError ? error.code : '';
  if (code.startsWith('SQLITE_BUSY')) return busy;
  const file = join(folder, LOCK);
  if (code === 'SQLITE_NOTADB') throw new Corrupt(`${file} is not what Lethe wrote there: remove it`);
  throw new Unavailable(`${file} can't be locked: ${messageOf(error)}. Look at the folder and its permissions`);
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
