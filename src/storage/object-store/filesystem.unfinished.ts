import { constants, type BigIntStats } from 'node:fs';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { Unavailable } from '../errors.js';
import { onDisk, systemCode } from './filesystem.errors.js';
import { descend, type Folder } from './filesystem.folder.js';
import type { Names } from './paths.js';

/** Where files are put together. In the root itself, so that a link leads from there to any path of the same file system. */
const UNFINISHED: Names = ['.lethe', 'tmp'];

/** How often the folder may be pruned away, or a random name be taken, before we say so. Each time somebody else got something done. */
const ATTEMPTS = 16;

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A file that has no path yet: `begin`, `receive`, and `close` whatever happened. */
export class Unfinished {
  private constructor(
    /** Of the file that it is to become, for errors. */
    private readonly path: string,
    private readonly folder: Folder,
    private readonly name: string,
    private readonly file: FileHandle,
  ) {}

  /** Opens an empty file in `.lethe/tmp/`. `root` stays open until after `close`. */
  static async begin(root: Folder, path: string, random: () => string): Promise<Unfinished> {
    return onDisk('store', path, async () => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const folder = await descend(root, UNFINISHED, 'make');
        if (folder === 'missing') continue;
        if (folder === 'other')
          throw new Unavailable('.lethe/tmp is no folder; move away what lies there, then try again');
        const name = random();
        const file = await create(folder, name);
        if (file !== null) return new Unfinished(path, folder, name, file);
      }
      throw new Unavailable(
        `could not make a file in .lethe/tmp: its folder vanished, or each new name was taken, ${ATTEMPTS} times; try again`,
      );
    });
  }

  /** Writes the whole body, each chunk before the next is asked for, and syncs it. What the body throws comes back as it is. */
  async receive(body: AsyncIterable<unknown>): Promise<BigIntStats> {
    for await (const chunk of body) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      if (!(bytes instanceof Uint8Array))
        throw new TypeError(`a body of bytes was expected; this one gave a ${typeof chunk}`);
      await onDisk('write', this.path, () => this.file.appendFile(bytes));
    }
    return onDisk('write', this.path, async () => {
      await this.file.sync();
      return this.stats();
    });
  }

  async stats(): Promise<BigIntStats> {
    return this.file.stat({ bigint: true });
  }

  /** The path by which the system finds it. */
  async place(): Promise<string> {
    await this.folder.verify();
    return this.folder.at(this.name);
  }

  /** Takes it out of `.lethe/tmp/`, if it is there still. */
  async close(): Promise<void> {
    try {
      await unlink(await this.place());
    } catch {
      // It became a file, or the disk refuses. A left-over is listed below `.lethe/` and is `gc`'s; the answer of `put` must not depend on it.
    } finally {
      await this.file.close();
      await this.folder.close();
    }
  }
}

/** `null`: the name is taken, or the folder is gone; `folder` is closed. */
async function create(folder: Folder, name: string): Promise<FileHandle | null> {
  try {
    await folder.verify();
    return await open(folder.at(name), CREATE);
  } catch (error) {
    await folder.close();
    const code = systemCode(error);
    if (code === 'EEXIST' || code === 'ENOENT') return null;
    throw error;
  }
}
