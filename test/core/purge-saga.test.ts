import { describe, expect, it } from 'vitest';
import type { PurgeStep } from '../../src/commands/commands.js';
import type { Ownership } from '../../src/commands/ownership.js';
import { PurgeSaga } from '../../src/sagas/purge.saga.js';
import { systemRandom } from '../../src/system.js';
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

/** What a worker comes to that is about to delete, where so much time passes, and this happens, before it gets to its storage. */
const slowly = async (ms: number, ...meanwhile: Happening[]): Promise<{ said: PurgeStep | string; lies: boolean }> => {
  const clock = new ManualClock();
  const objects = new InMemoryObjects(clock);
  const seen = { kind: 'file' as const, ...objects.write(`${PLACE}a.csv`, Buffer.from('1')), versions: null };
  const story = new Story().file('F', 'a.csv');
  story.happens(F, purgeRequested({ storage: 'delete' }), deletionStarted({ seen }), deletionFailed({ waitMs: 0 }));
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
      clock,
      log: { info: () => undefined, warn: () => undefined, error: (_, message) => resolve(message) },
      onWork: () => () => undefined,
      patienceMs: () => 0,
      journal: { store: log.open('lethe.'), prefix: 'lethe.', clock, appended: () => undefined },
      model,
      ownership: { assertOwned } as unknown as Ownership,
      random: systemRandom,
      retries: { attempts: 3, firstWaitMs: 1, maxWaitMs: 1 },
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
  return { said, lies: objects.at(`${PLACE}a.csv`) !== null };
};

const DELETED = { said: { step: 'deleted', objects: 1, bytes: 1, changed: false }, lies: false };

describe('a deletion that comes to its call late', () => {
  it('reads the stream again, and leaves the object where a keep was asked for meanwhile', async () => {
    const kept = await slowly(59_000, purgeRetried({ storage: 'keep' }));
    expect(kept).toEqual({ said: expect.stringContaining('will be repeated'), lies: true });
  });

  it('goes on where nobody asked for anything else', async () => {
    expect(await slowly(59_000)).toEqual(DELETED);
    expect(await slowly(0)).toEqual(DELETED);
  });
});
