import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type Asking,
  at,
  created,
  ENDED,
  expectRefusal,
  outcome,
  refOf,
  type Ref,
  type Row,
} from '../harness/asking.js';
import { HeldLog, streamOf } from '../harness/held-log.js';
import type { Answer } from '../harness/service.js';

/*
 * Section 2, "Order decides races": what comes to point at a record, sentence by sentence, each with its interleaving forced.
 */

let log: HeldLog;
let lethe: Asking;

beforeAll(async () => {
  log = await HeldLog.start();
  lethe = log.lethe;
});
afterEach(() => log.releaseAll());
afterAll(() => log.stop());

describe('a purge requested at position P is called off if another live record came to point at this one before P', () => {
  const dataset = (json: object) => () => lethe.call('POST', '/v1/datasets', { json });
  const WAYS: [string, (record: Row) => Promise<Answer>][] = [
    ['a new dataset', ({ uid }) => dataset({ files: [uid] })()],
    [
      'a dataset that is changed',
      async ({ uid }) => lethe.call('PATCH', at(await lethe.register('datasets')), { json: { files: [uid] } }),
    ],
    ['a later version', ({ uid }) => lethe.send({ initialVersion: uid }, `a later version of ${uid}`)],
  ];

  it.each(WAYS)('%s: RecordPurgeCancelled {why: "referenced", by}', async (_, point) => {
    const record = await lethe.file();
    const [purge, pointed] = await log.purgeOvertaken(record, () => point(record));
    const by = [refOf(pointed.body.record)];
    expect([200, 201]).toContain(pointed.status);
    expectRefusal(purge, 'referenced', 409);
    expect((await lethe.historyOf(record)).slice(1)).toMatchObject([
      { type: 'RecordPurgeRequested' },
      { type: 'RecordPurgeCancelled', data: { why: 'referenced', by } },
    ]);
  });

  it.each(['labels', 'runs', 'transforms'])('one of %s, though it is plain', async (registry) => {
    const record = await lethe.register(registry);
    const pointer = registry === 'labels' ? { labels: [record.uid] } : { [registry.slice(0, -1)]: record.uid };
    const [purge, pointed] = await log.purgeOvertaken(record, () => lethe.send(pointer, `points at ${record.uid}`));
    created(pointed);
    expectRefusal(purge, 'referenced', 409);
    expect(await lethe.get(record)).toMatchObject({ uid: record.uid });
  });

  it.each([1, 0, -1])('the record is where it was before: visibility %i', async (visibility) => {
    const registered = await lethe.file({ visibility: visibility === 0 ? 0 : 1 });
    const record = visibility === -1 ? await lethe.trash(registered) : registered;
    await log.purgeOvertaken(record, dataset({ files: [record.uid] }));
    const { revision, updatedAt, ...rest } = record;
    expect(await lethe.get(record)).toMatchObject({ ...rest, visibility });
    expect(await lethe.uidsOf('files', `visibility=${visibility}&uid=${record.uid}`)).toEqual([record.uid]);
    expect((await lethe.call('GET', `${at(record)}/content?visibility=any`)).status).toBe(200);
  });

  it('Prefer: wait answers 409 referenced, with who points; without it 202, and GET /purges shows cancelled', async () => {
    const [one, two] = [await lethe.file(), await lethe.file()];
    const [waited, first] = await log.purgeOvertaken(one, dataset({ files: [one.uid] }));
    expectRefusal(waited, 'referenced', 409);
    expect(waited.body).toMatchObject({ by: [refOf(first.body.record)], count: 1 });
    const [unwaited, second] = await log.purgeOvertaken(two, dataset({ files: [two.uid] }), {
      headers: { prefer: 'wait=0' },
    });
    expect([202, 409]).toContain(unwaited.status);
    const row = await lethe.purgeIn(two, 'cancelled');
    expect(row).toMatchObject({ receipt: null, by: [refOf(second.body.record)] });
    const { items } = (await lethe.call('GET', '/v1/purges?state=cancelled&limit=1000')).body;
    expect(items).toContainEqual(row);
  });

  it('a repeat of the call that was called off answers its 409 again', async () => {
    const record = await lethe.file();
    const headers = { ...ENDED, 'idempotency-key': 'called off' };
    await log.purgeOvertaken(record, dataset({ files: [record.uid] }), { headers });
    expectRefusal(await lethe.appendsNothing(() => lethe.remove(record, '', headers)), 'referenced', 409);
  });

  it('once who pointed is purged, it can be purged', async () => {
    const record = await lethe.file();
    const [, pointed] = await log.purgeOvertaken(record, dataset({ files: [record.uid] }));
    await lethe.purge(pointed.body.record);
    expect((await lethe.purge(record)).object).toMatchObject({ fate: 'deleted', objects: 1 });
  });
});

