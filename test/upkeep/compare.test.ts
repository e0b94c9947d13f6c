import { beforeEach, expect, test } from 'vitest';
import { Unavailable } from '../../src/storage/errors.js';
import { COLLECTIONS, type ReadModel } from '../../src/storage/read-model/port.js';
import { purgeRequested, trashed } from '../../src/testing/events.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { compareModels } from '../../src/upkeep/compare.js';
import { Findings } from '../../src/upkeep/findings.js';
import { Shadow } from '../../src/upkeep/shadow.js';
import { projected } from '../harness/projecting.js';
import { files, Story } from '../harness/story.js';

let story: Story;

beforeEach(() => {
  story = new Story();
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) story.file(name);
  story.happens(files('a'), trashed(), purgeRequested());
});

const compared = async (live: ReadModel): Promise<{ rows: number; counts: object; whats: string[] }> => {
  const log = new InMemoryLog();
  log.load(story.log.stored);
  const findings = new Findings();
  const shadow = new Shadow({
    events: log.open('lethe.'),
    prefix: 'lethe.',
    model: inMemoryReadModel(),
    see: () => undefined,
    signal: new AbortController().signal,
  });
  const found = findings.add.bind(findings);
  const rows = await compareModels(live, shadow, await live.checkpoint(), found, async () => undefined);
  return { rows, counts: findings.byKind(), whats: findings.told.map(({ what }) => what) };
};

/** What the log made of a model up to a position. */
const upTo = (position: number): Promise<ReadModel> =>
  projected(story.log.recorded.filter((recorded) => recorded.position <= position));

test('a model that moves on with each look is compared as it was at each', async () => {
  let live = await upTo(story.log.head - COLLECTIONS.length);
  const moving: ReadModel = {
    ...live,
    checkpoint: async () => live.checkpoint(),
    async *dump(collection, begins) {
      // A batch right after the moment of the dump, and so before whoever asks for the checkpoint knows it.
      const dump = (await upTo(Number(await live.checkpoint()))).dump(collection, begins);
      live = await upTo(Number(await live.checkpoint()) + 1);
      yield* dump;
    },
  };
  const { rows, counts } = await compared(moving);
  expect(counts).toEqual({});
  expect(rows).toBeGreaterThan(story.log.head);
});

test('one that stops to answer ends only its own part', async () => {
  const live = await upTo(story.log.head);
  const { rows } = await compared(live);
  const failing: ReadModel = {
    ...live,
    async *dump(collection, begins) {
      const dump = live.dump(collection, begins);
      if (collection !== 'history') yield* dump;
      else {
        for await (const first of dump) {
          yield first;
          throw new Unavailable('the server went away');
        }
      }
    },
  };
  expect(await compared(failing)).toEqual({
    rows: rows - story.log.head + 1,
    counts: { 'model-not-compared': 1 },
    whats: ['history: the server went away'],
  });
});

test('another, further back, that takes its place meanwhile is not taken for one that lost rows', async () => {
  const [live, older] = [await upTo(story.log.head), await upTo(story.log.head - 3)];
  const replaced: ReadModel = {
    ...live,
    dump: (collection, begins) => (collection === 'catalogue' ? live : older).dump(collection, begins),
  };
  const { counts, whats } = await compared(replaced);
  expect(counts).toEqual({ 'model-not-compared': COLLECTIONS.length - 1 });
  expect(whats[0]).toContain('another model, which stands further back');
});
