import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isRecordEvent, type RecordEvent, type Recorded } from '../../src/events/events.js';
import { evolve, fold, isPurged, isPurging, isTrashed, pointsTo, type RecordState } from '../../src/events/record.js';
import {
  dataset,
  deletionFailed,
  deletionStarted,
  DATASET,
  FILE,
  file,
  held,
  holdReleased,
  LABEL,
  objectDeleted,
  objectKept,
  plain,
  purgeCancelled,
  purged,
  purgeRequested,
  purgeRetried,
  registered,
  restored,
  trashed,
  uidFor,
  updated,
  type Happening,
} from '../../src/testing/events.js';
import { historyOf } from '../../src/testing/log.js';
import { anyEvent, anyMetadata, TYPES } from '../harness/event-arbitraries.js';

const after = (...happenings: Happening<RecordEvent>[]): RecordState => {
  const record = fold(historyOf(FILE, ...happenings));
  if (record === null) throw new Error('nothing was registered');
  return record;
};

describe('what each event makes of a record', () => {
  test('a registration gives it all that it has', () => {
    const said = { actor: 'bob', at: '2026-03-01T10:00:00.000Z' };
    expect(after(registered({ visibility: 0 }, said))).toEqual({
      ...FILE,
      revision: 0,
      position: 1,
      fields: file(),
      visibility: 0,
      hold: null,
      createdBy: 'bob',
      createdAt: said.at,
      updatedAt: said.at,
      registeredAt: 1,
      trashing: null,
      purge: null,
    } satisfies RecordState);
  });

  test('an update changes the fields that it names', () => {
    const changes = { description: { from: null, to: 'new' }, labels: { from: [], to: [LABEL.uid] } };
    const record = after(registered(), updated({ changes }));
    expect(record.fields).toEqual(file({ description: 'new', labels: [LABEL.uid] }));
    expect(record).toMatchObject({ visibility: 1, revision: 1, position: 2 });
  });

  test('an update shows and hides', () => {
    const hiding = updated({ changes: { visibility: { from: 1, to: 0 } } });
    const record = after(registered(), hiding);
    expect(record.visibility).toBe(0);
    expect(record.fields).toEqual(file());
    expect(after(registered(), hiding, updated({ changes: { visibility: { from: 0, to: 1 } } })).visibility).toBe(1);
  });

  test('a trashing remembers from where, when, by whom, why and until when', () => {
    const purgeAfter = '2026-04-01T00:00:00.000Z';
    const said = { actor: 'bob', reason: 'old', at: '2026-03-01T10:00:00.000Z' };
    expect(after(registered({ visibility: 0 }), trashed({ from: 0, purgeAfter }, said))).toMatchObject({
      visibility: -1,
      updatedAt: said.at,
      trashing: { from: 0, at: said.at, by: 'bob', reason: 'old', purgeAfter, revision: 1, position: 2 },
    });
  });

  test('trashing, restoring, holding and patching move updatedAt; a purge does not', () => {
    const at = '2026-03-01T10:00:00.000Z';
    for (const happening of [
      trashed({}, { at }),
      restored({}, { at }),
      updated({}, { at }),
      held({ at }),
      holdReleased({ at }),
    ]) {
      expect(after(registered(), happening).updatedAt).toBe(at);
    }
    const before = after(registered()).updatedAt;
    expect(after(registered(), purgeRequested({}, { at }), purgeCancelled({}, { at })).updatedAt).toBe(before);
  });

  test('a hold carries its reason until it is released', () => {
    expect(after(registered(), held({ reason: 'audit', actor: 'bob' })).hold).toMatchObject({
      reason: 'audit',
      by: 'bob',
    });
    expect(after(registered(), held({ reason: 'audit' }), held({ reason: 'other' })).hold).toMatchObject({
      reason: 'other',
    });
    expect(after(registered(), held(), holdReleased()).hold).toBeNull();
  });

  test('a purge request begins a purge', () => {
    const operation = uidFor('operation');
    const record = after(
      registered(),
      trashed(),
      purgeRequested({ storage: 'keep', operation }, { actor: 'bob', reason: 'x' }),
    );
    expect(record.purge).toMatchObject({
      request: 2,
      position: 3,
      by: 'bob',
      reason: 'x',
      storage: 'keep',
      withdraws: null,
      operation,
      attempts: 0,
      failure: null,
      started: null,
      keepAsked: null,
      outcome: null,
      ended: null,
    });
    expect([isPurging(record), isPurged(record), isTrashed(record)]).toEqual([true, false, true]);
  });

  test('a purge that is called off leaves the record as it was', () => {
    const { revision, position, ...record } = after(
      registered(),
      trashed(),
      held(),
      purgeRequested(),
      purgeCancelled(),
    );
    const { revision: _, position: __, ...before } = after(registered(), trashed(), held());
    expect(record).toEqual(before);
    expect([revision, position]).toEqual([4, 5]);
  });

  test('a deletion that fails is counted, and a retry counts anew', () => {
    const failing = [
      registered(),
      purgeRequested(),
      deletionStarted(),
      deletionFailed(),
      deletionFailed({ attempt: 2, waitMs: null }),
    ];
    expect(after(...failing).purge).toMatchObject({
      attempts: 2,
      failure: { waitMs: null, revision: 4 },
      keepAsked: null,
    });
    expect(after(...failing, purgeRetried()).purge).toMatchObject({ attempts: 0, failure: null, keepAsked: null });
    const keep = after(...failing, purgeRetried({ storage: 'keep' })).purge;
    expect(keep).toMatchObject({
      attempts: 0,
      failure: null,
      keepAsked: { revision: 5 },
      started: { seen: file().seen },
    });
    const again = [purgeRetried({ storage: 'keep' }), deletionFailed(), purgeRetried()];
    expect(after(...failing, ...again).purge).toMatchObject({ attempts: 0, failure: null, keepAsked: { revision: 5 } });
  });

  test('a purge ends with what became of the object', () => {
    const by = [DATASET];
    const kept = after(registered(), purgeRequested(), objectKept({ why: 'shared', by }), purged());
    expect(kept.purge).toMatchObject({ outcome: { fate: 'kept', why: 'shared', by }, ended: { position: 4 } });
    const deleted = after(
      registered(),
      purgeRequested(),
      deletionStarted(),
      objectDeleted({ changed: true }),
      purged(),
    );
    expect(deleted.purge?.outcome).toEqual({ fate: 'deleted', objects: 1, bytes: 12, changed: true });
    expect([isPurged(kept), isPurged(deleted), isPurging(deleted)]).toEqual([true, true, true]);
  });

  test("a saga's event counts only for the request that it names", () => {
    const again = [registered(), purgeRequested(), purgeCancelled(), purgeRequested()];
    const open = after(...again).purge;
    for (const late of [
      objectKept({ request: 1 }),
      deletionStarted({ request: 1 }),
      deletionFailed({ request: 1 }),
      purgeRetried({ request: 1, storage: 'keep' }),
      objectDeleted({ request: 1 }),
      purged({ request: 1 }),
      purgeCancelled({ request: 1 }),
    ]) {
      expect(after(...again, late).purge, late.event(0).type).toEqual(open);
    }
  });
});

