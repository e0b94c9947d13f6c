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
import { until } from '../harness/until.js';

/*
 * Section 2 and what stands behind it: what is to be withdrawn, what one stream settles, and many at once, each with its interleaving forced.
 */

let log: HeldLog;
let lethe: Asking;

beforeAll(async () => {
  log = await HeldLog.start();
  lethe = log.lethe;
});
afterEach(() => log.releaseAll());
afterAll(() => log.stop());

describe('what is to be withdrawn counts as purging from its registration on', () => {
  /** A dataset that came to point at something too late, before it is taken back. */
  const due = async (files: readonly Row[]): Promise<{ ref: Ref; end: () => Promise<Answer> }> => {
    const target = await lethe.register('labels');
    const json = { files: files.map(({ uid }) => uid), labels: [target.uid] };
    const { answer, held } = await log.heldBack('datasets-', 'RecordRegistered', () =>
      lethe.call('POST', '/v1/datasets', { json }),
    );
    await lethe.purge(target);
    const withdrawal = log.double.holds.hold('datasets-', 'RecordPurgeRequested');
    held.release();
    await withdrawal.arrived;
    return {
      ref: log.newest('datasets'),
      end: () => {
        withdrawal.release();
        return answer;
      },
    };
  };

  it('no query shows it', async () => {
    const { ref, end } = await due([]);
    for (const query of [`visibility=any`, `uid=${ref.uid}`])
      expect(await lethe.uidsOf('datasets', query)).not.toContain(ref.uid);
    expectRefusal(await lethe.call('GET', at(ref)), 'purged', 410);
    expectRefusal(await end(), 'conflict', 409);
    expectRefusal(await lethe.call('GET', at(ref)), 'purged', 410);
  });

  it('it protects nothing', async () => {
    const record = await lethe.file();
    const { end } = await due([record]);
    expect((await lethe.purge(record)).object.fate).toBe('deleted');
    expectRefusal(await end(), 'conflict', 409);
  });

  it('whoever comes to point at it withdraws too', async () => {
    const { ref, end } = await due([]);
    const later = lethe.call('POST', '/v1/datasets', { json: { initialVersion: ref.uid } });
    // Its check found a record whose stream knows of no purge yet.
    await until('it is registered', async () => log.newest('datasets').uid !== ref.uid);
    expectRefusal(await end(), 'conflict', 409, 'labels/');
    expectRefusal(await later, 'conflict', 409, `datasets/${ref.uid}`);
  });

  it('a withdrawal is no purge in the sense of a hold: a held record is withdrawn', async () => {
    const { ref, end } = await due([]);
    const held = await lethe.call('PUT', `${at(ref)}/hold`, { json: { reason: 'mine' } });
    expectRefusal(await end(), 'conflict', 409);
    await lethe.purgeIn(ref, 'done');
    expect([held.status, await lethe.typesOf(ref)]).toEqual([
      200,
      ['RecordRegistered', 'RecordHeld', 'RecordPurgeRequested', 'RecordPurged'],
    ]);
  });
});

describe('one stream settles what concerns one record', () => {
  it('a restore that a purge overtakes: 410 purged', async () => {
    const record = await lethe.trash(await lethe.file());
    const restore = (): Promise<Answer> => lethe.call('POST', `${at(record)}/restore`);
    const [answer, purge] = await log.overtaken(streamOf(record), 'RecordRestored', restore, () =>
      lethe.remove(record),
    );
    outcome(purge, 'purged');
    expectRefusal(answer, 'purged', 410);
  });

  it('a purge that a restore overtakes is decided anew; with If-Match of the preview: 412 revision-changed', async () => {
    const [one, two] = [await lethe.trash(await lethe.file()), await lethe.trash(await lethe.file())];
    const restore = (record: Row) => (): Promise<Answer> => lethe.call('POST', `${at(record)}/restore`);
    const [purged, restored] = await log.purgeOvertaken(one, restore(one));
    outcome(restored, 'restored');
    outcome(purged, 'purged');
    const preview = (await lethe.call('DELETE', at(two))).body.preview;
    const [refused] = await log.purgeOvertaken(two, restore(two), {
      headers: { ...ENDED, 'if-match': `"${preview.revision}"` },
    });
    expectRefusal(refused, 'revision-changed', 412);
    expect((await lethe.get(two)).visibility).toBe(1);
  });

  it('a hold that comes before a purge is written: 409 on-hold', async () => {
    const record = await lethe.file();
    const hold = (): Promise<Answer> => lethe.call('PUT', `${at(record)}/hold`, { json: { reason: 'mine' } });
    const [answer, held] = await log.purgeOvertaken(record, hold);
    outcome(held, 'held');
    expectRefusal(answer, 'on-hold', 409);
  });
});

