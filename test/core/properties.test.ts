import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PurgeStep } from '../../src/commands/commands.js';
import { execute, executeNew, readRecord, type Executed, type Journal } from '../../src/commands/execute.js';
import { IdempotencyMismatch, Refusal } from '../../src/commands/refusals.js';
import { decode, digestOf, encode } from '../../src/events/codec.js';
import type { RecordEvent, Recorded } from '../../src/events/events.js';
import { derivedId } from '../../src/events/ids.js';
import { fold, isPurged, isTrashed, type RecordState } from '../../src/events/record.js';
import { OutcomeUnknown } from '../../src/storage/errors.js';
import type { EventStore } from '../../src/storage/event-store/port.js';
import {
  HoldRecord,
  PurgeRecord,
  RegisterRecord,
  ReleaseHold,
  ReportPurgeStep,
  RestoreRecord,
  RetryPurge,
  TrashRecord,
  UpdateRecord,
} from '../../src/testing/commands.js';
import { dataset, DATASET, FILE, file, plain } from '../../src/testing/events.js';
import { decide, type Command, type Facts } from '../../src/testing/given.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { FOLDER } from './states.js';

const STREAM = 'lethe.files-file0000000000000000';

type Make = (record: RecordState | null) => Command;

/** One thing that somebody does: a command made from what is to be seen, an earlier one again, two at once, or one twice at once. */
type Move =
  | { readonly kind: 'send'; readonly make: Make; readonly facts: Facts }
  | { readonly kind: 'again'; readonly which: number; readonly otherwise: boolean }
  | { readonly kind: 'race'; readonly a: Move; readonly b: Move }
  | { readonly kind: 'twice'; readonly make: Make; readonly facts: Facts };

/** A service with one record, whose clock jumps and whose log loses answers. */
class World {
  readonly log = new InMemoryLog();
  readonly sent: { command: Command; facts: Facts; answer: Executed | null }[] = [];
  private now = Date.parse('2026-06-01T00:00:00.000Z');
  readonly journal: Journal;

  constructor(faults: readonly Fault[]) {
    this.journal = {
      store: losing(this.log.open('lethe.'), faults),
      prefix: 'lethe.',
      clock: { now: () => new Date(this.now), monotonic: () => 0, sleep: async () => undefined },
      appended: () => undefined,
    };
  }

  jump(ms: number): void {
    this.now += ms;
  }

  async history(): Promise<Recorded<RecordEvent>[]> {
    return [...(await readRecord(this.journal, FILE)).recorded];
  }

  async make(move: Move): Promise<void> {
    if (move.kind === 'race') {
      await Promise.all([this.make(move.a), this.make(move.b)]);
    } else if (move.kind === 'again') {
      await this.repeat(move);
    } else {
      const record = fold(await this.history());
      const made = move.make(record);
      const command = withId(made, derivedId('move', this.sent.length));
      const entry: World['sent'][number] = { command, facts: move.facts, answer: null };
      this.sent.push(entry);
      const times = move.kind === 'twice' ? 2 : 1;
      const answers = await Promise.all(Array.from({ length: times }, () => this.send(command, move.facts)));
      entry.answer = answers[0] ?? null;
      const written = answers.flatMap((answer) => (answer === null || answer.events.length === 0 ? [] : [answer]));
      // Sent twice at the same moment, it was carried out once: both answers tell of the same events.
      expect(new Set(written.map(({ record }) => record.revision)).size).toBeLessThanOrEqual(1);
      expect(new Set(written.map(({ events }) => events.map(({ id }) => id).join())).size).toBeLessThanOrEqual(1);
    }
  }

  /** The same command once more: whatever has happened since, nothing comes of it but the answer of then. */
  private async repeat({ which, otherwise }: Move & { kind: 'again' }): Promise<void> {
    const entry = this.sent[which % Math.max(1, this.sent.length)];
    if (entry?.answer == null || entry.answer.events.length === 0) return;
    const before = this.log.stream(STREAM).length;
    const { command, facts, answer } = entry;
    if (otherwise) {
      const other = withId(command, command.envelope.commandId, 'another content');
      await expect(this.execute(other, facts)).rejects.toThrow(IdempotencyMismatch);
    } else {
      const again = await this.execute(command, facts);
      expect(again.replayed).toBe(true);
      expect(again.events.map(({ id }) => id)).toEqual(answer.events.map(({ id }) => id));
      expect(again.record.revision).toBe(answer.record.revision);
      expect(again.record.visibility).toBe(answer.record.visibility);
    }
    expect(this.log.stream(STREAM)).toHaveLength(before);
  }

