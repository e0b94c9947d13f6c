import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Asking, type Ref, type Row } from '../harness/asking.js';
import { letHoursPass } from '../harness/log-time.js';
import { startService, temporaryFolder, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/*
 * Retention (the contract's section 2), through HTTP. Hours of the log's time are told by the service while it runs; here they are told to
 * its log while it does not.
 */

const DAY_MS = 24 * 3_600_000;

let data: string;
let service: RunningService;

const start = async (trashDays?: string): Promise<void> => {
  service = await startService({ data, env: trashDays === undefined ? {} : { LETHE_TRASH_DAYS: trashDays } });
};
/** Stops the service for so many hours of the log's time, and starts it again. */
const after = async (hours: number, trashDays?: string, wall = true): Promise<void> => {
  await service.stop();
  await letHoursPass(data, hours, wall);
  await start(trashDays);
};

beforeEach(async () => {
  data = await temporaryFolder();
});
afterEach(async () => {
  await service.kill();
  await rm(data, { recursive: true, force: true });
});

const added = (metadata: object, content: string): Promise<Row> => new Asking(service).file(metadata, content);
const call = async (method: string, path: string, json?: unknown): Promise<Row> => {
  const answer = await service.request(method, path, json === undefined ? {} : { json });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer.body;
};
const trashed = (record: Ref): Promise<Row> => new Asking(service).trash(record);
const stateOf = async ({ registry, uid }: Row): Promise<number> =>
  (await service.request('GET', `/v1/${registry}/${uid}`)).status;
const retained = async (count: number): Promise<Row[]> =>
  until('the operations of retention are done', async () => {
    const { items } = await call('GET', '/v1/operations');
    const done = items.filter(({ state }: Row) => state === 'done');
    return done.length === count ? done : null;
  });

describe('retention', () => {
  it('purges what has been in the trash for LETHE_TRASH_DAYS days, as actor system:retention', async () => {
    await start('1');
    const [virtual, semantic] = [
      await added({ key: 'a.txt' }, 'virtual'),
      await added({ key: 'b.txt', keyIsVirtual: false }, 'semantic'),
    ];
    for (const file of [virtual, semantic]) await trashed(file);
    await after(25, '1');
    const [operation] = await retained(1);
    expect(operation).toMatchObject({
      kind: 'retention',
      startedBy: 'system:retention',
      total: { records: 2, bytes: 'virtual'.length },
      counts: { purged: 2, purging: 0, skipped: 0, remaining: 0 },
    });
    const { items } = await call('GET', '/v1/purges');
    expect(items).toHaveLength(2);
    for (const purge of items) expect(purge).toMatchObject({ requestedBy: 'system:retention', state: 'done' });
    const fates = items.map(({ uid, receipt }: Row) => [uid, receipt.object.fate, receipt.object.why]);
    expect(fates).toContainEqual([virtual.uid, 'deleted', 'virtual-key']);
    expect(fates).toContainEqual([semantic.uid, 'kept', 'semantic-key']);
    expect(await stateOf(virtual)).toBe(410);
  });

  it('is off by default', async () => {
    await start();
    const file = await trashed(await added({ key: 'a.txt' }, 'a'));
    expect(file.purgeAfter).toBeNull();
    await after(1_000);
    expect(await stateOf(file)).toBe(200);
    expect((await call('GET', '/v1/operations')).items).toEqual([]);
  });

  it('purges nothing once it is unset again', async () => {
    await start('1');
    const file = await trashed(await added({ key: 'a.txt' }, 'a'));
    await after(1_000);
    expect((await call('GET', '/v1/trash')).items).toMatchObject([{ uid: file.uid, purgeAfter: file.purgeAfter }]);
    expect((await call('GET', '/v1/operations')).items).toEqual([]);
  });

  it('sets purgeAfter when something is trashed: so many days later, and null while it was off: those stay', async () => {
    await start();
    const stays = await trashed(await added({ key: 'a.txt' }, 'a'));
    await after(0, '30');
    const goes = await trashed(await added({ key: 'b.txt' }, 'b'));
    expect(Date.parse(goes.purgeAfter) - Date.parse(goes.trashedAt)).toBe(30 * DAY_MS);
    expect((await call('GET', '/v1/trash')).items).toMatchObject([
      { uid: goes.uid, purgeAfter: goes.purgeAfter },
      { uid: stays.uid, purgeAfter: null },
    ]);
    const { record } = await call('POST', `/v1/files/${goes.uid}/restore`);
    expect(record.purgeAfter).toBeNull();
  });

  it('counts days in the log’s own time: a day has passed with the 24th hour after the first that follows the trashing', async () => {
    await start('1');
    const file = await trashed(await added({ key: 'a.txt' }, 'a'));
    await after(24, '1');
    // A restart counts for nothing.
    await after(0, '1');
    expect(await stateOf(file)).toBe(200);
    await after(1, '1');
    await retained(1);
    expect(await stateOf(file)).toBe(410);
  });

  it('does not purge before purgeAfter, however much of the log’s time is told', async () => {
    await start('2');
    const file = await trashed(await added({ key: 'a.txt' }, 'a'));
    await after(100, '2', false); // in a few seconds of the wall clock
    expect(Date.parse(file.purgeAfter)).toBeGreaterThan(Date.now());
    expect(await stateOf(file)).toBe(200);
  });

  it('skips a record that is held or referenced, and tries it again a day later', async () => {
    await start('1');
    const [held, used, free] = [
      await added({ key: 'a.txt' }, 'held'),
      await added({ key: 'b.txt' }, 'used'),
      await added({ key: 'c.txt' }, 'free'),
    ];
    await call('PUT', `/v1/files/${held.uid}/hold`, { reason: 'audit' });
    const { record: dataset } = await call('POST', '/v1/datasets', { name: 'd', files: [used.uid] });
    for (const file of [held, used, free]) await trashed(file);
    await after(25, '1');
    const [operation] = await retained(1);
    expect(operation.counts).toEqual({ purged: 1, purging: 0, skipped: 2, remaining: 0 });
    const codes = operation.skipped.map(({ uid, code }: Row) => [uid, code]);
    expect(codes).toContainEqual([held.uid, 'on-hold']);
    expect(codes).toContainEqual([used.uid, 'referenced']);
    await call('DELETE', `/v1/files/${held.uid}/hold`);
    await call('DELETE', `/v1/datasets/${dataset.uid}?permanent=true`);
    await after(23, '1');
    expect([await stateOf(held), await stateOf(used)]).toEqual([200, 200]);
    await after(1, '1');
    await retained(2);
    expect([await stateOf(held), await stateOf(used)]).toEqual([410, 410]);
  });
});
