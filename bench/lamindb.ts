import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { DataFolders } from './data-folders.js';
import { compiled, ROOT } from './places.js';
import { table, told, type Benchmark } from './report.js';
import { fixed, median, spread } from './statistics.js';

const run = promisify(execFile);

const SCRIPT = join(ROOT, 'bench', 'lamindb', 'theirs.py');
const PINNED = join(ROOT, 'bench', 'lamindb', 'requirements.txt');
const VENV = join(ROOT, '.cache', 'lamindb');
const PYTHON = join(VENV, 'bin', 'python');
const BYTES = 2_048;
/** At most: one takes minutes. */
const ROUNDS = 3;

const STEPS = ['open', 'add', 'trash', 'restore', 'trash again', 'purge'] as const;
type Step = (typeof STEPS)[number];

const stepsSchema = z.array(z.object({ step: z.enum(STEPS), ms: z.number(), visible: z.number(), stored: z.number() }));
type Took = Readonly<Record<Step, number>>;

/** A script on `connect({ data })` beside the same script on LaminDB: each a process of its own, one after the other, in turns. */
export const lamindb: Benchmark = async ({ quick, rounds, folders, say }) => {
  say('installing LaminDB');
  const version = await installed();
  const files = quick ? 50 : 1_000;
  const source = write(folders, files);
  const runs: { ours: Took; theirs: Took }[] = [];
  for (let round = 1; round <= Math.min(rounds, ROUNDS); round += 1) {
    const sides = {
      ours: () => ours(folders.empty(`lamindb-ours-${round}`), source, files),
      theirs: () => theirs(folders.empty(`lamindb-theirs-${round}`), source, files),
    };
    // Whoever goes first finds the disk and the caches as the other left them.
    const first = round % 2 === 0 ? await sides.theirs() : null;
    const took = { ours: await sides.ours(), theirs: first ?? (await sides.theirs()) };
    runs.push(took);
    say(`round ${round}: ${STEPS.map((step) => `${step} ${ratio(took, step)}`).join(', ')} times as fast`);
  }
  const each = (side: 'ours' | 'theirs', step: Step): number => median(runs.map((took) => took[side][step])) / files;
  return {
    results: STEPS.filter((step) => step !== 'open').map((step) =>
      told(
        `${SAID[step]}, as many times as fast as LaminDB ${version.lamindb}`,
        `${spread(
          runs.map((took) => took.theirs[step] / took.ours[step]),
          1,
        )}: ${fixed(each('ours', step), 2)} ms against ${fixed(each('theirs', step), 2)} ms`,
      ),
    ),
    details: [
      `Two scripts, \`bench/lamindb/ours.ts\` and \`theirs.py\`, each in a process of its own on an empty folder of the same disk, one after the other and ` +
        `in every second round the other way round. ${fixed(files, 0)} files of ${fixed(BYTES, 0)} random bytes, the same for both; each is added by its path, trashed, restored, ` +
        `trashed again and purged, every step for all files, one call at a time, and after each step it is checked how many are visible and how many objects there are. ` +
        `LaminDB ${version.lamindb} on Python ${version.python} with SQLite ${version.sqlite}, a local storage, not logged in. To open is, from the script's first line, ` +
        `to load what is needed and to make the data folder, or the instance with its tables.`,
      NOT_THE_SAME,
      `Milliseconds for all ${fixed(files, 0)} files, Lethe / LaminDB (how many times as fast Lethe is).`,
      table(
        ['round', ...STEPS],
        runs.map((took, index) => [
          String(index + 1),
          ...STEPS.map(
            (step) => `${fixed(took.ours[step], 0)} / ${fixed(took.theirs[step], 0)} (${ratio(took, step)})`,
          ),
        ]),
      ),
    ].join('\n\n'),
  };
};

const SAID: Readonly<Record<Exclude<Step, 'open'>, string>> = {
  add: '`connect({ data })`: adding a file of 2 KiB',
  trash: '`connect({ data })`: trashing one',
  restore: '`connect({ data })`: restoring one',
  'trash again': '`connect({ data })`: trashing one that was restored',
  purge: '`connect({ data })`: purging one',
};