describe('whoever comes to point at it after P withdraws and answers 409 conflict naming the target', () => {
  const late = (registry: string, target: Ref, call: () => Promise<Answer>): Promise<[Answer, Answer]> =>
    log.overtaken(`${registry}-`, 'RecordRegistered', call, () => lethe.remove(target));

  it.each(['files', 'labels', 'runs', 'transforms'])('a new dataset, at one of %s', async (registry) => {
    const target = registry === 'files' ? await lethe.file() : await lethe.register(registry);
    const many = registry === 'files' || registry === 'labels';
    const json = {
      name: `late ${target.uid}`,
      ...(many ? { [registry]: [target.uid] } : { [registry.slice(0, -1)]: target.uid }),
    };
    const [answer, purge] = await late('datasets', target, () => lethe.call('POST', '/v1/datasets', { json }));
    expectRefusal(answer, 'conflict', 409, `${registry}/${target.uid}`);
    outcome(purge, 'purged');
    expect(await lethe.uidsOf('datasets', `visibility=any&name=late ${target.uid}`)).toEqual([]);
  });

  it('a later version of it', async () => {
    const target = await lethe.register('datasets');
    const json = { initialVersion: target.uid };
    const [answer] = await late('datasets', target, () => lethe.call('POST', '/v1/datasets', { json }));
    expectRefusal(answer, 'conflict', 409, `datasets/${target.uid}`);
  });

  it('an upload: its own bytes go with it', async () => {
    const label = await lethe.register('labels');
    const metadata = { key: `late-${label.uid}`, labels: [label.uid], keyIsVirtual: false, storage: 'lab' };
    const [answer] = await late('files', label, () => lethe.send(metadata, 'too late'));
    expectRefusal(answer, 'conflict', 409, `labels/${label.uid}`);
    expect((await lethe.purgeIn(log.newest('files'), 'done')).receipt.object).toMatchObject({
      fate: 'deleted',
      objects: 1,
    });
    expect(existsSync(log.lab(metadata.key))).toBe(false);
  });

  it('a registration by path: what it only found stays', async () => {
    const label = await lethe.register('labels');
    const path = `found-${label.uid}`;
    await writeFile(log.lab(path), 'found');
    const json = { path, storage: 'lab', labels: [label.uid] };
    const [answer] = await late('files', label, () => lethe.call('POST', '/v1/files', { json }));
    expectRefusal(answer, 'conflict', 409, `labels/${label.uid}`);
    expect(await readFile(log.lab(path), 'utf8')).toBe('found');
    expect(await lethe.uidsOf('files', `visibility=any&key=${path}`)).toEqual([]);
  });

  it('a PATCH: all that it changed is put back', async () => {
    const [kept, target] = [await lethe.file(), await lethe.file()];
    const dataset = await lethe.register('datasets', { files: [kept.uid], description: 'before' });
    const json = { files: [kept.uid, target.uid], description: 'after' };
    const [answer] = await log.overtaken(
      streamOf(dataset),
      'RecordUpdated',
      () => lethe.call('PATCH', at(dataset), { json }),
      () => lethe.remove(target),
    );
    expectRefusal(answer, 'conflict', 409, `files/${target.uid}`);
    expect(await lethe.get(dataset)).toMatchObject({ files: [kept.uid], description: 'before', visibility: 1 });
    expect(await lethe.typesOf(dataset)).toEqual(['RecordRegistered', 'RecordUpdated', 'RecordUpdated']);
  });

  it('a repeat of the call that was withdrawn answers its 409 again', async () => {
    const target = await lethe.file();
    const headers = { 'idempotency-key': 'withdrawn' };
    const post = (): Promise<Answer> => lethe.call('POST', '/v1/datasets', { json: { files: [target.uid] }, headers });
    await late('datasets', target, post);
    await lethe.purgeIn(log.newest('datasets'), 'done');
    expectRefusal(await lethe.appendsNothing(post), 'conflict', 409, `files/${target.uid}`);
  });
});
