import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { platform } from 'node:process';
import { Unavailable } from '../errors.js';
import { systemCode } from './filesystem.errors.js';
import type { Reach } from './filesystem.folder.js';

/** The way that works on this machine. */
export async function bestReach(): Promise<Reach> {
  if (platform !== 'linux') return null;
  const reach = '/proc/self/fd';
  const slash = await open('/', constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const [opened, reached] = await Promise.all([slash.stat(), stat(`${reach}/${slash.fd}/.`)]);
    return opened.dev === reached.dev && opened.ino === reached.ino ? reach : null;
  } catch (error) {
    if (systemCode(error) !== null) return null; // no /proc in this container
    throw error;
  } finally {
    await slash.close();
  }
}

/** Makes the root, and what is missing above it, so that it lasts. */
export async function makeRoot(root: string): Promise<void> {
  try {
    const first = await mkdir(root, { recursive: true });
    if (first === undefined) return;
    for (let folder = root; folder.length >= first.length; folder = dirname(folder)) await syncFolder(dirname(folder));
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    throw new Unavailable(
      `the storage's folder ${root} can't be made: ${code}. Make it, or give the service's user the right to`,
    );
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
