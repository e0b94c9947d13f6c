import { describe, expect, test } from 'vitest';
import type { PurgeStep } from '../../src/commands/commands.js';
import type { CommandPorts } from '../../src/commands/ports.js';
import { PurgeRecordHandler, TrashRecordHandler } from '../../src/commands/record.handlers.js';
import type { Result } from '../../src/commands/result.js';
import { refusePurge, type PurgeFacts } from '../../src/commands/decide-purge.js';
import {
  ConfirmationRequired,
  Conflict,
  ForeignStorage,
  IdempotencyMismatch,
  NotFound,
  OnHold,
  Refusal,
  Referenced,
  RevisionChanged,
} from '../../src/commands/refusals.js';
import type { KeptWhy } from '../../src/events/events.js';
import type { RecordState } from '../../src/events/record.js';
import { PurgeRecord, reported, ReportPurgeStep, RetryPurge, TrashRecord } from '../../src/testing/commands.js';
import {
  dataset,
  DATASET,
  deletionFailed,
  deletionStarted,
  FILE,
  file,
  held,
  holdReleased,
  objectDeleted,
  objectKept,
  plain,
  purgeCancelled,
  purged,
  purgeRequested,
  purgeRetried,
  registered,
  restored,
  storage,
  STORAGE,
  trashed,
  uidFor,
} from '../../src/testing/events.js';
import { given } from '../../src/testing/given.js';
import { TestLog } from '../../src/testing/log.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { projected } from '../harness/projecting.js';
import { all, FOLDER, GONE, onEveryState, STATES, type State } from './states.js';

const LIVE = ['visible', 'hidden', 'trashed', 'trashed from hidden', 'called off', 'called off in the trash'] as const;
const HELD = ['held', 'held in the trash'] as const;
const untouched = { 'never existed': NotFound, ...all(LIVE, []), ...all(HELD, []), ...all(GONE, []) };

onEveryState('PurgeRecord', new PurgeRecord(), {
  'never existed': NotFound,
  ...all(LIVE, [purgeRequested()]),
  ...all(HELD, OnHold),
  ...all(GONE, []),
});

onEveryState('PurgeRecord with storage=delete', new PurgeRecord({ storage: 'delete' }), {
  'never existed': NotFound,
  ...all(LIVE, [purgeRequested({ storage: 'delete' })]),
  ...all(HELD, OnHold),
  ...all(GONE, []),
});

onEveryState(
  'PurgeRecord of what others point to',
  new PurgeRecord(),
  { 'never existed': NotFound, ...all(LIVE, Referenced), ...all(HELD, OnHold), ...all(GONE, []) },
  { referencedBy: { by: [DATASET], count: 1 } },
);

onEveryState('RetryPurge', new RetryPurge(), {
  'never existed': NotFound,
  ...all(LIVE, Conflict),
  ...all(HELD, Conflict),
  ...all(GONE, Conflict),
  'failed before its deletion started': [purgeRetried()],
  failed: [purgeRetried()],
  parked: [purgeRetried()],
  'parked before its deletion started': [purgeRetried()],
  'asked to keep, and failed again': [purgeRetried()],
});

onEveryState('RetryPurge with storage=keep', new RetryPurge({ storage: 'keep' }), {
  'never existed': NotFound,
  ...all(LIVE, Conflict),
  ...all(HELD, Conflict),
  ...all(GONE, Conflict),
  'failed before its deletion started': [purgeRetried({ storage: 'keep' })],
  failed: [purgeRetried({ storage: 'keep' })],
  parked: [purgeRetried({ storage: 'keep' })],
  'parked before its deletion started': [purgeRetried({ storage: 'keep' })],
  'asked to keep, and failed again': [purgeRetried({ storage: 'keep' })],
});

