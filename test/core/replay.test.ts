import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Log } from '../../src/ports.js';
import { Follower, type FollowerStatus } from '../../src/projections/follower.js';
import { project } from '../../src/projections/project.js';
import { decode } from '../../src/events/codec.js';
import type { Recorded } from '../../src/events/events.js';
import { Corrupt, Full, OutcomeUnknown, Unavailable } from '../../src/storage/errors.js';
import type { EventStore, StoredEvent } from '../../src/storage/event-store/port.js';
import type { ReadModel, Rows } from '../../src/storage/read-model/port.js';
import { openSqliteReadModel } from '../../src/storage/read-model/sqlite.js';
import { FILE, registered, trashed, uidFor, updated } from '../../src/testing/events.js';
import { TestLog } from '../../src/testing/log.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import { TYPES } from '../harness/event-arbitraries.js';
import { generateLog, typesIn } from '../harness/log-generator.js';
import { dumpOf, projected } from '../harness/projecting.js';

const BATCHES = [1, 7, 1_000];
const LOGS = [
  { seed: 1, length: 1_500 },
  { seed: 2, length: 400 },
  { seed: 3, length: 400 },
  { seed: 4, length: 400 },
];

describe('a generated log', () => {
  test('holds every type of event, and is the same for the same seed', () => {
    const { recorded, stored } = generateLog(1, 1_500);
    expect([...typesIn(recorded).keys()].sort()).toEqual([...TYPES].sort());
    expect(generateLog(1, 400).stored).toEqual(stored.slice(0, 400));
    expect(generateLog(2, 400).stored).not.toEqual(stored.slice(0, 400));
  });

  test('comes to every verdict, and leaves purges in every state', async () => {
    const rows: Rows['purges'][] = [];
    for (const { seed, length } of LOGS) {
      const model = await projected(generateLog(seed, length).recorded);
      rows.push(
        ...(await model.find('purges', {
          where: [],
          sort: [{ path: 'uid', descending: false }],
          after: null,
          limit: 1_000,
        })),
      );
    }
    expect(new Set(rows.map(({ state }) => state))).toEqual(
      new Set(['pending', 'failed', 'parked', 'done', 'cancelled']),
    );
    const fates = rows.map(({ verdict }) => (verdict.fate === 'keep' ? verdict.why : verdict.fate));
    expect(new Set(fates)).toEqual(
      new Set(['called-off', 'foreign-storage', 'asked', 'shared', 'semantic-key', 'delete', 'no-object']),
    );
  });

  test('decodes to what it was written from', () => {
    const { recorded, stored } = generateLog(3, 400);
    expect(stored.map((event) => decode('lethe.', event))).toEqual(recorded);
  });
});

describe.each(LOGS)('the $length events of seed $seed', ({ seed, length }) => {
  const { recorded } = generateLog(seed, length);
  let expected: string;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lethe-replay-'));
    expected = await dumpOf(await projected(recorded));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('give the same rows when they are replayed, byte for byte', async () => {
    expect(await dumpOf(await projected(recorded))).toBe(expected);
  });

  test.each(BATCHES)('give the same rows in batches of %i', async (size) => {
    expect(firstDifference(await dumpOf(await projected(recorded, size)), expected)).toBeNull();
  });

  test('give the same rows where the replay stopped in the middle and went on', async () => {
    const half = await projected(recorded.slice(0, Math.floor(length / 2)), 13);
    expect(firstDifference(await dumpOf(await projected(recorded, 111, half)), expected)).toBeNull();
  });

  test.each(BATCHES)('give the same rows in SQLite, in batches of %i', async (size) => {
    const model = await openSqliteReadModel({ file: join(folder, `${size}.sqlite`), mode: 'read-write' });
    try {
      await projected(recorded, size, model);
      expect(firstDifference(await dumpOf(model), expected)).toBeNull();
    } finally {
      await model.close();
    }
  });
});

