import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A service for one test. `await using lethe = await startLethe()` ends it with the block. */
export interface TestLethe extends AsyncDisposable {
  /** Where it listens, on this machine alone. */
  readonly url: string;
  /** Its folder, which is gone with it. */
  readonly data: string;
  /** Ends it and removes the folder. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts a whole service in a process of its own, with its own folder and its own port. Nothing of the environment configures it.
 * @param variables those of the configuration (`LETHE_TRASH_DAYS`), but for the folder, the port and the log's level
 * @throws Error with what the service wrote, where it ends instead of starting
 */
export const startLethe = async (variables: Readonly<Record<string, string>> = {}): Promise<TestLethe> => {
  const data = await mkdtemp(join(tmpdir(), 'lethe-'));
  const own = { LETHE_DATA: data, LETHE_PORT: '0', LETHE_LOG_LEVEL: 'info' };
  const child = spawn(process.execPath, [createRequire(import.meta.url).resolve('#thread/main')], {
    env: { PATH: process.env['PATH'], ...variables, ...own },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // Whatever ends this process, a service is not left behind.
  const endWithUs = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', endWithUs);
  const gone = once(child, 'close');
  const end = async (): Promise<void> => {
    child.kill('SIGTERM');
    await gone;
    process.off('exit', endWithUs);
    await rm(data, { recursive: true, force: true });
  };
  try {
    const url = await urlOf(child.stderr, gone);
    let closed: Promise<void> | null = null;
    const close = (): Promise<void> => (closed ??= end());
    return { url, data, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await end();
    throw error;
  }
};

/** Where it says that it listens. What it says later is read on, so that it is never held up by it. */
const urlOf = (said: ChildProcess['stderr'], gone: Promise<unknown>): Promise<string> =>
  new Promise((resolve, reject) => {
    let lines = '';
    if (said !== null) {
      createInterface({ input: said }).on('line', (line) => {
        const url = /Lethe is ready at (http:\/\/[^"\s]+)/.exec(line)?.[1];
        if (url !== undefined) resolve(url);
        lines = `${lines}${line}\n`.slice(-SAID);
      });
    }
    gone.then(
      () => reject(new Error(`the service ended at its start:\n${lines}`)),
      (error: unknown) => reject(error instanceof Error ? error : new Error(String(error))),
    );
  });
/** As much as an error shows of it. */
const SAID = 4_000;