describe('an update withdraws by putting back all that it changed and nobody has changed since', () => {
  /** A dataset that an update made point at something too late, before that is taken back. */
  const late = async (dataset: Row, target: Row): Promise<() => Promise<Answer>> => {
    const json = { files: [target.uid], description: 'late' };
    const { answer, held } = await log.heldBack(streamOf(dataset), 'RecordUpdated', () =>
      lethe.call('PATCH', at(dataset), { json }),
    );
    await lethe.purge(target);
    const withdrawal = log.double.holds.hold(streamOf(dataset), 'RecordUpdated');
    held.release();
    await withdrawal.arrived;
    return () => {
      withdrawal.release();
      return answer;
    };
  };

  it('what somebody changed since stays', async () => {
    const [kept, target] = [await lethe.file(), await lethe.file()];
    const dataset = await lethe.register('datasets', { files: [kept.uid], description: 'before' });
    const end = await late(dataset, target);
    const patched = await lethe.call('PATCH', at(dataset), { json: { description: 'mine' } });
    outcome(patched, 'updated');
    // Its stream has moved on: what is put back is decided anew.
    expectRefusal(await end(), 'conflict', 409, `files/${target.uid}`);
    expect(await lethe.get(dataset)).toMatchObject({ files: [kept.uid], description: 'mine', visibility: 1 });
  });

  it('where that comes to point at something being purged, the second withdrawal only drops it', async () => {
    const [first, second] = [await lethe.file(), await lethe.file()];
    const dataset = await lethe.register('datasets', { files: [first.uid], description: 'before' });
    const end = await late(dataset, second);
    // Nothing points at it any more, and nothing does again until the update is taken back.
    await lethe.purge(first);
    expectRefusal(await end(), 'conflict', 409, `files/${second.uid}`);
    const left = await until('what was put back is dropped', async () => {
      const record = await lethe.get(dataset);
      return record.files.length === 0 && record;
    });
    expect(left).toMatchObject({ description: 'before', visibility: 1 });
    expect(await lethe.typesOf(dataset)).toEqual(['RecordRegistered', ...Array(3).fill('RecordUpdated')]);
  });
});

