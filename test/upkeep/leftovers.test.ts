import { beforeEach, describe, expect, test } from 'vitest';
import {
  deletionFailed,
  deletionStarted,
  file,
  objectDeleted,
  purged,
  purgeRequested,
  registered,
  storage,
  trashed,
} from '../../src/testing/events.js';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import { findLeftovers, type Leftover } from '../../src/upkeep/leftovers.js';
import { files, storages } from '../harness/story.js';
import { Stage } from './stage.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const UPLOAD = files('upload');
const PATH = `.lethe/${UPLOAD.uid}-abcdef.csv`;

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open();
});

/** The model as it stands when it is asked. */
const followed = (model: ReadModel): ReadModel => ({
  ...model,
  // The instance's own event is not in the story.
  checkpoint: async () => stage.journal.store.head(),
  get: async (collection, keys) => (await stage.model()).get(collection, keys),
  find: async (collection, query) => (await stage.model()).find(collection, query),
});

const leftovers = async (): Promise<readonly Leftover[]> => {
  const { leftovers: found } = await findLeftovers({
    journal: stage.journal,
    model: followed(await stage.model()),
    stores: stage.stores,
    ownership: stage.ownership,
    clock: stage.clock,
    signal: new AbortController().signal,
  });
  return found;
};
const paths = async (): Promise<string[]> => (await leftovers()).map(({ path }) => path);

test('what an upload left behind is one after a day, and no sooner', async () => {
  stage.put(PATH);
  stage.time.pass(DAY_MS - 1);
  expect(await paths()).toEqual([]);
  stage.time.pass(1);
  const [found] = await leftovers();
  expect(found).toMatchObject({ path: PATH, what: 'object' });
  expect(await found?.clear()).toBe('deleted');
  expect(await paths()).toEqual([]);
});

test('what comes to be named while somebody thinks about the list stays', async () => {
  stage.put(PATH);
  stage.time.pass(DAY_MS);
  const [found] = await leftovers();
  stage.story.happens(UPLOAD, registered({ fields: file({ path: PATH }) }));
  stage.write();
  expect(await found?.clear()).toBe('kept');
});

test('nor does what a storage that was registered meanwhile holds', async () => {
  stage.put(PATH);
  stage.time.pass(DAY_MS);
  const [found] = await leftovers();
  const around = file({ storage: storages('around').uid, key: 'data/', keyIsVirtual: false, path: 'data/' });
  stage.story
    .happens(storages('around'), registered({ fields: storage('around', { root: 'file:/' }) }))
    .happens(files('all'), registered({ fields: around }));
  stage.write();
  expect(await found?.clear()).toBe('kept');
});

test('nor does what lies in a storage that was rooted there before that was refused, also where it was purged', async () => {
  stage.put('.lethe/within/theirs');
  stage.put('.lethe/without');
  stage.time.pass(DAY_MS);
  const fields = storage('within', { root: 'file:/data/.lethe/within' });
  stage.story.happens(storages('within'), registered({ fields }), purgeRequested(), purged());
  stage.write();
  expect(await paths()).toEqual(['.lethe/without']);
});

describe('the listing of what a folder’s deletion takes', () => {
  const FOLDER = files('folder');
  const MANIFEST = `.lethe/deletions/${FOLDER.uid}-2-digest.jsonl`;

  beforeEach(() => {
    stage.put(MANIFEST);
    stage.time.pass(DAY_MS);
    stage.story.happens(
      FOLDER,
      registered({ fields: file({ key: 'zarr/', keyIsVirtual: false, path: 'zarr/' }) }),
      trashed(),
      purgeRequested({ storage: 'delete' }),
      deletionFailed(),
    );
    stage.write();
  });

  test('is none while the purge, which takes it up again, is open', async () => {
    expect(await paths()).toEqual([]);
  });

  test('is one where the purge went on with another, and has ended', async () => {
    const seen = { kind: 'folder', digest: 'x', objects: 1, bytes: 3, manifest: `${MANIFEST}x` } as const;
    stage.story.happens(FOLDER, deletionStarted({ seen }), objectDeleted(), purged());
    stage.write();
    expect(await paths()).toEqual([MANIFEST]);
  });
});
