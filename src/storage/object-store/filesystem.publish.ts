import { link, rename, unlink } from 'node:fs/promises';
import { Exists, InvalidPath, OutcomeUnknown, Unavailable } from '../errors.js';
import { onDisk, systemCode } from './filesystem.errors.js';
import { descend, type Folder } from './filesystem.folder.js';
import type { Names } from './paths.js';
import type { Unfinished } from './filesystem.unfinished.js';

/** How often the target's folder may be pruned away under our hands. */
const ATTEMPTS = 16;

/** What file systems without hard links say. EPERM is also said where this one folder is sealed. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

export interface Target {
  /** As the caller gave it. */
  readonly path: string;
  readonly folder: Names;
  readonly name: string;
}

/** Asks before a byte of the body is read, and only to be early: `publish` decides. @throws Exists, InvalidPath */
export async function refuseTaken(root: Folder, { path, folder, name }: Target): Promise<void> {
  const parent = await descend(root, folder, 'never');
  if (parent === 'missing') return;
  if (parent === 'other') throw fileOnTheWay(path);
  try {
    const there = await parent.look(name);
    if (there?.isSymbolicLink() === true)
      throw new InvalidPath(`${JSON.stringify(path)} is a symbolic link; none is followed below the root`);
    if (there !== null) throw taken(path);
  } finally {
    if (parent !== root) await parent.close();
  }
}

/**
 * Gives a received file its path, so that it lasts; `replace` also where a file lies there. Where it throws, it left nothing there, nor a
 * folder made for it.
 *
 * @throws OutcomeUnknown: it is there, but may not last, and could not be taken back.
 */
export async function publish(
  root: Folder,
  target: Target,
  file: Unfinished,
  how: 'create' | 'replace',
): Promise<void> {
  // How many names of the target's folder were there before us.
  let found = target.folder.length;
  try {
    await onDisk('store', target.path, async () => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const folder = await descend(root, target.folder, 'lasting', (depth) => (found = Math.min(found, depth)));
        if (folder === 'missing') continue;
        if (folder === 'other') throw fileOnTheWay(target.path);
        try {
          if (how === 'create' ? await create(folder, target, file) : await replace(folder, target, file)) return;
        } finally {
          if (folder !== root) await folder.close();
        }
      }
      throw new Unavailable(
        `could not store ${JSON.stringify(target.path)}: its folder, or the unfinished file, was removed ${ATTEMPTS} times; try again`,
      );
    });
  } catch (error) {
    await removeMade(root, target.folder, found);
    throw error;
  }
}

/** A link creates or fails, whoever else tries. `false`: the folder was pruned a moment ago. */
async function create(folder: Folder, { path, name }: Target, file: Unfinished): Promise<boolean> {
  try {
    await folder.verify();
    await link(await file.place(), folder.at(name));
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return false;
    if (code === 'EEXIST') throw taken(path);
    if (code === null || !NO_LINKS.has(code)) throw error;
    throw new Unavailable(
      `could not link ${JSON.stringify(path)}: ${code}. A storage needs a file system with hard links, and the right to make them in this folder`,
    );
  }
  try {
    await folder.sync();
  } catch (error) {
    await takeBack(folder, { path, name }, file);
    throw error;
  }
  return true;
}

async function takeBack(
  folder: Folder,
  { path, name }: Pick<Target, 'path' | 'name'>,
  file: Unfinished,
): Promise<void> {
  try {
    const [ours, there] = await Promise.all([file.stats(), folder.look(name)]);
    if (there?.ino === ours.ino && there.dev === ours.dev) await unlink(folder.at(name));
    await folder.sync();
  } catch (error) {
    throw mayNotLast(path, error);
  }
}

/** `false`: the folder was pruned a moment ago. */
async function replace(folder: Folder, { path, name }: Target, file: Unfinished): Promise<boolean> {
  try {
    await folder.verify();
    await rename(await file.place(), folder.at(name));
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return false;
    if (code === 'EISDIR' || code === 'ENOTEMPTY' || code === 'EEXIST') throw taken(path);
    throw error;
  }
  try {
    await folder.sync();
  } catch (error) {
    throw mayNotLast(path, error);
  }
  return true;
}

async function removeMade(root: Folder, names: Names, found: number): Promise<void> {
  try {
    for (let depth = names.length; depth > found; depth -= 1) {
      const parent = await descend(root, names.slice(0, depth - 1), 'never');
      if (parent === 'missing' || parent === 'other') continue;
      try {
        for (const name of names.slice(depth - 1, depth)) await parent.removeEmpty(name);
      } finally {
        if (parent !== root) await parent.close();
      }
    }
  } catch {
    // An empty folder is no object: that it stays matters less than the error that brought us here.
  }
}

function taken(path: string): Exists {
  return new Exists(
    `something lies at ${JSON.stringify(path)} already, and stays; choose another path, or delete that first`,
  );
}

function fileOnTheWay(path: string): Exists {
  return new Exists(
    `a part of ${JSON.stringify(path)} before its last is a file, and stays; choose another path, or delete that first`,
  );
}

function mayNotLast(path: string, error: unknown): OutcomeUnknown {
  return new OutcomeUnknown(
    `${JSON.stringify(path)} is written, but its folder could not be synced (${systemCode(error) ?? String(error)}). Look at the disk, then repeat`,
  );
}