/** The first line in which two dumps differ; null where they are equal byte for byte. */
const firstDifference = (a: string, b: string): { a: string | undefined; b: string | undefined } | null => {
  if (a === b) return null;
  const [one, other] = [a.split('\n'), b.split('\n')];
  const at = one.findIndex((line, index) => line !== other[index]);
  return { a: one[at], b: other[at] };
};

/** The model holds what this log comes to. */
const expectSame = async (model: ReadModel, log: readonly Recorded[]): Promise<void> => {
  expect(firstDifference(await dumpOf(model), await dumpOf(await projected(log)))).toBeNull();
};

/** A follower on ports in memory. It never waits: its clock lets each sleep pass at once, and notes it. */
class Following {
  readonly sleeps: number[] = [];
  readonly said: { level: keyof Log; fields: Record<string, unknown> }[] = [];
  readonly statuses: FollowerStatus[] = [];
  private readonly stop = new AbortController();
  private readonly reached = new Map<bigint, () => void>();
  private running: Promise<void> = Promise.resolve();
  private now = 0;
  onStatus: (status: FollowerStatus) => void = () => undefined;

  constructor(
    readonly events: EventStore,
    readonly model: ReadModel,
    private readonly chance = 0.5,
  ) {}

  get status(): FollowerStatus | undefined {
    return this.statuses.at(-1);
  }

  start(): this {
    const note = (level: keyof Log) => (fields: Record<string, unknown>) => void this.said.push({ level, fields });
    const follower = new Follower(
      {
        events: this.events,
        prefix: 'lethe.',
        model: this.model,
        clock: {
          now: () => new Date(0),
          monotonic: () => this.now,
          // Time passes by sleeping alone, and lets everything else have its turn.
          sleep: async (ms) => {
            this.sleeps.push(ms);
            this.now += ms;
            await new Promise((resolve) => setImmediate(resolve));
          },
        },
        random: { next: () => this.chance },
        log: { info: note('info'), warn: note('warn'), error: note('error') },
      },
      (status) => {
        this.statuses.push(status);
        this.onStatus(status);
        for (const [position, resolve] of this.reached) if (status.checkpoint >= position) resolve();
      },
    );
    this.running = follower.run(this.stop.signal);
    return this;
  }

  /** Until it says that it has reached a position. */
  async reach(position: bigint | number): Promise<void> {
    if ((this.status?.checkpoint ?? -1n) >= BigInt(position)) return;
    await Promise.race([
      new Promise<void>((resolve) => this.reached.set(BigInt(position), resolve)),
      this.running.then(() => Promise.reject(new Error(`it ended: ${this.status?.error ?? 'without a word'}`))),
    ]);
  }

  /** Until it ends by itself. */
  async ended(): Promise<FollowerStatus | undefined> {
    await this.running;
    return this.status;
  }

  async end(): Promise<void> {
    this.stop.abort();
    await this.running;
  }
}

const logOf = (stored: readonly StoredEvent[]): InMemoryLog => {
  const log = new InMemoryLog();
  log.load(stored);
  return log;
};

const some = (): TestLog => {
  const log = new TestLog();
  for (let n = 0; n < 6; n += 1) {
    log.happens({ registry: 'files', uid: uidFor(`f${n}x`) }, registered(), updated(), trashed());
  }
  return log;
};

const broken = (stored: StoredEvent): StoredEvent => ({ ...stored, data: '{"from":7}' });

