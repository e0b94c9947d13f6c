import { resolve } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { InvalidPath, Unavailable } from '../errors.js';
import { FileBody } from './filesystem.body.js';
import { onDisk } from './filesystem.errors.js';
import { descend, Folder, type Reach } from './filesystem.folder.js';
import { filesBelow } from './filesystem.listing.js';
import { parseFile, parseFolder, type Names } from './paths.js';
import { publish, refuseTaken } from './filesystem.publish.js';
import { bestReach, makeRoot } from './filesystem.root.js';
import { etagOf, plainFile, seenFrom } from './filesystem.seen.js';
import { Unfinished } from './filesystem.unfinished.js';
import type { ObjectStore, SeenFile, SeenObject, UnfinishedUpload } from './port.js';

export interface FilesystemOptions {
  /** The storage's folder. It, and what is above it, may be links; none below it is followed. */
  readonly root: string;
  /** A new name at each call, for an unfinished upload: one part of a path, and hardly ever the same twice. */
  readonly random: () => string;
  /** Make the root if it is missing. Without: while it is missing each call is `Unavailable`. Only the start makes it: later it is a disk that is gone. */
  readonly create: boolean;
  /** How names are reached; left out: the best way that this machine has. */
  readonly reach?: Reach;
}

/**
 * A folder as an object store, on one machine.
 *
 * Files are put together in `.lethe/tmp/` and come to their path by a hard link, which creates or fails, atomically; where the file system has
 * no hard links, each `put` is `Unavailable`. What a crash leaves in `.lethe/tmp/` is listed as every object below `.lethe/` is.
 *
 * An object is a plain file. Symbolic links are never followed and never listed; nor are devices, sockets, pipes, and names that no path can
 * hold. `etag` is the file's inode, size and time of modification. The time of its status change is left out: a `chmod` moves it, and every
 * hard link to it (a backup's, or our own of an upload). So a file is taken for the one before it if it has the same size, got the same inode
 * again, and was written in the same tick of the kernel's clock: up to 10 ms; since Linux 6.13 most file systems tell finer times apart.
 *
 * No file system deletes on a condition: `delete` looks right before, and what takes the file's place in the microseconds between is deleted.
 *
 * @throws Unavailable: the root is missing and can't be made.
 */
export async function openFilesystemStore(options: FilesystemOptions): Promise<ObjectStore> {
  const root = resolve(options.root);
  if (options.create) await makeRoot(root);
  return new FilesystemStore(root, options.reach === undefined ? await bestReach() : options.reach, options.random);
}

/** Holds nothing between calls: the root is opened anew each time, so a disk may go and come back. */
class FilesystemStore implements ObjectStore {
  constructor(
    private readonly root: string,
    private readonly reach: Reach,
    private readonly random: () => string,
  ) {}

  /** A `body` that was not read to its end is destroyed. */
  async put(
    path: string,
    body: Readable,
    options: { publish?: () => Promise<void>; signal?: AbortSignal } = {},
  ): Promise<SeenFile> {
    const { signal } = options;
    // A body may fail while nobody reads it, and an error that nobody listens to ends the process. Whoever reads it next gets it all the same.
    body.on('error', () => undefined);
    try {
      const target = { path, ...parseFile(path) };
      refuseReserved(path);
      signal?.throwIfAborted();
      return await this.withRoot(async (root) => {
        await onDisk('store', path, () => refuseTaken(root, target));
        const file = await Unfinished.begin(root, path, this.random);
        try {
          const stats = await file.receive(signal === undefined ? body : addAbortSignal(signal, body));
          signal?.throwIfAborted();
          await options.publish?.();
          signal?.throwIfAborted();
          await publish(root, target, file, 'create');
          return seenFrom(stats);
        } finally {
          await file.close();
        }
      });
    } catch (error) {
      body.destroy();
      // A body that the signal destroyed says only that; why is the signal's to say.
      if (error instanceof Error && error.name === 'AbortError') signal?.throwIfAborted();
      throw error;
    }
  }

  /** @throws OutcomeUnknown: the new content is there, but may not last. Repeat. */
  async replace(path: string, content: string): Promise<void> {
    const target = { path, ...parseFile(path) };
    refuseReserved(path);
    if (!path.startsWith('.lethe/'))
      throw new InvalidPath(`${JSON.stringify(path)} is not below .lethe/, and only Lethe's own files are replaced`);
    await this.withRoot(async (root) => {
      const file = await Unfinished.begin(root, path, this.random);
      try {
        await file.receive(Readable.from([Buffer.from(content)]));
        await publish(root, target, file, 'replace');
      } finally {
        await file.close();
      }
    });
  }