describe("the saga's reports", () => {
  /** Nothing is settled of the object yet: neither called off, nor kept, nor being deleted. */
  const FRESH = [
    'purging',
    'purging from the trash',
    'failed before its deletion started',
    'parked before its deletion started',
    'asked to keep before its deletion started',
    'called off, and requested again',
  ] as const;
  /** A deletion stands, and has not come to its end. */
  const DELETING = [
    'being deleted',
    'failed',
    'parked',
    'retried',
    'asked to keep',
    'asked to keep, and failed again',
  ] as const;

  onEveryState('called off', reported({ step: 'cancel', by: [DATASET] }), {
    ...untouched,
    ...all(FRESH, [purgeCancelled()]),
  });

  onEveryState('kept, as a semantic key is', reported({ step: 'keep', why: 'semantic-key', by: [] }), {
    ...untouched,
    ...all(FRESH, [objectKept({ why: 'semantic-key' }), purged()]),
  });

  onEveryState('kept, because it was asked for', reported({ step: 'keep', why: 'asked', by: [] }), {
    ...untouched,
    ...all(FRESH, [objectKept(), purged()]),
    'asked to keep': [objectKept(), purged()],
    'asked to keep, and failed again': [objectKept(), purged()],
  });

  const seen = file().seen;
  onEveryState('deletion started', reported({ step: 'start', seen }), {
    ...untouched,
    ...all(FRESH, [deletionStarted()]),
    'asked to keep before its deletion started': [],
  });

  onEveryState('failed for the first time', reported({ step: 'fail', attempt: 1, error: 'gone', waitMs: 500 }), {
    ...untouched,
    purging: [deletionFailed({ error: 'gone', waitMs: 500 })],
    'purging from the trash': [deletionFailed({ error: 'gone', waitMs: 500 })],
    'asked to keep before its deletion started': [deletionFailed({ error: 'gone', waitMs: 500 })],
    'called off, and requested again': [deletionFailed({ error: 'gone', waitMs: 500 })],
    'being deleted': [deletionFailed({ error: 'gone', waitMs: 500 })],
    retried: [deletionFailed({ error: 'gone', waitMs: 500 })],
    'asked to keep': [deletionFailed({ error: 'gone', waitMs: 500 })],
  });

  onEveryState('failed for the second time', reported({ step: 'fail', attempt: 2, error: 'gone', waitMs: null }), {
    ...untouched,
    'failed before its deletion started': [deletionFailed({ attempt: 2, error: 'gone', waitMs: null })],
    failed: [deletionFailed({ attempt: 2, error: 'gone', waitMs: null })],
    parked: [deletionFailed({ attempt: 2, error: 'gone', waitMs: null })],
    'parked before its deletion started': [deletionFailed({ attempt: 2, error: 'gone', waitMs: null })],
    'asked to keep, and failed again': [deletionFailed({ attempt: 2, error: 'gone', waitMs: null })],
  });

  onEveryState('deleted', reported({ step: 'deleted', objects: 1, bytes: 12, changed: false }), {
    ...untouched,
    ...all(DELETING, [objectDeleted(), purged()]),
  });

  onEveryState('ended', reported({ step: 'end' }), { ...untouched, kept: [purged()], deleted: [purged()] });

  describe('on another request than the open one', () => {
    const reports: PurgeStep[] = [
      { step: 'cancel', by: [DATASET] },
      { step: 'keep', why: 'asked', by: [] },
      { step: 'keep', why: 'semantic-key', by: [] },
      { step: 'start', seen },
      { step: 'fail', attempt: 1, error: 'gone', waitMs: 500 },
      { step: 'fail', attempt: 2, error: 'gone', waitMs: 500 },
      { step: 'deleted', objects: 1, bytes: 12, changed: false },
      { step: 'end' },
    ];
    test.each(Object.keys(STATES).filter((state) => state !== 'never existed') as State[])(
      'count for nothing on a record that is %s',
      (state) => {
        const story = given(...STATES[state]);
        const open = story.record?.purge?.request ?? -1;
        for (const request of [0, 1, 2, 3, 9].filter((other) => other !== open)) {
          for (const report of reports) story.when(new ReportPurgeStep({ request, report })).then();
        }
      },
    );
  });

  test('that come again change nothing', () => {
    const stories: { story: ReturnType<typeof given>; reports: PurgeStep[] }[] = [
      { story: given(...STATES.purging), reports: [{ step: 'cancel', by: [DATASET] }] },
      { story: given(...STATES.purging), reports: [{ step: 'keep', why: 'shared', by: [DATASET] }] },
      {
        story: given(...STATES.purging),
        reports: [
          { step: 'start', seen },
          { step: 'fail', attempt: 1, error: 'gone', waitMs: 1 },
          { step: 'fail', attempt: 2, error: 'gone', waitMs: null },
        ],
      },
      {
        story: given(...STATES.purging),
        reports: [
          { step: 'start', seen },
          { step: 'deleted', objects: 1, bytes: 12, changed: false },
        ],
      },
      {
        story: given(...STATES.purging),
        reports: [
          { step: 'start', seen: FOLDER },
          { step: 'deleted', objects: 2, bytes: 12, changed: true },
          { step: 'end' },
        ],
      },
    ];
    for (const { story, reports } of stories) {
      let at = story;
      const sent: ReportPurgeStep[] = [];
      for (const report of reports) {
        const command = new ReportPurgeStep({ request: 1, report });
        const decided = at.when(command);
        expect(decided.events).not.toEqual([]);
        sent.push(command);
        const happenings = decided.events.map((event) => ({ event: () => event, said: {} }));
        at = decided.then(...happenings);
        for (const late of sent) at.when(late).then();
      }
    }
  });

  test('of a worker that comes late do not undo what a person asked for', () => {
    const asked = given(...STATES['asked to keep before its deletion started']);
    asked.when(reported({ step: 'start', seen })).then();
    const after = asked.when(reported({ step: 'keep', why: 'asked', by: [] })).then(objectKept(), purged());
    after.when(reported({ step: 'deleted', objects: 1, bytes: 12, changed: false })).then();
  });

  test.each<KeptWhy>(['foreign-storage', 'shared', 'semantic-key'])(
    'keep nothing as %s once a deletion has started: only a keep that was asked for stops one',
    (why) => {
      given(...STATES['asked to keep'])
        .when(reported({ step: 'keep', why, by: [] }))
        .then();
      given(...STATES['being deleted'])
        .when(reported({ step: 'keep', why, by: [] }))
        .then();
    },
  );

  test.each<KeptWhy>(['foreign-storage', 'asked', 'shared', 'semantic-key'])('say why an object is kept: %s', (why) => {
    given(...STATES.purging)
      .when(reported({ step: 'keep', why, by: [DATASET] }))
      .then(objectKept({ why, by: [DATASET] }), purged());
  });

  test('end a folder only once its listing was cleared away', () => {
    const story = given(...STATES.purging)
      .when(reported({ step: 'start', seen: FOLDER }))
      .then(deletionStarted({ seen: FOLDER }));
    story
      .when(reported({ step: 'deleted', objects: 2, bytes: 12, changed: false }))
      .then(objectDeleted({ objects: 2 }))
      .when(reported({ step: 'end' }))
      .then(purged());
  });

  test('end an empty folder at once: it has no listing', () => {
    given(...STATES.purging)
      .when(reported({ step: 'start', seen: null }))
      .then(deletionStarted({ seen: null }))
      .when(reported({ step: 'deleted', objects: 0, bytes: 0, changed: false }))
      .then(objectDeleted({ objects: 0, bytes: 0 }), purged());
  });

  test('end what has no object without a word about one', () => {
    for (const fields of [plain(), dataset()]) {
      const story = given(registered({ fields }), purgeRequested());
      story
        .when(reported({ step: 'end' }))
        .then(purged())
        .when(reported({ step: 'end' }))
        .then();
      story.when(reported({ step: 'cancel', by: [DATASET] })).then(purgeCancelled());
    }
  });

  test('end no file whose object nobody dealt with', () => {
    for (const state of [...FRESH, ...DELETING])
      given(...STATES[state])
        .when(reported({ step: 'end' }))
        .then();
  });
});

