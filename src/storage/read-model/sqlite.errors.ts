import Database from 'better-sqlite3';
import { Corrupt, Full, Unavailable } from '../errors.js';

/** What goes from the query thread to its caller: an error's class does not survive the message. */
export interface Failure {
  readonly kind: string;
  readonly message: string;
}

/** One of the port's few errors where the driver's says as much; anything else is a bug and stays as it is. */
export const asStorageError = (file: string, error: unknown): unknown => {
  if (!(error instanceof Database.SqliteError)) return error;
  const what = `the read model ${file}: ${error.message} (${error.code})`;
  if (/^SQLITE_FULL/.test(error.code)) {
    return new Full(`${what}. Free some space on its disk; the projector goes on by itself`, { cause: error });
  }
  if (/^SQLITE_(CORRUPT|NOTADB|FORMAT)/.test(error.code)) return corrupt(file, what, error);
  if (/^SQLITE_(BUSY|LOCKED|CANTOPEN|IOERR|READONLY|PERM|AUTH|PROTOCOL|NOMEM|INTERRUPT)/.test(error.code)) {
    return new Unavailable(
      `${what}. Nothing was written; check the disk, its permissions, and who else has the file open`,
      {
        cause: error,
      },
    );
  }
  return error;
};

export const corrupt = (file: string, what: string, cause?: unknown): Corrupt =>
  new Corrupt(
    `${what}. The file is damaged, and nothing in it is lost: stop Lethe, delete ${file}, ${file}-wal and ${file}-shm, ` +
      'and start again; the model is rebuilt from the log',
    { cause },
  );

/** Runs `work`; what the driver throws comes out as one of the port's errors. */
export const guarded = <T>(db: Database.Database, work: () => T): T => {
  if (!db.open) throw new Unavailable(`the read model ${db.name} was closed: open it again`);
  try {
    return work();
  } catch (error) {
    throw asStorageError(db.name, error);
  }
};

export const toFailure = (error: unknown): Failure =>
  error instanceof Error ? { kind: error.name, message: error.message } : { kind: 'Error', message: String(error) };

export const fromFailure = ({ kind, message }: Failure): Error => {
  const Known = [Corrupt, Full, Unavailable, RangeError].find(({ name }) => name === kind) ?? Error;
  return new Known(message);
};
