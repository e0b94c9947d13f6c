import { InMemoryObjects } from '../../src/testing/in-memory-object-store.js';
import { objectStoreContract } from './object-store.contract.js';

objectStoreContract('in memory', async () => {
  let ticks = 0;
  const objects = new InMemoryObjects({ now: () => new Date((ticks += 1_000)) });
  const place = 'memory:/storage/';
  const outside = {
    write: async (path: string, content: Buffer) => {
      objects.write(place + path, content);
    },
    remove: async (path: string) => {
      objects.remove(place + path);
    },
    read: async (path: string) => objects.at(place + path)?.content ?? null,
    list: async () => objects.locations(place).map((location) => location.slice(place.length)),
  };
  return { store: objects.open(place), outside, cleanup: async () => undefined };
});
