import { beforeEach, describe, expect, it } from 'vitest';
import type { Journal } from '../../src/commands/execute.js';
import { Ownership } from '../../src/commands/ownership.js';
import { StoreUnavailable } from '../../src/commands/refusals.js';
import type { ObjectStores } from '../../src/storage/object-store/port.js';
import { systemIds, systemClock } from '../../src/system.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { InMemoryObjects } from '../../src/testing/in-memory-object-store.js';
import { uidFor } from '../../src/testing/events.js';

const PLACE = 'memory:/s/';
const OWNER = `${PLACE}.lethe/owner`;
const STORAGE = { uid: uidFor('storage'), facts: { name: 'default', root: PLACE, managed: true, place: PLACE } };

describe('a storage', () => {
  let objects: InMemoryObjects;
  beforeEach(() => {
    objects = new InMemoryObjects(systemClock);
  });

  /** As a process that starts on this log. */
  const started = (log: InMemoryLog): Ownership => {
    const journal: Journal = { store: log.open('lethe.'), prefix: 'lethe.', clock: systemClock, appended: () => {} };
    const stores: ObjectStores = {
      at: async (root) => objects.open(root),
      placeOf: async (root) => root,
      grant: async () => ({ managed: true }),
      isConfigured: () => true,
      close: async () => undefined,
    };
    return new Ownership(journal, stores, systemIds);
  };

  const owner = (): unknown => JSON.parse(objects.at(OWNER)?.content.toString() ?? 'null');

  it('is its first log’s, which is noted in it, and stays so over a restart', async () => {
    const log = new InMemoryLog();
    await started(log).assertOwned(STORAGE);
    expect(owner()).toEqual({ instance: await started(log).identify(), position: '1' });
    await expect(started(log).assertOwned(STORAGE)).resolves.toBeDefined();
  });

  it('is refused to another log, and stays its owner’s', async () => {
    await started(new InMemoryLog()).assertOwned(STORAGE);
    const before = owner();
    const refused = started(new InMemoryLog()).assertOwned(STORAGE);
    await expect(refused).rejects.toThrow(StoreUnavailable);
    await expect(refused).rejects.toThrow('belongs to another log');
    expect(owner()).toEqual(before);
  });

  it('is refused to its own log where that is behind what the storage has seen', async () => {
    const log = new InMemoryLog();
    const first = started(log);
    await first.assertOwned(STORAGE);
    const instance = await first.identify();
    objects.write(OWNER, Buffer.from(JSON.stringify({ instance, position: '2' })));
    const refused = started(log).assertOwned(STORAGE);
    await expect(refused).rejects.toThrow(StoreUnavailable);
    await expect(refused).rejects.toThrow('restored from a backup');
    expect(owner()).toEqual({ instance, position: '2' });
  });
});
