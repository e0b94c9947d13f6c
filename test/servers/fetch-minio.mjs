/**
 * Builds a MinIO server for the tests into `.cache/servers/` and prints where it is: `node test/servers/fetch-minio.mjs`.
 *
 * The last release that its makers published as source, built by Go in minutes. What is there already is left alone, and of several that
 * build at once each renames a whole file into place.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const MODULE = 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c';
const SERVERS = fileURLToPath(new URL('../../.cache/servers/', import.meta.url));
const LONGEST_MS = 900_000;

/**
 * The path of a MinIO server.
 * @throws Error: it can't be built here
 */
export const fetchMinio = async () => {
  const binary = join(SERVERS, 'minio');
  if (existsSync(binary)) return binary;
  await mkdir(SERVERS, { recursive: true });
  const folder = await mkdtemp(join(SERVERS, 'building-minio-'));
  try {
    await run('go', ['install', MODULE], { env: { ...process.env, GOBIN: folder }, timeout: LONGEST_MS });
    await rename(join(folder, 'minio'), binary);
    return binary;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await fetchMinio());
