import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import ts from 'typescript';
import { mutated, type Mutant } from './mutant.js';
import { MUTANTS } from './mutants.js';

/*
 * `npm run mutants`: puts each fault into a copy of the tree, alone, and runs what is to catch it. Ends with 1 where one was missed, or does
 * not apply any more. The checkout itself is never changed.
 */

const USAGE = `npm run mutants -- [ID…]
  ID…   these mutants only, all where none is named`;

/** What a run needs, beside the packages. */
const COPIED = ['src', 'test', 'dist', '.cache/simulation', 'package.json', 'tsconfig.json', 'vitest.config.ts'];
/** Far more than any catcher takes: one that hangs has not said what is wrong. */
const PATIENCE_MS = 300_000;

interface Said {
  readonly code: number | null;
  readonly text: string;
}

const call = (cwd: string, args: readonly string[]): Promise<Said> =>
  new Promise((done, failed) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (chunk: string) => (text += chunk));
    }
    child.once('error', failed);
    child.once('close', (code) => {
      clearTimeout(timer);
      done({ code, text });
    });
  });

const copyOf = (tree: string): string => {
  const copy = mkdtempSync(join(tmpdir(), 'mutants-'));
  for (const name of COPIED) cpSync(join(tree, name), join(copy, name), { recursive: true });
  symlinkSync(join(tree, 'node_modules'), join(copy, 'node_modules'));
  return copy;
};

/** As the build does, but for this file alone and without a look at its types. */
const compiled = (text: string, tree: string): string => {
  const { config } = ts.readConfigFile(join(tree, 'tsconfig.json'), (path) => readFileSync(path, 'utf8'));
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, tree);
  // Its own format, ES modules, is what package.json says; a file alone has none.
  const { outputText } = ts.transpileModule(text, { compilerOptions: { ...options, module: ts.ModuleKind.ESNext } });
  return outputText;
};

/** Writes a file's text, and what is compiled of it, where the catchers look for it. */
const lay = (copy: string, file: string, text: string): void => {
  writeFileSync(join(copy, file), text);
  const script = file.replace(/\.ts$/, '.js');
  const output = compiled(text, copy);
  writeFileSync(join(copy, '.cache/simulation', script), output);
  writeFileSync(join(copy, script.replace(/^src\//, 'dist/')), output);
};

interface Verdict {
  readonly caught: boolean;
  readonly how: string;
}

/** The first faults that the simulation finds; null where all came out well. */
const simulated = async (copy: string, seeds: number): Promise<{ seed: string; faults: string[] } | null> => {
  const main = '.cache/simulation/test/simulation/main.js';
  const { code, text } = await call(copy, [main, '--seeds', String(seeds), '--from', '1', '--uncut']);
  if (code === 0) return null;
  const [, seed, faults] = /^seed (\d+) came out wrong:\n((?: {2}.*\n)+)/m.exec(text) ?? [];
  if (seed === undefined || faults === undefined) throw new Error(`the simulation ended without a verdict: ${text}`);
  return { seed, faults: faults.trimEnd().split('\n') };
};

interface Ran {
  readonly fullName: string;
  readonly status: string;
}

/** What became of the tests whose names match. */
const tested = async (copy: string, files: readonly string[], names: string): Promise<Ran[]> => {
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', ...files, '-t', names];
  rmSync(join(copy, 'said.json'), { force: true });
  const { code, text } = await call(copy, [...vitest, '--reporter=json', '--outputFile=said.json']);
  if (code === null) throw new Error(`the tests of ${files.join(', ')} did not end: ${lastOf(text)}`);
  const said = JSON.parse(readFileSync(join(copy, 'said.json'), 'utf8')) as {
    testResults: { assertionResults: Ran[] }[];
  };
  return said.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status === 'passed' || status === 'failed');
};

const lastOf = (text: string): string => text.trimEnd().split('\n').slice(-3).join('\n');

const tried = async (copy: string, { caughtBy }: Mutant): Promise<Verdict> => {
  if (caughtBy.by === 'simulation') {
    const found = await simulated(copy, caughtBy.seeds);
    if (found === null) return { caught: false, how: `${caughtBy.seeds} seeds came out well` };
    const first = found.faults.find((fault) => caughtBy.says.test(fault));
    const how = `seed ${found.seed}: ${(first ?? found.faults.join('\n')).trim()}`;
    return { caught: first !== undefined, how };
  }
  const ran = await tested(copy, [caughtBy.file], caughtBy.name);
  const failed = ran.filter(({ status }) => status === 'failed');
  return {
    caught: failed.length > 0,
    how: `${failed.length} of ${ran.length}: ${failed[0]?.fullName ?? 'no test fails'}`,
  };
};

/** What is to catch them finds nothing in the code as it is: what it finds then is the mutant's doing. @returns what it finds */
const unsound = async (copy: string, mutants: readonly Mutant[]): Promise<string | null> => {
  const catchers = mutants.map(({ caughtBy }) => caughtBy);
  const seeds = Math.max(0, ...catchers.map((each) => (each.by === 'simulation' ? each.seeds : 0)));
  const found = seeds === 0 ? null : await simulated(copy, seeds);
  if (found !== null) return `seed ${found.seed}: ${found.faults.join('\n')}`;
  const tests = catchers.flatMap((each) => (each.by === 'test' ? [each] : []));
  if (tests.length === 0) return null;
  const names = [...new Set(tests.map(({ name }) => name))];
  const ran = await tested(copy, [...new Set(tests.map(({ file }) => file))], `(${names.join('|')})`);
  const silent = names.find((name) => !ran.some(({ fullName }) => fullName.includes(name)));
  if (silent !== undefined) return `no test is called ${silent}`;
  return ran.find(({ status }) => status === 'failed')?.fullName ?? null;
};

/** @returns whether it was caught */
const attempt = async (copy: string, mutant: Mutant): Promise<boolean> => {
  const start = performance.now();
  const original = readFileSync(join(copy, mutant.file), 'utf8');
  lay(copy, mutant.file, mutated(original, mutant));
  const { caught, how } = await tried(copy, mutant);
  lay(copy, mutant.file, original);
  const seconds = ((performance.now() - start) / 1_000).toFixed(0);
  console.log(`${caught ? 'caught' : 'MISSED'}  ${mutant.id} (${seconds} s)  ${how}`);
  return caught;
};

const main = async (): Promise<boolean> => {
  const { values, positionals } = parseArgs({
    options: { help: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const chosen = MUTANTS.filter(({ id }) => positionals.length === 0 || positionals.includes(id));
  if (values.help || chosen.length < positionals.length) {
    console.log(USAGE);
    return values.help;
  }
  const copy = copyOf(resolve('.'));
  try {
    const wrong = await unsound(copy, chosen);
    if (wrong !== null) {
      console.log(`the code as it is fails already: ${wrong}`);
      return false;
    }
    let missed = 0;
    for (const mutant of chosen) if (!(await attempt(copy, mutant))) missed += 1;
    console.log(`${chosen.length - missed} of ${chosen.length} caught`);
    return missed === 0;
  } finally {
    rmSync(copy, { recursive: true });
  }
};

process.exitCode = (await main()) ? 0 : 1;
