import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { etagOf } from '../../src/storage/object-store/filesystem.seen.js';

/** A file that lay somewhere once: another that takes its place is another one. */
export interface Lain {
  readonly location: string;
  readonly etag: string;
  readonly size: number;
  /** base64url without padding, as records carry it. */
  readonly md5: string;
}

export const md5Of = (content: Uint8Array): string => createHash('md5').update(content).digest('base64url');

/** What lies in the storages' folders, as anybody sees it who looks at the disk. */
export class Disk {
  /** By location: read once for as long as it stays the same file. */
  private known = new Map<string, Lain>();

  /** @param roots folders of storages; those of nested storages lie within */
  constructor(private readonly roots: readonly string[]) {}

  /** Every file, but for what the store itself keeps below `.lethe/` (its owner, unfinished files, listings of deletions). */
  scan(): Map<string, Lain> {
    const found = new Map<string, Lain>();
    for (const root of this.roots) {
      for (const location of filesBelow(root)) {
        if (/\/\.lethe\/(owner$|tmp\/|deletions\/)/.test(location)) continue;
        const lain = this.look(location);
        if (lain !== null) found.set(location, lain);
      }
    }
    this.known = found;
    return found;
  }

  look(location: string): Lain | null {
    const stats = lstatSync(location, { bigint: true, throwIfNoEntry: false });
    if (stats?.isFile() !== true) return null;
    const etag = etagOf(stats);
    const known = this.known.get(location);
    if (known?.etag === etag) return known;
    return { location, etag, size: Number(stats.size), md5: md5Of(readFileSync(location)) };
  }
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });

/** A folder's listing as an `ObjectDeletionStarted` names it by its digest. `base` is the storage's folder, with `/` at the end. */
const digestOf = (base: string, files: readonly Lain[]): string => {
  const digest = createHash('sha256');
  for (const { location, etag, size } of files)
    digest.update(`${JSON.stringify([location.slice(base.length), etag, size, null])}\n`);
  return digest.digest('base64url');
};

/** Beyond this there are too many sets to try. */
const MOST = 14;

/**
 * Which of the files that ever lay in a folder a digest names: the one set of `objects` files that has it. Null where none does, or too many
 * would have to be tried.
 */
export const namedBy = (
  digest: string,
  objects: number,
  base: string,
  candidates: readonly Lain[],
): readonly Lain[] | null => {
  const sorted = candidates.toSorted((a, b) => Buffer.compare(Buffer.from(a.location), Buffer.from(b.location)));
  if (sorted.length > MOST) return null;
  for (let set = 0; set < 2 ** sorted.length; set += 1) {
    const files = sorted.filter((_, index) => (set >> index) % 2 === 1);
    if (files.length === objects && digestOf(base, files) === digest) return files;
  }
  return null;
};