describe('the follower', () => {
  test('carries a log into the model, and then what comes', async () => {
    const { recorded, stored } = generateLog(5, 300);
    const log = logOf(stored.slice(0, 200));
    const following = new Following(log.open('lethe.'), inMemoryReadModel()).start();
    await following.reach(200);
    log.load(stored.slice(200));
    await following.reach(300);
    await following.end();
    await expectSame(following.model, recorded);
    expect(following.status).toMatchObject({ checkpoint: 300n, skipped: 0, error: null, halted: false });
    expect(following.sleeps).toEqual([]);
  });

  test('begins where the model stands', async () => {
    const { recorded, stored } = generateLog(5, 300);
    const model = await projected(recorded.slice(0, 123), 50);
    const following = new Following(logOf(stored).open('lethe.'), model).start();
    await following.reach(300);
    await following.end();
    await expectSame(model, recorded);
    expect(following.statuses[0]?.checkpoint).toBe(123n);
  });

  test('loads what is far behind without the indexes of queries, and then goes on', async () => {
    const log = manyEvents(5_003);
    const calls: string[] = [];
    const model = watched(inMemoryReadModel(), (name) => void calls.push(name));
    const following = new Following(logOf(log.stored).open('lethe.'), model).start();
    await following.reach(5_003);
    await following.end();
    expect(calls.filter((name) => name !== 'get' && name !== 'find')).toEqual([
      'checkpoint',
      'beginLoad',
      ...Array.from({ length: 6 }, () => 'apply'),
      'endLoad',
    ]);
    await expectSame(model, log.recorded);
  });

  describe.each([true, false])('while it loads (positions count events: %j)', (numbersEvents) => {
    const log = manyEvents(5_003);

    test.each([
      { name: 'beginLoad', nth: 1 },
      { name: 'readAll', nth: 1 },
      { name: 'readAll', nth: 4 },
      { name: 'apply', nth: 3 },
      { name: 'endLoad', nth: 1 },
    ])(
      'goes on after a fault of $name (call $nth), and tells of no event that is not yet to be seen',
      async ({ name, nth }) => {
        let calls = 0;
        const hit = (called: string): Error | null => {
          if (called !== name) return null;
          calls += 1;
          return calls === nth ? new Unavailable('it is gone') : null;
        };
        const inner = inMemoryReadModel();
        // As the port allows: what is loaded may be seen by nobody else before the load has ended.
        let loading = false;
        let visible = 0n;
        const ends: bigint[] = [];
        const model: ReadModel = {
          ...failingModel(inner, hit, 'before'),
          beginLoad: async () => {
            failOn(hit, 'beginLoad');
            loading = true;
          },
          endLoad: async () => {
            failOn(hit, 'endLoad');
            loading = false;
            visible = await inner.checkpoint();
            ends.push(visible);
          },
          apply: async (changes, from, to) => {
            failOn(hit, 'apply');
            await inner.apply(changes, from, to);
            if (!loading) visible = to;
          },
        };
        const ahead: unknown[] = [];
        const following = new Following({ ...faulty(logOf(log.stored).open('lethe.'), hit), numbersEvents }, model);
        following.onStatus = (status) => {
          if (status.checkpoint > visible) ahead.push(status);
        };
        await following.start().reach(5_003);
        await following.end();
        await expectSame(inner, log.recorded);
        expect(following.sleeps).toHaveLength(1);
        expect(ahead).toEqual([]);
        // The end of a load says that all of the log is in.
        expect(ends).toEqual([5_003n]);
        expect(following.status).toMatchObject({ checkpoint: 5_003n, loaded: null, error: null });
      },
    );

    test('ends what another has loaded, and died before it ended it', async () => {
      const inner = inMemoryReadModel();
      let ended = (): void => undefined;
      const whole = new Promise<void>((resolve) => {
        ended = resolve;
      });
      const model: ReadModel = {
        ...bound(inner),
        endLoad: async () => {
          expect(await inner.checkpoint()).toBe(5_003n);
          ended();
        },
        apply: async (changes, from, to) => {
          await projected(log.recorded, 1_000, inner);
          await inner.apply(changes, from, to);
        },
      };
      const events = { ...faulty(logOf(log.stored).open('lethe.'), () => null), numbersEvents };
      const following = new Following(events, model).start();
      await whole;
      await following.reach(5_003);
      await following.end();
      expect(following.status).toMatchObject({ checkpoint: 5_003n, loaded: null, active: false });
    });
  });

  test('ends when it is told to, wherever it is', async () => {
    const idle = new Following(logOf([]).open('lethe.'), inMemoryReadModel()).start();
    await idle.reach(0);
    await idle.end();
    expect(idle.status).toMatchObject({ error: null, halted: false });
    const failing = new Following(
      faulty(logOf(some().stored).open('lethe.'), () => new Unavailable('the disk is gone')),
      inMemoryReadModel(),
    ).start();
    await failing.end();
    expect(failing.status?.halted).not.toBe(true);
  });

  describe('goes on by itself after a fault', () => {
    const { recorded, stored } = generateLog(6, 120);

    /** Lets the n-th call to the ports fail, before it takes effect or after, for every n until none is left to fail. */
    const failingEach = async (fault: () => Error, when: 'before' | 'after'): Promise<number> => {
      const expected = await dumpOf(await projected(recorded));
      for (let failing = 0; ; failing += 1) {
        let calls = 0;
        let failed: string | null = null;
        const hit = (name: string): Error | null => {
          calls += 1;
          if (calls - 1 !== failing) return null;
          failed = name;
          return fault();
        };
        const inner = inMemoryReadModel();
        const model = failingModel(inner, hit, when);
        const following = new Following(faulty(logOf(stored).open('lethe.'), hit), model).start();
        await following.reach(120);
        await following.end();
        expect(firstDifference(await dumpOf(inner), expected), `after a fault of ${failed ?? 'none'}`).toBeNull();
        const whole = following.statuses.filter(({ checkpoint, error }) => checkpoint === 120n && error === null);
        expect(whole.length).toBeGreaterThan(0);
        expect(following.status).toMatchObject({ checkpoint: 120n, halted: false });
        // At most: what fails after the last batch may find it told to end.
        expect(following.sleeps.length).toBeLessThanOrEqual(failed === null ? 0 : 1);
        if (failed === null) return failing;
      }
    };

    test.each([
      { what: 'an Unavailable', fault: () => new Unavailable('the disk does not answer') },
      { what: 'a Full', fault: () => new Full('no space is left') },
      { what: 'an OutcomeUnknown', fault: () => new OutcomeUnknown('no answer') },
    ])('of every port call: $what', async ({ fault }) => {
      expect(await failingEach(fault, 'before')).toBeGreaterThan(10);
    });

    test('of every port call whose answer is lost', async () => {
      expect(await failingEach(() => new OutcomeUnknown('no answer'), 'after')).toBeGreaterThan(10);
    });

    test('says what keeps it from moving, until it moves', async () => {
      let left = 3;
      const events = faulty(logOf(stored).open('lethe.'), (name) => {
        if (name !== 'head' || left === 0) return null;
        left -= 1;
        return new Unavailable('the log is not there');
      });
      const following = new Following(events, inMemoryReadModel()).start();
      await following.reach(120);
      await following.end();
      expect(following.statuses.map(({ error }) => error).slice(0, 4)).toEqual([
        'the log is not there',
        'the log is not there',
        'the log is not there',
        null,
      ]);
      expect(following.said.every(({ level }) => level === 'warn')).toBe(true);
      expect(following.said).toHaveLength(3);
    });

    test.each([
      { chance: 0, factor: 0.5 },
      { chance: 0.999, factor: 0.9995 },
    ])('waits longer each time, within bounds, with jitter ($chance)', async ({ chance, factor }) => {
      let left = 12;
      const events = faulty(logOf(stored).open('lethe.'), (name) => {
        if (name !== 'head' || left === 0) return null;
        left -= 1;
        return new Unavailable('the log is not there');
      });
      const following = new Following(events, inMemoryReadModel(), chance).start();
      await following.reach(120);
      await following.end();
      const full = following.sleeps.map((ms) => Math.round(ms / factor));
      expect(full).toHaveLength(12);
      full.forEach((ms, index) => {
        expect(ms).toBeGreaterThanOrEqual(full[index - 1] ?? 50);
        expect(ms).toBeLessThanOrEqual(5_000);
      });
      expect(full.at(-1)).toBe(5_000);
    });

    test('waits short again once it has moved', async () => {
      const log = logOf(stored.slice(0, 60));
      let failing = 4;
      const events = faulty(log.open('lethe.'), (name) => {
        if (name !== 'head' || failing === 0) return null;
        failing -= 1;
        return new Unavailable('the log is not there');
      });
      const model = inMemoryReadModel();
      let fail = false;
      const following = new Following(
        events,
        failingModel(
          model,
          (name) => {
            if (!fail || name !== 'apply') return null;
            fail = false;
            return new Unavailable('the model is not there');
          },
          'before',
        ),
      ).start();
      await following.reach(60);
      fail = true;
      log.load(stored.slice(60));
      await following.reach(120);
      await following.end();
      expect(following.sleeps).toHaveLength(5);
      expect(following.sleeps.at(-1)).toBe(following.sleeps[0]);
    });
  });

  describe('beside another projector that was quicker', () => {
    const { recorded, stored } = generateLog(7, 150);

    /** The other one applies what stands before a position right before this one's first batch. */
    const besides = (other: (inner: ReadModel) => Promise<void>) => {
      const inner = inMemoryReadModel();
      let interfere = true;
      const model: ReadModel = {
        ...bound(inner),
        apply: async (changes, from, to) => {
          if (interfere) {
            interfere = false;
            await other(inner);
          }
          await inner.apply(changes, from, to);
        },
      };
      return { inner, following: new Following(logOf(stored).open('lethe.'), model).start() };
    };
    const applied = async (inner: ReadModel, from: number, to: number): Promise<void> => {
      const known = recorded.filter(({ position }) => position > from && position <= to);
      await inner.apply(await project(inner, known), BigInt(from), BigInt(to));
    };

    test('looks on, and takes over where that one stands still for two seconds behind the head', async () => {
      const { inner, following } = besides((model) => applied(model, 0, 40));
      await following.reach(150);
      await following.end();
      await expectSame(inner, recorded);
      expect(following.said).toEqual([]);
      expect(following.statuses.every(({ error }) => error === null)).toBe(true);
      const looking = following.statuses.filter(({ active }) => !active);
      expect(looking.map(({ checkpoint, workAt }) => [checkpoint, workAt])).toContainEqual([40n, 40n]);
      const waited = following.sleeps.reduce((sum, ms) => sum + ms, 0);
      expect(waited).toBeGreaterThanOrEqual(2_000);
      expect(waited).toBeLessThan(2_200);
      expect(following.status).toMatchObject({ active: true });
    });

    test('tells how far that one comes, and applies nothing as long as it moves', async () => {
      let at = 40;
      const { inner, following } = besides((model) => applied(model, 0, 40));
      following.onStatus = ({ checkpoint, active }) => {
        if (active || checkpoint !== BigInt(at) || at === 150) return;
        const from = at;
        at = Math.min(150, at + 11);
        void applied(inner, from, at);
      };
      await following.reach(150);
      await following.end();
      await expectSame(inner, recorded);
      expect(following.status).toMatchObject({ checkpoint: 150n, active: false, error: null });
    });

    /** A model whose other projector was at 40, and which then answers each question for its checkpoint as told; the first is 1. */
    const asked = (fault: (nth: number) => Error | null) => {
      const inner = inMemoryReadModel();
      let [interfere, nth] = [true, 0];
      const model: ReadModel = {
        ...bound(inner),
        checkpoint: async () => {
          const error = interfere ? null : fault((nth += 1));
          if (error !== null) throw error;
          return inner.checkpoint();
        },
        apply: async (changes, from, to) => {
          if (interfere) await applied(inner, 0, 40);
          interfere = false;
          await inner.apply(changes, from, to);
        },
      };
      return { inner, following: new Following(logOf(stored).open('lethe.'), model).start() };
    };

    test('goes on looking after a fault, and waits short again after the next', async () => {
      const faults = [1, 2, 3, 5, 7];
      const { inner, following } = asked((nth) =>
        faults.includes(nth) ? new Unavailable('the model is not there') : null,
      );
      await following.reach(150);
      await following.end();
      await expectSame(inner, recorded);
      // Three in a row, then one after each that was answered.
      expect(following.said.map(({ fields }) => fields['waitMs'])).toEqual([75, 150, 300, 75, 75]);
      expect(following.statuses.map(({ error }) => error)).toContain('the model is not there');
      expect(following.status).toMatchObject({ active: true, error: null });
    });

    test('halts where no retry can help: the model is of a newer version by now', async () => {
      const { following } = asked((nth) => (nth < 3 ? null : new Corrupt('upgrade')));
      const status = await following.ended();
      expect(status).toMatchObject({ halted: true, error: 'upgrade', checkpoint: 40n });
      expect(following.said.map(({ level }) => level)).toEqual(['error']);
    });
  });

  test('two of them on one model do no harm', async () => {
    const { recorded, stored } = generateLog(8, 400);
    const log = logOf(stored.slice(0, 10));
    const model = inMemoryReadModel();
    const both = [1, 2].map(() => new Following(log.open('lethe.'), model).start());
    for (let n = 10; n < 400; n += 13) {
      log.load(stored.slice(n, n + 13));
      await Promise.all(both.map((each) => each.reach(Math.min(400, n + 13))));
    }
    for (const each of both) await each.end();
    await expectSame(model, recorded);
  });

  describe('halts, loudly, where no retry can help', () => {
    test('at an event that cannot be read: nothing of it or after it is applied', async () => {
      const { stored } = some();
      const log = stored.map((event) => (event.position === 12n ? broken(event) : event));
      const following = new Following(logOf(log).open('lethe.'), inMemoryReadModel()).start();
      const status = await following.ended();
      expect(status).toMatchObject({ halted: true });
      expect(status?.error).toMatch(/event 12 \(RecordTrashed of lethe\.files-f3x/);
      expect(status?.checkpoint).toBeLessThan(12n);
      expect(await following.model.checkpoint()).toBeLessThan(12n);
      expect(following.said.map(({ level }) => level)).toEqual(['error']);
      expect(following.sleeps).toEqual([]);
    });

    test('right before that event, also where it stands in the middle of a batch', async () => {
      const { recorded, stored } = some();
      const log = stored.map((event) => (event.position === 12n ? broken(event) : event));
      const following = new Following(logOf(log).open('lethe.'), inMemoryReadModel()).start();
      expect(await following.ended()).toMatchObject({ checkpoint: 11n, halted: true });
      await expectSame(following.model, recorded.slice(0, 11));
    });

    test('at an event of a newer version, and says to upgrade', async () => {
      const { stored } = some();
      const log = stored.map((event) =>
        event.position === 12n ? { ...event, metadata: event.metadata.replace('"version":1', '"version":2') } : event,
      );
      const following = new Following(logOf(log).open('lethe.'), inMemoryReadModel()).start();
      expect((await following.ended())?.error).toMatch(/event 12 .*upgrade/);
    });

    test('when the model is beyond the head, and says what to do', async () => {
      const { recorded, stored } = some();
      const model = await projected(recorded);
      const following = new Following(logOf(stored.slice(0, 5)).open('lethe.'), model).start();
      const status = await following.ended();
      expect(status).toMatchObject({ halted: true });
      expect(status?.error).toMatch(
        /position 18.*head 5.*(backup|another).*Restore the log.*throw the read model away/s,
      );
    });

    test('at a file that is damaged', async () => {
      const events = faulty(logOf(some().stored).open('lethe.'), (name) =>
        name === 'head' ? new Corrupt('the file is damaged') : null,
      );
      const following = new Following(events, inMemoryReadModel()).start();
      expect(await following.ended()).toMatchObject({ halted: true, error: 'the file is damaged' });
    });
  });

  test('skips and counts events of types that it does not know', async () => {
    const { recorded, stored } = some();
    const unknown = new Set([3n, 8n, 9n, 18n]);
    const log = stored.map((event) => (unknown.has(event.position) ? { ...event, type: 'RecordTeleported' } : event));
    const following = new Following(logOf(log).open('lethe.'), inMemoryReadModel()).start();
    await following.reach(18);
    await following.end();
    expect(following.status).toMatchObject({ checkpoint: 18n, skipped: 4, error: null });
    const known = recorded.filter(({ position }) => !unknown.has(BigInt(position)));
    await expectSame(following.model, known);
  });

  test('moves on where a batch holds nothing that it knows', async () => {
    const log = some().stored.map((event) => ({ ...event, type: 'RecordTeleported' }));
    const following = new Following(logOf(log).open('lethe.'), inMemoryReadModel()).start();
    await following.reach(18);
    await following.end();
    expect(following.status).toMatchObject({ checkpoint: 18n, skipped: 18 });
  });
});

const manyEvents = (count: number): TestLog => {
  const log = new TestLog();
  log.happens(FILE, registered());
  while (log.head < count) log.happens(FILE, updated());
  return log;
};

/** An error for a call, or none. */
type Hit = (name: string) => Error | null;

const failOn = (hit: Hit, name: string): void => {
  const error = hit(name);
  if (error !== null) throw error;
};

/** An event store whose calls can fail, and whose streams can break off at every batch. */
const faulty = (store: EventStore, hit: Hit): EventStore => {
  const breaking = async function* (
    name: string,
    batches: AsyncIterable<StoredEvent[]>,
  ): AsyncGenerator<StoredEvent[]> {
    failOn(hit, name);
    for await (const batch of batches) {
      yield batch;
      failOn(hit, name);
    }
  };
  return {
    numbersEvents: store.numbersEvents,
    append: (stream, revision, events) => store.append(stream, revision, events),
    readStream: (stream, from) => store.readStream(stream, from),
    readAll: (from, options) => breaking('readAll', store.readAll(from, options)),
    subscribe: (from, options) => breaking('subscribe', store.subscribe(from, { ...options, batchSize: 20 })),
    head: async () => {
      failOn(hit, 'head');
      return store.head();
    },
    close: () => store.close(),
  };
};

const bound = (model: ReadModel): ReadModel => ({
  checkpoint: () => model.checkpoint(),
  apply: (changes, from, to) => model.apply(changes, from, to),
  get: (collection, keys) => model.get(collection, keys),
  find: (collection, query) => model.find(collection, query),
  total: (collection, where, sum) => model.total(collection, where, sum),
  beginLoad: () => model.beginLoad(),
  endLoad: () => model.endLoad(),
  dump: (collection, begins) => model.dump(collection, begins),
  close: () => model.close(),
});

/** A read model that fails before a call takes effect, or after: then its answer is lost. */
const failingModel = (inner: ReadModel, hit: Hit, when: 'before' | 'after'): ReadModel => {
  const call = async <T>(name: string, use: () => Promise<T>): Promise<T> => {
    const error = hit(name);
    if (error !== null && when === 'before') throw error;
    const answer = await use();
    if (error !== null) throw error;
    return answer;
  };
  const model = bound(inner);
  return {
    ...model,
    checkpoint: () => call('checkpoint', model.checkpoint),
    apply: (changes, from, to) => call('apply', () => model.apply(changes, from, to)),
    get: (collection, keys) => call('get', () => model.get(collection, keys)),
    find: (collection, query) => call('find', () => model.find(collection, query)),
    beginLoad: () => call('beginLoad', model.beginLoad),
    endLoad: () => call('endLoad', model.endLoad),
  };
};

const watched = (inner: ReadModel, see: (name: string) => void): ReadModel =>
  failingModel(
    inner,
    (name) => {
      see(name);
      return null;
    },
    'before',
  );
