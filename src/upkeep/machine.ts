import { constants } from 'node:fs';
import { access, readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { ok, warning, wrong, type Check } from './checks.js';
import { messageOf } from './findings.js';

/*
 * What a machine has to be for a Lethe to run on it.
 */

const MIB = 2 ** 20;
/** Less than this is soon nothing; below the second, SQLite and uploads fail any moment. */
const LITTLE_BYTES = 1_024 * MIB;
const TOO_LITTLE_BYTES = 100 * MIB;

/** @param node such as `20.20.2` */
export const checkVersions = (lethe: string, node: string): Check => {
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const runs = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
  const what = `Lethe ${lethe} on Node ${node}`;
  return runs ? ok('versions', what) : wrong('versions', what, 'Lethe needs Node 20.19, 22.12 or later');
};

/** Whether this user may work in the data folder, and nobody else may look into it. */
export const checkFolder = async (folder: string): Promise<Check[]> => {
  const about = 'data folder';
  try {
    const { mode } = await stat(folder);
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    for (const file of await readdir(folder, { withFileTypes: true })) {
      if (file.isFile()) await assertOurs(join(folder, file.name));
    }
    const checks = [await checkSpace(about, folder)];
    if ((mode & 0o007) === 0) return [ok(about, `${folder} is this user's to read and write`), ...checks];
    const open = `everybody on this machine may look into ${folder}`;
    return [warning(about, open, `Take those rights away: chmod o-rwx ${folder}`), ...checks];
  } catch (error) {
    if (codeOf(error) === 'ENOENT')
      return [
        warning(about, `there is none at ${folder}`, 'Name another with --data (LETHE_DATA), or make it: lethe init'),
      ];
    return [
      wrong(about, messageOf(error), 'Give it, and all that is in it, to the user that Lethe runs as (chown, chmod)'),
    ];
  }
};

/** What a service takes away while one looks is nobody's any more. */
const assertOurs = async (file: string): Promise<void> => {
  try {
    await access(file, constants.R_OK | constants.W_OK);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
};

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : null);

export const checkSpace = async (about: string, folder: string): Promise<Check> => {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const what = `${Math.floor(free / MIB)} MiB are free on the disk of ${folder}`;
  if (free < TOO_LITTLE_BYTES) return wrong(about, what, 'Free some space: appends and uploads fail without');
  return free < LITTLE_BYTES ? warning(about, what, 'Free some space before it runs out') : ok(about, what);
};
