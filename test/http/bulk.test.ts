import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Asking, refOf, type Ref, type Row } from '../harness/asking.js';
import { discard, startService, type Answer, type RunningService } from '../harness/service.js';

/* POST /bulk (the contract's section 3): one result a record, in the caller's order, each for itself. */

const NOBODY = { registry: 'files', uid: 'NobodyNobodyNobody00' };

let service: RunningService;
let lethe: Asking;
beforeAll(async () => {
  service = await startService();
  lethe = new Asking(service);
});
afterAll(() => discard(service));

const files = (count: number): Promise<Row[]> => Promise.all(Array.from({ length: count }, () => lethe.file()));
const bulk = (
  action: string,
  records: readonly Ref[],
  more: object = {},
  headers: Record<string, string> = {},
): Promise<Answer> =>
  service.request('POST', '/v1/bulk', { json: { action, records: records.map(refOf), ...more }, headers });
const results = async (...call: Parameters<typeof bulk>): Promise<Row[]> => {
  const answer = await bulk(...call);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body.results;
};
const read = async ({ registry, uid }: Ref): Promise<Answer> => service.request('GET', `/v1/${registry}/${uid}`);
const purged = (record: Ref): Promise<Row> => lethe.purgeIn(record, 'done');

describe('POST /bulk', () => {
  it('trashes and restores, with one result a record in the caller’s order', async () => {
    const records = (await files(70)).toReversed();
    const trashed = await results('trash', records, { reason: 'superseded' });
    expect(trashed).toEqual(
      records.map((record) => ({ ...refOf(record), status: 200, outcome: 'trashed', revision: 1 })),
    );
    const first = (await read(records[0])).body;
    expect(first).toMatchObject({ visibility: -1, reason: 'superseded' });
    expect((await results('restore', records)).map(({ outcome }) => outcome)).toEqual(records.map(() => 'restored'));
    expect((await read(records[69])).body.visibility).toBe(1);
  });

  it('answers 200 with each record’s own outcome or problem', async () => {
    const [inTrash, visible, gone, held] = await files(4);
    await bulk('trash', [inTrash, held]);
    await service.request('DELETE', `/v1/files/${gone.uid}?permanent=true`, { headers: { prefer: 'wait=30' } });
    const label = await lethe.register('labels', { name: 'plain' });
    const unknown = { registry: 'nonsense', uid: NOBODY.uid };
    const odd = { registry: 'files', uid: 'too-short' };
    const told = await results('trash', [visible, inTrash, gone, NOBODY, label, unknown, odd]);
    expect(told.map(({ status, outcome, error }) => [status, outcome ?? error.code])).toEqual([
      [200, 'trashed'],
      [200, 'unchanged'],
      [200, 'purged'],
      [404, 'not-found'],
      [422, 'not-trashable'],
      [404, 'not-found'],
      [404, 'not-found'],
    ]);
    expect(told[3]).toEqual({
      ...NOBODY,
      status: 404,
      error: expect.objectContaining({ type: 'urn:lethe:not-found', correlationId: expect.any(String) }),
    });
    const restored = await results('restore', [gone, visible]);
    expect(restored).toMatchObject([
      { status: 410, error: { code: 'purged', tombstone: { state: 'purged' } } },
      { status: 200, outcome: 'restored' },
    ]);
  });

  it('purges, from the trash or not; what is held, referenced or in a foreign storage is refused by itself', async () => {
    const [one, held, used] = await files(3);
    await service.request('PUT', `/v1/files/${held.uid}/hold`, { json: { reason: 'audit' } });
    const dataset = await lethe.register('datasets', { name: 'd', files: [used.uid] });
    const told = await results('purge', [one, held, used], { reason: 'wrong' });
    expect(told).toMatchObject([
      { status: 202, outcome: 'purging' },
      { status: 409, error: { code: 'on-hold' } },
      { status: 409, error: { code: 'referenced', by: [refOf(dataset)], count: 1 } },
    ]);
    expect(await purged(one)).toMatchObject({ reason: 'wrong', receipt: { object: { fate: 'deleted' } } });
    expect((await read(held)).status).toBe(200);
  });

  it('sees, in the caller’s order, what the records before have left', async () => {
    const used = await lethe.file();
    const dataset = await lethe.register('datasets', { name: 'd', files: [used.uid] });
    expect(await results('purge', [dataset, used])).toMatchObject([{ status: 202 }, { status: 202 }]);
    await purged(used);
    const again = await lethe.file();
    const other = await lethe.register('datasets', { name: 'd', files: [again.uid] });
    expect(await results('purge', [again, other])).toMatchObject([
      { status: 409, error: { code: 'referenced' } },
      { status: 202 },
    ]);
  });

  it('takes storage= for a purge, and for nothing else', async () => {
    const [kept, other] = await files(2);
    await results('purge', [kept], { storage: 'keep' });
    expect((await purged(kept)).receipt.object).toMatchObject({ fate: 'kept', why: 'asked' });
    const answer = await bulk('trash', [other], { storage: 'keep' });
    expect(answer.status).toBe(422);
    expect(answer.body.errors).toMatchObject([{ path: '/storage' }]);
  });

  it('with dryRun says what would come of it, and appends nothing', async () => {
    const [file, inTrash] = await files(2);
    await bulk('trash', [inTrash]);
    const { body: before } = await service.request('GET', '/v1/labels');
    const trash = await results('trash', [file, inTrash], { dryRun: true });
    expect(trash).toEqual([
      { ...refOf(file), status: 200, outcome: 'trashed', revision: 0, dryRun: true },
      { ...refOf(inTrash), status: 200, outcome: 'unchanged', revision: 1, dryRun: true },
    ]);
    const restore = await results('restore', [inTrash], { dryRun: true });
    expect(restore).toMatchObject([{ outcome: 'restored', dryRun: true }]);
    const purge = await results('purge', [inTrash, NOBODY], { dryRun: true });
    expect(purge).toMatchObject([
      { status: 200, outcome: 'purging', dryRun: true, preview: { revision: 1, object: { fate: 'delete' } } },
      { status: 404 },
    ]);
    expect((await service.request('GET', '/v1/labels')).body.position).toBe(before.position);
  });

  it('repeated with the same key carries out what is left, and answers the rest as it was then', async () => {
    const [a, b] = await files(2);
    const key = { 'idempotency-key': 'bulk-1' };
    const first = await results('trash', [a, b], {}, key);
    await bulk('restore', [a]);
    expect(await results('trash', [a, b], {}, key)).toEqual(first);
    expect((await read(a)).body.visibility).toBe(1);
    const other = await bulk('trash', [b, NOBODY], {}, key);
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-mismatch']);
  });

  it('the same key for other records: 422 idempotency-mismatch, and nothing is done', async () => {
    const [a, b, c] = await files(3);
    const key = { 'idempotency-key': 'bulk-2' };
    await results('trash', [a, b], {}, key);
    for (const [action, records, more] of [
      ['trash', [c], {}],
      ['purge', [c], { storage: 'delete' }],
      ['restore', [a], {}],
      ['trash', [b, a], {}],
    ] as const) {
      const answer = await bulk(action, records, more, key);
      expect([answer.status, answer.body.code], action).toEqual([422, 'idempotency-mismatch']);
    }
    expect((await read(c)).body.visibility).toBe(1);
    // Another actor's key of that name is another key.
    expect(await results('trash', [c], {}, { ...key, 'x-actor': 'somebody' })).toMatchObject([{ outcome: 'trashed' }]);
  });

  it('says Idempotent-Replayed where all that it tells was done before', async () => {
    const [a, b] = await files(2);
    await service.request('PUT', `/v1/files/${b.uid}/hold`, { json: {} });
    const key = { 'idempotency-key': 'bulk-3' };
    const replayed = async (): Promise<[string[], string | null]> => {
      const answer = await bulk('purge', [a, b], {}, key);
      const told = answer.body.results.map(({ outcome, error }: Row) => outcome ?? error.code);
      return [told, answer.headers.get('idempotent-replayed')];
    };
    expect(await replayed()).toEqual([['purging', 'on-hold'], null]);
    await purged(a);
    expect(await replayed()).toEqual([['purging', 'on-hold'], 'true']);
    await service.request('DELETE', `/v1/files/${b.uid}/hold`);
    expect(await replayed()).toEqual([['purging', 'purging'], null]);
  });

  it('answers the X-Position of the last change', async () => {
    const [a, b] = await files(2);
    const answer = await bulk('trash', [a, b]);
    const { body } = await service.request('GET', `/v1/files/${b.uid}/history`);
    const { body: other } = await service.request('GET', `/v1/files/${a.uid}/history`);
    const positions = [...body.items, ...other.items].map(({ position }: Row) => Number(position));
    expect(answer.headers.get('x-position')).toBe(String(Math.max(...positions)));
  });

  it.each<[what: string, json: object, path: string]>([
    ['a record named twice', { action: 'trash', records: [NOBODY, { ...NOBODY, uid: 'x' }, NOBODY] }, '/records/2'],
    ['no record', { action: 'trash', records: [] }, '/records'],
    [
      'more than a thousand',
      { action: 'trash', records: Array.from({ length: 1_001 }, (_, i) => ({ registry: 'files', uid: `u${i}` })) },
      '/records',
    ],
    ['another action', { action: 'delete', records: [NOBODY] }, '/action'],
    ['a field that is none', { action: 'trash', records: [NOBODY], permanent: true }, '/permanent'],
    ['a field of a record that is none', { action: 'trash', records: [{ ...NOBODY, key: 'a' }] }, '/records/0/key'],
    ['a reason of no characters', { action: 'trash', records: [NOBODY], reason: '' }, '/reason'],
  ])('refuses %s: 422, and nothing is done', async (_, json, path) => {
    const answer = await service.request('POST', '/v1/bulk', { json });
    expect([answer.status, answer.body.code]).toEqual([422, 'invalid']);
    expect(answer.body.errors).toContainEqual(expect.objectContaining({ path }));
  });

  it('refuses If-Match, which is one record’s, and a body that is none', async () => {
    expect((await bulk('trash', [NOBODY], {}, { 'if-match': '"1"' })).status).toBe(422);
    expect(
      (await service.request('POST', '/v1/bulk', { headers: { 'content-type': 'application/json' } })).status,
    ).toBe(400);
  });

  it('takes a thousand', async () => {
    const labels = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => lethe.register('labels', { name: `l${index}` })),
    );
    const told = await results('purge', labels);
    expect(told.every(({ status }) => status === 202)).toBe(true);
    await purged(labels[999]);
  });
});
