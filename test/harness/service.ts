import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';

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

export const startService = async ({ data, config, env }: StartOptions = {}): Promise<RunningService> => {
  const folder = data ?? (await temporaryFolder());
  if (config !== undefined) await writeFile(join(folder, 'lethe.json'), JSON.stringify(config));
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env['PATH'], LETHE_DATA: folder, LETHE_PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      log += `${line}\n`;
      const ready = /Lethe is ready at (http:\/\/[^"\s]+)/.exec(line)?.[1];
      if (ready !== undefined) resolve(ready);
    });
    child.once('exit', (code, signal) => {
      reject(new Error(`the service ended at its start (${code ?? signal}):\n${log}`));
    });
  });
  const exited = once(child, 'exit');
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
    return child.exitCode;
  };
  return {
    url,
    data: folder,
    process: child,
    log: () => log,
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
  const isJson = (response.headers.get('content-type') ?? '').includes('json');
  return { status: response.status, headers: response.headers, body: isJson && text !== '' ? JSON.parse(text) : text };
};

/** The multipart body of an upload. */
export const upload = (metadata: object, content: Uint8Array | string, filename = 'content.bin'): FormData => {
  const form = new FormData();
  form.append('metadata', JSON.stringify(metadata));
  form.append('content', new Blob([typeof content === 'string' ? content : new Uint8Array(content)]), filename);
  return form;
};
