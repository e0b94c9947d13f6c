import { constants, type BigIntStats } from 'node:fs';
import { lstat, mkdir, open, readdir, realpath, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { InvalidPath, Unavailable } from '../errors.js';
import { systemCode } from './filesystem.errors.js';
import { nameable, type Names } from './paths.js';

/**
 * How names below an open folder are reached.
 *
 * Node has no `openat`. On Linux `/proc/self/fd/<n>/<name>` is as good: the kernel begins at the open folder itself, so whoever swaps a folder
 * for a link between our check and our use changes nothing. Elsewhere (`null`) a folder is its path: it is checked before and after it is
 * opened, and right before each change. There the gap between that last check and the call remains, for somebody who may write in the
 * storage's own folders. Neither way can tell a hard link from a file, or a mount point from a folder: to make those is the machine's owner's.
 */
export type Reach = string | null;

const OPEN_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** How often a name may be something else when looked at than when opened. */
const ATTEMPTS = 16;

/** What stands where a folder was looked for. */
export type NoFolder = 'missing' | 'link' | 'other';

export interface Entry {
  readonly name: string;
  readonly kind: 'file' | 'folder';
}

/** An open folder. Every one is closed by whoever opened it. */
export class Folder {
  private constructor(
    private readonly handle: FileHandle,
    private readonly reach: Reach,
    /** Where it is, all links resolved. */
    private readonly place: string,
    /** Its path below the root, with `/` at its end; the root's is empty. */
    readonly path: string,
  ) {}

  /** The storage's root. The root itself, and what is above it, may be links: the operator named it. */
  static async root(root: string, reach: Reach): Promise<Folder> {
    try {
      const place = await realpath(root);
      return new Folder(await open(place, OPEN_FOLDER), reach, place, '');
    } catch (error) {
      const code = systemCode(error);
      if (code === null) throw error;
      throw new Unavailable(
        `the storage's folder ${root} can't be opened: ${code}. Is its disk mounted? Bring it back, or mend its rights`,
      );
    }
  }

  /** The path by which the system finds `name` in this very folder. */
  at(name: string): string {
    return `${this.reach === null ? this.place : `${this.reach}/${this.handle.fd}`}/${name}`;
  }

  async child(name: string): Promise<Folder | NoFolder> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const child = await this.openChild(name);
      if (child !== 'no folder') return child;
      // Linux says the same of a link, so look. If it is a folder by now, open it again.
      const there = await this.look(name);
      if (there?.isDirectory() !== true) return there === null ? 'missing' : there.isSymbolicLink() ? 'link' : 'other';
    }
    return 'missing';
  }

  private async openChild(name: string): Promise<Folder | 'missing' | 'link' | 'no folder'> {
    try {
      const handle = await open(this.at(name), OPEN_FOLDER);
      const child = new Folder(handle, this.reach, `${this.place}/${name}`, `${this.path}${name}/`);
      try {
        await child.verify();
        return child;
      } catch (error) {
        await child.close();
        throw error;
      }
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT') return 'missing';
      if (code === 'ELOOP') return 'link';
      if (code === 'ENOTDIR') return 'no folder';
      throw error;
    }
  }

  /** What `name` is, links not followed; `null` when there is nothing. */
  async look(name: string): Promise<BigIntStats | null> {
    try {
      return await lstat(this.at(name), { bigint: true });
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return null;
      throw error;
    }
  }

  /** Files and folders in it that a path can name, by code points of what their paths begin with. Links and special files are left out. */
  async entries(): Promise<Entry[]> {
    const found = await readdir(this.at('.'), { withFileTypes: true, encoding: 'buffer' });
    const sorted: { key: Buffer; entry: Entry }[] = [];
    for (const dirent of found) {
      const kind = dirent.isFile() ? 'file' : dirent.isDirectory() ? 'folder' : null;
      const name = kind === null ? null : nameable(this.path, dirent.name);
      if (kind === null || name === null) continue;
      // What lies in the folder `a` begins with `a/`, and that is after the file `a-b`. UTF-8 sorts by code points, JavaScript's strings do not.
      sorted.push({ key: kind === 'file' ? dirent.name : Buffer.from(`${name}/`), entry: { name, kind } });
    }
    sorted.sort((one, other) => Buffer.compare(one.key, other.key));
    return sorted.map(({ entry }) => entry);
  }

  /** Makes a folder in it. `false`: somebody else did, or this folder itself was pruned away; look again. */
  async make(name: string): Promise<boolean> {
    return this.change(['EEXIST', 'ENOENT'], () => mkdir(this.at(name)));
  }

  /** Removes a folder in it if that is empty. `false`: it is not, or is no folder, or is gone. */
  async removeEmpty(name: string): Promise<boolean> {
    return this.change(['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'ENOENT'], () => rmdir(this.at(name)));
  }

  /** Removes a file in it. `false`: it is gone already. */
  async remove(name: string): Promise<boolean> {
    return this.change(['ENOENT'], () => unlink(this.at(name)));
  }

  private async change(refusals: readonly string[], change: () => Promise<void>): Promise<boolean> {
    try {
      await this.verify();
      await change();
      return true;
    } catch (error) {
      const code = systemCode(error);
      if (code !== null && refusals.includes(code)) return false;
      throw error;
    }
  }

  /**
   * Opens a plain file in it for reading; `null` when it is gone. Ask `look` first what it is: opening a device can do something. A pipe that
   * takes a file's place meanwhile does not keep us waiting.
   */
  async open(name: string): Promise<FileHandle | null> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const file = await this.openFile(name);
      if (file === null || this.reach !== null) return file;
      try {
        await this.verify();
        const [opened, there] = await Promise.all([file.stat({ bigint: true }), this.look(name)]);
        if (opened.ino === there?.ino && opened.dev === there.dev) return file;
      } catch (error) {
        await file.close();
        throw error;
      }
      await file.close(); // another took its place: that one, then
    }
    throw new Unavailable(
      `${JSON.stringify(`${this.path}${name}`)} was replaced ${ATTEMPTS} times while it was opened; try again`,
    );
  }

  private async openFile(name: string): Promise<FileHandle | null> {
    try {
      return await open(this.at(name), OPEN_FILE);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return null;
      throw error;
    }
  }

  /** Makes the names in it last over a power cut. */
  async sync(): Promise<void> {
    await this.handle.sync();
  }

  /** Is this still the folder at its path, with no link on the way? Says so by not throwing. Where names are reached through the open folder, it needn't be asked. */
  async verify(): Promise<void> {
    if (this.reach !== null) return;
    const [held, there, place] = await Promise.all([
      this.handle.stat({ bigint: true }),
      lstat(this.place, { bigint: true }),
      realpath(this.place),
    ]);
    if (place === this.place && held.dev === there.dev && held.ino === there.ino) return;
    throw new InvalidPath(
      `${JSON.stringify(this.path)} was moved, or is reached by a link or by a name of other spelling; name it as it is stored`,
    );
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/**
 * Goes down from `root`, which stays open and is the answer where there are no names. A folder that is `missing` is made if `make` says so, and
 * `made` told how many names were above it. With `lasting` each folder on the way is synced into its parent, also one that was found: whoever
 * made it may not have come to that yet.
 *
 * @throws InvalidPath for a symbolic link on the way.
 */
export async function descend(
  root: Folder,
  names: Names,
  make: 'never' | 'make' | 'lasting',
  made: (depth: number) => void = () => {},
): Promise<Folder | 'missing' | 'other'> {
  let folder = root;
  for (const [depth, name] of names.entries()) {
    const parent = folder;
    try {
      let child = await parent.child(name);
      if (child === 'missing' && make !== 'never') {
        if (await parent.make(name)) made(depth);
        child = await parent.child(name);
      }
      if (child === 'link')
        throw new InvalidPath(
          `${JSON.stringify(`${parent.path}${name}`)} is a symbolic link; none is followed below the root`,
        );
      if (child === 'missing' || child === 'other') return child;
      folder = child;
      if (make === 'lasting') await syncInto(parent, child);
    } finally {
      if (parent !== root) await parent.close();
    }
  }
  return folder;
}

async function syncInto(parent: Folder, child: Folder): Promise<void> {
  try {
    await parent.sync();
  } catch (error) {
    await child.close();
    throw error;
  }
}