  private async send(command: Command, facts: Facts): Promise<Executed | null> {
    try {
      return await this.execute(command, facts);
    } catch (error) {
      if (error instanceof Refusal || error instanceof OutcomeUnknown) return null;
      throw error;
    }
  }

  private execute(command: Command, facts: Facts): Promise<Executed> {
    const run = command instanceof RegisterRecord ? executeNew : execute;
    return run(this.journal, FILE, command.envelope, (record: Parameters<typeof decide>[0]) =>
      decide(record, command, facts),
    );
  }
}

const withId = (command: Command, commandId: string, hash = commandId): Command => {
  const copy: Command = Object.assign(Object.create(Object.getPrototypeOf(command)), command);
  return Object.assign(copy, { envelope: { ...command.envelope, commandId, hash } });
};

type Fault = 'none' | 'lost before' | 'lost after';

/** A store whose n-th append meets the n-th fault. */
const losing = (store: EventStore, faults: readonly Fault[]): EventStore => {
  let calls = 0;
  return {
    numbersEvents: store.numbersEvents,
    append: async (stream, revision, events) => {
      const fault = faults[calls] ?? 'none';
      calls += 1;
      if (fault === 'lost before') throw new OutcomeUnknown('lost on the way there');
      const appended = await store.append(stream, revision, events);
      if (fault === 'lost after') throw new OutcomeUnknown('lost on the way back');
      return appended;
    },
    readStream: (stream, from) => store.readStream(stream, from),
    readAll: (from, options) => store.readAll(from, options),
    subscribe: (from, options) => store.subscribe(from, options),
    head: () => store.head(),
    close: () => store.close(),
  };
};

const seen = file().seen;
/** What a worker reports, given how often the deletion has failed. */
const step: fc.Arbitrary<(attempts: number) => PurgeStep> = fc.oneof(
  { weight: 1, arbitrary: fc.constant((): PurgeStep => ({ step: 'cancel', by: [DATASET] })) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom('asked' as const, 'asked' as const, 'shared' as const, 'semantic-key' as const)
      .map((why) => (): PurgeStep => ({ step: 'keep', why, by: [] })),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(seen, FOLDER, null).map((what) => (): PurgeStep => ({ step: 'start', seen: what })),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({ late: fc.constantFrom(0, 0, 0, 1), waitMs: fc.constantFrom(null, 1_000) })
      .map(({ late, waitMs }) => (attempts: number): PurgeStep => ({
        step: 'fail',
        error: 'gone',
        attempt: Math.max(1, attempts + 1 - late),
        waitMs,
      })),
  },
  {
    weight: 2,
    arbitrary: fc.boolean().map((changed) => (): PurgeStep => ({ step: 'deleted', objects: 1, bytes: 12, changed })),
  },
  { weight: 1, arbitrary: fc.constant((): PurgeStep => ({ step: 'end' })) },
);

const wish = fc.constantFrom(null, 'keep' as const, 'delete' as const);
/** If-Match: none, what is there, or what was there before. */
const ifMatch = fc
  .constantFrom(null, null, null, 0, -1)
  .map((off) => (record: RecordState | null) => (off === null || record === null ? null : record.revision + off));

const commands: { weight: number; arbitrary: fc.Arbitrary<Make> }[] = [
  { weight: 3, arbitrary: ifMatch.map((match) => (record) => new TrashRecord({ ifMatch: match(record) })) },
  { weight: 3, arbitrary: ifMatch.map((match) => (record) => new RestoreRecord({ ifMatch: match(record) })) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(0, 1).map((visibility) => () => new UpdateRecord({ patch: { visibility } })),
  },
  {
    weight: 1,
    arbitrary: fc.string({ maxLength: 3 }).map((description) => () => new UpdateRecord({ patch: { description } })),
  },
  { weight: 1, arbitrary: fc.constantFrom('audit', null).map((reason) => () => new HoldRecord({ reason })) },
  { weight: 2, arbitrary: fc.constant(() => new ReleaseHold()) },
  {
    weight: 5,
    arbitrary: fc.tuple(wish, ifMatch).map(
      ([storage, match]) =>
        (record) =>
          new PurgeRecord({ storage, ifMatch: match(record) }),
    ),
  },
  { weight: 4, arbitrary: fc.constantFrom(null, 'keep' as const).map((storage) => () => new RetryPurge({ storage })) },
  {
    weight: 14,
    arbitrary: fc.tuple(step, fc.constantFrom(0, 0, 0, 0, -1, -2)).map(([report, off]) => (record) => {
      const { request = 0, attempts = 0 } = record?.purge ?? {};
      return new ReportPurgeStep({ request: Math.max(0, request + off), report: report(attempts) });
    }),
  },
  { weight: 1, arbitrary: fc.constant(() => new RegisterRecord()) },
];
const command = fc.oneof(...commands);