describe('calling off and dealing with the object exclude each other', () => {
  const cancel = reported({ step: 'cancel', by: [DATASET] });
  const keep = reported({ step: 'keep', why: 'asked', by: [] });
  const start = reported({ step: 'start', seen: file().seen });

  test('whichever comes first', () => {
    const purging = given(...STATES.purging);
    const cancelled = purging.when(cancel).then(purgeCancelled());
    cancelled.when(new ReportPurgeStep({ request: 1, report: { step: 'keep', why: 'asked', by: [] } })).then();
    cancelled.when(new ReportPurgeStep({ request: 1, report: { step: 'start', seen: file().seen } })).then();
    purging.when(keep).then(objectKept(), purged()).when(cancel).then();
    purging.when(start).then(deletionStarted()).when(cancel).then();
  });

  test('a purge that was called off leaves the record where it was before', () => {
    const story = given(
      registered({ visibility: 0 }),
      trashed({ from: 0 }),
      held({ reason: 'x' }),
      holdReleased(),
      purgeRequested(),
    );
    const { record } = story.when(cancel).then(purgeCancelled());
    expect(record).toMatchObject({ visibility: -1, trashing: { from: 0, revision: 1 }, hold: null, purge: null });
  });

  test('and can be requested again, with another wish', () => {
    const { record } = given(...STATES['called off'])
      .when(new PurgeRecord({ storage: 'delete' }))
      .then(purgeRequested({ storage: 'delete' }));
    expect(record?.purge).toMatchObject({ request: 3, storage: 'delete', attempts: 0, started: null, keepAsked: null });
  });
});

