import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { freePort } from './port.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** A real process of the compiled service on a data folder of its own, or on one that is given. */
export interface RunningService {
  readonly url: string;
  readonly data: string;
  readonly process: ChildProcess;
  /** What it wrote to stderr so far. */
  log(): string;
  /** A request to a path below the service's URL. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** Ends it at once, as a power cut of the process would. */
  kill(): Promise<void>;
  /** Ends it in order. @returns its exit code */
  stop(): Promise<number | null>;
}

/** One that may have to wait for its servers, or that may end before it is ready. */
export interface LaunchedService extends RunningService {
  /** Its URL, once it answers requests; rejects with what it wrote where it ends before that. */
  readonly ready: Promise<string>;
}

export interface RequestOptions {
  readonly json?: unknown;
  readonly body?: NonNullable<RequestInit['body']>;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** An answer, read whole. `body` is the parsed JSON, or the text where it is none. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // Tests look into answers freely; what they expect, they state.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

export interface StartOptions {
  readonly data?: string;
  /** The content of `lethe.json`. */
  readonly config?: object;
  readonly env?: Record<string, string>;
}

export const temporaryFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'lethe-test-'));

/** Ends once it answers requests. @throws Error where the process ends instead, with all that it wrote */
export const startService = async (options: StartOptions = {}): Promise<RunningService> => {
  const spawned = await spawnService({ LETHE_PORT: '0' }, options);
  return running(spawned, await spawned.ready);
};

/** Does not wait until it answers requests: its servers may not be there. */
export const launchService = async (options: StartOptions = {}): Promise<LaunchedService> => {
  const port = await freePort();
  const spawned = await spawnService({ LETHE_PORT: String(port) }, options);
  return Object.assign(running(spawned, `http://127.0.0.1:${port}`), { ready: spawned.ready });
};

interface Spawned {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly ready: Promise<string>;
  readonly log: () => string;
}

const spawnService = async (own: Record<string, string>, { data, config, env }: StartOptions): Promise<Spawned> => {
  const folder = data ?? (await temporaryFolder());
  if (config !== undefined) await writeFile(join(folder, 'lethe.json'), JSON.stringify(config));
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env['PATH'], LETHE_DATA: folder, ...own, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // Whatever ends this process, a service is not left behind.
  const endWithUs = () => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  child.once('exit', () => process.off('exit', endWithUs));
  let log = '';
  const ready = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      log += `${line}\n`;
      const url = /Lethe is ready at (http:\/\/[^"\s]+)/.exec(line)?.[1];
      if (url !== undefined) resolve(url);
    });
    // Not `exit`: what it wrote last may still be on its way then.
    child.once('close', (code, signal) => {
      reject(new Error(`the service ended at its start (${code ?? signal}):\n${log}`));
    });
  });
  // Whoever does not await it has not asked.
  ready.catch(() => undefined);
  return { child, folder, ready, log: () => log };
};

const running = ({ child, folder, log }: Spawned, url: string): RunningService => {
  const exited = once(child, 'exit');
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await exited;
    }
    return child.exitCode;
  };
  return {
    url,
    data: folder,
    process: child,
    log,
    request: (method, path, options) => send(url, method, path, options),
    kill: async () => {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
  };
};

/** Ends a service and throws its folder away. */
export const discard = async (service: RunningService): Promise<void> => {
  await service.kill();
  await rm(service.data, { recursive: true, force: true });
};

const send = async (
  url: string,
  method: string,
  path: string,
  { json, body, headers, signal }: RequestOptions = {},
): Promise<Answer> => {
  const init: RequestInit = { method, headers: { ...headers } };
  if (json !== undefined) {
    init.body = JSON.stringify(json);
    init.headers = { 'content-type': 'application/json', ...headers };
  } else if (body !== undefined) init.body = body;
  if (signal !== undefined) init.signal = signal;
  const response = await fetch(url + path, init);
  const text = await response.text();
  const isJson = /[/+]json(;|$)/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, body: isJson && text !== '' ? JSON.parse(text) : text };
};

/** The multipart body of an upload. */
export const upload = (metadata: object, content: Uint8Array | string, filename = 'content.bin'): FormData => {
  const form = new FormData();
  form.append('metadata', JSON.stringify(metadata));
  form.append('content', new Blob([typeof content === 'string' ? content : new Uint8Array(content)]), filename);
  return form;
};
