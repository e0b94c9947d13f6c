import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Asking, at, ENDED, expectRefusal, outcome, refOf, type Ref, type Row } from '../harness/asking.js';
import { discard, startService, temporaryFolder, type Answer } from '../harness/service.js';

/*
 * Section 2, the paragraphs beside its tables, sentence by sentence and in their order: dry runs, restore, parked purges. The tables' rows are
 * in `deleting.test.ts` and `object-fate.test.ts`, "What is deleted is what was there" in `contract-section-2.crashes`, "Order decides races"
 * in `contract-section-2.races.*`, and what comes after parked purges in `contract-section-2.records`.
 */

const NEVER: Ref = { registry: 'files', uid: 'N0suchRecord00000000' };

let lethe: Asking;
let disk: string;

beforeAll(async () => {
  disk = await temporaryFolder();
  for (const name of ['broken']) await mkdir(join(disk, name));
  const root = (name: string): string => `file:${join(disk, name)}`;
  const storages = [{ name: 'broken', root: root('broken') }];
  // One try: what cannot be deleted is parked at once.
  const purges = { attempts: 1, firstWaitMs: 10, maxWaitMs: 10 };
  lethe = new Asking(await startService({ config: { storages, purges } }));
});
afterAll(async () => {
  await discard(lethe.service);
  await rm(disk, { recursive: true, force: true });
});

const serial = ((): (() => number) => {
  let last = 0;
  return () => (last += 1);
})();
const lying = async (storage: string): Promise<Row> => {
  const path = `file-${serial()}.txt`;
  await writeFile(join(disk, storage, path), `content of ${path}`);
  return lethe.register('files', { path, storage });
};
const restore = (record: Ref, headers = {}): Promise<Answer> =>
  lethe.call('POST', `${at(record)}/restore`, { headers });
const hold = (record: Ref): Promise<Answer> => lethe.call('PUT', `${at(record)}/hold`, { json: { reason: 'audit' } });
const release = (record: Ref): Promise<Answer> => lethe.call('DELETE', `${at(record)}/hold`);
const dry = (record: Ref, query = ''): Promise<Answer> =>
  lethe.appendsNothing(() => lethe.call('DELETE', `${at(record)}?dryRun=true${query}`));

/** Runs with the disk of the storage `broken` away. */
const unplugged = async <T>(act: () => Promise<T>): Promise<T> => {
  await rename(join(disk, 'broken'), join(disk, 'unplugged'));
  try {
    return await act();
  } finally {
    await rename(join(disk, 'unplugged'), join(disk, 'broken'));
  }
};

/** A purge that is parked: the disk with its object was away. */
const parked = async (): Promise<Row> => {
  const record = await lying('broken');
  await unplugged(async () => {
    await lethe.remove(record, '&storage=delete', {});
    await lethe.purgeIn(record, 'parked');
  });
  return record;
};
const retry = ({ registry, uid }: Ref, json: object = {}, headers: Record<string, string> = ENDED): Promise<Answer> =>
  lethe.call('POST', `/v1/purges/${registry}/${uid}/retry`, { json, headers });

describe('dryRun=true on a DELETE appends nothing and answers 200', () => {
  it('…with the outcome it would have, "dryRun": true and preview', async () => {
    const record = await lethe.file();
    const trashing = await dry(record);
    expect([trashing.status, trashing.body]).toMatchObject([
      200,
      { outcome: 'trashed', dryRun: true, preview: { ...refOf(record), revision: 0 } },
    ]);
    const preview = {
      ...refOf(record),
      object: { fate: 'delete', why: 'virtual-key', objects: 1, bytes: record.size },
    };
    const purging = await dry(record, '&permanent=true');
    expect([purging.status, purging.body]).toMatchObject([200, { outcome: 'purging', dryRun: true, preview }]);
    await lethe.trash(record);
    expect((await dry(record, '&permanent=false')).body).toMatchObject({
      outcome: 'unchanged',
      dryRun: true,
      preview: { ...refOf(record), revision: 1 },
    });
  });

  it('…or the refusal', async () => {
    const record = await lethe.trash(await lethe.file());
    expectRefusal(await dry(record), 'confirmation-required', 409);
    await hold(record);
    expectRefusal(await dry(record, '&permanent=true'), 'on-hold', 409);
    expectRefusal(await dry(NEVER), 'not-found', 404);
  });

  it('…of what is purging or purged: the outcome as it stands', async () => {
    const record = await parked();
    expect((await dry(record)).body).toMatchObject({ outcome: 'purging', dryRun: true });
    outcome(await retry(record, { storage: 'keep' }), 'purged');
    const answer = await dry(record);
    expect([answer.status, answer.body.outcome, answer.body.dryRun]).toEqual([200, 'purged', true]);
  });
});

