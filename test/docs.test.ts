import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultsOf, programOf, samplesOf } from './harness/samples.js';
import { discard, startService, temporaryFolder, type RunningService } from './harness/service.js';

/*
 * What the guides show compiles and runs, from top to bottom. docs/sdk.md has a test of its own.
 */

const ROOT = join(import.meta.dirname, '..');
const OURS = 'http://127.0.0.1:4270';

let service: RunningService;
let folder = '';

beforeAll(async () => {
  [service, folder] = await Promise.all([startService(), temporaryFolder()]);
});

afterAll(async () => {
  await discard(service);
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const ran = async (command: string, args: readonly string[]): Promise<Ran> => {
  const env = { PATH: process.env['PATH'] };
  const child: ChildProcess = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('its output is not piped');
  const [out, err] = await Promise.all([text(stdout), text(stderr), once(child, 'close')]);
  return { code: child.exitCode, out, err };
};

/** Runs a page's program. */
const program = async (name: string, samples: readonly string[]): Promise<Ran> => {
  const ours = samples.map((code) => code.replaceAll(OURS, service.url));
  return ran(process.execPath, ['--no-warnings', await programOf(name, ours)]);
};

/** Runs shell samples as one script that ends where a command fails. `npx lethe` is the one of this checkout, which needs no npx. */
const shell = async (samples: readonly string[]): Promise<Ran> => {
  const npx = `npx() { shift; '${process.execPath}' --no-warnings '${join(ROOT, 'dist/cli/main.js')}' "$@"; }`;
  const script = ['set -euo pipefail', npx, ...samples].join('\n').replaceAll(OURS, service.url);
  return ran('bash', ['-c', script]);
};

describe('docs/quickstart.md', () => {
  it('tells its story in a shell', async () => {
    const { code, out, err } = await shell((await samplesOf('docs/quickstart.md', 'sh')).slice(0, 1));
    expect({ code, err }).toEqual({ code: 0, err: expect.not.stringContaining('rror') });
    const uid = /added file (\S+)/.exec(out)?.[1] ?? 'none';
    expect(out).toContain(`moved file ${uid} to trash\n`);
    expect(out).toContain(`restored file ${uid}\nsome bytes`);
    expect(out).toMatch(new RegExp(`deleted file ${uid} and its object`));
    expect(out).toContain('RecordPurged');
  });

  it('tells its story with curl', async () => {
    const { code, out, err } = await shell((await samplesOf('docs/quickstart.md', 'sh')).slice(1));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const said = [...out.matchAll(/"outcome":"(\w+)"|"code":"([\w-]+)"|(some bytes)/g)].map(
      ([, outcome, problem, bytes]) => outcome ?? problem ?? bytes,
    );
    expect(said.filter((each) => each !== 'metadata')).toEqual([
      'trashed',
      'restored',
      'some bytes',
      'trashed',
      'confirmation-required',
      'purged',
      'purged',
    ]);
    expect(out).toContain('"type":"RecordPurged"');
  });

  it('tells its story in TypeScript', async () => {
    const samples = await samplesOf('docs/quickstart.md', 'ts');
    expect(await faultsOf('quickstart', samples)).toEqual([]);
    const { code, out, err } = await program('quickstart', samples);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^0\nsome bytes\ndelete\ndeleted\n/);
    expect(out).toMatch(/RecordPurged\n$/);
  });
});

describe('docs/audit.md', () => {
  it('shows what happened, by the SDK', async () => {
    const samples = await samplesOf('docs/audit.md', 'ts');
    expect(await faultsOf('audit', samples)).toEqual([]);
    const { code, out, err } = await program('audit', samples);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('\nalice deleted\n');
    expect(out).toContain('superseded');
    expect(out).toContain('\nfirst words\n');
    expect(out).toContain('asked to purge');
  });

  it('shows it by curl', async () => {
    const { code, out, err } = await shell(await samplesOf('docs/audit.md', 'sh'));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('"type":"RecordPurgeRequested"');
    const csv = await readFile(join(folder, 'audit.csv'), 'utf8');
    expect(csv).toMatch(/^position,registry,uid,/);
    const events = (await readFile(join(folder, 'events.ndjson'), 'utf8')).trimEnd().split('\n');
    expect(JSON.parse(events[0] ?? '')).toMatchObject({
      position: expect.stringMatching(/^\d+$/),
      type: 'InstanceCreated',
    });
  });
});

it('docs/nest.md compiles', async () => {
  expect(await faultsOf('nest', await samplesOf('docs/nest.md', 'ts'))).toEqual([]);
});

it.each([
  'README.md',
  'examples/README.md',
  'docs/quickstart.md',
  'docs/audit.md',
  'docs/nest.md',
  'docs/migrating.md',
])('%s links to what is there', async (page) => {
  const links = [...(await readFile(join(ROOT, page), 'utf8')).matchAll(/\]\((?!https?:|#)([^)#]+)/g)];
  expect(links.length).toBeGreaterThan(0);
  for (const [, link = ''] of links) await access(join(ROOT, dirname(page), link));
});
