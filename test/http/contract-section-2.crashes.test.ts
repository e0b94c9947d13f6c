import { existsSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Held } from '../doubles/eventstoredb.holds.js';
import { at, expectRefusal, outcome, refOf, type Ref } from '../harness/asking.js';
import { HeldLog, streamOf } from '../harness/held-log.js';
import type { Answer } from '../harness/service.js';

/*
 * Section 2, the paragraph behind its second table ("What is deleted is what was there …"), sentence by sentence. Where a sentence speaks of a
 * moment within a purge, the log holds the purge there; where it speaks of a crash, the process is killed there. "In a versioned bucket: none
 * of its versions" needs a server: it is in `story.servers.test.ts`.
 */

let log: HeldLog;

beforeAll(async () => {
  log = await HeldLog.start();
});
afterEach(() => log.releaseAll());
afterAll(() => log.stop());

const replace = async (path: string, content: string): Promise<void> => {
  await writeFile(`${path}~`, content);
  await rename(`${path}~`, path);
};

/** A purge that stands still before an event of its own is written. */
const purgeHeldAt = (record: Ref, type: string): Promise<{ answer: Promise<Answer>; held: Held }> =>
  log.heldBack(streamOf(record), type, () => log.lethe.remove(record, '&storage=delete'));

describe('what is deleted is what was there when the deletion started', () => {
  it('ObjectDeletionStarted names it: etag, size and time', async () => {
    const record = await log.lying();
    const { mtime } = await stat(log.lab(record.path));
    await log.lethe.purge(record, '&storage=delete');
    const started = (await log.lethe.historyOf(record)).find(({ type }) => type === 'ObjectDeletionStarted');
    expect(started.data.seen).toMatchObject({ size: record.size, etag: expect.any(String) });
    expect(JSON.stringify(started.data.seen)).toContain(mtime.toISOString().slice(0, 19));
  });

  it('for a folder its listing’s digest, count and bytes', async () => {
    const record = await log.folder(['a', 'deep/b']);
    await log.lethe.purge(record, '&storage=delete');
    const started = (await log.lethe.historyOf(record)).find(({ type }) => type === 'ObjectDeletionStarted');
    expect(started.data.seen).toMatchObject({ digest: expect.any(String), objects: 2, bytes: record.size });
  });

  it('what was put there before it started is what is deleted', async () => {
    const record = await log.lying();
    await replace(log.lab(record.path), 'put there since the registration');
    const receipt = await log.lethe.purge(record, '&storage=delete');
    expect(receipt).toMatchObject({ object: { fate: 'deleted', objects: 1, bytes: 32 }, warnings: [] });
  });

  it('something else that lies there by then stays, and the receipt’s warnings says object-changed', async () => {
    const record = await log.lying();
    const { answer, held } = await purgeHeldAt(record, 'ObjectDeletionStarted');
    await replace(log.lab(record.path), 'something else');
    held.release();
    const { receipt } = outcome(await answer, 'purged');
    expect(receipt.warnings).toMatchObject([{ code: 'object-changed' }]);
    expect(receipt.object).toMatchObject({ fate: 'deleted', objects: 0, bytes: 0 });
    expect(await readFile(log.lab(record.path), 'utf8')).toBe('something else');
  });

  it('something else that comes later stays, within a folder too', async () => {
    const [file, folder] = [await log.lying(), await log.folder(['a', 'b'])];
    for (const [record, path] of [
      [file, file.path],
      [folder, `${folder.path}c`],
    ]) {
      const { answer, held } = await purgeHeldAt(record, 'RecordPurged');
      await log.put(path, 'came later');
      held.release();
      expect(outcome(await answer, 'purged').receipt.object.fate).toBe('deleted');
      expect(await readFile(log.lab(path), 'utf8')).toBe('came later');
    }
  });

  it('ObjectDeleted is written only after the store no longer has it', async () => {
    const record = await log.lying();
    const started = await purgeHeldAt(record, 'ObjectDeletionStarted');
    expect(existsSync(log.lab(record.path))).toBe(true);
    const deleted = log.double.holds.hold(streamOf(record), 'ObjectDeleted');
    started.held.release();
    await deleted.arrived;
    expect(existsSync(log.lab(record.path))).toBe(false);
    expect((await log.lethe.typesOf(record)).at(-1)).toBe('ObjectDeletionStarted');
    deleted.release();
    outcome(await started.answer, 'purged');
  });
});

