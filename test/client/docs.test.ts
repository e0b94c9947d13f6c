import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import ts from 'typescript';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { discard, startService, temporaryFolder, type RunningService } from '../harness/service.js';

/*
 * docs/sdk.md is one program: it compiles against the package as users import it, and runs from top to bottom.
 */

// The compiler reads all of the package's types.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const ROOT = join(import.meta.dirname, '../..');
/** Within the package, so that `lethe` is this one. */
const SAMPLES = join(ROOT, '.cache/samples');

let service: RunningService;
let folder = '';
let samples: string[] = [];

beforeAll(async () => {
  service = await startService();
  folder = await temporaryFolder();
  const page = await readFile(join(ROOT, 'docs/sdk.md'), 'utf8');
  samples = [...page.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code = '']) => code);
});

afterAll(async () => {
  await discard(service);
  await rm(folder, { recursive: true, force: true });
});

it('compiles', async () => {
  const file = await written('page.ts', samples);
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [file] }, ts.sys, ROOT);
  // What a page reads and does not use is for the reader.
  const program = ts.createProgram([file], { ...options, noUnusedLocals: false });
  const faults = ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
  expect(faults).toEqual([]);
  expect(samples.length).toBeGreaterThan(8);
});

it('runs from top to bottom', async () => {
  const { body: document } = await service.request('GET', '/openapi.json');
  const runnable = samples.filter((code) => {
    const [, route] = /lethe\.(audit|events|stats)\(/.exec(code) ?? [];
    if (code.includes('.at('))
      return /revision/i.test(JSON.stringify(document.paths['/v1/files/{uid}'].get.parameters));
    return route === undefined || Object.hasOwn(document.paths, `/v1/${route}`);
  });
  const source = await readFile(await written('run.ts', runnable), 'utf8');
  const { outputText } = ts.transpileModule(source.replaceAll('http://127.0.0.1:4270', service.url), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const file = join(SAMPLES, 'run.mjs');
  await writeFile(file, outputText);
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  expect(err.replace(/^.*ExperimentalWarning.*\n.*trace-warnings.*\n/m, '')).toBe('');
  expect(out).toMatch(/^deleted\n/);
  expect(out).toContain('RecordPurged');
  expect(code).toBe(0);
});

/** The page's samples as one module: its imports stand where the page has them. */
const written = async (name: string, code: readonly string[]): Promise<string> => {
  await mkdir(SAMPLES, { recursive: true });
  const file = join(SAMPLES, name);
  await writeFile(file, code.join('\n'));
  return file;
};
