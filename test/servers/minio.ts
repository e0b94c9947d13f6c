import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../harness/port.js';
import { until } from '../harness/until.js';
import { fetchMinio } from './fetch-minio.mjs';

/** How often a port that was free a moment ago may be taken by somebody else. */
const STARTS = 5;

/** A MinIO of this process's own, on loopback, with its data in a temporary folder. */
export interface MinioServer {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  readonly port: number;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly pid: number;
  /** Where it keeps its data. */
  readonly folder: string;
  /** Ends the process at once, as a power cut would; the data stay. */
  kill(): Promise<void>;
  /** Starts it again after `kill`: the same port, the same data. */
  start(): Promise<void>;
  /** Ends the process, and removes its data. */
  stop(): Promise<void>;
}

/** The binary's path. Where there is none it is built; `null` where it can't be. */
export async function findMinio(): Promise<string | null> {
  try {
    return await fetchMinio();
  } catch (error) {
    console.warn(`MinIO could not be built: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** @param binary what `findMinio` found */
export async function startMinio(binary: string): Promise<MinioServer> {
  const folder = await mkdtemp(join(tmpdir(), 'lethe-minio-'));
  const accessKey = `user${randomBytes(6).toString('hex')}`;
  const secretKey = randomBytes(20).toString('hex');
  const start = async (port: number) => serve(binary, folder, port, { accessKey, secretKey });
  const first = await onFreePort(start);
  const { port } = first;
  let { child } = first;
  const kill = async () => end(child);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    port,
    folder,
    accessKey,
    secretKey,
    get pid() {
      return child.pid ?? -1;
    },
    kill,
    start: async () => {
      child = await start(port);
    },
    stop: async () => {
      await kill();
      await rm(folder, { recursive: true });
    },
  };
}

async function onFreePort(
  start: (port: number) => Promise<ChildProcess>,
): Promise<{ port: number; child: ChildProcess }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      return { port, child: await start(port) };
    } catch (error) {
      if (attempt === STARTS) throw error;
    }
  }
}

async function serve(
  binary: string,
  folder: string,
  port: number,
  keys: { accessKey: string; secretKey: string },
): Promise<ChildProcess> {
  const places = ['--address', `127.0.0.1:${port}`, '--certs-dir', join(folder, 'certs')];
  const child = spawn(binary, ['server', '--quiet', ...places, join(folder, 'data')], {
    stdio: 'ignore',
    env: {
      HOME: folder,
      MINIO_ROOT_USER: keys.accessKey,
      MINIO_ROOT_PASSWORD: keys.secretKey,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
    },
  });
  // Whatever ends this process, a server is not left behind.
  const endWithUs = () => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  child.once('exit', () => process.off('exit', endWithUs));
  try {
    await until('MinIO is ready', async () => {
      if (child.exitCode !== null) throw new Error(`MinIO ended with exit code ${child.exitCode}; is its port taken?`);
      return isReady(port);
    });
    return child;
  } catch (error) {
    await end(child);
    throw error;
  }
}

async function isReady(port: number): Promise<boolean> {
  try {
    // Not "live": a server that still reads its disks is alive and answers 503.
    return (await fetch(`http://127.0.0.1:${port}/minio/health/cluster`)).ok;
  } catch {
    return false; // nobody listens yet
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