describe('asking for a retry', () => {
  test('counts the tries anew', () => {
    given(...STATES.parked)
      .when(new RetryPurge())
      .then(purgeRetried())
      .when(reported({ step: 'fail', attempt: 1, error: 'gone', waitMs: 500 }))
      .then(deletionFailed({ error: 'gone', waitMs: 500 }));
  });

  test('again takes back no keep that was asked for', () => {
    const { record } = given(...STATES['asked to keep, and failed again'])
      .when(new RetryPurge())
      .then(purgeRetried());
    expect(record?.purge?.keepAsked).not.toBeNull();
  });

  test('needs the revision that one saw, where one says it', () => {
    given(...STATES.parked)
      .when(new RetryPurge({ ifMatch: 3 }))
      .then(purgeRetried());
    given(...STATES.parked)
      .when(new RetryPurge({ ifMatch: 2 }))
      .then(new RevisionChanged(2, 3));
  });
});

describe('refusals come in the order of the contract', () => {
  const by = [DATASET];
  const everything = { referencedBy: { by, count: 1 }, unmanaged: 'lab', protectedBy: 'The configuration names it.' };
  const nothing: PurgeFacts = { referencedBy: { by: [], count: 0 }, unmanaged: null, protectedBy: null };

  test('each stands before all that come after it', () => {
    const command = new PurgeRecord({ storage: 'delete', ifMatch: 9 });
    given().when(command, everything).then(NotFound);
    given(...STATES.purging)
      .when(command, everything)
      .then();
    const story = given(registered(), held({ reason: 'audit' }));
    story.when(command, everything).then(RevisionChanged);
    story.when(new PurgeRecord({ storage: 'delete', ifMatch: 1 }), everything).then(OnHold);
    const free = given(registered());
    const purge = new PurgeRecord({ storage: 'delete', ifMatch: 0 });
    free.when(purge, everything).then(Referenced);
    free.when(purge, { ...everything, referencedBy: nothing.referencedBy }).then(ForeignStorage);
    free.when(purge, { protectedBy: everything.protectedBy }).then(Conflict);
    free.when(purge).then(purgeRequested({ storage: 'delete' }));
  });

  test.each([null, 'keep'] as const)('a foreign storage forbids storage=delete alone, not %s', (wish) => {
    given(registered())
      .when(new PurgeRecord({ storage: wish }), { unmanaged: 'lab' })
      .then(purgeRequested({ storage: wish }));
  });

  test('a reference is named, with how many there are', () => {
    const decided = given(registered()).when(new PurgeRecord(), { referencedBy: { by, count: 217 } });
    expect(decided.refusal).toMatchObject({ code: 'referenced', by, count: 217 });
    expect(decided.refusal?.message).toContain('217');
  });

  test('what is told of a trashed record is the same (its DELETE asks for a yes last of all)', () => {
    const record = (...happenings: Parameters<typeof given>): RecordState => {
      const found = given(...happenings).record;
      if (found === null) throw new Error('no record');
      return found;
    };
    const codeOf = (state: RecordState, facts: PurgeFacts): string | null => {
      try {
        refusePurge(state, 'delete', facts);
        return null;
      } catch (error) {
        return error instanceof Refusal ? error.code : 'none';
      }
    };
    expect(codeOf(record(...STATES['held in the trash']), everything)).toBe('on-hold');
    expect(codeOf(record(...STATES.trashed), everything)).toBe('referenced');
    expect(codeOf(record(...STATES.trashed), { ...everything, referencedBy: nothing.referencedBy })).toBe(
      'foreign-storage',
    );
    expect(codeOf(record(...STATES.trashed), { ...nothing, protectedBy: 'x' })).toBe('conflict');
    expect(codeOf(record(...STATES.trashed), nothing)).toBeNull();
  });
});

