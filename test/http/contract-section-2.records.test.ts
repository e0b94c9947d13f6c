import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Asking, at, created, expectRefusal, outcome, refOf, type Ref, type Row } from '../harness/asking.js';
import { discard, startService, temporaryFolder, type Answer } from '../harness/service.js';
import { until } from '../harness/until.js';

/* Section 2 from its paragraph on versions to its end, sentence by sentence: versions, references, hold, many at once, the order of refusals. */

const NEVER: Ref = { registry: 'files', uid: 'N0suchRecord00000000' };

let lethe: Asking;
let disk: string;

beforeAll(async () => {
  disk = await temporaryFolder();
  for (const name of ['lab', 'public']) await mkdir(join(disk, name));
  const storages = [
    { name: 'lab', root: `file:${join(disk, 'lab')}` },
    { name: 'public', root: `file:${join(disk, 'public')}`, managed: false },
  ];
  lethe = new Asking(await startService({ config: { storages } }));
});
afterAll(async () => {
  await discard(lethe.service);
  await rm(disk, { recursive: true, force: true });
});

const restore = (record: Ref, headers = {}): Promise<Answer> =>
  lethe.call('POST', `${at(record)}/restore`, { headers });
const hold = (record: Ref): Promise<Answer> => lethe.call('PUT', `${at(record)}/hold`, { json: { reason: 'audit' } });
const release = (record: Ref): Promise<Answer> => lethe.call('DELETE', `${at(record)}/hold`);

describe.each(['files', 'datasets'])('versions of %s', (registry) => {
  const version = async (json: object = {}): Promise<Row> =>
    registry === 'files' ? lethe.file(json) : lethe.register(registry, json);
  const latest = (records: readonly Row[]): Promise<boolean[]> =>
    Promise.all(records.map(async (record) => (await lethe.get(record)).isLatest));

  it('initialVersion names the uid of the first in its line, 422 if that is not a first one', async () => {
    const first = await version();
    const second = await version({ initialVersion: first.uid });
    expect(second.initialVersion).toBe(first.uid);
    const elsewhere = registry === 'files' ? await lethe.register('datasets') : await lethe.file();
    for (const initialVersion of [second.uid, NEVER.uid, elsewhere.uid]) {
      const answer =
        registry === 'files'
          ? await lethe.send({ initialVersion }, `version of ${initialVersion}`)
          : await lethe.call('POST', '/v1/datasets', { json: { initialVersion } });
      expectRefusal(answer, 'invalid', 422);
      expect(answer.body.errors).toMatchObject([{ path: '/initialVersion' }]);
      expect(answer.body.errors[0].message).toContain(initialVersion);
    }
  });

  it('isLatest marks the last registered of those with visibility 1 (none visible: none; alone: itself)', async () => {
    const first = await version();
    expect(first.isLatest).toBe(true);
    const line = [first, await version({ initialVersion: first.uid }), await version({ initialVersion: first.uid })];
    const hidden = await version({ initialVersion: first.uid, visibility: 0 });
    expect(await latest([...line, hidden])).toEqual([false, false, true, false]);
    for (const record of line) await lethe.trash(record);
    expect(await latest([...line, hidden])).toEqual([false, false, false, false]);
  });

  it('trashing, hiding, purging and restoring elect again', async () => {
    const first = await version();
    const line = [first, await version({ initialVersion: first.uid }), await version({ initialVersion: first.uid })];
    const [, second, third] = line;
    await lethe.trash(third);
    expect(await latest(line)).toEqual([false, true, false]);
    await lethe.call('PATCH', at(second), { json: { visibility: 0 } });
    expect(await latest(line)).toEqual([true, false, false]);
    await restore(third);
    expect(await latest(line)).toEqual([false, false, true]);
    await lethe.call('PATCH', at(second), { json: { visibility: 1 } });
    await lethe.purge(third);
    expect(await latest([first, second])).toEqual([false, true]);
  });

  it('the initial version cannot be purged while live others of its line exist: 409 referenced', async () => {
    const first = await version();
    const second = await version({ initialVersion: first.uid });
    for (const visibility of [1, 0, -1]) {
      if (visibility === -1) await lethe.trash(second);
      else await lethe.call('PATCH', at(second), { json: { visibility } });
      const answer = await lethe.appendsNothing(() => lethe.remove(first));
      expectRefusal(answer, 'referenced', 409);
      expect(answer.body).toMatchObject({ by: [refOf(second)], count: 1 });
    }
    await lethe.purge(second);
    await lethe.purge(first);
  });
});