describe('what the first check cannot see', () => {
  it('a name that must be unique is its stream’s name: of two storages one is registered, the other gets 409 duplicate', async () => {
    const storage = (root: string) => (): Promise<Answer> =>
      lethe.call('POST', '/v1/storages', { json: { name: 'unique', data: { root: `file:${log.lab(root)}` } } });
    const [late, first] = await log.overtaken('storages-', 'RecordRegistered', storage('one'), storage('two'));
    expect(created(first).name).toBe('unique');
    expectRefusal(late, 'duplicate', 409);
    expect(await lethe.uidsOf('storages', 'visibility=any&name=unique')).toHaveLength(1);
  });

  it('finding the same content again is a convenience: two uploads at the same moment both register', async () => {
    const send = (): Promise<Answer> => lethe.send({}, 'twice at the same moment');
    const answers = await log.overtaken('files-', 'RecordRegistered', send, send);
    const [one, two] = answers.map(created);
    expect(one.hash).toBe(two.hash);
    expect([one.uid, one.path]).not.toEqual([two.uid, two.path]);
  });

  it('a DELETE while a call-off is not written yet is told the outcome as it stands, and hears of the call-off', async () => {
    const record = await lethe.file();
    const cancelled = log.double.holds.hold(streamOf(record), 'RecordPurgeCancelled');
    const { answer, held } = await log.heldBack(streamOf(record), 'RecordPurgeRequested', () => lethe.remove(record));
    const dataset = await lethe.register('datasets', { files: [record.uid] });
    held.release();
    await cancelled.arrived;
    const again = await lethe.remove(record, '', { prefer: 'wait=0' });
    expect([again.status, again.body.outcome]).toEqual([202, 'purging']);
    cancelled.release();
    expectRefusal(await answer, 'referenced', 409);
    // Another request has a verdict of its own: nothing points here any more.
    await lethe.purge(dataset);
    await lethe.purge(record);
    expect((await lethe.typesOf(record)).filter((type) => type.startsWith('RecordPurge'))).toEqual([
      'RecordPurgeRequested',
      'RecordPurgeCancelled',
      'RecordPurgeRequested',
      'RecordPurged',
    ]);
  });
});

describe('many at once', () => {
  const emptied = async (record: Row, meanwhile: () => Promise<unknown>): Promise<Row> => {
    const held = log.double.holds.hold(streamOf(record), 'RecordPurgeRequested');
    const answer = await lethe.call('DELETE', '/v1/trash?permanent=true');
    expect(answer.status).toBe(202);
    await held.arrived;
    await meanwhile();
    held.release();
    return until('the operation ends', async () => {
      const { body } = await lethe.call('GET', `/v1/operations/${answer.body.id}`);
      return body.state === 'done' && body;
    });
  };
  it('a step acts on a record only if it is still in the trash: one restored meanwhile is skipped', async () => {
    const record = await lethe.trash(await lethe.file());
    const operation = await emptied(record, () => lethe.call('POST', `${at(record)}/restore`));
    expect(operation).toMatchObject({ counts: { skipped: 1 }, skipped: [refOf(record)] });
    expect((await lethe.get(record)).visibility).toBe(1);
  });

  it('…and named, where no step came to it before it was restored', async () => {
    const trashed: Row[] = [];
    for (let i = 0; i < 3; i += 1) trashed.push(await lethe.trash(await lethe.file()));
    const [last, ...others] = trashed.toReversed();
    // Restored before, and so never meant.
    await lethe.call('POST', `${at(last)}/restore`);
    const dataset = await lethe.trash(await lethe.register('datasets'));
    const operation = await emptied(dataset, () =>
      Promise.all(others.map((record) => lethe.call('POST', `${at(record)}/restore`))),
    );
    const codes = operation.skipped.map(({ registry, uid, code }: Row) => [registry, uid, code]);
    expect(operation.counts).toMatchObject({ purged: 1, skipped: 2 });
    expect(codes.toSorted()).toEqual(others.map(({ uid }) => ['files', uid, 'conflict']).toSorted());
  });

  it('…by the trashing it saw: one restored and trashed again meanwhile is skipped', async () => {
    const record = await lethe.trash(await lethe.file());
    const operation = await emptied(record, async () => {
      await lethe.call('POST', `${at(record)}/restore`);
      await lethe.trash(record);
    });
    expect(operation).toMatchObject({ counts: { skipped: 1 }, skipped: [refOf(record)] });
    expect((await lethe.get(record)).visibility).toBe(-1);
  });

  it('a patch meanwhile does not matter', async () => {
    const record = await lethe.trash(await lethe.file());
    const operation = await emptied(record, () =>
      lethe.call('PATCH', at(record), { json: { description: 'patched in the trash' } }),
    );
    expect(operation.skipped).toEqual([]);
    expectRefusal(await lethe.call('GET', at(record)), 'purged', 410);
  });
});
