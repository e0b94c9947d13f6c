import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ACTOR,
  commandsOn,
  CTRL_C,
  CTRL_D,
  folder,
  isThere,
  leaveHome,
  NOBODY,
  onTerminal,
  write,
} from '../harness/command-line.js';
import { discard, startService, type RunningService } from '../harness/service.js';

/*
 * Trash, purge, restore, hold, and what is asked before.
 */

afterAll(leaveHome);

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
  service = await startService({ config: { storages, purges: { attempts: 1 } } });
  on = commandsOn(service);
});

afterAll(() => discard(service));

describe.concurrent('deleting', () => {
  const QUESTION = "File record is already in trash! Permanently delete it? You can't undo this action. (y/N)";

  it('moves to the trash and restores; --yes makes no purge of it', async () => {
    const { uid } = await on.added('there and back');
    expect(await on.onService('delete', uid, '--dry-run')).toEqual({
      code: 0,
      out: `would move file ${uid} to trash\n`,
      err: '',
    });
    const moved = { code: 0, out: `moved file ${uid} to trash\n`, err: '' };
    expect(await on.onService('delete', uid, '--yes', '--reason', 'by mistake')).toEqual(moved);
    expect(await on.visibilityOf(uid)).toBe(-1);
    expect(await on.onService('cat', uid)).toMatchObject({ code: 3, out: '' });
    expect((await on.onService('cat', uid, '--visibility', 'any')).out).toBe('there and back');
    expect(await on.json('trash', 'ls')).toContainEqual(
      expect.objectContaining({ uid, reason: 'by mistake', trashedBy: ACTOR }),
    );
    expect((await on.onService('trash', 'ls', '--registry', 'files')).out).toContain(uid);
    expect(await on.onService('restore', uid)).toEqual({ code: 0, out: `restored file ${uid}\n`, err: '' });
    expect(await on.json('restore', uid)).toMatchObject({ outcome: 'unchanged', record: { visibility: 1 } });
  });

  it('purges at once with --permanent, and what is gone is gone', async () => {
    const { uid, path } = await on.added('z'.repeat(2240));
    const deleted = { code: 0, out: `deleted file ${uid} and its object (2.2 KB)\n`, err: '' };
    expect(await on.onService('delete', uid, '--permanent')).toEqual(deleted);
    expect(await isThere(join(service.data, 'objects', path))).toBe(false);
    for (const verb of ['show', 'restore'])
      expect({ verb, code: (await on.onService(verb, uid)).code }).toEqual({ verb, code: 4 });
    expect(await on.json('delete', uid)).toMatchObject({ outcome: 'purged', receipt: { uid } });
    expect((await on.json('history', uid)).at(-1)).toMatchObject({ type: 'RecordPurged' });
    expect(await on.json('purges')).toContainEqual(expect.objectContaining({ uid, state: 'done' }));
    expect((await on.onService('purges', '--state', 'done')).out).toContain(uid);
    expect((await on.onService('purges', 'retry', uid)).code).toBe(3);
  });

  it('says what it keeps, and why', async () => {
    const semantic = await write(join(lab, 'keep', 'me.csv'), 'semantic, kept');
    const register = async (storage: string, path: string) =>
      (await on.call('POST', 'files', { storage, path })).record.uid;
    const first = await register('lab', 'keep/me.csv');
    const kept = `deleted file ${first}; kept keep/me.csv (semantic key)\n`;
    expect(await on.onService('delete', first, '--permanent')).toEqual({ code: 0, out: kept, err: '' });
    const second = await register('lab', 'keep/me.csv');
    const deleted = await on.onService('delete', second, '--permanent', '--storage', 'delete');
    expect(deleted.out).toBe(`deleted file ${second} and its object (14 B)\n`);
    expect(await isThere(semantic)).toBe(false);
    await write(join(open, 'theirs.csv'), 'not ours');
    const foreign = await register('open', 'theirs.csv');
    expect((await on.onService('delete', foreign, '--permanent', '--storage', 'delete')).code).toBe(3);
    const left = await on.onService('delete', foreign, '--permanent');
    expect(left.out).toBe(`deleted file ${foreign}; kept theirs.csv (foreign storage)\n`);
  });

  it('asks on a terminal before it purges what lies in the trash', async () => {
    const { uid } = await on.trashed('to be asked about');
    for (const answer of ['n\n', '\n', CTRL_D]) {
      const { code, out } = await on.answered(['delete', uid], QUESTION, answer);
      expect({ answer, code }).toEqual({ answer, code: 3 });
      expect(out).toContain(`would delete file ${uid} and its object (17 B)\r\n${QUESTION}`);
    }
    expect((await on.answered(['delete', uid], QUESTION, CTRL_C)).code).toBe(130);
    expect(await on.visibilityOf(uid)).toBe(-1);
    const agreed = { code: 0, out: expect.stringContaining(`deleted file ${uid} and its object (17 B)`) };
    expect(await on.answered(['delete', uid], QUESTION, 'y\n')).toMatchObject(agreed);
  });

  it('needs --yes without a terminal', async () => {
    const { uid } = await on.trashed('nobody to ask');
    expect(await on.onService('delete', uid)).toEqual({
      code: 3,
      out: '',
      err: expect.stringMatching(/: repeat with --yes\n$/),
    });
    const { code, out } = await on.onService('delete', uid, '--json');
    expect({ exit: code, ...JSON.parse(out) }).toMatchObject({
      exit: 3,
      code: 'confirmation-required',
      preview: { uid, revision: 1 },
    });
    // Of the command line's own options, not of the query's.
    const asks = expect.stringContaining('record is already in trash: without --yes, delete asks');
    expect(await on.onService('delete', uid, '--dry-run')).toEqual({ code: 3, out: '', err: asks });
    const would = `would delete file ${uid} and its object (13 B)\n`;
    expect(await on.onService('delete', uid, '--dry-run', '--yes')).toEqual({ code: 0, out: would, err: '' });
    const did = `deleted file ${uid} and its object (13 B)\n`;
    expect(await on.onService('delete', uid, '--yes')).toEqual({ code: 0, out: did, err: '' });
  });

  it('purges nothing but what it showed', async () => {
    const { uid } = await on.trashed('changed while asked');
    const asking = onTerminal(['delete', uid], { LETHE_URL: service.url });
    await asking.saw(QUESTION);
    await on.call('POST', `files/${uid}/restore`);
    asking.child.stdin?.write('y\n');
    expect((await asking.ended).code).toBe(3);
    expect(await on.visibilityOf(uid)).toBe(1);
  });

  it('goes through all that it is given, and ends with the highest code', async () => {
    const [free, held] = [await on.added('one of several'), await on.added('another of several')];
    await on.call('PUT', `files/${held.uid}/hold`, { reason: null });
    const { code, out, err } = await on.onService('delete', free.uid, NOBODY, held.uid, '--permanent');
    expect({ code, out }).toEqual({ code: 4, out: `deleted file ${free.uid} and its object (14 B)\n` });
    expect(err).toContain(`lethe: ${NOBODY}: There is no record`);
    expect(err).toContain(`lethe: ${held.uid}: The record is on hold`);
  });

  it('names what points at a record that cannot be purged', async () => {
    const { uid } = await on.added('in a dataset');
    const dataset = (await on.call('POST', 'datasets', { name: 'all', files: [uid] })).record.uid;
    const refused = { code: 3, out: '', err: expect.stringContaining(`(datasets/${dataset})`) };
    expect(await on.onService('delete', uid, '--permanent')).toEqual(refused);
    expect((await on.onService('delete', dataset)).out).toBe(`moved dataset ${dataset} to trash\n`);
    const agreed = await on.answered(['delete', dataset], 'Dataset record is already in trash!', 'y\n');
    expect(agreed).toMatchObject({ code: 0, out: expect.stringContaining(`deleted dataset ${dataset}\r\n`) });
  });

  it('holds and releases', async () => {
    const { uid } = await on.added('held');
    expect(await on.onService('hold', uid, '--reason', 'audit')).toEqual({
      code: 0,
      out: `put a hold on file ${uid}\n`,
      err: '',
    });
    expect(await on.onService('delete', uid, '--permanent')).toMatchObject({
      code: 3,
      err: expect.stringContaining('audit'),
    });
    expect(await on.json('unhold', uid)).toMatchObject({ outcome: 'released', record: { hold: null } });
    expect(await on.onService('unhold', uid)).toMatchObject({ code: 0, out: `there is no hold on file ${uid}\n` });
  });

  it('ends where a purge is parked, and goes on when that is retried', async () => {
    const owner = await write(
      join(stray, '.lethe', 'owner'),
      `${JSON.stringify({ instance: randomUUID(), position: '0' })}\n`,
    );
    const uids: string[] = [];
    for (const path of ['a.csv', 'b.csv']) {
      await write(join(stray, path), path);
      uids.push((await on.call('POST', 'files', { storage: 'stray', path })).record.uid);
    }
    const [a = '', b = ''] = uids;
    const parked = await on.onService('delete', a, b, '--permanent', '--storage', 'delete');
    expect(parked).toMatchObject({ code: 1, out: '' });
    for (const uid of uids)
      expect(parked.err).toContain(`the purge of file ${uid} is parked after 1 attempt: The storage stray`);
    await rm(owner);
    const kept = await on.onService('purges', 'retry', b, '--storage', 'keep');
    expect(kept).toEqual({ code: 0, out: `deleted file ${b}; kept b.csv (as asked)\n`, err: '' });
    const retried = await on.json('purges', 'retry', a);
    expect(retried).toMatchObject({ outcome: 'purged', receipt: { object: { fate: 'deleted', objects: 1 } } });
  });
});
