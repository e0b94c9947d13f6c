import Database from 'better-sqlite3';
import { Corrupt, Full, Unavailable } from '../errors.js';

/** "Leth": what SQLite keeps in a file's header, so that another program's database is told from a log. */
export const APPLICATION_ID = 0x4c657468;

/** The version of the schema in sqlite.file.ts, in `user_version`. A later version of Lethe that changes it reads and upgrades this one. */
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
