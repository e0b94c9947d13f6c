import { describe, expect, test } from 'vitest';
import { decideWithdraw } from '../../src/commands/decide-withdraw.js';
import type { Recorded, RecordEvent } from '../../src/events/events.js';
import { isRecordEvent } from '../../src/events/events.js';
import { fold } from '../../src/events/record.js';
import type { Ref } from '../../src/events/vocabulary.js';
import type { WithdrawalRow } from '../../src/storage/read-model/port.js';
import {
  dataset,
  DATASET,
  deletionFailed,
  deletionStarted,
  FILE,
  file,
  held,
  LABEL,
  objectDeleted,
  objectKept,
  plain,
  purgeCancelled,
  purged,
  purgeRequested,
  registered,
  storage,
  trashed,
  uidFor,
  updated,
  type Happening,
} from '../../src/testing/events.js';
import { historyOf } from '../../src/testing/log.js';
import {
  calledOff,
  catalogueRow,
  datasets,
  DELETE,
  files,
  modelsOf,
  rowsOf,
  Story,
  storages,
} from '../harness/story.js';

const [F, G, X] = [files('F'), files('G'), files('X')];
const [D, E] = [datasets('D'), datasets('E')];

/** Every withdrawal of a story, the same however its log is cut. */
const withdrawals = async (story: Story): Promise<WithdrawalRow[]> =>
  (await rowsOf(await modelsOf(story.log), 'withdrawals')).toSorted((a, b) => a.position - b.position);

const toBeTakenBack = async (story: Story): Promise<(Ref & { targets: readonly Ref[] })[]> =>
  (await withdrawals(story))
    .filter(({ open }) => open)
    .map(({ registry, uid, targets }) => ({ registry, uid, targets }));

const row = (ref: Ref, ...targets: Ref[]) => ({ ...ref, targets });

describe('what comes to point at something too late is to be taken back', () => {
  test('refReg: a dataset that is registered after the purge of its file was requested', async () => {
    const story = new Story().file('F').purge(F).dataset('D', 'F');
    expect(await toBeTakenBack(story)).toEqual([row(D, F)]);
    expect(await toBeTakenBack(new Story().file('F').dataset('D', 'F').purge(F))).toEqual([]);
  });

  test('nothing, where that purge is called off: by the verdict, whatever was appended yet', async () => {
    const story = new Story().file('F').dataset('D', 'F').purge(F).dataset('E', 'F');
    expect(await story.verdict(F)).toEqual(calledOff(D));
    expect(await toBeTakenBack(story)).toEqual([]);
    expect(await toBeTakenBack(story.happens(F, purgeCancelled()).dataset('D2', 'F'))).toEqual([]);
  });

  test('refRace: an update, but for what it pointed to before', async () => {
    const story = new Story().file('F').file('G').dataset('D', 'G').purge(F).points('D', ['G'], ['G', 'F']);
    expect(await toBeTakenBack(story)).toEqual([row(D, F)]);
    const again = story.points('D', ['G', 'F'], ['G']);
    expect(await withdrawals(again)).toMatchObject([{ uid: D.uid, kind: 'update', revision: 1, open: false }]);
  });

  test('an update of something else is none', async () => {
    const story = new Story().file('F').dataset('D').purge(F).happens(D, updated());
    expect(await withdrawals(story)).toEqual([]);
  });

  test.each<{ what: string; fields: Parameters<typeof file>[0] }>([
    { what: 'a label', fields: { labels: [LABEL.uid] } },
    { what: 'the first of its line', fields: { initialVersion: F.uid } },
  ])('a file that points to $what which is going', async ({ fields }) => {
    const target = fields?.labels === undefined ? F : LABEL;
    const story = new Story()
      .file('F')
      .happens(LABEL, registered({ fields: plain() }))
      .happens(target, purgeRequested())
      .file('X', 'x', fields);
    expect(await toBeTakenBack(story)).toEqual([row(X, target)]);
  });

  test('cascade: it counts as purging from then on, so that whoever points at it comes too late as well', async () => {
    const story = new Story().file('F').purge(F).dataset('D', 'F');
    expect(await catalogueRow(await modelsOf(story.log), D)).toMatchObject({ live: false });
    story.happens(E, registered({ fields: dataset({ initialVersion: D.uid }) }));
    expect(await toBeTakenBack(story)).toEqual([row(D, F), row(E, D)]);
  });

  test('what is to be taken back protects nothing', async () => {
    const registration = new Story().file('F').file('G').purge(F).dataset('D', 'F', 'G').purge(G);
    expect(await registration.verdict(G)).toEqual(DELETE);
    const update = (): Story =>
      new Story().file('F').file('G').dataset('D', 'G').purge(F).points('D', ['G'], ['G', 'F']);
    // The update is taken back, and no more than it: what the dataset pointed to before stays protected.
    expect(await update().purge(G).verdict(G)).toEqual(calledOff(D));
    const referrers = (await catalogueRow(await modelsOf(update().log), D))?.pointsTo;
    expect(referrers).toEqual([`files/${G.uid}`]);
  });

  test('sharedByDue: nor does its object keep another record’s', async () => {
    const story = new Story()
      .file('F')
      .file('X', 'o')
      .happens(LABEL, registered({ fields: plain() }))
      .happens(LABEL, purgeRequested())
      .file('Y', 'o', { labels: [LABEL.uid] })
      .purge(X);
    expect(await story.verdict(X)).toEqual(DELETE);
  });

  test('the row stays when all is settled', async () => {
    const story = new Story().file('F').purge(F).dataset('D', 'F');
    const withdrawal = purgeRequested({ withdraws: String(story.log.head) });
    expect(await withdrawals(story.happens(D, withdrawal))).toMatchObject([{ uid: D.uid, open: false }]);
    expect(await withdrawals(story.happens(D, purged()))).toMatchObject([{ uid: D.uid, open: false, targets: [F] }]);
  });

  test('an update of a record that is being purged itself waits for nothing, and does again if that is called off', async () => {
    const story = new Story().file('F').dataset('D').purge(F).points('D', [], ['F']).purge(D);
    expect(await toBeTakenBack(story)).toEqual([]);
    const calledOffLater = new Story()
      .file('F')
      .dataset('D')
      .happens(E, registered({ fields: dataset({ initialVersion: D.uid }) }))
      .purge(F)
      .points('D', [], ['F'])
      .purge(D);
    expect(await toBeTakenBack(calledOffLater)).toEqual([row(D, F)]);
    expect(await toBeTakenBack(calledOffLater.happens(D, purgeCancelled()))).toEqual([row(D, F)]);
  });
});

