import { getSystemErrorMap } from 'node:util';
import { Full, InvalidPath, Unavailable } from '../errors.js';

/** The code of an error that the operating system gave (`ENOENT`, …); `null` for every other error. */
export function systemCode(error: unknown): string | null {
  const fromSystem = error instanceof Error && 'syscall' in error && 'code' in error;
  return fromSystem && typeof error.code === 'string' ? error.code : null;
}

/**
 * Runs one step on the disk, and turns what the system says into the port's errors: `doing` is a verb, `path` the caller's. What is no
 * system error passes as it is, so never run a caller's own code (a body, `publish`) in here: its errors are to come back untouched.
 *
 * The system's own messages name absolute paths; ours name the path below the root only.
 */
export async function onDisk<T>(doing: string, path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw inOurWords(error, doing, path);
  }
}

function inOurWords(error: unknown, doing: string, path: string): unknown {
  const code = systemCode(error);
  if (code === null) return error;

  const place = path === '' ? 'the root' : JSON.stringify(path);
  const said = `could not ${doing} ${place}: ${code} (${descriptionOf(error)})`;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Full(`${said}. Nothing was stored; free some space or raise the quota, then try again`);
    case 'ENAMETOOLONG':
    case 'EILSEQ':
      return new InvalidPath(`${said}. This file system can't hold such a name; choose another`);
    case 'ELOOP':
      return new InvalidPath(`${said}. There is a symbolic link on the way, and none is followed below the root`);
    case 'EACCES':
    case 'EPERM':
      return new Unavailable(`${said}. Give the service's user the rights to do so`);
    case 'EROFS':
      return new Unavailable(`${said}. Mount the storage read-write`);
    case 'EMFILE':
    case 'ENFILE':
      return new Unavailable(`${said}. Raise the limit of open files, or send less at once`);
    default:
      return new Unavailable(said);
  }
}

function descriptionOf(error: unknown): string {
  const number = error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? error.errno : 0;
  return getSystemErrorMap().get(number)?.[1] ?? 'no further description';
}
