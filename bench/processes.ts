import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICE } from './places.js';

/** A server in a process of its own, on 127.0.0.1. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  /** Milliseconds from its spawn until it said that it is ready. */
  readonly startMs: number;
  /** Ends it in order, so that its profile, if any, is written. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();

/** Whatever way this process ends, no server outlives it. */
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** Starts a script that says `… is ready at <url>` on stderr. @param flags Node's own */
export const startServer = async (
  script: string,
  env: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<Server> => {
  const spawned = performance.now();
  const child = spawn(process.execPath, [...flags, script], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let said = '';
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said = `${said}${line}\n`.slice(-10_000);
      const ready = / is ready at (http:\/\/[^"\s]+)/.exec(line)?.[1];
      if (ready !== undefined) resolve(ready);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      reject(new Error(`${script} ended at its start (${code ?? signal ?? ''}):\n${said}`));
    });
  });
  const startMs = performance.now() - spawned;
  const exited = once(child, 'exit');
  return {
    url,
    pid: child.pid ?? 0,
    startMs,
    stop: async () => {
      child.kill('SIGTERM');
      const killed = sleep(30_000, 'late', { ref: false });
      if ((await Promise.race([exited, killed])) === 'late') {
        child.kill('SIGKILL');
        await exited;
        throw new Error(`${script} did not end within 30 s of SIGTERM:\n${said}`);
      }
    },
  };
};

/** Lethe itself, as `npm start` runs it. */
export const startLethe = (data: string, flags: readonly string[] = []): Promise<Server> =>
  startServer(SERVICE, { LETHE_DATA: data, LETHE_PORT: '0' }, flags);

/** Uses a server and ends it, also where the use fails. */
export const using = async <S extends Server, T>(server: S, use: (server: S) => Promise<T>): Promise<T> => {
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
};
