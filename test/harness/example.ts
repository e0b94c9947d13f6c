import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const ROOT = join(import.meta.dirname, '../..');

/** What a program came to. */
export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Compiles the examples, as `npm run examples` does once the package is built. Whether their types are right, `npm run types` says. */
export const buildExamples = async (): Promise<void> => {
  const { code, out } = await ended(start('node_modules/typescript/bin/tsc', ['-p', 'tsconfig.examples.json'], ROOT));
  if (code !== 0) throw new Error(`the examples do not compile:\n${out}`);
};

/** Runs an example to its end. @param cwd where it leaves what it writes @param input what it reads from stdin */
export const runExample = (
  name: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
  input = '',
): Promise<Ran> => {
  const child = startExample(name, args, cwd, env);
  child.stdin?.end(input);
  return ended(child);
};

/** Starts an example that ends when it is told to. */
export const startExample = (
  name: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): ChildProcess => start(`.cache/examples/${name}.js`, args, cwd, env);

const start = (
  script: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): ChildProcess => {
  const child = spawn(process.execPath, ['--no-warnings', join(ROOT, script), ...args], {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdio: 'pipe',
  });
  // Whatever ends this process, an example is not left behind.
  const endWithUs = () => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  child.once('exit', () => process.off('exit', endWithUs));
  return child;
};

const ended = async (child: ChildProcess): Promise<Ran> => {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('its output is not piped');
  const [out, err] = await Promise.all([text(stdout), text(stderr), once(child, 'close')]);
  return { code: child.exitCode, out, err };
};
