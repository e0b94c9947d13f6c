import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

/*
 * The package as its users get it: packed, installed in an empty folder from the registry that npm is set to, and used by the samples of
 * docs/testing.md with each of the test runners.
 */

const ROOT = join(import.meta.dirname, '..', '..');
const SQLITE = join('node_modules', 'better-sqlite3');
let home: string;

const run = (command: string, args: readonly string[], cwd = home, env: Record<string, string> = {}): string => {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', ...env },
    timeout: 400_000,
  });
  expect(status, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`).toBe(0);
  return stdout + stderr;
};

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'lethe-pack-'));
  run('npm', ['pack', '--ignore-scripts', '--pack-destination', home], ROOT);
  const tarball = readdirSync(home).find((name) => name.endsWith('.tgz')) ?? '';
  const sqlite = JSON.parse(readFileSync(join(ROOT, SQLITE, 'package.json'), 'utf8')) as { version: string };
  const manifest = {
    name: 'samples',
    private: true,
    type: 'module',
    jest: { transform: {}, testMatch: ['<rootDir>/jest/**/*.test.js'] },
    overrides: { 'better-sqlite3': sqlite.version },
  };
  writeFileSync(join(home, 'package.json'), JSON.stringify(manifest));
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  run('npm', ['install', ...quiet, `./${tarball}`, 'vitest@4', 'jest@30']);
  // The checkout's own was compiled for this Node, and compiling it again takes longer than all of this.
  cpSync(join(ROOT, SQLITE, 'build'), join(home, SQLITE, 'build'), { recursive: true });
  cpSync(join(ROOT, 'examples', 'testing'), home, { recursive: true });
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

test('the sample for vitest passes', () => {
  expect(run('npx', ['vitest', 'run', 'vitest/'])).toMatch(/Tests +4 passed \(4\)/);
});

test('the sample for Jest passes', () => {
  expect(run('npx', ['jest'], home, { NODE_OPTIONS: '--experimental-vm-modules' })).toMatch(
    /Tests: +4 passed, 4 total/,
  );
});

test('the sample for node:test passes', () => {
  expect(run('node', ['--test', 'node-test/'])).toMatch(/# pass 4\n/);
});