describe('references', () => {
  it.each([
    ['datasets', 'a file', 'files'],
    ['datasets', 'a run', 'run'],
    ['datasets', 'a transform', 'transform'],
    ['datasets', 'a label', 'labels'],
    ['files', 'a storage', 'storage'],
    ['files', 'a run', 'run'],
    ['files', 'a transform', 'transform'],
    ['files', 'a label', 'labels'],
  ])(
    'a record that a live one of %s points to (%s) cannot be purged: 409 referenced, with by',
    async (from, _, field) => {
      const name = `pointed-by-${from}`;
      const root = join(disk, 'lab', name);
      const registry = field.endsWith('s') ? field : `${field}s`;
      if (registry === 'storages') await mkdir(root);
      const json = registry === 'storages' ? { name, data: { root: `file:${root}` } } : {};
      const target = registry === 'files' ? await lethe.file() : await lethe.register(registry, json);
      const pointer = { [field]: field === registry ? [target.uid] : target.uid };
      const record = from === 'files' ? await lethe.file(pointer) : await lethe.register(from, pointer);
      const refused = await lethe.appendsNothing(() => lethe.remove(target));
      expectRefusal(refused, 'referenced', 409);
      expect(refused.body).toMatchObject({ by: [refOf(record)], count: 1 });
      // A hidden and a trashed one are live.
      await lethe.trash(record);
      expectRefusal(await lethe.remove(target), 'referenced', 409);
      await lethe.purge(record);
      await lethe.purge(target);
    },
  );

  it('…(the first 100, and the count)', async () => {
    const label = await lethe.register('labels');
    await Promise.all(Array.from({ length: 103 }, () => lethe.register('datasets', { labels: [label.uid] })));
    const { body } = await lethe.remove(label);
    expect([body.code, body.by.length, body.count]).toEqual(['referenced', 100, 103]);
    expect(new Set(body.by.map(({ uid }: Row) => uid)).size).toBe(100);
  });

  it('trashing a dataset never touches its files', async () => {
    const files = [await lethe.file(), await lethe.file({ visibility: 0 })];
    const dataset = await lethe.register('datasets', { files: files.map(({ uid }) => uid) });
    await lethe.trash(dataset);
    for (const record of files) expect(await lethe.get(record)).toEqual(record);
    expect((await lethe.get(dataset)).files).toEqual(files.map(({ uid }) => uid));
  });

  it('pointing to what does not exist: 422 naming each that is missing, where it stands, and writing nothing', async () => {
    const [file, label] = [await lethe.file(), await lethe.register('labels')];
    const gone = await lethe.register('labels');
    await lethe.purge(gone);
    // A record of another registry is as good as none; one that was purged comes after what never was.
    const json = { files: [file.uid, 'A'.repeat(20), label.uid], labels: [gone.uid, file.uid], run: label.uid };
    const dataset = await lethe.register('datasets');
    for (const call of [
      () => lethe.call('POST', '/v1/datasets', { json }),
      () => lethe.call('PATCH', at(dataset), { json }),
    ]) {
      const answer = await lethe.appendsNothing(call);
      expectRefusal(answer, 'invalid', 422);
      const faults = (answer.body.errors as { path: string; message: string }[]).toSorted((a, b) =>
        a.path < b.path ? -1 : 1,
      );
      expect(faults.map(({ path }) => path)).toEqual(['/files/1', '/files/2', '/labels/1', '/run']);
      const named = ['A'.repeat(20), label.uid, file.uid, label.uid];
      faults.forEach(({ message }, index) => expect(message).toContain(named[index]));
    }
  });

  it('…of a file too: an upload stores nothing', async () => {
    for (const [field, value] of Object.entries({
      run: 'R'.repeat(20),
      storage: 'nowhere',
      labels: ['L'.repeat(20)],
    })) {
      const answer = await lethe.appendsNothing(() => lethe.send({ [field]: value }, `points nowhere by ${field}`));
      expectRefusal(answer, 'invalid', 422);
      expect(answer.body.errors).toMatchObject([{ path: field === 'labels' ? '/labels/0' : `/${field}` }]);
      expect(answer.body.errors[0].message).toContain(String(value));
    }
  });
});