describe('what a record points to', () => {
  const [a, b, c] = [uidFor('a'), uidFor('b'), uidFor('c')];
  const pointing = (fields: Parameters<typeof pointsTo>[0]['fields'], registry: string): string[] =>
    pointsTo({ ...after(registered({ fields })), registry }).sort();

  test('a file: its storage, run, transform, labels and the first of its line', () => {
    const fields = file({ storage: a, run: b, transform: c, labels: [a, b], initialVersion: c });
    const expected = [`files/${c}`, `labels/${a}`, `labels/${b}`, `runs/${b}`, `storages/${a}`, `transforms/${c}`];
    expect(pointing(fields, 'files')).toEqual(expected);
  });

  test('a dataset: its files too', () => {
    const fields = dataset({ files: [a, b], run: b, labels: [c], initialVersion: a });
    expect(pointing(fields, 'datasets')).toEqual([
      `datasets/${a}`,
      `files/${a}`,
      `files/${b}`,
      `labels/${c}`,
      `runs/${b}`,
    ]);
  });

  test('a plain record: nothing', () => {
    expect(pointing(plain({ data: { run: a } }), 'labels')).toEqual([]);
  });
});

/** Any events on one stream, as a disk could hold them: in any order, with requests that exist and ones that don't. */
const anyHistory = fc.array(fc.tuple(anyEvent(TYPES), anyMetadata), { maxLength: 25 }).map((events) =>
  events
    .map(([event, meta], index): Recorded => ({
      event,
      meta,
      id: meta.commandId,
      ...FILE,
      revision: index,
      position: 2 * index + 3,
    }))
    .filter(isRecordEvent),
);
/** The same after a registration, without which most events mean nothing. */
const anyLife = anyHistory.map((events) => {
  const [first] = historyOf(FILE, registered());
  const rest = events.map((event, index) => ({ ...event, revision: index + 1 }));
  return first === undefined ? rest : [first, ...rest];
});

