import { beforeEach, describe, expect, it } from 'vitest';
import { seenFile } from '../../src/commands/content.js';
import { deleteNamed, isWhole, nameOwn, nameWhatLies } from '../../src/sagas/deletion.js';
import type { ObjectStore } from '../../src/storage/object-store/port.js';
import { systemClock } from '../../src/system.js';
import { InMemoryObjects } from '../../src/testing/in-memory-object-store.js';

const PLACE = 'memory:/s/';
const asked = async (): Promise<void> => undefined;

describe('of an upload that is taken back', () => {
  let objects: InMemoryObjects;
  let store: ObjectStore;
  beforeEach(() => {
    objects = new InMemoryObjects(systemClock);
    store = objects.open(PLACE);
  });

  it('what it wrote is named, and nothing that somebody else has put there since', async () => {
    const own = seenFile(objects.write(`${PLACE}o`, Buffer.from('own')));
    expect(await nameOwn(store, 'o', own)).toEqual(own);
    objects.write(`${PLACE}o`, Buffer.from('other'));
    expect(await nameOwn(store, 'o', own)).toBeNull();
    objects.remove(`${PLACE}o`);
    expect(await nameOwn(store, 'o', own)).toBeNull();
  });
});

describe('of a file', () => {
  it('what was named goes, and not what took its place', async () => {
    const objects = new InMemoryObjects(systemClock);
    const store = objects.open(PLACE);
    objects.write(`${PLACE}o`, Buffer.from('first'));
    const seen = await nameWhatLies(store, 'o', 'first');
    objects.write(`${PLACE}o`, Buffer.from('other'));
    expect(await deleteNamed(store, 'o', seen, asked)).toEqual({ objects: 0, bytes: 0, changed: true });
    expect(objects.at(`${PLACE}o`)?.content.toString()).toBe('other');
    const other = await nameWhatLies(store, 'o', 'second');
    expect(await deleteNamed(store, 'o', other, asked)).toEqual({ objects: 1, bytes: 5, changed: false });
    expect(await deleteNamed(store, 'o', other, asked)).toEqual({ objects: 1, bytes: 5, changed: false });
    expect(objects.at(`${PLACE}o`)).toBeNull();
  });
});

describe('of a folder', () => {
  let objects: InMemoryObjects;
  let store: ObjectStore;
  beforeEach(() => {
    objects = new InMemoryObjects(systemClock);
    store = objects.open(PLACE);
    for (const name of ['a', 'b', 'c']) objects.write(`${PLACE}f/${name}`, Buffer.from(name));
  });

  it('what was named goes, and what came since, or took the place of something, stays', async () => {
    const seen = await nameWhatLies(store, 'f/', 'first');
    objects.write(`${PLACE}f/b`, Buffer.from('other'));
    objects.write(`${PLACE}f/d`, Buffer.from('new'));
    expect(await deleteNamed(store, 'f/', seen, asked)).toEqual({ objects: 2, bytes: 2, changed: true });
    expect(objects.locations(`${PLACE}f/`)).toEqual([`${PLACE}f/b`, `${PLACE}f/d`]);
  });

  it('all is there while no part of it is gone or another one', async () => {
    const seen = await nameWhatLies(store, 'f/', 'first');
    expect(await isWhole(store, 'f/', seen, asked)).toBe(true);
    objects.write(`${PLACE}f/d`, Buffer.from('new'));
    expect(await isWhole(store, 'f/', seen, asked)).toBe(true);
    objects.remove(`${PLACE}f/b`);
    expect(await isWhole(store, 'f/', seen, asked)).toBe(false);
    objects.write(`${PLACE}f/b`, Buffer.from('b'));
    expect(await isWhole(store, 'f/', seen, asked)).toBe(false);
  });
});
