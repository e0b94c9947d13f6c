import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { access, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { discard, startService, temporaryFolder, upload, type RunningService } from './harness/service.js';

/*
 * The command line as its users meet it: a process of its own, from dist, against a service that runs and straight on a data folder.
 */

// Each test starts many processes, and a machine that is busy starts them slowly.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const DIST = join(import.meta.dirname, '..', 'dist');
const MAIN = join(DIST, 'cli', 'main.js');
const UID = /[0-9A-Za-z]{20}/;
const NOBODY = 'AAAAAAAAAAAAAAAAAAAA';
const ACTOR = encodeURIComponent(userInfo().username);

let home = '';
const children = new Set<ChildProcess>();

beforeAll(async () => {
  home = await temporaryFolder();
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(home, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A process, with what it has said so far. */
class Running {
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

const start = (
  command: string,
  args: readonly string[],
  extra: Environment,
  input: 'pipe' | 'ignore' = 'ignore',
): Running => {
  const clean = Object.entries(process.env).filter(([name]) => !/^(LETHE_.*|NO_COLOR|FORCE_COLOR)$/.test(name));
  const env = { ...Object.fromEntries(clean), TERM: 'xterm', ...extra };
  return new Running(spawn(command, args, { cwd: home, env, stdio: [input, 'pipe', 'pipe'] }));
};

const startLethe = (args: readonly string[], env: Environment = {}, input?: 'pipe'): Running =>
  start(process.execPath, [MAIN, ...args], env, input);
const lethe = (...args: string[]): Promise<Ended> => startLethe(args).ended;

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
const HAS_SCRIPT = spawnSync('script', ['--version']).status === 0;
const PYTHON = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

/** The same on a pseudo-terminal: what it says on stdout and stderr comes as one. */
const onTerminal = (args: readonly string[], env: Environment = {}): Running => {
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
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

const folder = async (): Promise<string> => {
  const path = join(home, randomUUID());
  await mkdir(path);
  return path;
};

const write = async (path: string, content: string): Promise<string> => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
};

/** A file in a folder of its own. */
const file = async (name: string, content: string): Promise<string> => write(join(await folder(), name), content);

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

describe.concurrent('by itself', () => {
  it('says its version, and helps with an example for every verb', async () => {
    const manifest = JSON.parse(await readFile(join(DIST, '..', 'package.json'), 'utf8'));
    expect(await lethe('--version')).toEqual({ code: 0, out: `${manifest.version}\n`, err: '' });
    const verbs = [
      'serve',
      'init',
      'add',
      'create',
      'set',
      'ls',
      'show',
      'cat',
      'delete',
      'restore',
      'history',
      'hold',
      'unhold',
    ];
    for (const verb of [
      ...verbs.map((one) => [one]),
      ['trash', 'ls'],
      ['trash', 'empty'],
      ['purges'],
      ['purges', 'retry'],
    ]) {
      const { code, out } = await lethe(...verb, '--help');
      expect({ verb, code, example: out.includes(`$ lethe ${verb.join(' ')}`) }).toEqual({
        verb,
        code: 0,
        example: true,
      });
    }
  });

  it.each([
    '',
    'nonsense',
    'ls --nonsense',
    'show',
    'delete x --storage burn',
    'add x --semantic',
    'add x y --key k',
    'ls --where size',
    'ls --limit 0',
    'trash empty --older-than soon',
    'ls --url ftp://nowhere',
    'ls --url http://127.0.0.1:45998 --data x',
  ])('ends with 2 on wrong usage: lethe %s', async (line) => {
    const wrong = { code: 2, out: '', err: expect.stringContaining('lethe') };
    expect(await lethe(...line.split(' ').filter(Boolean))).toEqual(wrong);
  });

  it('makes no data folder only to look into it, and fails where nobody answers', async () => {
    const nowhere = join(home, 'nowhere');
    const err = `lethe: there is no data folder ${nowhere}. Make one with lethe init, or name another with --data (LETHE_DATA)\n`;
    expect(await lethe('ls', '--data', nowhere)).toEqual({ code: 1, out: '', err });
    expect(await isThere(nowhere)).toBe(false);
    const silence = expect.stringMatching(/^lethe: http:\/\/127.0.0.1:45999 does not answer: .*\n$/);
    expect(await lethe('ls', '--url', 'http://127.0.0.1:45999')).toEqual({ code: 1, out: '', err: silence });
  });

  it('makes a data folder and its lethe.json, once', async () => {
    const [data, objects] = [join(await folder(), 'data'), join(await folder(), 'objects')];
    const made = await lethe('init', '--data', data, '--storage', objects);
    expect(made).toEqual({ code: 0, out: `made ${data}/lethe.json; objects live in ${objects}\n`, err: '' });
    const written = await readFile(join(data, 'lethe.json'), 'utf8');
    expect(JSON.parse(written)).toEqual({ storages: [{ name: 'default', root: `file:${objects}` }] });
    const again = { code: 0, out: `${data}/lethe.json is there already; nothing was changed\n`, err: '' };
    expect(await lethe('init', '--data', data, '--storage', objects)).toEqual(again);
    expect(JSON.parse((await lethe('init', '--data', data, '--json')).out)).toMatchObject({ created: false, data });
    expect(await readFile(join(data, 'lethe.json'), 'utf8')).toBe(written);
  });
});

describe('against a service', () => {
  let service: RunningService;
  let [lab, open, stray] = ['', '', ''];

  const onService = (...args: string[]): Promise<Ended> => startLethe(args, { LETHE_URL: service.url }).ended;
  const json = async (...args: string[]) => {
    const { code, out, err } = await onService(...args, '--json');
    if (code !== 0) throw new Error(`lethe ${args.join(' ')} ended with ${code ?? 'a signal'}: ${err}`);
    return JSON.parse(out);
  };
  const answered = (args: readonly string[], question: string, answer: string): Promise<Ended> =>
    answering(args, question, answer, { LETHE_URL: service.url });

  /* What a test needs before it begins comes over HTTP, which is quicker than a process. */
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

  beforeAll(async () => {
    [lab, open, stray] = [await folder(), await folder(), await folder()];
    await mkdir(join(lab, 'nested'));
    const storages = [
      { name: 'lab', root: `file:${lab}` },
      { name: 'nested', root: `file:${lab}/nested` },
      { name: 'stray', root: `file:${stray}` },
      { name: 'open', root: `file:${open}`, managed: false },
    ];
    service = await startService({ config: { storages, registries: { models: {} }, purges: { attempts: 1 } } });
  });

  afterAll(() => discard(service));

  describe.concurrent('add', () => {
    it('copies a file to a virtual key, as the user of this machine', async () => {
      const path = await file('mydf.parquet', 'x'.repeat(2240));
      const { code, out, err } = await onService('add', path, '--description', 'mydf');
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(/^added file [0-9A-Za-z]{20} as mydf.parquet \(2.2 KB\)\n$/);
      const uid = UID.exec(out)?.[0] ?? '';
      const expected = {
        key: 'mydf.parquet',
        keyIsVirtual: true,
        suffix: '.parquet',
        description: 'mydf',
        size: 2240,
        createdBy: ACTOR,
      };
      expect(await call('GET', `files/${uid}`)).toMatchObject(expected);
      const again = await onService('add', path, '--key', 'other.parquet');
      const warning = expect.stringMatching(/^lethe: warning: .*key.*\n$/);
      expect(again).toEqual({ code: 0, out: `file ${uid} has the same content already\n`, err: warning });
    });

    it('copies a folder as one record a file, and skips links in it with a warning', async () => {
      const top = join(await folder(), 'results');
      await write(join(top, 'a.csv'), 'folder a');
      await write(join(top, 'deep', 'b.csv'), 'folder b');
      await symlink('a.csv', join(top, 'link.csv'));
      const { code, out, err } = await onService('add', top);
      expect({ code, err }).toEqual({ code: 0, err: `lethe: warning: skipped ${top}/link.csv: a symbolic link\n` });
      const lines = out.replaceAll(new RegExp(UID, 'g'), '…').split('\n');
      expect(lines).toEqual(['added file … as results/a.csv (8 B)', 'added file … as results/deep/b.csv (8 B)', '']);
      const keyed = await file('c.csv', 'folder c');
      expect((await json('add', dirname(keyed), '--key', 'runs/7/')).record.key).toBe('runs/7/c.csv');
    });

    it('registers what lies in a storage where it lies, in the innermost one, a folder as one record', async () => {
      const path = await write(join(lab, 'sales', '2026.csv'), 'sales');
      const link = join(await folder(), 'link.csv');
      await symlink(path, link);
      const inPlace = /^registered file [0-9A-Za-z]{20} where it lies, lab:sales\/2026.csv \(5 B\)\n$/;
      expect((await onService('add', link)).out).toMatch(inPlace);
      await write(join(lab, 'nested', 'x.zarr', 'inner', 'chunk'), 'chunk');
      const { record } = await json('add', join(lab, 'nested', 'x.zarr'));
      expect(record).toMatchObject({
        key: 'x.zarr/',
        path: 'x.zarr/',
        keyIsVirtual: false,
        hashType: 'md5-d',
        objects: 1,
      });
      expect((await call('GET', `storages/${record.storage}`)).name).toBe('nested');
      expect(await onService('cat', record.uid, '--path', 'inner/chunk')).toEqual({ code: 0, out: 'chunk', err: '' });
      expect(await onService('cat', record.uid)).toMatchObject({
        code: 1,
        out: '',
        err: expect.stringContaining('  ?path: '),
      });
      const keyed = { code: 2, out: '', err: expect.stringContaining('sales/2026.csv') };
      expect(await onService('add', path, '--key', 'else.csv')).toEqual(keyed);
      expect(await onService('add', lab)).toMatchObject({
        code: 1,
        err: expect.stringContaining('the root of the storage lab'),
      });
      expect(await onService('add', dirname(lab))).toMatchObject({
        code: 1,
        err: expect.stringContaining('has the storage'),
      });
    });

    it('uploads to a semantic key where that is asked for, and overwrites nothing', async () => {
      const semantic = ['--key', 'where/it.txt', '--semantic'];
      const { record } = await json('add', await file('a.txt', 'semantic'), ...semantic);
      expect(record).toMatchObject({ key: 'where/it.txt', path: 'where/it.txt', keyIsVirtual: false });
      const refused = { code: 3, out: '', err: expect.stringMatching(/^lethe: .*where\/it.txt.*\n$/) };
      expect(await onService('add', await file('b.txt', 'other content'), ...semantic)).toEqual(refused);
    });

    it('goes on after a path that fails, and remembers it', async () => {
      const { code, out, err } = await onService('add', join(home, 'missing'), await file('good.txt', 'good'));
      expect({ code, out }).toEqual({ code: 1, out: expect.stringContaining('as good.txt (4 B)') });
      expect(err).toContain(`lethe: ${home}/missing: `);
    });

    it('streams an upload: its memory does not grow with the size', async () => {
      const path = join(await folder(), 'sparse.bin');
      await write(path, '');
      await truncate(path, 300_000_000);
      const atExit = 'data:text/javascript,process.on("exit",()=>console.error(process.resourceUsage().maxRSS))';
      const added = await start(process.execPath, ['--import', atExit, MAIN, 'add', path], { LETHE_URL: service.url })
        .ended;
      expect(added).toMatchObject({ code: 0, out: expect.stringContaining('(286.1 MB)') });
      expect(Number(added.err)).toBeLessThan(220_000);
    });

    it('shows a bar on a terminal, and control characters of a key as what they are', async () => {
      const path = await file('large.bin', 'x'.repeat(3_000_000));
      const { code, out } = await onTerminal(['add', path, '--key', 'a\u001b[2Jb'], { LETHE_URL: service.url }).ended;
      expect(code).toBe(0);
      expect(out).toMatch(/% .* of 2\.9 MB/);
      expect(out).toContain('as a\\u001b[2Jb (2.9 MB)');
    });
  });

  describe.concurrent('looking', () => {
    it("lists files in LaminDB's columns: a table on a terminal, tabs in a pipe, one array with --json", async () => {
      const record = await added('to be listed', { key: 'listed.txt' });
      const columns =
        'uid storage key suffix accessor description version size hash hashType objects transform run visibility keyIsVirtual createdAt updatedAt createdBy';
      const one = ['ls', '--where', 'key=listed.txt'];
      const [head, row, end] = (await onService(...one)).out.split('\n');
      expect(head).toBe(columns.replaceAll(' ', '\t'));
      expect(row).toMatch(new RegExp(`^${record.uid}\t${record.storage}\tlisted.txt\t.txt\t`));
      expect(end).toBe('');
      expect(await json(...one)).toEqual([record]);

      const coloured = await onTerminal(one, { LETHE_URL: service.url }).ended;
      expect(coloured.out).toContain('\u001b[1m');
      const plain = await onTerminal(one, { LETHE_URL: service.url, NO_COLOR: '1' }).ended;
      expect(plain.out).not.toContain('\u001b[');
      const [words, cells] = plain.out.split('\r\n');
      expect(words?.split(/\s+/).filter(Boolean).join(' ')).toBe(columns);
      expect(cells).toContain(record.uid);
    });

    it('filters, sorts and limits, and says what is wrong with a condition', async () => {
      const [small, large] = [await added('1', { key: 'ls-1' }), await added('22', { key: 'ls-22' })];
      const ours = ['--where', 'key[startsWith]=ls-'];
      expect(await json('ls', 'files', ...ours, '--where', 'size[gte]=1', '--sort', '-size')).toEqual([large, small]);
      expect(await json('ls', ...ours, '--sort', 'size', '--limit', '1')).toEqual([small]);
      await call('DELETE', `files/${small.uid}`);
      expect(await json('ls', ...ours, '--visibility', 'any', '--sort', 'size')).toMatchObject([
        { visibility: -1 },
        { visibility: 1 },
      ]);
      const nothing = { code: 0, out: '', err: 'nothing found\n' };
      expect(await onService('ls', '--where', `uid=${small.uid}`)).toEqual(nothing);
      const wrong = await onService('ls', '--where', 'size[gt]=big', '--where', 'nonsense=1');
      expect(wrong).toMatchObject({ code: 1, out: '' });
      const said = [/^lethe: 2 fields/, /^ {2}\?size\[gt\]: /, /^ {2}\?nonsense: /, /^$/].map((line) =>
        expect.stringMatching(line),
      );
      expect(wrong.err.split('\n')).toEqual(said);
      expect((await onService('ls', 'nonsense')).code).toBe(4);
    });

    it('shows a record, its bytes and its history, and says where there is none', async () => {
      const { uid } = await added('to be shown', { key: 'shown.txt' });
      expect((await onService('show', `files/${uid}`)).out).toContain('\nkey\tshown.txt\n');
      expect((await json('show', uid)).uid).toBe(uid);
      expect(await onService('cat', uid)).toEqual({ code: 0, out: 'to be shown', err: '' });
      expect((await onService('cat', `datasets/${uid}`)).code).toBe(2);
      expect(await json('history', uid)).toMatchObject([{ type: 'RecordRegistered', actor: 'anonymous' }]);
      expect((await onService('history', uid)).out).toMatch(/^revision\tat\tactor\t.*\n0\t/);
      for (const verb of ['show', 'cat', 'history', 'delete', 'restore', 'hold']) {
        const missing = { verb, code: 4, out: '', err: expect.stringMatching(/^lethe: There is no record .*\n$/) };
        expect({ verb, ...(await onService(verb, NOBODY)) }).toEqual(missing);
      }
      expect((await onService('show', '..')).code).toBe(4);
    });

    it('lets a reader stop early', async () => {
      const { uid } = await added('y'.repeat(200_000));
      const pipes = `"$0" "$1" cat ${uid} | head -c 3; echo; "$0" "$1" ls --json | head -c 1`;
      const shell = start('sh', ['-c', pipes, process.execPath, MAIN], { LETHE_URL: service.url });
      expect(await shell.ended).toEqual({ code: 0, out: 'yyy\n[', err: '' });
    });
  });

  describe.concurrent('deleting', () => {
    const QUESTION = "File record is already in trash! Permanently delete it? You can't undo this action. (y/N)";

    it('moves to the trash and restores; --yes makes no purge of it', async () => {
      const { uid } = await added('there and back');
      expect(await onService('delete', uid, '--dry-run')).toEqual({
        code: 0,
        out: `would move file ${uid} to trash\n`,
        err: '',
      });
      const moved = { code: 0, out: `moved file ${uid} to trash\n`, err: '' };
      expect(await onService('delete', uid, '--yes', '--reason', 'by mistake')).toEqual(moved);
      expect(await visibilityOf(uid)).toBe(-1);
      expect(await onService('cat', uid)).toMatchObject({ code: 3, out: '' });
      expect((await onService('cat', uid, '--visibility', 'any')).out).toBe('there and back');
      expect(await json('trash', 'ls')).toContainEqual(
        expect.objectContaining({ uid, reason: 'by mistake', trashedBy: ACTOR }),
      );
      expect((await onService('trash', 'ls', '--registry', 'files')).out).toContain(uid);
      expect(await onService('restore', uid)).toEqual({ code: 0, out: `restored file ${uid}\n`, err: '' });
      expect(await json('restore', uid)).toMatchObject({ outcome: 'unchanged', record: { visibility: 1 } });
    });

    it('purges at once with --permanent, and what is gone is gone', async () => {
      const { uid, path } = await added('z'.repeat(2240));
      const deleted = { code: 0, out: `deleted file ${uid} and its object (2.2 KB)\n`, err: '' };
      expect(await onService('delete', uid, '--permanent')).toEqual(deleted);
      expect(await isThere(join(service.data, 'objects', path))).toBe(false);
      for (const verb of ['show', 'restore'])
        expect({ verb, code: (await onService(verb, uid)).code }).toEqual({ verb, code: 4 });
      expect(await json('delete', uid)).toMatchObject({ outcome: 'purged', receipt: { uid } });
      expect((await json('history', uid)).at(-1)).toMatchObject({ type: 'RecordPurged' });
      expect(await json('purges')).toContainEqual(expect.objectContaining({ uid, state: 'done' }));
      expect((await onService('purges', '--state', 'done')).out).toContain(uid);
      expect((await onService('purges', 'retry', uid)).code).toBe(3);
    });

    it('says what it keeps, and why', async () => {
      const semantic = await write(join(lab, 'keep', 'me.csv'), 'semantic, kept');
      const register = async (storage: string, path: string) =>
        (await call('POST', 'files', { storage, path })).record.uid;
      const first = await register('lab', 'keep/me.csv');
      const kept = `deleted file ${first}; kept keep/me.csv (semantic key)\n`;
      expect(await onService('delete', first, '--permanent')).toEqual({ code: 0, out: kept, err: '' });
      const second = await register('lab', 'keep/me.csv');
      const deleted = await onService('delete', second, '--permanent', '--storage', 'delete');
      expect(deleted.out).toBe(`deleted file ${second} and its object (14 B)\n`);
      expect(await isThere(semantic)).toBe(false);
      await write(join(open, 'theirs.csv'), 'not ours');
      const foreign = await register('open', 'theirs.csv');
      expect((await onService('delete', foreign, '--permanent', '--storage', 'delete')).code).toBe(3);
      const left = await onService('delete', foreign, '--permanent');
      expect(left.out).toBe(`deleted file ${foreign}; kept theirs.csv (foreign storage)\n`);
    });

    it('asks on a terminal before it purges what lies in the trash', async () => {
      const { uid } = await trashed('to be asked about');
      for (const answer of ['n\n', '\n', CTRL_D]) {
        const { code, out } = await answered(['delete', uid], QUESTION, answer);
        expect({ answer, code }).toEqual({ answer, code: 3 });
        expect(out).toContain(`would delete file ${uid} and its object (17 B)\r\n${QUESTION}`);
      }
      expect((await answered(['delete', uid], QUESTION, CTRL_C)).code).toBe(130);
      expect(await visibilityOf(uid)).toBe(-1);
      const agreed = { code: 0, out: expect.stringContaining(`deleted file ${uid} and its object (17 B)`) };
      expect(await answered(['delete', uid], QUESTION, 'y\n')).toMatchObject(agreed);
    });

    it('needs --yes without a terminal', async () => {
      const { uid } = await trashed('nobody to ask');
      expect(await onService('delete', uid)).toEqual({
        code: 3,
        out: '',
        err: expect.stringMatching(/: repeat with --yes\n$/),
      });
      const { code, out } = await onService('delete', uid, '--json');
      expect({ exit: code, ...JSON.parse(out) }).toMatchObject({
        exit: 3,
        code: 'confirmation-required',
        preview: { uid, revision: 1 },
      });
      expect(await onService('delete', uid, '--dry-run')).toMatchObject({ code: 3, out: '' });
      const would = `would delete file ${uid} and its object (13 B)\n`;
      expect(await onService('delete', uid, '--dry-run', '--yes')).toEqual({ code: 0, out: would, err: '' });
      const did = `deleted file ${uid} and its object (13 B)\n`;
      expect(await onService('delete', uid, '--yes')).toEqual({ code: 0, out: did, err: '' });
    });

    it('purges nothing but what it showed', async () => {
      const { uid } = await trashed('changed while asked');
      const asking = onTerminal(['delete', uid], { LETHE_URL: service.url });
      await asking.saw(QUESTION);
      await call('POST', `files/${uid}/restore`);
      asking.child.stdin?.write('y\n');
      expect((await asking.ended).code).toBe(3);
      expect(await visibilityOf(uid)).toBe(1);
    });

    it('goes through all that it is given, and ends with the highest code', async () => {
      const [free, held] = [await added('one of several'), await added('another of several')];
      await call('PUT', `files/${held.uid}/hold`, { reason: null });
      const { code, out, err } = await onService('delete', free.uid, NOBODY, held.uid, '--permanent');
      expect({ code, out }).toEqual({ code: 4, out: `deleted file ${free.uid} and its object (14 B)\n` });
      expect(err).toContain(`lethe: ${NOBODY}: There is no record`);
      expect(err).toContain(`lethe: ${held.uid}: The record is on hold`);
    });

    it('names what points at a record that cannot be purged', async () => {
      const { uid } = await added('in a dataset');
      const dataset = (await call('POST', 'datasets', { name: 'all', files: [uid] })).record.uid;
      const refused = { code: 3, out: '', err: expect.stringContaining(`(datasets/${dataset})`) };
      expect(await onService('delete', uid, '--permanent')).toEqual(refused);
      expect((await onService('delete', dataset)).out).toBe(`moved dataset ${dataset} to trash\n`);
      const agreed = await answered(['delete', dataset], 'Dataset record is already in trash!', 'y\n');
      expect(agreed).toMatchObject({ code: 0, out: expect.stringContaining(`deleted dataset ${dataset}\r\n`) });
    });

    it('holds and releases', async () => {
      const { uid } = await added('held');
      expect(await onService('hold', uid, '--reason', 'audit')).toEqual({
        code: 0,
        out: `put a hold on file ${uid}\n`,
        err: '',
      });
      expect(await onService('delete', uid, '--permanent')).toMatchObject({
        code: 3,
        err: expect.stringContaining('audit'),
      });
      expect(await json('unhold', uid)).toMatchObject({ outcome: 'released', record: { hold: null } });
      expect(await onService('unhold', uid)).toMatchObject({ code: 0, out: `there is no hold on file ${uid}\n` });
    });

    it('ends where a purge is parked, and goes on when that is retried', async () => {
      const owner = await write(
        join(stray, '.lethe', 'owner'),
        `${JSON.stringify({ instance: randomUUID(), position: '0' })}\n`,
      );
      const uids: string[] = [];
      for (const path of ['a.csv', 'b.csv']) {
        await write(join(stray, path), path);
        uids.push((await call('POST', 'files', { storage: 'stray', path })).record.uid);
      }
      const [a = '', b = ''] = uids;
      const parked = await onService('delete', a, b, '--permanent', '--storage', 'delete');
      expect(parked).toMatchObject({ code: 1, out: '' });
      for (const uid of uids)
        expect(parked.err).toContain(`the purge of file ${uid} is parked after 1 attempt: The storage stray`);
      await rm(owner);
      const kept = await onService('purges', 'retry', b, '--storage', 'keep');
      expect(kept).toEqual({ code: 0, out: `deleted file ${b}; kept b.csv (as asked)\n`, err: '' });
      const retried = await json('purges', 'retry', a);
      expect(retried).toMatchObject({ outcome: 'purged', receipt: { object: { fate: 'deleted', objects: 1 } } });
    });
  });

  it('creates and changes records of any registry', async () => {
    const created = await onService('create', 'models', '{"name":"net","data":{"framework":"jax"}}');
    expect(created.out).toMatch(/^created models record [0-9A-Za-z]{20}\n$/);
    const uid = UID.exec(created.out)?.[0] ?? '';
    const set = await onService('set', uid, 'name=net 2', 'data={"framework":"torch"}', '--reason', 'moved');
    expect(set).toEqual({ code: 0, out: `updated models record ${uid}\n`, err: '' });
    expect(await json('show', `models/${uid}`)).toMatchObject({ name: 'net 2', data: { framework: 'torch' } });
    const fromStdin = startLethe(['create', 'labels', '-', '--json'], { LETHE_URL: service.url }, 'pipe');
    fromStdin.child.stdin?.end('{"name":"raw"}');
    const label = JSON.parse((await fromStdin.ended).out).record.uid;
    expect(await json('ls', 'labels')).toMatchObject([{ uid: label, name: 'raw' }]);
    const { uid: target } = await added('to be changed');
    const changed = await json('set', target, `labels=${label}`, 'visibility=0', 'version=2', 'description=x=y');
    expect(changed.record).toMatchObject({ labels: [label], visibility: 0, version: '2', description: 'x=y' });
    expect((await json('set', target, 'labels=', 'version=null')).record).toMatchObject({ labels: [], version: null });
    expect(await onService('set', target, 'size=1')).toMatchObject({
      code: 1,
      err: expect.stringContaining('  /size: '),
    });
    expect((await onService('set', target, 'nonsense')).code).toBe(2);
    expect((await onService('create', 'labels', '{')).code).toBe(2);
    expect((await onService('create', 'labels', '{"nme":"x"}')).code).toBe(1);
    expect((await onService('delete', label)).out).toBe(`deleted label ${label}\n`);
  });

  it('empties the trash, after asking', async () => {
    for (const { registry, uid } of (await call('GET', 'trash?limit=1000')).items)
      await call('POST', `${registry}/${uid}/restore`);
    const { uid } = await trashed('to be emptied');
    await trashed('and this');
    expect(JSON.parse((await onService('trash', 'empty', '--dry-run', '--json')).out).totals).toEqual({
      records: 2,
      bytes: 21,
    });
    expect(await onService('trash', 'empty')).toMatchObject({
      code: 3,
      out: '',
      err: expect.stringContaining('--yes'),
    });
    const young = await json('trash', 'empty', '--older-than', '1d', '--yes');
    expect(young).toMatchObject({ state: 'done', criteria: { olderThan: 'P1D' }, counts: { purged: 0 } });
    await call('PUT', `files/${uid}/hold`, { reason: null });
    const question = "Permanently delete 2 records (21 B)? You can't undo this action. (y/N)";
    expect((await answered(['trash', 'empty'], question, 'n\n')).code).toBe(3);
    const { code, out } = await answered(['trash', 'empty'], question, 'y\n');
    expect(code).toBe(0);
    expect(out).toContain('deleted 1 record\r\n');
    expect(out).toContain(`skipped file ${uid}: on-hold\r\n`);
    expect(await json('trash', 'ls')).toMatchObject([{ uid }]);
  });
});

describe.concurrent('straight on a data folder', () => {
  it('serves it: other commands find the service by its lock file, and Ctrl-C ends it in order', async () => {
    const data = join(await folder(), 'data');
    const served = startLethe(['serve', '--port', '0', '--data', data]);
    await served.saw('Lethe is ready');
    const path = await file('a.txt', 'aa');
    const added = await startLethe(['add', path, '--json'], { LETHE_DATA: data }).ended;
    expect(JSON.parse(added.out).record).toMatchObject({ key: 'a.txt', createdBy: ACTOR });
    served.child.kill('SIGINT');
    expect((await served.ended).code).toBe(0);
    expect(await isThere(join(data, 'lock.json'))).toBe(false);
  });

  it('runs whole in one process, and two at once take turns', async () => {
    const [data, objects] = [join(await folder(), 'data'), await folder()];
    await lethe('init', '--data', data, '--storage', objects);
    const paths = [await file('a.txt', 'aa'), await file('b.txt', 'bb')];
    const both = await Promise.all(paths.map((path) => lethe('add', path, '--data', data, '--json')));
    expect(both).toMatchObject([{ code: 0 }, { code: 0 }]);
    const [a, b] = both.map(({ out }) => JSON.parse(out).record);
    expect(await isThere(join(objects, a.path))).toBe(true);
    const deleted = { code: 0, out: `deleted file ${a.uid} and its object (2 B)\n`, err: '' };
    expect(await lethe('delete', a.uid, '--permanent', '--data', data)).toEqual(deleted);
    expect(await isThere(join(objects, a.path))).toBe(false);
    expect(await isThere(join(data, 'lock.json'))).toBe(false);
    expect(JSON.parse((await lethe('ls', '--data', data, '--json')).out)).toEqual([b]);
  });

  it('names whoever keeps the folder, and Ctrl-C ends the waiting', async () => {
    const data = await folder();
    const lock = JSON.stringify(join(DIST, 'storage/event-store/lock.js'));
    const program = `import { lockDataFolder } from ${lock}; lockDataFolder(process.argv[1], () => new Date()); console.log('held'); process.stdin.resume();`;
    const holder = start(process.execPath, ['--input-type=module', '-e', program, data], {}, 'pipe');
    await holder.saw('held');
    const waiting = startLethe(['ls', '--data', data]);
    await waiting.saw(`waiting: the data folder ${data} is in use by process ${holder.child.pid ?? 0}`);
    waiting.child.kill('SIGINT');
    expect((await waiting.ended).code).toBe(130);
    const patient = startLethe(['ls', '--data', data, '--json']);
    await patient.saw('waiting: ');
    holder.child.stdin?.end();
    expect(await patient.ended).toMatchObject({ code: 0, out: '[]\n' });
  });

  it('breaks an upload off at Ctrl-C, and keeps nothing of it', async () => {
    const data = await folder();
    const endless = await folder();
    spawnSync('mkfifo', [join(endless, 'pipe')]);
    const large = await file('large.bin', 'x'.repeat(150_000_000));
    const running = onTerminal(['add', large, '--data', data]);
    await running.saw('MB of 143.1 MB');
    running.child.stdin?.write(CTRL_C);
    expect((await running.ended).code).toBe(130);
    expect(await lethe('ls', '--data', data)).toEqual({ code: 0, out: '', err: 'nothing found\n' });
    const skipped = await lethe('add', endless, '--data', data);
    expect(skipped).toMatchObject({ code: 1, err: expect.stringContaining('pipe: no regular file') });
  });
});

describe.concurrent('towards a service that stumbles', () => {
  interface Seen {
    readonly method: string;
    readonly path: string;
    readonly headers: IncomingMessage['headers'];
  }
  type Answer = { status: number; headers?: Record<string, string>; body?: object } | 'break';

  const stumbling = async (answers: Answer[]): Promise<{ url: string; seen: Seen[]; server: Server }> => {
    const seen: Seen[] = [];
    const server = createServer((request, response) => {
      request.resume().on('end', () => {
        seen.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers });
        const answer = answers.shift() ?? { status: 500 };
        if (answer === 'break') {
          request.socket.destroy();
          return;
        }
        response.writeHead(answer.status, { 'Content-Type': 'application/json', ...answer.headers });
        response.end(JSON.stringify(answer.body ?? {}));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return { url: `http://127.0.0.1:${port}`, seen, server };
  };

  const ref = { registry: 'files', uid: NOBODY };
  const record = { ...ref, key: 'a', visibility: -1, createdAt: '2026-11-23T00:57:00.000Z', revision: 1 };
  const purge = { ...ref, state: 'pending', attempts: 0, error: null, by: [], receipt: null };
  const problem = (status: number, code: string, extra: object = {}): Answer => ({
    status,
    headers: { 'Content-Type': 'application/problem+json' },
    body: {
      type: `urn:lethe:${code}`,
      title: code,
      status,
      detail: `It is ${code}.`,
      code,
      correlationId: 'c',
      ...extra,
    },
  });

  it('tries again with the same idempotency key, and reads what it wrote', async () => {
    const { url, seen, server } = await stumbling([
      'break',
      { status: 503, headers: { 'Retry-After': '0' } },
      { status: 202, headers: { 'X-Position': '41' }, body: { outcome: 'purging', record: null, purge, warnings: [] } },
      'break',
      { status: 200, body: { ...purge, state: 'cancelled', by: [{ registry: 'datasets', uid: NOBODY }] } },
    ]);
    const { code, err } = await lethe('delete', NOBODY, '--permanent', '--url', url);
    server.close();
    expect(code).toBe(3);
    expect(err).toContain(`was called off: datasets/${NOBODY} came to point at it`);
    expect(seen.map(({ method }) => method)).toEqual(['DELETE', 'DELETE', 'DELETE', 'GET', 'GET']);
    const keys = new Set(seen.slice(0, 3).map(({ headers }) => headers['idempotency-key']));
    expect([...keys]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(seen[0]?.headers).toMatchObject({ prefer: 'wait=30', 'x-actor': ACTOR });
    expect(seen[3]?.headers['x-min-position']).toBe('41');
  });

  it('confirms the revision that it showed, and no other', async () => {
    const preview = { ...ref, revision: 7, object: null };
    const { url, seen, server } = await stumbling([
      problem(409, 'confirmation-required', { preview }),
      problem(412, 'revision-changed'),
    ]);
    expect(await lethe('delete', NOBODY, '--yes', '--url', url)).toEqual({
      code: 3,
      out: '',
      err: 'lethe: It is revision-changed.\n',
    });
    server.close();
    expect(seen[1]).toMatchObject({ path: `/v1/files/${NOBODY}?permanent=true`, headers: { 'if-match': '"7"' } });
  });

  it('takes page after page, and no more than it was asked for', async () => {
    const page = (items: object[], next: string | null): Answer => ({
      status: 200,
      body: { items, next, position: '9' },
    });
    const { url, seen, server } = await stumbling([page([record, record], 'c1'), page([record, record], 'c2')]);
    const { code, out } = await lethe('ls', '--limit', '3', '--json', '--url', url);
    server.close();
    expect({ code, rows: JSON.parse(out) }).toEqual({ code: 0, rows: [record, record, record] });
    expect(seen.map(({ path }) => path)).toEqual(['/v1/files?limit=3', '/v1/files?limit=3&cursor=c1']);
  });

  it('gives up at last, and notices who is no Lethe', async () => {
    const unavailable = problem(503, 'store-unavailable');
    const down = await stumbling([unavailable, unavailable, unavailable, unavailable]);
    expect(await lethe('show', NOBODY, '--url', down.url)).toEqual({
      code: 1,
      out: '',
      err: 'lethe: It is store-unavailable.\n',
    });
    down.server.close();
    const other = await stumbling([{ status: 200, body: { hello: 'world' } }]);
    const noticed = { code: 1, out: '', err: expect.stringContaining('Is it one?') };
    expect(await lethe('show', NOBODY, '--url', other.url)).toEqual(noticed);
    other.server.close();
  });
});