describe('evolve, on any events in any order', () => {
  test('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(anyHistory, anyLife), (history) => void fold(history)),
      { numRuns: 300 },
    );
  });

  test('folds a beginning and the rest to what it folds the whole to', () => {
    fc.assert(
      fc.property(anyLife, fc.nat({ max: 26 }), (history, cut) => {
        expect(history.slice(cut).reduce(evolve, fold(history.slice(0, cut)))).toEqual(fold(history));
      }),
    );
  });

  test('changes no state that it was given', () => {
    const frozen = (record: RecordState | null): RecordState | null => {
      if (record === null) return null;
      for (const part of [record, record.fields, record.purge, record.trashing, record.hold]) Object.freeze(part);
      return record;
    };
    fc.assert(
      fc.property(anyLife, (history) => {
        history.reduce<RecordState | null>((record, recorded) => frozen(evolve(record, recorded)), null);
      }),
    );
  });

  test('is as far as the last event, and stays what was registered first', () => {
    fc.assert(
      fc.property(anyLife, (history) => {
        const [record, last] = [fold(history), history.at(-1)];
        expect(record).toMatchObject({ ...FILE, createdBy: 'alice', registeredAt: 1 });
        if (last?.event.type !== 'RecordRegistered') {
          expect(record).toMatchObject({ revision: last?.revision, position: last?.position });
        }
      }),
    );
  });

  test('is nothing without a registration', () => {
    const unregistered = anyHistory.map((history) => history.filter(({ event }) => event.type !== 'RecordRegistered'));
    fc.assert(
      fc.property(unregistered, (history) => {
        expect(fold(history)).toBeNull();
      }),
    );
  });

  test('leaves a state that makes sense', () => {
    fc.assert(
      fc.property(anyLife, (history) => {
        for (let end = 1; end <= history.length; end += 1) sensible(fold(history.slice(0, end)));
      }),
      { numRuns: 200 },
    );
  });

  test('leaves what was purged purged, with the outcome that it had', () => {
    const before = historyOf(FILE, registered(), purgeRequested(), objectKept(), purged());
    const end = fold(before);
    fc.assert(
      fc.property(anyHistory, (events) => {
        const after = events.map((event, index) => ({ ...event, revision: before.length + index }));
        expect(fold([...before, ...after])?.purge).toEqual(end?.purge);
      }),
      { numRuns: 300 },
    );
  });

  const sensible = (record: RecordState | null): void => {
    if (record === null) return;
    expect([1, 0, -1]).toContain(record.visibility);
    expect(isTrashed(record), 'it is in the trash where it was trashed, and only there').toBe(record.trashing !== null);
    const { purge } = record;
    if (purge === null) return;
    expect(purge.request).toBeGreaterThan(0);
    expect(purge.request).toBeLessThanOrEqual(record.revision);
    expect(purge.attempts).toBeGreaterThanOrEqual(0);
  };
});

test('restoring is lossless, whatever happened to the record while it was in the trash', () => {
  const meanwhile = fc.array(
    fc.constantFrom<Happening<RecordEvent>>(
      held(),
      holdReleased(),
      updated(),
      updated({ changes: { description: { from: null, to: 'in the trash' } } }),
    ),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(fc.constantFrom(1 as const, 0 as const), meanwhile, (visibility, events) => {
      const { visibility: now, trashing } = after(
        registered({ visibility }),
        trashed({ from: visibility }),
        ...events,
        restored({ to: visibility }),
      );
      expect({ now, trashing }).toEqual({ now: visibility, trashing: null });
      const untouched = after(registered({ visibility }), trashed({ from: visibility }), restored({ to: visibility }));
      expect(untouched).toEqual({
        ...after(registered({ visibility })),
        revision: 2,
        position: 3,
        updatedAt: untouched.updatedAt,
      });
    }),
  );
});