  async get(
    path: string,
    range?: { start: number; end: number },
    signal?: AbortSignal,
  ): Promise<{ seen: SeenFile; body: Readable } | null> {
    const { folder, name } = parseFile(path);
    if (range !== undefined) checkRange(range);
    signal?.throwIfAborted();
    return this.within('read', path, folder, null, async (parent) => {
      if (plainFile(path, await parent.look(name)) === null) return null;
      const file = await parent.open(name);
      if (file === null) return null;
      try {
        const stats = plainFile(path, await file.stat({ bigint: true }));
        if (stats === null)
          throw new Unavailable(`${JSON.stringify(path)} was replaced while it was opened; try again`);
        const seen = seenFrom(stats);
        const body = new FileBody(
          file,
          path,
          range?.start ?? 0,
          range === undefined ? seen.size : Math.min(range.end + 1, seen.size),
        );
        return { seen, body: signal === undefined ? body : addAbortSignal(signal, body) };
      } catch (error) {
        await file.close();
        throw error;
      }
    });
  }

  async stat(path: string): Promise<SeenFile | null> {
    const { folder, name } = parseFile(path);
    return this.within('look at', path, folder, null, async (parent) => {
      const stats = plainFile(path, await parent.look(name));
      return stats === null ? null : seenFrom(stats);
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<SeenObject, void, void> {
    const names = parseFolder(prefix);
    signal?.throwIfAborted();
    const root = await Folder.root(this.root, this.reach);
    try {
      const folder = await onDisk('list', prefix, () => descend(root, names, 'never'));
      if (!(folder instanceof Folder)) return;
      try {
        yield* filesBelow(folder, signal);
      } finally {
        if (folder !== root) await folder.close();
      }
    } finally {
      await root.close();
    }
  }

  async delete(path: string, seen: SeenFile): Promise<'deleted' | 'missing' | 'changed'> {
    const { folder, name } = parseFile(path);
    return this.within('delete', path, folder, 'missing', async (parent) => {
      const stats = plainFile(path, await parent.look(name));
      if (stats !== null && etagOf(stats) !== seen.etag) return 'changed';
      const removed = stats !== null && (await parent.remove(name));
      // Also where it was missing: whoever removed it may have died before the sync.
      await parent.sync();
      const after = await parent.look(name);
      if (after !== null && etagOf(after) === seen.etag)
        throw new Unavailable(`${JSON.stringify(path)} was deleted, and is still there; look at the disk`);
      return removed ? 'deleted' : 'missing';
    });
  }

  async prune(path: string): Promise<void> {
    const names = parseFolder(path);
    const last = names.at(-1);
    if (last === undefined) throw new InvalidPath('the root itself is never removed; name a folder below it');
    await this.within('prune', path, names.slice(0, -1), undefined, async (parent) => {
      await removeEmptyFolders(parent, last);
      await parent.sync();
    });
  }

  /** What a crash leaves of an upload is a file below `.lethe/tmp/`. */
  async *unfinished(): AsyncGenerator<UnfinishedUpload, void, void> {}

  async abandon({ path }: UnfinishedUpload): Promise<void> {
    throw new InvalidPath(
      `${JSON.stringify(path)} is no unfinished upload: a folder has none but files below .lethe/tmp/`,
    );
  }

  async close(): Promise<void> {}

  private async withRoot<T>(use: (root: Folder) => Promise<T>): Promise<T> {
    const root = await Folder.root(this.root, this.reach);
    try {
      return await use(root);
    } finally {
      await root.close();
    }
  }

  /** `use` of the folder; `absent` where there is none. */
  private async within<T>(
    doing: string,
    path: string,
    names: Names,
    absent: T,
    use: (folder: Folder) => Promise<T>,
  ): Promise<T> {
    return this.withRoot((root) =>
      onDisk(doing, path, async () => {
        const folder = await descend(root, names, 'never');
        if (!(folder instanceof Folder)) return absent;
        try {
          return await use(folder);
        } finally {
          if (folder !== root) await folder.close();
        }
      }),
    );
  }
}

/** The deepest first. A folder that holds anything, also what is no object, stays. */
async function removeEmptyFolders(parent: Folder, name: string): Promise<void> {
  const folder = await parent.child(name);
  if (folder === 'link')
    throw new InvalidPath(
      `${JSON.stringify(`${parent.path}${name}`)} is a symbolic link; none is followed below the root`,
    );
  if (!(folder instanceof Folder)) return;
  try {
    for (const entry of await folder.entries())
      if (entry.kind === 'folder') await removeEmptyFolders(folder, entry.name);
  } finally {
    await folder.close();
  }
  await parent.removeEmpty(name);
}

/** @throws InvalidPath: where unfinished files lie, nothing else can. */
function refuseReserved(path: string): void {
  if (path !== '.lethe' && path !== '.lethe/tmp' && !path.startsWith('.lethe/tmp/')) return;
  throw new InvalidPath(`${JSON.stringify(path)} is where this store keeps unfinished files; choose another path`);
}

function checkRange({ start, end }: { start: number; end: number }): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start) return;
  throw new RangeError(`a range is two whole numbers, from 0, the second not below the first; got ${start} to ${end}`);
}
