import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { access, mkdir, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { temporaryFolder, upload, type RunningService } from './service.js';

/*
 * The command line as its users meet it: a process of its own, from dist, in a pipe or on a pseudo-terminal.
 */

export const DIST = join(import.meta.dirname, '..', '..', 'dist');
export const MAIN = join(DIST, 'cli', 'main.js');
export const UID = /[0-9A-Za-z]{20}/;
export const NOBODY = 'AAAAAAAAAAAAAAAAAAAA';
export const ACTOR = encodeURIComponent(userInfo().username);

/** The folder that the commands of a test file are started in. */
export const home = await temporaryFolder();
const children = new Set<ChildProcess>();

/** Ends what still runs, and throws the folder away. */
export const leaveHome = async (): Promise<void> => {
  for (const child of children) child.kill('SIGKILL');
  await rm(home, { recursive: true, force: true });
};

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A process, with what it has said so far. */
export class Running {
  readonly ended: Promise<Ended>;
  private out = '';
  private err = '';
  private readonly listeners: (() => void)[] = [];

  constructor(readonly child: ChildProcess) {
    children.add(child);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text;
      this.heard();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
      this.heard();
    });
    this.ended = new Promise((resolve) => {
      child.on('close', (code) => {
        children.delete(child);
        this.heard();
        resolve({ code, out: this.out, err: this.err });
      });
    });
  }

  /** Waits until it has said this. @returns all that it said */
  async saw(words: string): Promise<string> {
    while (!(this.out + this.err).includes(words)) {
      if (!children.has(this.child)) throw new Error(`it ended without saying '${words}': ${this.out}${this.err}`);
      await new Promise<void>((resolve) => this.listeners.push(resolve));
    }
    return this.out + this.err;
  }

  private heard(): void {
    for (const listener of this.listeners.splice(0)) listener();
  }
}

type Environment = Record<string, string>;

export const start = (
  command: string,
  args: readonly string[],
  extra: Environment,
  input: 'pipe' | 'ignore' = 'ignore',
): Running => {
  const clean = Object.entries(process.env).filter(([name]) => !/^(LETHE_.*|NO_COLOR|FORCE_COLOR)$/.test(name));
  const env = { ...Object.fromEntries(clean), TERM: 'xterm', ...extra };
  return new Running(spawn(command, args, { cwd: home, env, stdio: [input, 'pipe', 'pipe'] }));
};

export const startLethe = (args: readonly string[], env: Environment = {}, input?: 'pipe'): Running =>
  start(process.execPath, [MAIN, ...args], env, input);
export const lethe = (...args: string[]): Promise<Ended> => startLethe(args).ended;

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
const HAS_SCRIPT = spawnSync('script', ['--version']).status === 0;
const PYTHON = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

/** The same on a pseudo-terminal: what it says on stdout and stderr comes as one. */
export const onTerminal = (args: readonly string[], env: Environment = {}): Running => {
  const command = [process.execPath, MAIN, ...args];
  return HAS_SCRIPT
    ? start('script', ['-qec', command.map(quoted).join(' '), '/dev/null'], env, 'pipe')
    : start('python3', ['-c', PYTHON, ...command], env, 'pipe');
};

/** Answers a question on a terminal. */
const answering = async (
  args: readonly string[],
  question: string,
  answer: string,
  env: Environment = {},
): Promise<Ended> => {
  const running = onTerminal(args, env);
  await running.saw(question);
  running.child.stdin?.write(answer);
  return running.ended;
};
export const CTRL_C = '\u0003';
export const CTRL_D = '\u0004';

export const folder = async (): Promise<string> => {
  const path = join(home, randomUUID());
  await mkdir(path);
  return path;
};

export const write = async (path: string, content: string): Promise<string> => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
};

/** A file in a folder of its own. */
export const file = async (name: string, content: string): Promise<string> =>
  write(join(await folder(), name), content);

export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Commands that speak to a service, and what a test needs before it begins: over HTTP, which is quicker than a process. */
export const commandsOn = (service: RunningService) => {
  const env = { LETHE_URL: service.url };
  const onService = (...args: string[]): Promise<Ended> => startLethe(args, env).ended;
  const json = async (...args: string[]) => {
    const { code, out, err } = await onService(...args, '--json');
    if (code !== 0) throw new Error(`lethe ${args.join(' ')} ended with ${code ?? 'a signal'}: ${err}`);
    return JSON.parse(out);
  };
  const answered = (args: readonly string[], question: string, answer: string): Promise<Ended> =>
    answering(args, question, answer, env);
  const call = async (method: string, path: string, body?: object) => {
    const answer = await service.request(method, `/v1/${path}`, body === undefined ? {} : { json: body });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const added = async (content: string, metadata: object = {}) => {
    const { body } = await service.request('POST', '/v1/files', { body: upload(metadata, content) });
    return body.record;
  };
  const trashed = async (content: string) => {
    const { uid } = await added(content);
    return (await call('DELETE', `files/${uid}`)).record;
  };
  const visibilityOf = async (uid: string): Promise<number> => (await call('GET', `files/${uid}`)).visibility;
  return { env, onService, json, answered, call, added, trashed, visibilityOf };
};
