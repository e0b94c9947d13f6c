import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';

/*
 * The package as its users get it: packed, installed in an empty folder from the registry that npm is set to, and used from there: by the
 * contract's sample of the SDK, from a shell, and by the samples of docs/testing.md with each of the test runners.
 */

const ROOT = join(import.meta.dirname, '..', '..');
const SQLITE = join('node_modules', 'better-sqlite3');
let home: string;

/** The contract's sample (section 7), word for word, with what it says of itself in its comments held against what comes. */
const STORY = `
import assert from 'node:assert/strict';
import { connect } from 'lethe';

const lethe = await connect(JSON.parse(process.argv[2]));
const file = await lethe.files.add('./mydf.parquet', { description: 'mydf' });
await file.delete();
assert.deepEqual(await lethe.files.filter().all(), []);
const any = await lethe.files.filter({ visibility: null }).all();
assert.deepEqual(any.map(({ uid, visibility }) => [uid, visibility]), [[file.uid, -1]]);
await file.restore();
assert.equal((await lethe.files.filter().first())?.uid, file.uid);
await file.delete({ permanent: true });
assert.deepEqual(await lethe.files.filter({ visibility: null }).all(), []);
const types = [];
for await (const row of lethe.audit({ uid: file.uid, order: 'asc' })) types.push(row.type);
assert.deepEqual(types.slice(0, 4), ['RecordRegistered', 'RecordTrashed', 'RecordRestored', 'RecordPurgeRequested']);
assert.equal(types.at(-1), 'RecordPurged');
await lethe.close();
console.log('told');
`;

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
  cpSync(join(ROOT, 'test', 'fixtures', 'mydf.parquet'), join(home, 'mydf.parquet'));
  writeFileSync(join(home, 'story.js'), STORY);
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

test('the contract’s sample of the SDK runs in process', () => {
  expect(run('node', ['story.js', JSON.stringify({ data: './own-data' })])).toBe('told\n');
});

test('the contract’s sample of the SDK runs against a service', async () => {
  // Not by npx: a signal would end that alone.
  const bin = join('node_modules', 'lethe', 'dist', 'cli', 'main.js');
  const child = spawn(process.execPath, [bin, 'serve', '--data', 'served-data'], {
    cwd: home,
    env: { ...process.env, LETHE_PORT: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const closed = once(child, 'close');
  try {
    let url = '';
    for await (const line of createInterface({ input: child.stderr })) {
      url = /Lethe is ready at (http:\/\/[^"\s]+)/.exec(line)?.[1] ?? '';
      if (url !== '') break;
    }
    expect(run('node', ['story.js', JSON.stringify(url)])).toBe('told\n');
  } finally {
    child.kill('SIGTERM');
    await closed;
  }
});

test('the story goes from a shell', () => {
  const lethe = (...args: string[]): string => run('npx', ['lethe', ...args], home, { LETHE_DATA: 'shell-data' });
  lethe('init');
  lethe('add', 'mydf.parquet', '--description', 'mydf');
  const [file] = JSON.parse(lethe('ls', '--json')) as { uid: string; description: string }[];
  const uid = file?.uid ?? '';
  expect(file).toMatchObject({ description: 'mydf' });
  expect(lethe('delete', uid)).toContain(`moved file ${uid} to trash`);
  expect(JSON.parse(lethe('ls', '--json'))).toEqual([]);
  expect(lethe('restore', uid)).toContain(`restored file ${uid}`);
  expect(lethe('delete', uid, '--permanent')).toMatch(new RegExp(`deleted file ${uid} and its object \\(2\\.1 KB\\)`));
  expect(lethe('history', uid)).toContain('RecordPurged');
});
