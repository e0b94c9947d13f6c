/**
 * Fetches Schemathesis for the fuzz into `.cache/fuzz/` and prints where it is: `node test/fuzz/fetch-schemathesis.mjs`.
 *
 * The versions stand in requirements.txt, those of what it needs too; another set of them gets a folder of its own. Needs python3 from 3.10
 * with venv and pip: pip is asked, so that whatever mirror it is configured for is used.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const REQUIREMENTS = fileURLToPath(new URL('./requirements.txt', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.cache/fuzz/', import.meta.url));
const LONGEST_MS = 300_000;

/**
 * The path of a `schemathesis` that starts on this machine.
 * @throws Error: it can't be fetched, or doesn't run here
 */
export const fetchSchemathesis = async () => {
  const digest = createHash('sha256').update(await readFile(REQUIREMENTS));
  const folder = join(CACHE, `schemathesis-${digest.digest('hex').slice(0, 12)}`);
  const binary = join(folder, 'bin', 'schemathesis');
  // A venv knows its own path and can't be renamed into place: that it is whole is said by a file of its own.
  const whole = join(folder, 'whole');
  if (await isThere(whole)) return binary;
  await rm(folder, { recursive: true, force: true });
  await mkdir(CACHE, { recursive: true });
  await run('python3', ['-m', 'venv', folder], { timeout: LONGEST_MS });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', REQUIREMENTS];
  await run(join(folder, 'bin', 'python'), pip, { timeout: LONGEST_MS });
  await run(binary, ['--version'], { timeout: LONGEST_MS });
  await writeFile(whole, '');
  return binary;
};

const isThere = async (path) => {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await fetchSchemathesis());
