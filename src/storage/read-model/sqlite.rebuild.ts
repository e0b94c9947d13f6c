import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Full, Unavailable } from '../errors.js';
import type { Rebuild } from './port.js';
import { openSqliteReadModel } from './sqlite.js';

/** What SQLite keeps beside a file while it is open, and where it was not closed in order. */
const BESIDE = ['-wal', '-shm'];

/**
 * Begins a new model in a file beside `file`; one that an earlier attempt has left is thrown away. Nobody else may have either open: the
 * caller holds the data folder.
 *
 * @throws Unavailable, Full, Corrupt as `openSqliteReadModel` does
 */
export const rebuildSqliteReadModel = async (file: string): Promise<Rebuild> => {
  const built = besides(file);
  await onDisk(built, () => remove(built));
  const model = await openSqliteReadModel({ file: built, mode: 'read-write' });
  return {
    model,
    replace: async () => {
      await model.close();
      await onDisk(file, () => takePlace(built, file));
      return true; // the caller holds the folder: nobody carried the other one further
    },
    close: async () => {
      await model.close();
      await onDisk(built, () => remove(built));
    },
  };
};

/** Where a model is built that is to take the place of the one in `file`. */
const besides = (file: string): string => `${file}.new`;

/**
 * The old file goes before its write-ahead log, and that before the new file comes: SQLite would take an old log beside a new file for
 * its own. A crash in between leaves no model at all, which the next start builds from the log.
 */
const takePlace = async (built: string, file: string): Promise<void> => {
  await synced(built);
  await rm(file, { force: true });
  await synced(dirname(file));
  for (const ending of BESIDE) await rm(file + ending, { force: true });
  await synced(dirname(file));
  await rename(built, file);
  await synced(dirname(file));
};

const remove = async (file: string): Promise<void> => {
  for (const ending of ['', ...BESIDE]) await rm(file + ending, { force: true });
};

const synced = async (path: string): Promise<void> => {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** @throws Full, Unavailable */
const onDisk = async (file: string, work: () => Promise<void>): Promise<void> => {
  try {
    await work();
  } catch (cause) {
    const what = `the read model ${file} could not be replaced: ${cause instanceof Error ? cause.message : String(cause)}`;
    const code = cause instanceof Error && 'code' in cause ? cause.code : null;
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new Full(`${what}. Free some space, then rebuild again`, { cause });
    throw new Unavailable(`${what}. Look at the folder and its permissions, then rebuild again`, { cause });
  }
};
