import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { faultsOf, programOf, samplesOf } from '../harness/samples.js';
import { discard, startService, temporaryFolder, type RunningService } from '../harness/service.js';

/*
 * docs/sdk.md is one program: it compiles against the package as users import it, and runs from top to bottom.
 */

let service: RunningService;
let folder = '';
let samples: string[] = [];

beforeAll(async () => {
  service = await startService();
  folder = await temporaryFolder();
  samples = await samplesOf('docs/sdk.md', 'ts');
});

afterAll(async () => {
  await discard(service);
  await rm(folder, { recursive: true, force: true });
});

it('compiles', async () => {
  expect(await faultsOf('page', samples)).toEqual([]);
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
  const ours = runnable.map((code) => code.replaceAll('http://127.0.0.1:4270', service.url));
  const file = await programOf('run', ours);
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  expect(err.replace(/^.*ExperimentalWarning.*\n.*trace-warnings.*\n/m, '')).toBe('');
  expect(out).toMatch(/^deleted\n/);
  expect(out).toContain('RecordPurged');
  expect(code).toBe(0);
});