it('to purge just what one saw, send the preview’s revision as If-Match', async () => {
  const record = await lethe.trash(await lethe.file());
  const { preview } = (await lethe.call('DELETE', at(record))).body;
  const asSeen = { ...ENDED, 'if-match': `"${preview.revision}"` };
  await lethe.call('PATCH', at(record), { json: { description: 'changed since' } });
  expectRefusal(await lethe.remove(record, '', asSeen), 'revision-changed', 412);
  const { preview: now } = (await dry(record, '&permanent=true')).body;
  outcome(await lethe.remove(record, '', { ...ENDED, 'if-match': `"${now.revision}"` }), 'purged');
});

it('reason (up to 1,000 characters) is a query parameter here; a body is 400', async () => {
  const record = await lethe.file();
  const refused = await lethe.call('DELETE', `${at(record)}?reason=${'x'.repeat(1_001)}`);
  expectRefusal(refused, 'invalid', 422);
  expect(refused.body.errors).toMatchObject([{ path: '?reason' }]);
  const withBody = await lethe.call('DELETE', at(record), { json: { reason: 'in a body' } });
  expectRefusal(withBody, 'malformed', 400);
  const reason = 'ä'.repeat(1_000);
  const answer = await lethe.call('DELETE', `${at(record)}?reason=${encodeURIComponent(reason)}`);
  expect(outcome(answer, 'trashed').record.reason).toBe(reason);
});

it('while purging, GET, PATCH, restore and hold answer 410 with tombstone.state: "purging"', async () => {
  const record = await parked();
  for (const call of [
    () => lethe.call('GET', at(record)),
    () => lethe.call('PATCH', at(record), { json: { description: 'late' } }),
    () => restore(record),
    () => hold(record),
    () => release(record),
  ]) {
    const answer = await lethe.appendsNothing(call);
    expectRefusal(answer, 'purged', 410);
    expect(answer.body.tombstone).toMatchObject({ ...refOf(record), state: 'purging', receipt: null });
  }
});

describe('restore', () => {
  it.each([1, 0])('brings a trashed record back to the visibility it had before (%i): 200', async (visibility) => {
    const record = await lethe.file({ visibility });
    await lethe.trash(record);
    const answer = await restore(record);
    expect([answer.status, outcome(answer, 'restored').record.visibility]).toEqual([200, visibility]);
  });

  it('on a visible record: 200 unchanged', async () => {
    const record = await lethe.file();
    const answer = await lethe.appendsNothing(() => restore(record));
    expect([answer.status, answer.body.outcome]).toEqual([200, 'unchanged']);
  });

  it('while purging or after: 410 purged', async () => {
    const record = await parked();
    expectRefusal(await restore(record), 'purged', 410);
    outcome(await retry(record), 'purged');
    expectRefusal(await restore(record), 'purged', 410);
  });
});

describe('parked or failed purges', () => {
  it('POST …/retry tries now (RecordPurgeRetried)', async () => {
    const record = await parked();
    expect(outcome(await retry(record), 'purged').receipt.object).toMatchObject({ fate: 'deleted', objects: 1 });
    expect(await lethe.typesOf(record)).toEqual([
      'RecordRegistered',
      'RecordPurgeRequested',
      'ObjectDeletionFailed',
      'RecordPurgeRetried',
      'ObjectDeletionStarted',
      'ObjectDeleted',
      'RecordPurged',
    ]);
  });

  it('with {"storage":"keep"} the purge ends with ObjectKept {why:"asked"}', async () => {
    const record = await parked();
    const answer = await retry(record, { storage: 'keep' });
    expect(outcome(answer, 'purged').receipt.object).toMatchObject({ fate: 'kept', why: 'asked' });
    expect((await lethe.historyOf(record)).at(-2)).toMatchObject({ type: 'ObjectKept', data: { why: 'asked' } });
    expect(existsSync(join(disk, 'broken', record.path))).toBe(true);
  });

  it('not failed or parked: 409 conflict', async () => {
    const record = await lethe.file();
    expectRefusal(await lethe.appendsNothing(() => retry(record)), 'conflict', 409);
    await lethe.purge(record);
    expectRefusal(await lethe.appendsNothing(() => retry(record)), 'conflict', 409);
    expectRefusal(await retry(NEVER), 'not-found', 404);
  });

  it('Prefer: wait on a parked purge answers 202 with that state at once', async () => {
    const record = await parked();
    const answer = await lethe.remove(record, '', { prefer: 'wait=30' });
    expect([answer.status, answer.body.outcome, answer.body.purge.state]).toEqual([202, 'purging', 'parked']);
    await unplugged(async () => {
      const again = await retry(record, {}, { prefer: 'wait=30' });
      expect([again.status, again.body.outcome, again.body.purge.state]).toEqual([202, 'purging', 'parked']);
    });
  });
});
