import { beforeEach, describe, expect, it, test, vi } from 'vitest';
import type { PurgeStep } from '../../src/commands/commands.js';
import { seenFile } from '../../src/commands/content.js';
import type { Ownership } from '../../src/commands/ownership.js';
import type { Seen } from '../../src/events/events.js';
import { PurgeSaga } from '../../src/sagas/purge.saga.js';
import { systemRandom } from '../../src/system.js';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import {
  deletionFailed,
  deletionStarted,
  purgeRequested,
  purgeRetried,
  type Happening,
} from '../../src/testing/events.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { InMemoryObjects } from '../../src/testing/in-memory-object-store.js';
import { ManualClock } from '../harness/manual-clock.js';
import { projected } from '../harness/projecting.js';
import { files, Story } from '../harness/story.js';

const PLACE = 'file:/data/';
const F = files('F');

interface Given {
  /** After the registration. */
  readonly happened: readonly Happening[];
  /** What the upload saw that wrote the object; left out where it was found there. */
  readonly own?: Seen;
  /** What passes, and happens, before the worker gets to its storage. */
  readonly ms?: number;
  readonly meanwhile?: readonly Happening[];
}

const portsOf = (clock: ManualClock, log: InMemoryLog, model: ReadModel) => ({
  clock,
  model,
  journal: { store: log.open('lethe.'), prefix: 'lethe.', clock, appended: () => undefined },
  onWork: () => () => undefined,
  patienceMs: () => 0,
  random: systemRandom,
  retries: { attempts: 3, firstWaitMs: 1, maxWaitMs: 1 },
});

/** What a worker does with a record whose object is `a.csv`. @returns the first that it reports, or logs as an error */
const worked = async (
  objects: InMemoryObjects,
  clock: ManualClock,
  { happened, own, ms = 0, meanwhile = [] }: Given,
): Promise<PurgeStep | string> => {
  const story = new Story().file('F', 'a.csv', own === undefined ? {} : { own: true, seen: own });
  story.happens(F, ...happened);
  const log = new InMemoryLog();
  log.load(story.log.stored);
  const model = await projected(story.log.recorded);
  const stop = new AbortController();
  let end = Promise.resolve();
  const said = await new Promise<PurgeStep | string>((resolve) => {
    const assertOwned: Ownership['assertOwned'] = async () => {
      const before = story.log.head;
      story.happens(F, ...meanwhile);
      log.load(story.log.stored.slice(before));
      clock.pass(ms);
      return objects.open(PLACE);
    };
    const saga = new PurgeSaga({
      ...portsOf(clock, log, model),
      log: { info: () => undefined, warn: () => undefined, error: (_, message) => resolve(message) },
      ownership: { assertOwned } as unknown as Ownership,
      report: async ({ report }) => {
        resolve(report);
        stop.abort();
      },
      checkpoint: () => BigInt(story.log.head),
    });
    end = saga.run(stop.signal);
  });
  stop.abort();
  await end;
  return said;
};

test('many purges are listed once, not once for each', async () => {
  const story = new Story();
  for (let i = 100; i < 250; i += 1) story.file(`F${i}`).purge(files(`F${i}`), null);
  const log = new InMemoryLog();
  log.load(story.log.stored);
  const model = await projected(story.log.recorded);
  const list = vi.spyOn(model, 'find');
  const stop = new AbortController();
  const reported = new Map<string, PurgeStep>();
  const saga = new PurgeSaga({
    ...portsOf(new ManualClock(), log, model),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    ownership: {} as unknown as Ownership,
    report: async ({ ref, report }) => {
      reported.set(ref.uid, report);
      if (reported.size === 100) stop.abort();
    },
    checkpoint: () => BigInt(story.log.head),
  });
  await saga.run(stop.signal);
  expect([...new Set([...reported.values()].map(({ step }) => step))]).toEqual(['keep']);
  expect(list.mock.calls.filter(([collection]) => collection === 'purges')).toHaveLength(1);
});

describe('a purge', () => {
  let clock: ManualClock;
  let objects: InMemoryObjects;
  beforeEach(() => {
    clock = new ManualClock();
    objects = new InMemoryObjects(clock);
  });

  const put = (content: string): Seen => seenFile(objects.write(`${PLACE}a.csv`, Buffer.from(content)));
  const lies = (): string | undefined => objects.at(`${PLACE}a.csv`)?.content.toString();

  describe('that comes to its call late', () => {
    const deleting = (): Happening[] => [
      purgeRequested({ storage: 'delete' }),
      deletionStarted({ seen: put('1') }),
      deletionFailed({ waitMs: 0 }),
    ];

    it('reads the stream again, and leaves the object where a keep was asked for meanwhile', async () => {
      const meanwhile = [purgeRetried({ storage: 'keep' })];
      const said = await worked(objects, clock, { happened: deleting(), ms: 59_000, meanwhile });
      expect(said).toContain('will be repeated');
      expect(lies()).toBe('1');
    });

    it.each([0, 59_000])('goes on after %i ms where nobody asked for anything else', async (ms) => {
      const said = await worked(objects, clock, { happened: deleting(), ms });
      expect(said).toEqual({ step: 'deleted', objects: 1, bytes: 1, changed: false });
      expect(lies()).toBeUndefined();
    });
  });

  describe('of an upload that is taken back', () => {
    const happened = [purgeRequested({ storage: 'delete', withdraws: '2' })];

    it('names what the upload wrote', async () => {
      const own = put('own');
      expect(await worked(objects, clock, { happened, own })).toEqual({ step: 'start', seen: own });
    });

    it('names nothing where somebody put something else in its place', async () => {
      const own = put('own');
      put('other');
      expect(await worked(objects, clock, { happened, own })).toEqual({ step: 'start', seen: null });
    });
  });
});