const facts: fc.Arbitrary<Facts> = fc.constantFrom<Facts>(
  {},
  {},
  {},
  { referencedBy: { by: [DATASET], count: 1 } },
  { unmanaged: 'lab' },
);
const send: fc.Arbitrary<Move> = fc.record({ kind: fc.constant('send' as const), make: command, facts });
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 12, arbitrary: send },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('again' as const), which: fc.nat({ max: 40 }), otherwise: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('twice' as const), make: command, facts }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('race' as const), a: send, b: send }) },
);
const registration = fc
  .record({
    fields: fc.constantFrom(file(), file(), file({ keyIsVirtual: false }), dataset(), plain()),
    visibility: fc.constantFrom(1 as const, 0 as const),
  })
  .map((options): Move => ({ kind: 'send', make: () => new RegisterRecord(options), facts: {} }));
const story = fc.record({
  moves: fc.tuple(
    registration,
    fc.array(fc.tuple(move, fc.integer({ min: -5_000, max: 10_000 })), { minLength: 1, maxLength: 40, size: 'max' }),
  ),
  faults: fc.array(fc.constantFrom<Fault>('none', 'none', 'none', 'lost before', 'lost after'), { maxLength: 40 }),
});

describe('any commands on one record, repeated, racing, with answers lost and a clock that jumps, keep', () => {
  const kinds: Record<string, number> = {};

  test('every invariant of its stream', async () => {
    await fc.assert(
      fc.asyncProperty(story, async ({ moves: [first, rest], faults }) => {
        const world = new World(faults);
        await world.make(first);
        for (const [each, ms] of rest) {
          world.jump(ms);
          await world.make(each);
        }
        const history = await world.history();
        for (const { event } of history) kinds[event.type] = (kinds[event.type] ?? 0) + 1;
        checkStream(world);
        checkVisibility(history);
        checkHolds(history);
        checkPurges(history);
      }),
      { numRuns: 250 },
    );
  });

  test('and had the chance to break them: every event of a record came to pass', () => {
    expect(Object.keys(kinds).sort()).toEqual(
      [
        'ObjectDeleted',
        'ObjectDeletionFailed',
        'ObjectDeletionStarted',
        'ObjectKept',
        'RecordHeld',
        'RecordHoldReleased',
        'RecordPurgeCancelled',
        'RecordPurgeRequested',
        'RecordPurgeRetried',
        'RecordPurged',
        'RecordRegistered',
        'RecordRestored',
        'RecordTrashed',
        'RecordUpdated',
      ].sort(),
    );
  });
});

/** Revisions without a gap, a chain of digests, times that never go back, ids that never come twice. */
const checkStream = ({ log, journal }: World): void => {
  const stored = log.stream(STREAM);
  let previous: string | null = null;
  let at = '';
  stored.forEach((event, index) => {
    const recorded = decode(journal.prefix, event);
    if (recorded === null) throw new Error(`${event.type} is not known`);
    const { id, type, data, metadata } = event;
    expect(encode(id, recorded.event, recorded.meta), 'read and written again').toEqual({ id, type, data, metadata });
    expect(recorded.revision).toBe(index);
    expect(recorded.meta.previous).toBe(previous);
    expect(recorded.meta.at >= at).toBe(true);
    previous = digestOf(event, recorded.meta);
    at = recorded.meta.at;
  });
  expect(new Set(stored.map(({ id }) => id)).size).toBe(stored.length);
  expect(stored[0]?.type ?? 'RecordRegistered').toBe('RecordRegistered');
  expect(stored.filter(({ type }) => type === 'RecordRegistered')).toHaveLength(Math.min(1, stored.length));
};