describe('a purge', () => {
  test('of a storage that the configuration names is refused, saying so', () => {
    const decided = given(registered({ fields: storage() })).when(new PurgeRecord(), {
      protectedBy: 'It is configured.',
    });
    expect(decided.refusal).toBeInstanceOf(Conflict);
    expect(decided.refusal?.message).toContain('configured');
  });

  test('of a plain record or a dataset needs no trash', () => {
    given(registered({ fields: plain() }))
      .when(new PurgeRecord())
      .then(purgeRequested());
    given(registered({ fields: dataset() }))
      .when(new PurgeRecord())
      .then(purgeRequested());
  });

  test('once released from a hold goes through', () => {
    given(registered(), held(), holdReleased()).when(new PurgeRecord()).then(purgeRequested());
  });

  test('of what one saw takes its revision', () => {
    given(registered(), trashed())
      .when(new PurgeRecord({ ifMatch: 1 }))
      .then(purgeRequested());
    given(registered(), trashed(), restored())
      .when(new PurgeRecord({ ifMatch: 1 }))
      .then(new RevisionChanged(1, 2));
  });

  describe('as a step of an operation', () => {
    const operation = uidFor('operation');
    const step = new PurgeRecord({ step: { operation, trashing: 1 } });
    const requested = purgeRequested({ operation });

    test('acts on the trashing that the operation saw', () => {
      given(registered(), trashed()).when(step).then(requested);
    });

    test('acts also where the record was held, released or changed since', () => {
      given(registered(), trashed(), held(), holdReleased()).when(step).then(requested);
    });

    test('leaves alone what was restored, or restored and trashed again', () => {
      given(registered(), trashed(), restored()).when(step).then(Conflict);
      given(registered(), trashed(), restored(), trashed()).when(step).then(Conflict);
      given(registered()).when(step).then(Conflict);
    });

    test('leaves alone what is held, or referenced', () => {
      given(registered(), trashed(), held()).when(step).then(OnHold);
      given(registered(), trashed())
        .when(step, { referencedBy: { by: [DATASET], count: 1 } })
        .then(Referenced);
    });

    test('says nothing new of what is purging or purged', () => {
      given(registered(), trashed(), purgeRequested()).when(step).then();
      given(registered(), trashed(), purgeRequested(), objectKept(), purged()).when(step).then();
    });

    test('acts again after the purge was called off', () => {
      given(registered(), trashed(), purgeRequested({ operation }), purgeCancelled()).when(step).then(requested);
    });
  });
});

