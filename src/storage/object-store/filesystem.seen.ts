import type { BigIntStats } from 'node:fs';
import { InvalidPath } from '../errors.js';
import type { SeenFile } from './port.js';

/** The last moment that RFC 3339 can write; some file systems hold later ones. */
const LATEST = '9999-12-31T23:59:59.999Z';

/** `null`: there is none. @throws InvalidPath for what is no file and no folder. */
export function plainFile(path: string, stats: BigIntStats | null): BigIntStats | null {
  if (stats === null || stats.isFile()) return stats;
  if (stats.isDirectory()) return null;
  if (stats.isSymbolicLink())
    throw new InvalidPath(`${JSON.stringify(path)} is a symbolic link; none is followed below the root`);
  throw new InvalidPath(`${JSON.stringify(path)} is neither a file nor a folder, but a device, a pipe or a socket`);
}

export function seenFrom(stats: BigIntStats): SeenFile {
  const modified = stats.mtime.getTime() <= Date.parse(LATEST) ? stats.mtime.toISOString() : LATEST;
  return { etag: etagOf(stats), size: Number(stats.size), modifiedAt: modified, versions: null };
}

export function etagOf(stats: BigIntStats): string {
  return [stats.ino, stats.size, stats.mtimeNs].map((part) => part.toString(16)).join('-');
}
