import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seal, timeAfter, type Journal } from '../../src/commands/execute.js';
import { TickClockHandler } from '../../src/commands/log-time.handlers.js';
import { purgeAfter, readTicks, TICK_MS, type Tick } from '../../src/commands/log-time.js';
import { CompleteOperationHandler, StartOperationHandler } from '../../src/commands/operation.handlers.js';
import { OnHold } from '../../src/commands/refusals.js';
import { decode, streamOf } from '../../src/events/codec.js';
import type { Recorded, RecordEvent } from '../../src/events/events.js';
import { isDue, Ticks, type Stretch } from '../../src/sagas/due.js';
import { OperationsSaga } from '../../src/sagas/operations.saga.js';
import { RetentionSaga } from '../../src/sagas/retention.saga.js';
import type { OperationRow } from '../../src/storage/read-model/port.js';
import { file, STORAGE, uidFor } from '../../src/testing/events.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import { ManualClock } from '../harness/manual-clock.js';
import { projected } from '../harness/projecting.js';
import { rowsOf } from '../harness/story.js';

const HOUR = TICK_MS;
const DAY = 24 * HOUR;
const TEN_YEARS = 3_652 * DAY;

/** Ticks at every tenth position. */
const ticks = (count: number): Tick[] =>
  Array.from({ length: count }, (_, revision) => ({
    revision,
    position: 10 * revision + 10,
    at: new Date(revision * HOUR).toISOString(),
    logTimeMs: (revision + 1) * HOUR,
  }));

describe('when a record is due', () => {
  const at = '2026-01-01T00:00:00.000Z';
  const day = { at, purgeAfter: purgeAfter(at, 1), position: 15 }; // between the first tick and the second
  const stretch = (last: number, before: number | null): Stretch => ({
    purgeAfter: at,
    logTimeMs: last * HOUR,
    sinceMs: before === null ? null : before * HOUR,
  });

  test.each<[what: string, last: number, before: number | null, due: boolean]>([
    ['a day after the first tick that followed its trashing', 26, 25, true],
    ['not an hour sooner, though its trashing may be that long ago', 25, 24, false],
    ['not again an hour later', 27, 26, false],
    ['again a day later', 50, 49, true],
    ['not in between', 49, 48, false],
    ['in a stretch of several hours that holds the time', 30, 20, true],
    ['where nobody has looked before', 40, null, true],
    ['not before its time, where nobody has looked before either', 25, null, false],
  ])('%s', (_, last, before, due) => {
    expect(isDue(day, ticks(60), stretch(last, before))).toBe(due);
  });

  test('never, where it was trashed while retention was off, or no tick has come since', () => {
    expect(isDue({ ...day, purgeAfter: null }, ticks(60), stretch(60, null))).toBe(false);
    expect(isDue({ ...day, position: 15 }, ticks(1), stretch(60, null))).toBe(false);
  });

  test('by the days of its own trashing', () => {
    expect(isDue({ ...day, purgeAfter: purgeAfter(at, 2) }, ticks(60), stretch(26, 25))).toBe(false);
    expect(isDue({ ...day, purgeAfter: purgeAfter(at, 2) }, ticks(60), stretch(50, 49))).toBe(true);
  });
});

const log = {
  info: () => undefined,
  warn: () => undefined,
  error: (fields: object, message: string) => {
    throw new Error(`${message}: ${JSON.stringify(fields)}`);
  },
};

/** A log, with the workers on it that a test starts: each has the clock of its machine. */
class World {
  readonly log = new InMemoryLog();
  readonly clock = new ManualClock();
  readonly model = inMemoryReadModel();
  readonly requested: string[] = [];
  readonly held = new Set<string>();
  private readonly stops: AbortController[] = [];
  private projecting = Promise.resolve();
  private readonly listeners = new Set<() => void>();

  readonly journal: Journal = {
    store: this.log.open('t.'),
    prefix: 't.',
    clock: this.clock,
    appended: () => undefined,
  };