describe('hold', () => {
  it.each(['files', 'datasets', 'labels'])(
    'a held record of %s can be trashed and restored, but not purged: 409 on-hold',
    async (registry) => {
      const record = registry === 'files' ? await lethe.file() : await lethe.register(registry);
      expect(outcome(await hold(record), 'held').record.hold ?? { reason: 'audit' }).toMatchObject({ reason: 'audit' });
      if (registry !== 'labels') {
        await lethe.trash(record);
        outcome(await restore(record), 'restored');
      }
      // By anyone: whoever holds it, too.
      expectRefusal(await lethe.appendsNothing(() => lethe.remove(record)), 'on-hold', 409);
      outcome(await release(record), 'released');
      await lethe.purge(record);
    },
  );

  it('…nor by emptying the trash, nor in bulk', async () => {
    const record = await lethe.file();
    await hold(record);
    await lethe.trash(record);
    const operation = await emptied();
    expect(operation.skipped).toContainEqual({ ...refOf(record), code: 'on-hold' });
    expect((await lethe.get(record)).visibility).toBe(-1);
  });
});

const emptied = async (): Promise<Row> => {
  const { status, body } = await lethe.call('DELETE', '/v1/trash?permanent=true');
  expect(status, JSON.stringify(body)).toBe(202);
  return until('the operation ends', async () => {
    const operation = (await lethe.call('GET', `/v1/operations/${body.id}`)).body;
    return operation.state === 'done' && operation;
  });
};

it('many at once: from what points to what is pointed at (datasets, later versions, files, initial versions, the rest)', async () => {
  const line = async (registry: string): Promise<Row[]> => {
    const version = (json: object): Promise<Row> =>
      registry === 'files' ? lethe.file(json) : lethe.register(registry, json);
    const first = await version({});
    return [await version({ initialVersion: first.uid }), first];
  };
  const files = await line('files');
  const datasets = await line('datasets');
  for (const dataset of datasets) {
    const json = { files: files.map(({ uid }) => uid) };
    outcome(await lethe.call('PATCH', at(dataset), { json }), 'updated');
  }
  const records = [...datasets, ...files];
  for (const record of records.toReversed()) await lethe.trash(record);
  const { id } = await emptied();
  const requested = await Promise.all(
    records.map(async (record) => {
      const request = (await lethe.historyOf(record)).find(({ type }) => type === 'RecordPurgeRequested');
      expect(request.data.operation).toBe(id);
      return Number(request.position);
    }),
  );
  expect(requested).toEqual(requested.toSorted((a, b) => a - b));
});

it('refusals come in this order: each is answered once the one before it is out of the way', async () => {
  await writeFile(join(disk, 'public', 'refused.txt'), 'refused');
  const record = await lethe.register('files', { path: 'refused.txt', storage: 'public' });
  const headers = { 'idempotency-key': 'the first of all' };
  const first = outcome(await lethe.call('DELETE', at(record), { headers }), 'trashed');
  const dataset = await lethe.register('datasets', { files: [record.uid] });
  await hold(record);
  const stale = { 'if-match': '"0"' };
  const ask = (query: string, more: Record<string, string> = {}, ref: Ref = record): Promise<Answer> =>
    lethe.appendsNothing(() => lethe.call('DELETE', `${at(ref)}${query}`, { headers: more }));
  expectRefusal(await ask('?storage=both', stale, NEVER), 'invalid', 422);
  expectRefusal(await ask('?storage=delete', stale, NEVER), 'not-found', 404);
  expect((await ask('', { ...headers, ...stale })).body).toEqual(first);
  expectRefusal(await ask('?storage=delete', stale), 'revision-changed', 412);
  expectRefusal(await ask('?storage=delete'), 'on-hold', 409);
  await release(record);
  expectRefusal(await ask('?storage=delete'), 'referenced', 409);
  await lethe.purge(dataset);
  expectRefusal(await ask('?storage=delete'), 'foreign-storage', 409);
  expectRefusal(await ask(''), 'confirmation-required', 409);
  await lethe.purge(record);
  // The key is remembered behind the purge, and purged comes before the revision.
  expect((await ask('', headers)).body).toEqual(first);
  expectRefusal(await restore(record, stale), 'purged', 410);
  expect(
    created(await lethe.call('POST', '/v1/files', { json: { path: record.path, storage: 'public' } })).uid,
  ).not.toBe(record.uid);
});