it('replaying events never touches a store: a rebuilt model leaves what lies where something was deleted', async () => {
  const record = await log.lying();
  await log.lethe.purge(record, '&storage=delete');
  await log.put(record.path, 'another, in its place');
  const before = await log.everything();
  await log.restart(async (data) => {
    for (const name of ['read-model.sqlite', 'read-model.sqlite-wal', 'read-model.sqlite-shm'])
      await rm(join(data, name), { force: true });
  });
  expect(await log.lethe.purgeIn(record, 'done')).toMatchObject({ receipt: { object: { fate: 'deleted' } } });
  expect(await log.everything()).toEqual(before);
});

describe('a crash at any point resumes by itself', () => {
  const WAYS: readonly [string, string, string, boolean][] = [
    'ObjectDeletionStarted',
    'ObjectDeleted',
    'RecordPurged',
  ].flatMap((type): [string, string, string, boolean][] => [
    [type, 'before it is written', '&storage=delete', false],
    [type, 'once it is written, and nobody heard of it', '&storage=delete', true],
  ]);

  /** Kills the process while this append waits; it is lost, or written without an answer. */
  const killedAt = async (
    stream: string,
    type: string,
    call: () => Promise<Answer>,
    written: boolean,
  ): Promise<void> => {
    const { answer, held } = await log.heldBack(stream, type, call);
    // Its process ends before it answers.
    const unanswered = expect(answer).rejects.toThrow();
    await log.restart(() => (written ? held.release() : held.lose()));
    await unanswered;
  };

  it.each(WAYS)(
    'at %s, %s: nothing is deleted that is not named, and nothing that is named is left',
    async (type, _, query, written) => {
      const [record, other] = [await log.lying(), await log.lying()];
      const before = await log.everything();
      await killedAt(streamOf(record), type, () => log.lethe.remove(record, query), written);
      expect((await log.lethe.purgeIn(record, 'done')).receipt.object.fate).toBe('deleted');
      const { [log.lab(record.path)]: gone, ...left } = before;
      expect(gone).toBe(`content of ${record.path}`);
      expect(await log.everything()).toEqual(left);
      expect(await log.lethe.typesOf(record)).toEqual([
        'RecordRegistered',
        'RecordPurgeRequested',
        'ObjectDeletionStarted',
        'ObjectDeleted',
        'RecordPurged',
      ]);
      expect(await log.lethe.get(other)).toMatchObject({ visibility: 1, revision: 0 });
    },
  );

  it.each([true, false])('of a call-off (written: %s): the record is where it was before', async (written) => {
    const record = await log.lethe.file();
    const cancelled = log.double.holds.hold(streamOf(record), 'RecordPurgeCancelled');
    const requested = await log.heldBack(streamOf(record), 'RecordPurgeRequested', () => log.lethe.remove(record));
    const unanswered = expect(requested.answer).rejects.toThrow();
    const dataset = await log.lethe.register('datasets', { files: [record.uid] });
    requested.held.release();
    await cancelled.arrived;
    await log.restart(() => (written ? cancelled.release() : cancelled.lose()));
    await unanswered;
    expect(await log.lethe.purgeIn(record, 'cancelled')).toMatchObject({ by: [refOf(dataset)] });
    expect((await log.lethe.get(record)).visibility).toBe(1);
    expect((await log.lethe.typesOf(record)).filter((type) => type === 'RecordPurgeCancelled')).toHaveLength(1);
  });

  it.each([true, false])(
    'of a withdrawal (written: %s): a worker carries it out, a repeat answers 409',
    async (written) => {
      const target = await log.lethe.register('labels');
      const headers = { 'idempotency-key': `dead handler ${String(written)}` };
      const post = (): Promise<Answer> =>
        log.lethe.call('POST', '/v1/datasets', { json: { labels: [target.uid] }, headers });
      const { answer, held } = await log.heldBack('datasets-', 'RecordRegistered', post);
      const unanswered = expect(answer).rejects.toThrow();
      await log.lethe.purge(target);
      const withdrawal = log.double.holds.hold('datasets-', 'RecordPurgeRequested');
      held.release();
      await withdrawal.arrived;
      await log.restart(() => (written ? withdrawal.release() : withdrawal.lose()));
      await unanswered;
      const dataset = log.newest('datasets');
      await log.lethe.purgeIn(dataset, 'done');
      expectRefusal(await post(), 'conflict', 409, `labels/${target.uid}`);
      expect(log.newest('datasets')).toEqual(dataset);
      expectRefusal(await log.lethe.call('GET', at(dataset)), 'purged', 410);
    },
  );
});
