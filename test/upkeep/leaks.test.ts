import { beforeEach, describe, expect, test } from 'vitest';
import {
  deletionFailed,
  deletionStarted,
  file,
  objectDeleted,
  purged,
  purgeRequested,
  registered,
  trashed,
} from '../../src/testing/events.js';
import { checkLeaks } from '../../src/upkeep/leaks.js';
import { knownStorages } from '../../src/upkeep/storages.js';
import { files, Story } from '../harness/story.js';
import { Stage } from './stage.js';

const UPLOAD = files('upload');
const PATH = `.lethe/${UPLOAD.uid}-abcdef.csv`;
const LEAKED = [expect.stringContaining(`object-leaked: "${PATH}" in the storage`)];
const DAY_MS = 24 * 60 * 60 * 1000;

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open();
});

/** @param busy asked each time whether a service is at work */
const leaks = async (busy: () => boolean = () => true): Promise<string[]> => {
  const model = await stage.model();
  await checkLeaks({
    journal: stage.journal,
    model,
    stores: stage.stores,
    storages: await knownStorages(model),
    busy,
    clock: stage.clock,
    found: (finding) => stage.found.push(finding),
    signal: new AbortController().signal,
  });
  return stage.whats;
};

describe('the bytes of an upload, which lie there before the event that names them', () => {
  beforeEach(() => stage.put(PATH));

  /** In the third wait. */
  const then = (happens: () => void): void => {
    stage.meanwhile = () => {
      if (stage.waits === 3) happens();
    };
  };
  const named = (): void => {
    stage.story.happens(UPLOAD, registered({ fields: file({ path: PATH }) }));
    stage.write();
  };

  test('are no leak where the event comes', async () => {
    then(named);
    expect(await leaks()).toEqual([]);
    expect(stage.waits).toBe(3);
  });

  test('nor where the upload was refused, and took them back', async () => {
    then(() => stage.take(PATH));
    expect(await leaks()).toEqual([]);
    expect(stage.waits).toBe(3);
  });

  test('are one where in half a minute neither happens', async () => {
    const before = stage.time.monotonic();
    expect(await leaks()).toEqual(LEAKED);
    expect(stage.time.monotonic() - before).toBe(30_000);
  });

  test('of many uploads are waited for together', async () => {
    for (let index = 0; index < 100; index += 1) stage.put(`.lethe/${UPLOAD.uid}-more${index}.csv`);
    const before = stage.time.monotonic();
    expect(await leaks()).toHaveLength(101);
    expect(stage.time.monotonic() - before).toBe(30_000);
  });

  test('that have lain there for a day are one at once', async () => {
    stage.time.pass(DAY_MS);
    expect(await leaks()).toEqual(LEAKED);
    expect(stage.waits).toBe(0);
  });

  test('are one at once where no service is at work', async () => {
    expect(await leaks(() => false)).toEqual(LEAKED);
    expect(stage.waits).toBe(0);
  });

  test('of a service that was started meanwhile are none', async () => {
    let listed = false;
    const list = stage.objects.open('file:/data/');
    const at = async (): Promise<typeof list> =>
      Object.assign(Object.create(list), {
        async *list(prefix: string) {
          yield* list.list(prefix);
          listed = true;
        },
      });
    Object.assign(stage.stores, { at });
    then(named);
    expect(await leaks(() => listed)).toEqual([]);
    expect(stage.waits).toBe(3);
  });
});

test('what no event can name is a leak at once', async () => {
  stage.put('.lethe/stray.csv');
  expect(await leaks()).toEqual([expect.stringContaining('object-leaked: ".lethe/stray.csv"')]);
  expect(stage.waits).toBe(0);
});

test('what doctor writes and takes away again is none, whoever is at work', async () => {
  stage.put('.lethe/probe-1');
  stage.meanwhile = () => stage.take('.lethe/probe-1');
  expect(await leaks(() => false)).toEqual([]);
  expect(stage.waits).toBe(1);
});

test('beside an object whose stream cannot be read, which is found by itself, the others are looked at', async () => {
  stage.put(PATH);
  stage.put('.lethe/stray.csv');
  const event = new Story().happens(UPLOAD, registered()).log.stored.at(-1);
  if (event === undefined) throw new Error('the story is empty');
  stage.log.append(event.stream, -1, [{ ...event, data: '{}' }]);
  expect(await leaks(() => false)).toEqual([expect.stringContaining('object-leaked: ".lethe/stray.csv"')]);
});

describe('the listing of what a folder’s deletion takes', () => {
  const FOLDER = files('folder');
  const MANIFEST = `.lethe/deletions/${FOLDER.uid}-2-digest.jsonl`;
  const seen = { kind: 'folder', digest: 'digest', objects: 1, bytes: 3, manifest: MANIFEST } as const;

  beforeEach(() => {
    stage.put(MANIFEST);
    stage.story.happens(
      FOLDER,
      registered({ fields: file({ key: 'zarr/', keyIsVirtual: false, path: 'zarr/' }) }),
      trashed(),
      purgeRequested({ storage: 'delete' }),
    );
  });

  test('is none before the deletion begins: the purge, which failed in between, takes it up again', async () => {
    stage.story.happens(FOLDER, deletionFailed());
    stage.write();
    expect(await leaks(() => false)).toEqual([]);
  });

  test('nor while it is under way, or has just ended', async () => {
    stage.story.happens(FOLDER, deletionStarted({ seen }));
    stage.write();
    expect(await leaks(() => false)).toEqual([]);
    stage.story.happens(FOLDER, objectDeleted());
    stage.write();
    expect(await leaks(() => false)).toEqual([]);
  });

  test('is one after the end of the purge, which had taken it away', async () => {
    stage.story.happens(FOLDER, deletionStarted({ seen }), objectDeleted(), purged());
    stage.write();
    expect(await leaks(() => false)).toEqual([expect.stringContaining(`the purge of files/${FOLDER.uid} had deleted`)]);
  });
});