/** Seen under strace and in LaminDB's source. */
const NOT_THE_SAME =
  'They do not do the same. On disk when a call returns, seen under strace: Lethe adds with four fsyncs (the bytes, two folders, the log), trashes and restores ' +
  'with one (the log), and purges with four (the log twice before the deletion and once after it, and the folder). LaminDB commits one SQLite transaction ' +
  'each time (`synchronous=FULL`, rollback journal: four syncs), and syncs neither the bytes that it copies nor the folder that it deletes from. Lethe appends events and keeps ' +
  'them, with who and why, also past a purge, answers a purge when the object is gone, and every call passes its whole API in-process; a query may lag a call by some ' +
  'milliseconds and waits for it. LaminDB changes one row, deletes it at a purge, and keeps no history. Both hash what they add with MD5. Neither side is asked for what only it has: ' +
  "holds, previews and receipts of Lethe; LaminDB's schemas, lineage (`ln.track()`) and features.";

const ratio = ({ ours, theirs }: { readonly ours: Took; readonly theirs: Took }, step: Step): string =>
  fixed(theirs[step] / ours[step], 1);

/** All distinct: neither side stores known content twice. */
const write = (folders: DataFolders, files: number): string => {
  const source = folders.empty('lamindb-files');
  for (let number = 1; number <= files; number += 1)
    writeFileSync(join(source, `${String(number).padStart(6, '0')}.csv`), randomBytes(BYTES));
  return source;
};

const ours = async (folder: string, source: string, files: number): Promise<Took> => {
  const env = { PATH: process.env['PATH'] };
  const { stdout } = await run(process.execPath, [compiled('lamindb/ours.js'), folder, source], { env });
  return took(stdout, files);
};

const theirs = async (folder: string, source: string, files: number): Promise<Took> => {
  const [home, storage] = [join(folder, 'home'), join(folder, 'storage')];
  mkdirSync(home);
  mkdirSync(storage);
  // Settings and caches of its own, none of whoever runs this.
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    LAMIN_SETTINGS_DIR: home,
    LAMIN_CACHE_DIR: join(home, 'cache'),
  };
  const { stdout } = await run(PYTHON, [SCRIPT, storage, source], { cwd: folder, env });
  return took(stdout, files);
};

/** @param stdout its last line is what the script says */
const took = (stdout: string, files: number): Took => {
  const steps = stepsSchema.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
  for (const { step, visible, stored } of steps) {
    const there = step === 'open' || step === 'purge' ? 0 : files;
    const shown = step === 'add' || step === 'restore' ? files : 0;
    if (visible !== shown || stored !== there)
      throw new Error(
        `after ${step} ${visible} of ${shown} files were visible, and ${stored} of ${there} objects there`,
      );
  }
  const ms = new Map(steps.map((step) => [step.step, step.ms]));
  const of = (step: Step): number => ms.get(step) ?? Number.NaN;
  return {
    open: of('open'),
    add: of('add'),
    trash: of('trash'),
    restore: of('restore'),
    'trash again': of('trash again'),
    purge: of('purge'),
  };
};

const versionSchema = z.object({ lamindb: z.string(), python: z.string(), sqlite: z.string() });

/** The pinned LaminDB in a virtual environment of its own, made where it is not there yet. @throws where PyPI cannot be reached */
const installed = async (): Promise<z.infer<typeof versionSchema>> => {
  const stamp = join(VENV, 'requirements.txt');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== readFileSync(PINNED, 'utf8')) {
    await run('python3', ['-m', 'venv', '--clear', VENV]);
    await run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', PINNED]);
    copyFileSync(PINNED, stamp);
  }
  const asked =
    'import importlib.metadata as m, json, platform, sqlite3; print(json.dumps({"lamindb": m.version("lamindb"), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}))';
  return versionSchema.parse(JSON.parse((await run(PYTHON, ['-c', asked])).stdout));
};