describe('an object that is being deleted is found too late', () => {
  const seenAt = (position: number, path = 'o'): Happening =>
    registered({ fields: file({ key: path, keyIsVirtual: false, path }), seenAt: String(position) });

  test('regVsDelete: while the deletion stands, and where it stood at any moment since the first look', async () => {
    const deleting = (): Story => new Story().file('X', 'o').purge(X);
    expect(await toBeTakenBack(deleting().happens(F, seenAt(3)))).toEqual([row(F, X)]);
    const deleted = (): Story => deleting().happens(X, deletionStarted(), objectDeleted(), purged());
    // Position 5 is the end of the deletion.
    expect(await toBeTakenBack(deleted().happens(F, seenAt(4)))).toEqual([row(F, X)]);
    expect(await toBeTakenBack(deleted().happens(F, seenAt(5)))).toEqual([]);
  });

  test('a deletion that failed or was parked stands', async () => {
    const story = new Story()
      .file('X', 'o')
      .purge(X)
      .happens(X, deletionStarted(), deletionFailed({ waitMs: null }));
    expect(await toBeTakenBack(story.happens(F, seenAt(5)))).toEqual([row(F, X)]);
  });

  test('an object that was kept is not', async () => {
    const story = new Story().file('X', 'o').purge(X, 'keep').happens(X, objectKept(), purged());
    expect(await toBeTakenBack(story.happens(F, seenAt(0)))).toEqual([]);
  });

  test('inside it and around it, and not beside it', async () => {
    const story = (deleted: string): Story => new Story().file('X', deleted).purge(X);
    expect(await toBeTakenBack(story('a/').happens(F, seenAt(3, 'a/b')))).toEqual([row(F, X)]);
    expect(await toBeTakenBack(story('a/b').happens(F, seenAt(3, 'a/')))).toEqual([row(F, X)]);
    expect(await toBeTakenBack(story('a/').happens(F, seenAt(3, 'ab')))).toEqual([]);
  });

  test('in a storage that was purged since, at whose place another one was registered', async () => {
    const [old, next] = [storages('old'), storages('next')];
    const at = (name: string) => registered({ fields: storage(name, { root: 'file:/other/' }) });
    const inNext = file({ storage: next.uid, key: 'o', keyIsVirtual: false, path: 'o' });
    const story = new Story()
      .happens(old, at('old'))
      .file('X', 'o', { storage: old.uid })
      .purge(X)
      .happens(old, purgeRequested(), purged())
      .happens(next, at('next'))
      .happens(F, registered({ fields: inNext, seenAt: '7' }));
    expect(await toBeTakenBack(story)).toEqual([row(F, X)]);
  });
});

