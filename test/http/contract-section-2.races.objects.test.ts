import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Asking, created, expectRefusal, outcome, refOf, type Row } from '../harness/asking.js';
import { HeldLog, streamOf } from '../harness/held-log.js';
import type { Answer } from '../harness/service.js';

/*
 * Section 2, "Order decides races": what comes to point at an object, sentence by sentence, each with its interleaving forced.
 */

let log: HeldLog;
let lethe: Asking;

beforeAll(async () => {
  log = await HeldLog.start();
  lethe = log.lethe;
});
afterEach(() => log.releaseAll());
afterAll(() => log.stop());

describe('…or at an object that is being deleted, after P', () => {
  const deleting = (record: Row) => (): Promise<Answer> => lethe.remove(record, '&storage=delete');

  it('the same file, by its path: 409 conflict naming the record that is being purged', async () => {
    const record = await log.lying();
    const [answer, purge] = await log.overtaken(
      'files-',
      'RecordRegistered',
      () => log.again(record.path),
      deleting(record),
    );
    expect(outcome(purge, 'purged').receipt.object).toMatchObject({ fate: 'deleted', objects: 1 });
    expectRefusal(answer, 'conflict', 409, `files/${record.uid}`);
    expect(existsSync(log.lab(record.path))).toBe(false);
  });

  it('the same file, by an upload of the same content', async () => {
    const record = await log.lying();
    const metadata = { key: record.path, keyIsVirtual: false, storage: 'lab', onDuplicate: 'create' };
    const send = (): Promise<Answer> => lethe.send(metadata, `content of ${record.path}`);
    const [answer, purge] = await log.overtaken('files-', 'RecordRegistered', send, deleting(record));
    expect(outcome(purge, 'purged').receipt.object.fate).toBe('deleted');
    expectRefusal(answer, 'conflict', 409, `files/${record.uid}`);
  });

  it.each([
    ['a folder around it', 'around', 'a.txt', ''],
    ['a file within it', 'within', '', 'a.txt'],
  ])('%s', async (_, folder, deleted, found) => {
    await mkdir(log.lab(folder));
    for (const name of ['a.txt', 'b.txt']) await writeFile(log.lab(`${folder}/${name}`), `${name} of ${folder}`);
    const record = await lethe.register('files', { path: `${folder}/${deleted}`, storage: 'lab' });
    const call = (): Promise<Answer> => log.again(`${folder}/${found}`);
    const [answer] = await log.overtaken('files-', 'RecordRegistered', call, deleting(record));
    expectRefusal(answer, 'conflict', 409, `files/${record.uid}`);
  });

  it('in a storage that was purged since, through the one that has its place now', async () => {
    await log.put('moved/o.txt');
    const data = { root: `file:${log.lab('moved')}`, managed: true };
    const old = await lethe.register('storages', { name: 'old', data });
    const record = await lethe.register('files', { path: 'o.txt', storage: 'old' });
    const held = log.double.holds.hold(streamOf(record), 'ObjectDeletionStarted');
    const purge = lethe.remove(record, '&storage=delete');
    await held.arrived;
    outcome(await lethe.remove(old), 'purged');
    await lethe.register('storages', { name: 'next', data });
    const again = { path: 'o.txt', storage: 'next', onDuplicate: 'create' };
    expectRefusal(await lethe.call('POST', '/v1/files', { json: again }), 'conflict', 409, `files/${record.uid}`);
    held.release();
    expect(outcome(await purge, 'purged').receipt.object).toMatchObject({ fate: 'deleted', objects: 1 });
    expect(existsSync(log.lab('moved/o.txt'))).toBe(false);
  });

  it('what is kept is there for everybody: 201', async () => {
    const record = await log.lying();
    const [answer, purge] = await log.overtaken(
      'files-',
      'RecordRegistered',
      () => log.again(record.path),
      () => lethe.remove(record),
    );
    expect(outcome(purge, 'purged').receipt.object.fate).toBe('kept');
    expect(created(answer).path).toBe(record.path);
    expect(existsSync(log.lab(record.path))).toBe(true);
  });

  it('before P it protects the object: kept, with storage=delete too', async () => {
    const record = await log.lying();
    const [purge, other] = await log.purgeOvertaken(record, () => log.again(record.path), { query: '&storage=delete' });
    expect(outcome(purge, 'purged').receipt.object).toMatchObject({
      fate: 'kept',
      why: 'shared',
      sharedWith: [refOf(created(other))],
    });
    expect(existsSync(log.lab(record.path))).toBe(true);
  });
});

describe('two purges of records on one object: the later one’s fate decides', () => {
  it.each([
    ['&storage=delete', 'deleted', 'asked'],
    ['', 'kept', 'semantic-key'],
    ['&storage=keep', 'kept', 'asked'],
  ])('both looked while both were live; the later one with %j: %s', async (query, fate, why) => {
    const later = await log.lying();
    const earlier = created(await log.again(later.path));
    const [second, first] = await log.purgeOvertaken(later, () => lethe.remove(earlier, '&storage=delete'), { query });
    expect(outcome(first, 'purged').receipt.object).toMatchObject({ fate: 'kept', why: 'shared' });
    expect(outcome(second, 'purged').receipt.object).toMatchObject({ fate, why });
    expect(existsSync(log.lab(later.path))).toBe(fate === 'kept');
  });

  it('though the earlier one is carried out last', async () => {
    const earlier = await log.lying();
    const later = created(await log.again(earlier.path));
    const { answer, held } = await log.heldBack(streamOf(earlier), 'ObjectKept', () =>
      lethe.remove(earlier, '&storage=delete'),
    );
    expect((await lethe.purge(later, '&storage=delete')).object).toMatchObject({ fate: 'deleted', objects: 1 });
    held.release();
    expect(outcome(await answer, 'purged').receipt.object).toMatchObject({ fate: 'kept', why: 'shared' });
    expect(existsSync(log.lab(earlier.path))).toBe(false);
  });
});
