import { beforeEach, expect, test } from 'vitest';
import { file, objectDeleted, deletionStarted, purgeRequested, registered } from '../../src/testing/events.js';
import { checkObjects } from '../../src/upkeep/objects.js';
import { knownStorages } from '../../src/upkeep/storages.js';
import { files } from '../harness/story.js';
import { Stage } from './stage.js';

const [FIRST, SECOND] = [files('first'), files('second')];
const MISSING = expect.stringContaining(`object-missing: the object "raw/a.csv" of the file ${FIRST.uid}`);

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open();
  const fields = file({ key: 'raw/a.csv', keyIsVirtual: false, path: 'raw/a.csv' });
  stage.story.happens(FIRST, registered({ fields })).happens(SECOND, registered({ fields }));
  stage.write();
});

/** @param meanwhile what happens between the model that is compared with and the look at the objects */
const missing = async (meanwhile: () => void = () => undefined): Promise<string[]> => {
  const model = await stage.model();
  meanwhile();
  stage.write();
  await checkObjects({
    journal: stage.journal,
    model,
    stores: stage.stores,
    storages: await knownStorages(model),
    hash: true,
    found: (finding) => stage.found.push(finding),
    reached: async () => undefined,
    signal: new AbortController().signal,
  });
  return stage.whats;
};

test('an object that a record needs and that is gone is missed', async () => {
  expect(await missing()).toEqual([MISSING, expect.stringContaining(SECOND.uid)]);
});

test('of records that share it, none whose purge stands: one of them has taken it', async () => {
  stage.story
    .happens(FIRST, purgeRequested({ storage: 'keep' }))
    .happens(SECOND, purgeRequested({ storage: 'delete' }));
  stage.story.happens(SECOND, deletionStarted(), objectDeleted());
  expect(await missing()).toEqual([]);
});

test('nor where that was asked for since', async () => {
  expect(
    await missing(() => {
      stage.story
        .happens(FIRST, purgeRequested({ storage: 'keep' }))
        .happens(SECOND, purgeRequested({ storage: 'delete' }), deletionStarted(), objectDeleted());
    }),
  ).toEqual([]);
});