describe('taking back', () => {
  const lastOf = (history: readonly Recorded<RecordEvent>[]): Recorded<RecordEvent> => {
    const last = history.at(-1);
    if (last === undefined) throw new Error('a history without events');
    return last;
  };
  /** Takes back the event at `revision` of a history. */
  const taken = (history: readonly Recorded<RecordEvent>[], revision: number, ...targets: Ref[]): RecordEvent[] => {
    const [record, event] = [fold(history), history[revision]];
    if (record === null || event === undefined) throw new Error('nothing to take back');
    return decideWithdraw(record, event, targets);
  };

  test.each([
    { what: 'an upload goes with its bytes', own: true, storage: 'delete' },
    { what: 'what was found stays', own: false, storage: 'keep' },
  ])('a registration: $what', ({ own, storage }) => {
    const history = historyOf(FILE, registered({ fields: file({ own }) }));
    expect(taken(history, 0, LABEL)).toEqual([
      { type: 'RecordPurgeRequested', storage, withdraws: '1', operation: null },
    ]);
  });

  test('no hold stands against it, nor the trash', () => {
    const history = historyOf(DATASET, registered({ fields: dataset() }), held(), trashed());
    expect(taken(history, 0, F)).toEqual([
      { type: 'RecordPurgeRequested', storage: null, withdraws: '1', operation: null },
    ]);
  });

  test('what is being purged anyway is left to that', () => {
    expect(taken(historyOf(FILE, registered(), purgeRequested()), 0, LABEL)).toEqual([]);
  });

  const [f0, f1, f2] = [uidFor('f0'), uidFor('f1'), uidFor('f2')];
  const f1Ref: Ref = { registry: 'files', uid: f1 };
  const filesChange = (from: string[], to: string[]) => ({ files: { from, to } });
  const patched = [
    registered({ fields: dataset({ files: [f0], description: 'old' }) }),
    updated({ changes: { ...filesChange([f0], [f1]), description: { from: 'old', to: 'new' } } }),
  ];

  test('updLose: an update is put back whole', () => {
    const history = historyOf(DATASET, ...patched);
    expect(taken(history, 1, f1Ref)).toEqual([
      {
        type: 'RecordUpdated',
        changes: { ...filesChange([f1], [f0]), description: { from: 'new', to: 'old' } },
        withdraws: String(lastOf(history).position),
      },
    ]);
  });

  test('but for what somebody has changed since: of that only the reference goes', () => {
    const later = updated({ changes: filesChange([f1], [f1, f2]) });
    expect(taken(historyOf(DATASET, ...patched, later), 1, f1Ref)).toEqual([
      {
        type: 'RecordUpdated',
        changes: { ...filesChange([f1, f2], [f2]), description: { from: 'new', to: 'old' } },
        withdraws: '2',
      },
    ]);
  });

  test('updRevert: a withdrawal that comes too late itself only drops', () => {
    const back = updated({ changes: filesChange([f1], [f0]), withdraws: '2' });
    const history = historyOf(DATASET, registered({ fields: dataset({ files: [f0] }) }), ...patched.slice(1), back);
    expect(taken(history, 2, { registry: 'files', uid: f0 })).toEqual([
      { type: 'RecordUpdated', changes: filesChange([f0], []), withdraws: String(lastOf(history).position) },
    ]);
  });

  test('a single reference is put back to what it was, or to none', () => {
    const run = (from: string | null, to: string | null) => updated({ changes: { run: { from, to } } });
    const first = historyOf(FILE, registered({ fields: file({ run: null }) }), run(null, f1));
    expect(taken(first, 1, { registry: 'runs', uid: f1 })).toMatchObject([
      { changes: { run: { from: f1, to: null } } },
    ]);
    const gone = historyOf(FILE, registered({ fields: file({ run: null }) }), run(null, f1), run(f1, null));
    expect(taken(gone, 1, { registry: 'runs', uid: f1 })).toEqual([]);
  });

  test('is told apart from what callers asked for', () => {
    const story = new Story().file('F').purge(F).dataset('D', 'F');
    const registration = story.log.recorded.findLast(isRecordEvent);
    expect(registration?.event.type).toBe('RecordRegistered');
    expect(
      taken(
        [registration].filter((event) => event !== undefined),
        0,
        F,
      ),
    ).toMatchObject([{ withdraws: '4' }]);
  });
});