const before = (history: readonly Recorded<RecordEvent>[], index: number) => fold(history.slice(0, index));

/** What a restore gives back is what the trashing found, and in between nobody hid or showed the record. */
const checkVisibility = (history: readonly Recorded<RecordEvent>[]): void => {
  history.forEach(({ event }, index) => {
    const [was, is] = [before(history, index), before(history, index + 1)];
    if (event.type === 'RecordTrashed') expect(event.from).toBe(was?.visibility);
    if (event.type === 'RecordRestored') {
      const trashing = history.slice(0, index).findLastIndex((earlier) => earlier.event.type === 'RecordTrashed');
      expect(event.to).toBe(before(history, trashing)?.visibility);
      expect(is?.visibility).toBe(event.to);
    }
    if (event.type === 'RecordUpdated' && event.changes['visibility'] !== undefined) {
      expect(was !== null && isTrashed(was)).toBe(false);
      expect(event.changes['visibility']).toEqual({ from: was?.visibility, to: is?.visibility });
    }
  });
};

/** No purge of what is held; nobody holds what is purging. */
const checkHolds = (history: readonly Recorded<RecordEvent>[]): void => {
  history.forEach(({ event }, index) => {
    if (event.type === 'RecordPurgeRequested' || event.type === 'RecordPurged')
      expect(before(history, index)?.hold).toBeNull();
  });
};

const OF_A_PURGE = new Set<string>([
  'RecordPurgeCancelled',
  'ObjectKept',
  'ObjectDeletionStarted',
  'ObjectDeletionFailed',
  'RecordPurgeRetried',
  'ObjectDeleted',
  'RecordPurged',
]);

const checkPurges = (history: readonly Recorded<RecordEvent>[]): void => {
  const requests = history.filter(({ event }) => event.type === 'RecordPurgeRequested');
  const isFile = history[0]?.event.type === 'RecordRegistered' && history[0].event.fields.kind === 'file';
  requests.forEach(({ revision }, index) => {
    const until = requests[index + 1]?.revision ?? history.length;
    const mine = history.slice(revision + 1, until);
    const types = mine.map(({ event }) => event.type);
    const at = (type: RecordEvent['type']): number => types.indexOf(type);
    const [kept, started, deleted] = [at('ObjectKept'), at('ObjectDeletionStarted'), at('ObjectDeleted')];
    const [cancelled, ended] = [at('RecordPurgeCancelled'), at('RecordPurged')];

    // Until it is called off, nothing happens to the record but its purge; and every step names this request.
    for (const { event } of cancelled < 0 ? mine : mine.slice(0, cancelled + 1)) {
      expect(OF_A_PURGE.has(event.type), event.type).toBe(true);
      if ('request' in event) expect(event.request).toBe(revision);
    }
    for (const type of [
      'RecordPurgeCancelled',
      'ObjectKept',
      'ObjectDeletionStarted',
      'ObjectDeleted',
      'RecordPurged',
    ] as const) {
      expect(types.filter((other) => other === type).length, `${type} comes once at most`).toBeLessThanOrEqual(1);
    }
    if (cancelled >= 0) expect([kept, started, deleted, ended], 'called off before all else').toEqual([-1, -1, -1, -1]);
    if (kept >= 0) {
      expect(started, 'nothing is deleted once it was kept').toBeLessThan(kept);
      expect(deleted).toBe(-1);
      if (started >= 0) {
        expect(mine[kept]?.event).toMatchObject({ why: 'asked' });
        const asked = mine
          .slice(0, kept)
          .some(({ event }) => event.type === 'RecordPurgeRetried' && event.storage === 'keep');
        expect(asked, 'kept after its start only where a person asked for it').toBe(true);
      }
    }
    if (deleted >= 0) expect(started >= 0 && started < deleted, 'deleted only what was named before').toBe(true);
    if (ended >= 0) {
      expect(revision + 1 + ended, 'RecordPurged is the last event of all').toBe(history.length - 1);
      if (isFile) expect(Math.max(kept, deleted), 'the object was dealt with').toBeGreaterThanOrEqual(0);
    } else if (cancelled < 0) expect(requests[index + 1], 'no second request while one is open').toBeUndefined();
  });
  const last = fold(history);
  expect(last !== null && isPurged(last)).toBe(history.some(({ event }) => event.type === 'RecordPurged'));
};