  /** Whether a deletion stands past its end. */
  lingering = false;

  async worker({ retains = true } = {}): Promise<() => void> {
    const { journal, clock, model } = this;
    const stop = new AbortController();
    const rounds = {
      clock,
      log,
      patienceMs: () => 0,
      onWork: (listener: () => void) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
    };
    const ports = { journal };
    const own = new Ticks(journal);
    const [tick, start, complete] = [
      new TickClockHandler(ports),
      new StartOperationHandler(ports),
      new CompleteOperationHandler(ports),
    ];
    const operations = new OperationsSaga({
      ...rounds,
      model,
      ticks: own,
      retains,
      reach: () => this.project(),
      complete: (command) => complete.execute(command),
      purge: async ({ ref: { uid } }) => {
        if (this.held.has(uid)) throw new OnHold({ reason: null, by: 'alice', at: '' });
        this.requested.push(uid);
        await Promise.resolve();
      },
    });
    const retention = new RetentionSaga({
      ...rounds,
      model,
      ticks: own,
      retains,
      lingering: () => Promise.resolve(this.lingering),
      reach: () => this.project(),
      managed: () => Promise.resolve(new Set([STORAGE.uid])),
      tick: (command) => tick.execute(command),
      start: async (command) => {
        await start.execute(command);
      },
    });
    void retention.run(stop.signal);
    void operations.run(stop.signal);
    this.stops.push(stop);
    await this.settle();
    return () => stop.abort();
  }

  stop(): void {
    for (const stop of this.stops) stop.abort();
  }

  /** Everybody goes on for as long as there is something to do at this time. */
  async settle(): Promise<void> {
    for (let round = 0; round < 2; round += 1) {
      for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
      await this.project();
      for (const listener of [...this.listeners]) listener();
      for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
    }
  }

  /** Lets time pass, five minutes at a time. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= HOUR / 12) {
      this.clock.pass(Math.min(left, HOUR / 12));
      await this.settle();
    }
  }

  /** Registers a file and puts it into the trash. */
  async trash(name: string, days: number | null = 1): Promise<string> {
    const uid = uidFor(name);
    const envelope = {
      commandId: crypto.randomUUID(),
      repeatable: false,
      hash: name,
      actor: 'alice',
      reason: null,
      correlationId: name,
      ifMatch: null,
    };
    const first = seal(timeAfter(this.clock, null), null, envelope, [
      { type: 'RecordRegistered', visibility: 1, fields: file({ key: name }), seenAt: null } satisfies RecordEvent,
    ]);
    const stream = streamOf('t.', 'files', uid);
    await this.journal.store.append(
      stream,
      -1,
      first.map(({ form }) => form),
    );
    const [stored] = await this.journal.store.readStream(stream);
    const last = stored === undefined || first[0] === undefined ? null : { stored, meta: first[0].meta };
    const at = timeAfter(this.clock, last);
    const second = seal(at, last, { ...envelope, commandId: crypto.randomUUID() }, [
      { type: 'RecordTrashed', from: 1, purgeAfter: purgeAfter(at, days) } satisfies RecordEvent,
    ]);
    await this.journal.store.append(
      stream,
      0,
      second.map(({ form }) => form),
    );
    return uid;
  }

  /** One after the other: there is one projector. */
  private project(): Promise<void> {
    this.projecting = this.projecting.then(async () => {
      await projected(this.recorded(), 1_000, this.model);
    });
    return this.projecting;
  }

  recorded(): Recorded[] {
    return this.log.events.map((event) => decode('t.', event)).filter((each) => each !== null);
  }

  async operations(): Promise<OperationRow[]> {
    await this.project();
    return rowsOf(this.model, 'operations');
  }
}