describe('the handlers of DELETE, on ports in memory', () => {
  const LAB = { registry: 'storages', uid: uidFor('lab') };
  const ports = async (log: TestLog): Promise<CommandPorts> => {
    const events = new InMemoryLog();
    events.load(log.stored);
    const clock = { now: () => new Date('2026-06-01T00:00:00.000Z'), monotonic: () => 0, sleep: async () => undefined };
    const stores = { isConfigured: (name: string) => name === 'default' };
    const journal = { store: events.open('lethe.'), prefix: 'lethe.', clock, appended: () => undefined };
    const model = await projected(log.recorded);
    return { journal, model, stores, clock, trashDays: null, reach: async () => undefined } as unknown as CommandPorts;
  };
  const trash = async (log: TestLog, command: TrashRecord): Promise<Result> =>
    new TrashRecordHandler(await ports(log)).execute(command);
  const purge = async (log: TestLog, command: PurgeRecord): Promise<Result> =>
    new PurgeRecordHandler(await ports(log)).execute(command);

  /** A file in the trash, in a storage that is not managed, on hold, and in a dataset: everything stands against its purge. */
  const everythingAgainst = (): TestLog => {
    const log = new TestLog();
    log.happens(LAB, registered({ fields: storage('lab', { root: 'file:/lab/', managed: false }) }));
    log.happens(FILE, registered({ fields: file({ storage: LAB.uid }) }), trashed(), held({ reason: 'audit' }));
    log.happens(DATASET, registered({ fields: dataset({ files: [FILE.uid] }) }));
    return log;
  };

  test('refuse a second DELETE in the order of the contract, and ask for a yes last of all', async () => {
    const log = everythingAgainst();
    const again = (ifMatch: number | null = null): TrashRecord => new TrashRecord({ storage: 'delete', ifMatch });
    await expect(trash(new TestLog(), again())).rejects.toThrow(NotFound);
    await expect(trash(log, again(7))).rejects.toThrow(RevisionChanged);
    await expect(trash(log, again(2))).rejects.toThrow(OnHold);
    log.happens(FILE, holdReleased());
    await expect(trash(log, again())).rejects.toThrow(Referenced);
    log.happens(DATASET, purgeRequested(), purged());
    await expect(trash(log, again())).rejects.toThrow(ForeignStorage);
    await expect(trash(log, new TrashRecord({ storage: 'keep' }))).rejects.toThrow(ConfirmationRequired);
    await expect(trash(log, new TrashRecord())).rejects.toThrow(ConfirmationRequired);
    expect(await trash(log, new TrashRecord({ permanent: false }))).toMatchObject({ outcome: 'unchanged' });
  });

  test('refuse a purge in the same order', async () => {
    const log = everythingAgainst();
    const command = (ifMatch: number | null = null): PurgeRecord => new PurgeRecord({ storage: 'delete', ifMatch });
    await expect(purge(new TestLog(), command())).rejects.toThrow(NotFound);
    await expect(purge(log, command(7))).rejects.toThrow(RevisionChanged);
    await expect(purge(log, command())).rejects.toThrow(OnHold);
    log.happens(FILE, holdReleased());
    await expect(purge(log, command())).rejects.toThrow(new Referenced([DATASET], 1));
    log.happens(DATASET, purgeRequested(), purged());
    await expect(purge(log, command())).rejects.toThrow(ForeignStorage);
    expect(await purge(log, new PurgeRecord())).toMatchObject({ outcome: 'purging', changed: true });
  });

  test('answer a repeated key before anything is refused, also once the record is purged', async () => {
    const log = new TestLog();
    log.happens(FILE, registered());
    const command = new TrashRecord({ ifMatch: 0 });
    const shared = await ports(log);
    const first = await new TrashRecordHandler(shared).execute(command);
    expect(first).toMatchObject({ outcome: 'trashed', replayed: false, record: { revision: 1 } });
    const other = new PurgeRecord({ commandId: '3f1f0a52-5c47-4f0e-9f6c-0d3c9c0f7a11' });
    expect(await new PurgeRecordHandler(shared).execute(other)).toMatchObject({ outcome: 'purging' });
    const again = await new TrashRecordHandler(shared).execute(command);
    expect(again).toMatchObject({ outcome: 'trashed', replayed: true, record: first.record });
    const mismatch = new TrashRecord({ hash: 'another' });
    await expect(new TrashRecordHandler(shared).execute(mismatch)).rejects.toThrow(IdempotencyMismatch);
  });

  test('say the outcome as it stands of what is purging, and name a wish that comes too late', async () => {
    const log = new TestLog();
    log.happens(FILE, registered(), purgeRequested({ storage: 'keep' }));
    const warnings = [{ code: 'storage-ignored' }];
    expect(await purge(log, new PurgeRecord({ storage: 'delete' }))).toMatchObject({
      outcome: 'purging',
      changed: false,
      warnings,
    });
    expect(await trash(log, new TrashRecord({ storage: 'delete' }))).toMatchObject({
      outcome: 'purging',
      changed: false,
      warnings,
    });
    expect(await purge(log, new PurgeRecord({ storage: 'keep' }))).toMatchObject({ outcome: 'purging', warnings: [] });
    expect(await trash(log, new TrashRecord())).toMatchObject({ outcome: 'purging', warnings: [] });
  });

  test('refuse to purge a storage that the configuration names', async () => {
    const log = new TestLog();
    log.happens(STORAGE, registered({ fields: storage() }));
    log.happens(LAB, registered({ fields: storage('lab') }));
    await expect(purge(log, new PurgeRecord({ ref: STORAGE }))).rejects.toThrow(
      /configuration names the storage default/,
    );
    expect(await purge(log, new PurgeRecord({ ref: LAB }))).toMatchObject({ outcome: 'purging' });
  });

  test('append nothing on a dry run, and say what would come of it', async () => {
    const log = new TestLog();
    log.happens(FILE, registered());
    const shared = await ports(log);
    expect(await new TrashRecordHandler(shared).execute(new TrashRecord({ dryRun: true }))).toMatchObject({
      outcome: 'trashed',
    });
    expect(await new PurgeRecordHandler(shared).execute(new PurgeRecord({ dryRun: true }))).toMatchObject({
      outcome: 'purging',
    });
    expect(await shared.journal.store.head()).toBe(1n);
    log.happens(FILE, held());
    await expect(purge(log, new PurgeRecord({ dryRun: true }))).rejects.toThrow(OnHold);
    await expect(trash(log, new TrashRecord({ dryRun: true, ifMatch: 0 }))).rejects.toThrow(RevisionChanged);
  });
});
