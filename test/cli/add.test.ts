import { chmod, mkdir, mkdtemp, rm, symlink, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ACTOR,
  commandsOn,
  file,
  folder,
  home,
  leaveHome,
  MAIN,
  onTerminal,
  start,
  UID,
  write,
} from '../harness/command-line.js';
import { discard, startService, type RunningService } from '../harness/service.js';

/*
 * Registering files and folders.
 */

afterAll(leaveHome);

const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

let service: RunningService;
let [lab, open, stray] = ['', '', ''];
let on: ReturnType<typeof commandsOn>;

beforeAll(async () => {
  [lab, open, stray] = [await folder(), await folder(), await folder()];
  await mkdir(join(lab, 'nested'));
  const storages = [
    { name: 'lab', root: `file:${lab}` },
    { name: 'nested', root: `file:${lab}/nested` },
    { name: 'stray', root: `file:${stray}` },
    { name: 'open', root: `file:${open}`, managed: false },
  ];
  service = await startService({ config: { storages } });
  on = commandsOn(service);
});

afterAll(() => discard(service));

describe.concurrent('add', () => {
  it('copies a file to a virtual key, as the user of this machine', async () => {
    const path = await file('mydf.parquet', 'x'.repeat(2240));
    const { code, out, err } = await on.onService('add', path, '--description', 'mydf');
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
    expect(await on.call('GET', `files/${uid}`)).toMatchObject(expected);
    const again = await on.onService('add', path, '--key', 'other.parquet');
    const warning = expect.stringMatching(/^lethe: warning: .*key.*\n$/);
    expect(again).toEqual({ code: 0, out: `file ${uid} has the same content already\n`, err: warning });
  });

  it('copies a folder as one record a file, and skips links in it with a warning', async () => {
    const top = join(await folder(), 'results');
    await write(join(top, 'a.csv'), 'folder a');
    await write(join(top, 'deep', 'b.csv'), 'folder b');
    await symlink('a.csv', join(top, 'link.csv'));
    const { code, out, err } = await on.onService('add', top);
    expect({ code, err }).toEqual({ code: 0, err: `lethe: warning: skipped ${top}/link.csv: a symbolic link\n` });
    const lines = out.replaceAll(new RegExp(UID, 'g'), '…').split('\n');
    expect(lines).toEqual(['added file … as results/a.csv (8 B)', 'added file … as results/deep/b.csv (8 B)', '']);
    const keyed = await file('c.csv', 'folder c');
    expect((await on.json('add', dirname(keyed), '--key', 'runs/7/')).record.key).toBe('runs/7/c.csv');
  });

  it('registers what lies in a storage where it lies, in the innermost one, a folder as one record', async () => {
    const path = await write(join(lab, 'sales', '2026.csv'), 'sales');
    const link = join(await folder(), 'link.csv');
    await symlink(path, link);
    const inPlace = /^registered file [0-9A-Za-z]{20} where it lies, lab:sales\/2026.csv \(5 B\)\n$/;
    expect((await on.onService('add', link)).out).toMatch(inPlace);
    await write(join(lab, 'nested', 'x.zarr', 'inner', 'chunk'), 'chunk');
    const { record } = await on.json('add', join(lab, 'nested', 'x.zarr'));
    expect(record).toMatchObject({
      key: 'x.zarr/',
      path: 'x.zarr/',
      keyIsVirtual: false,
      hashType: 'md5-d',
      objects: 1,
    });
    expect((await on.call('GET', `storages/${record.storage}`)).name).toBe('nested');
    expect(await on.onService('cat', record.uid, '--path', 'inner/chunk')).toEqual({ code: 0, out: 'chunk', err: '' });
    expect(await on.onService('cat', record.uid)).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('  ?path: '),
    });
    const keyed = { code: 2, out: '', err: expect.stringContaining('sales/2026.csv') };
    expect(await on.onService('add', path, '--key', 'else.csv')).toEqual(keyed);
    expect(await on.onService('add', lab)).toMatchObject({
      code: 1,
      err: expect.stringContaining('the root of the storage lab'),
    });
    expect(await on.onService('add', dirname(lab))).toMatchObject({
      code: 1,
      err: expect.stringContaining('has the storage'),
    });
  });

  it('uploads to a semantic key where that is asked for, and overwrites nothing', async () => {
    const semantic = ['--key', 'where/it.txt', '--semantic'];
    const { record } = await on.json('add', await file('a.txt', 'semantic'), ...semantic);
    expect(record).toMatchObject({ key: 'where/it.txt', path: 'where/it.txt', keyIsVirtual: false });
    const refused = { code: 3, out: '', err: expect.stringMatching(/^lethe: .*where\/it.txt.*\n$/) };
    expect(await on.onService('add', await file('b.txt', 'other content'), ...semantic)).toEqual(refused);
  });

  it('goes on after a path that fails, and remembers it', async () => {
    const { code, out, err } = await on.onService('add', join(home, 'missing'), await file('good.txt', 'good'));
    expect({ code, out }).toEqual({ code: 1, out: expect.stringContaining('as good.txt (4 B)') });
    expect(err).toBe(`lethe: ${home}/missing: there is no such file or folder\n`);
  });

  it('says of a file that it may not read so, and sends nothing', async () => {
    const open = await mkdtemp(join(tmpdir(), 'lethe-test-'));
    const path = await write(join(open, 'closed.txt'), 'closed');
    await Promise.all([chmod(open, 0o755), chmod(path, 0o000)]);
    // Root may read everything.
    const [command, ...args] = [...(process.getuid?.() === 0 ? AS_NOBODY : []), process.execPath, MAIN, 'add', path];
    const ended = await start(command, args, on.env).ended;
    await rm(open, { recursive: true });
    expect(ended).toEqual({ code: 1, out: '', err: `lethe: ${path}: no right to it\n` });
  });

  it('keeps no pipe as an empty file', async () => {
    const pipe = join(await folder(), 'pipe');
    await start('mkfifo', [pipe], {}).ended;
    const refused = { code: 1, out: '', err: expect.stringContaining(`${pipe}: no regular file`) };
    expect(await on.onService('add', pipe)).toEqual(refused);
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
