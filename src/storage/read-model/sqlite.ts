import Database from 'better-sqlite3';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Unavailable } from '../errors.js';
import type { ReadModel } from './port.js';
import { asStorageError } from './sqlite.errors.js';
import { ReadableModel } from './sqlite.readable.js';
import { isMade } from './sqlite.schema.js';
import { WritableModel, prepare } from './sqlite.writable.js';

/**
 * The read model in an SQLite file.
 *
 * `read-write` is for the projector, which has a thread of its own: all work is done at once on the calling thread. A file that is not
 * there, or of another version, is made anew with its checkpoint at 0. Indexes that a load left out when it died are made again.
 *
 * `read-only` is for whoever answers requests: `get` and `checkpoint` are read at once (microseconds), what may scan runs in a thread.
 * A file that the projector has yet to make is waited for.
 *
 * @throws Unavailable: the file cannot be opened, or nobody made it in time. Corrupt: it is no read model, or damaged. Full.
 */
export function openSqliteReadModel(options: SqliteReadModelOptions): Promise<ReadModel> {
  const { file, mode, madeWithinMs = MADE_WITHIN_MS } = options;
  return mode === 'read-write' ? openWritable(file) : openReadable(file, madeWithinMs);
}

export interface SqliteReadModelOptions {
  readonly file: string;
  readonly mode: 'read-write' | 'read-only';
  /** How long `read-only` waits for the projector to make the file: 10 seconds. */
  readonly madeWithinMs?: number;
}

const openWritable = async (file: string): Promise<ReadModel> => {
  if (!existsSync(dirname(file))) throw new Unavailable(`the folder of the read model ${file} does not exist: make it`);
  return opened(file, {}, (db) => {
    prepare(db);
    return new WritableModel(db);
  });
};

const MADE_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 10;

/** Looks again and again: a file system's notice may come before the projector's commit can be seen, or not at all. */
const openReadable = async (file: string, withinMs: number): Promise<ReadModel> => {
  const late = AbortSignal.timeout(withinMs);
  let found = lookFor(file);
  while (!late.aborted && found.model === null) {
    await setTimeout(LOOK_AGAIN_MS);
    found = lookFor(file);
  }
  if (found.model !== null) return found.model;
  throw new Unavailable(
    `nobody made the read model ${file} within ${withinMs / 1000} s: see what its projector (the worker role) says`,
    { cause: found.cause },
  );
};

/** Nothing yet while the projector is about to make the file, or to remake one of another version. */
const lookFor = (file: string): { model: ReadModel | null; cause?: unknown } => {
  if (!existsSync(file)) return { model: null };
  try {
    return opened(file, { readonly: true, fileMustExist: true }, (db) => {
      if (isMade(db)) return { model: new ReadableModel(db) };
      db.close();
      return { model: null };
    });
  } catch (cause) {
    if (cause instanceof Unavailable) return { model: null, cause };
    throw cause;
  }
};

const opened = <T>(file: string, options: Database.Options, use: (db: Database.Database) => T): T => {
  let db: Database.Database | null = null;
  try {
    db = new Database(file, options);
    return use(db);
  } catch (error) {
    db?.close();
    throw asStorageError(file, error);
  }
};
