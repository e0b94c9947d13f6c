import { beforeEach, expect, test } from 'vitest';
import { Ownership } from '../../src/commands/ownership.js';
import type { Journal } from '../../src/commands/execute.js';
import type { ObjectStores } from '../../src/storage/object-store/port.js';
import { file, registered, STORAGE } from '../../src/testing/events.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { InMemoryObjects } from '../../src/testing/in-memory-object-store.js';
import { systemIds } from '../../src/system.js';
import type { Finding } from '../../src/upkeep/findings.js';
import { checkLeaks } from '../../src/upkeep/leaks.js';
import { knownStorages } from '../../src/upkeep/storages.js';
import { ManualClock } from '../harness/manual-clock.js';
import { projected } from '../harness/projecting.js';
import { files, Story } from '../harness/story.js';

/*
 * An upload's bytes lie in their place before the event that names them. What looks in between sees what a crash would leave, too.
 */

const PLACE = 'file:/data/';
const UPLOAD = files('upload');
const PATH = `.lethe/${UPLOAD.uid}-abcdef.csv`;

let clock: ManualClock;
let objects: InMemoryObjects;
let log: InMemoryLog;
let story: Story;
/** How often it was waited for. */
let waits: number;

const journal = (): Journal => ({ store: log.open('lethe.'), prefix: 'lethe.', clock, appended: () => undefined });
const stores = (): ObjectStores => ({
  at: async () => objects.open(PLACE),
  placeOf: async () => PLACE,
  grant: async () => ({ managed: true }),
  isConfigured: () => true,
  close: async () => undefined,
});

beforeEach(async () => {
  clock = new ManualClock();
  objects = new InMemoryObjects(clock);
  log = new InMemoryLog();
  story = new Story();
  waits = 0;
  log.load(story.log.stored);
  objects.write(`${PLACE}${PATH}`, Buffer.from('a,b'));
});

/** @param meanwhile what happens while it is waited: told how often it was */
const leaks = async (busy: boolean, meanwhile: (waited: number) => void = () => undefined): Promise<string[]> => {
  const model = await projected(story.log.recorded);
  await new Ownership(journal(), stores(), systemIds).assertOwned({
    uid: STORAGE.uid,
    facts: { name: 'default', root: PLACE, managed: true, place: PLACE },
  });
  const found: Finding[] = [];
  await checkLeaks({
    journal: journal(),
    model,
    stores: stores(),
    storages: await knownStorages(model),
    busy,
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: async (ms) => {
        waits += 1;
        clock.pass(ms);
        meanwhile(waits);
      },
    },
    found: (finding) => found.push(finding),
    signal: new AbortController().signal,
  });
  return found.map(({ kind, what }) => `${kind}: ${what}`);
};

const named = (): void => {
  story.happens(UPLOAD, registered({ fields: file({ key: 'a.csv', keyIsVirtual: true, path: PATH }) }));
  const event = story.log.stored.at(-1);
  if (event === undefined) throw new Error('the story has no event');
  log.append(event.stream, -1, [event]);
};

const takenBack = (): void => {
  objects.remove(`${PLACE}${PATH}`);
};

const LEAKED = [expect.stringContaining(`object-leaked: "${PATH}" in the storage`)];

test('what an event comes to name while a service is at work is no leak', async () => {
  expect(await leaks(true, (waited) => (waited === 3 ? named() : undefined))).toEqual([]);
  expect(waits).toBe(3);
});

test('nor what an upload that was refused took back', async () => {
  expect(await leaks(true, (waited) => (waited === 3 ? takenBack() : undefined))).toEqual([]);
  expect(waits).toBe(3);
});

test('what nothing comes to name in half a minute is one', async () => {
  const before = clock.monotonic();
  expect(await leaks(true)).toEqual(LEAKED);
  expect(clock.monotonic() - before).toBe(30_000);
});

test('many of them are waited for together', async () => {
  for (let index = 0; index < 100; index += 1) {
    objects.write(`${PLACE}.lethe/${UPLOAD.uid}-more${index}.csv`, Buffer.from('x'));
  }
  const before = clock.monotonic();
  expect(await leaks(true)).toHaveLength(101);
  expect(clock.monotonic() - before).toBe(30_000);
});

test('what no event can name is one at once', async () => {
  objects.remove(`${PLACE}${PATH}`);
  objects.write(`${PLACE}.lethe/stray.csv`, Buffer.from('x'));
  expect(await leaks(true)).toEqual([expect.stringContaining('object-leaked: ".lethe/stray.csv"')]);
  expect(waits).toBe(0);
});

test('where no service is at work, nobody is waited for', async () => {
  expect(await leaks(false)).toEqual(LEAKED);
  expect(waits).toBe(0);
});