describe('retention', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.stop());

  const logTimes = async (): Promise<number[]> => (await readTicks(world.journal)).map(({ logTimeMs }) => logTimeMs);

  test('tells the hours that it has seen pass, one at a time', async () => {
    await world.worker();
    await world.pass(HOUR - 1);
    expect(await logTimes()).toEqual([]);
    await world.pass(1);
    expect(await logTimes()).toEqual([HOUR]);
    await world.pass(2 * HOUR);
    expect(await logTimes()).toEqual([HOUR, 2 * HOUR, 3 * HOUR]);
    expect(world.recorded().at(-1)).toMatchObject({
      event: { type: 'ClockTicked', advanceMs: HOUR },
      meta: { actor: 'system:clock' },
      revision: 2,
    });
  });

  test('tells no hour twice, however many workers there are', async () => {
    for (let worker = 0; worker < 3; worker += 1) await world.worker();
    await world.pass(10 * HOUR);
    expect(await logTimes()).toHaveLength(10);
  });

  test('does not count time in which no worker ran, or stood still', async () => {
    const stop = await world.worker();
    await world.pass(HOUR);
    stop();
    await world.pass(100 * DAY);
    const stopAgain = await world.worker();
    await world.settle();
    expect(await logTimes()).toEqual([HOUR]);
    await world.pass(HOUR / 2);
    stopAgain(); // half an hour that nobody has told
    await world.worker();
    await world.pass(HOUR / 2);
    expect(await logTimes()).toEqual([HOUR]);
    world.clock.pass(50 * DAY); // in one leap, as for a process that was halted
    await world.settle();
    expect(await logTimes()).toEqual([HOUR, 2 * HOUR]);
  });

  test('purges after its days, as system:retention, what is in the trash and was put there while it was on', async () => {
    await world.worker();
    const [due, later, kept] = [
      await world.trash('due'),
      await world.trash('later', 2),
      await world.trash('kept', null),
    ];
    await world.pass(DAY);
    expect(world.requested).toEqual([]);
    await world.pass(HOUR);
    expect(world.requested).toEqual([due]);
    const [operation] = await world.operations();
    expect(operation).toMatchObject({
      kind: 'retention',
      state: 'done',
      startedBy: 'system:retention',
      total: { records: 1, bytes: 12 },
      criteria: { logTimeMs: DAY + HOUR, sinceMs: null },
    });
    await world.pass(DAY);
    expect(world.requested).toContain(later);
    expect(world.requested).not.toContain(kept);
  });

  test.each([
    ['ten years ahead', TEN_YEARS],
    ['ten years back', -TEN_YEARS],
  ])('purges nothing early where the clock leaps %s: while it runs, and across a restart', async (_, leap) => {
    let stop = await world.worker();
    await world.trash('before');
    await world.pass(HOUR);
    world.clock.leap(leap);
    await world.trash('between');
    await world.pass(HOUR);
    stop();
    world.clock.leap(leap);
    stop = await world.worker();
    await world.trash('after');
    await world.pass(HOUR);
    world.clock.leap(-2 * leap);
    stop();
    await world.worker();
    // Three hours were told, and half a day is not a day.
    await world.pass(DAY / 2);
    expect(world.requested).toEqual([]);
    expect(await world.operations()).toEqual([]);
  });

  test('purges at its time after all, once the clock is right again', async () => {
    await world.worker();
    world.clock.leap(TEN_YEARS);
    const uid = await world.trash('future');
    world.clock.leap(-TEN_YEARS);
    const soon = await world.trash('soon');
    await world.pass(DAY + HOUR);
    // The one bears a time in ten years, and promised not to go before.
    expect(world.requested).toEqual([soon]);
    world.clock.leap(TEN_YEARS);
    await world.pass(DAY);
    expect(world.requested).toContain(uid);
  });

  test('skips what is held and says so, tries it again a day later, and lets it starve nobody', async () => {
    await world.worker();
    const held = await world.trash('held');
    world.held.add(held);
    await world.pass(2 * HOUR);
    const other = await world.trash('other');
    await world.pass(DAY - HOUR);
    expect(await world.operations()).toMatchObject([
      { state: 'done', skippedCount: 1, skipped: [{ registry: 'files', uid: held, code: 'on-hold' }] },
    ]);
    await world.pass(2 * HOUR);
    expect(world.requested).toEqual([other]);
    expect((await world.operations()).map(({ total }) => total.records)).toEqual([1, 1]);
    world.held.delete(held);
    await world.pass(20 * HOUR);
    expect(world.requested).toEqual([other]);
    await world.pass(3 * HOUR);
    expect(world.requested).toContain(held);
  });

  test('two workers start one operation between them', async () => {
    await world.worker();
    await world.worker();
    const uid = await world.trash('one');
    await world.pass(DAY + HOUR);
    expect(await world.operations()).toHaveLength(1);
    expect(new Set(world.requested)).toEqual(new Set([uid]));
  });

  test('looks at what a worker that died after its tick had left', async () => {
    const stop = await world.worker();
    const uid = await world.trash('one');
    await world.pass(DAY);
    stop();
    const last = (await readTicks(world.journal)).at(-1) ?? null;
    await new TickClockHandler({ journal: world.journal }).execute({ last });
    await world.worker();
    await world.settle();
    expect(world.requested).toEqual([uid]);
  });

  test('while it is off, hours are told for as long as a deletion stands past its end, and nothing is purged by them', async () => {
    await world.trash('one');
    await world.worker({ retains: false });
    await world.pass(3 * HOUR);
    expect(await logTimes()).toEqual([]);
    world.lingering = true;
    // It is asked for once a minute.
    await world.pass(HOUR / 12);
    expect(await logTimes()).toEqual([HOUR]);
    await world.pass(HOUR - HOUR / 12);
    expect(await logTimes()).toEqual([HOUR]);
    await world.pass(HOUR / 12);
    expect(await logTimes()).toEqual([HOUR, 2 * HOUR]);
    world.lingering = false;
    await world.pass(2 * DAY);
    expect(await logTimes()).toEqual([HOUR, 2 * HOUR]);
    expect(world.requested).toEqual([]);
  });

  test('a process that is new to it has to see an hour pass itself', async () => {
    world.lingering = true;
    const stop = await world.worker({ retains: false });
    await world.pass(HOUR + HOUR / 2);
    expect(await logTimes()).toEqual([HOUR]);
    stop();
    await world.worker({ retains: false });
    await world.pass(HOUR - HOUR / 12);
    expect(await logTimes()).toEqual([HOUR]);
    await world.pass(HOUR / 12);
    expect(await logTimes()).toEqual([HOUR, 2 * HOUR]);
  });

  test('purges nothing once it is off, what was begun included', async () => {
    const stop = await world.worker();
    await world.trash('one');
    await world.pass(DAY);
    stop();
    await new TickClockHandler({ journal: world.journal }).execute({
      last: (await readTicks(world.journal)).at(-1) ?? null,
    });
    const [tick] = (await readTicks(world.journal)).slice(-1);
    const started = new StartOperationHandler({ journal: world.journal });
    const envelope = {
      commandId: crypto.randomUUID(),
      repeatable: true,
      hash: 'h',
      actor: 'system:retention',
      reason: null,
      correlationId: 'c',
      ifMatch: null,
    };
    const criteria = { purgeAfter: world.clock.now().toISOString(), sinceMs: null, logTimeMs: tick?.logTimeMs ?? 0 };
    const total = { records: 1, bytes: 12 };
    await started.execute({ envelope, kind: 'retention', criteria, total, position: String(tick?.position) });
    await world.operations();
    await world.worker({ retains: false });
    await world.pass(HOUR);
    expect(world.requested).toEqual([]);
    expect(await world.operations()).toMatchObject([{ state: 'done', purged: 0, skippedCount: 1 }]);
  });
});
