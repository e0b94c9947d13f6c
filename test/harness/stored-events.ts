import type { EventStore, StoredEvent } from '../../src/storage/event-store/port.js';

/** All that a log holds, in its order. The store is closed with that. */
export const storedEvents = async (store: EventStore): Promise<StoredEvent[]> => {
  try {
    const events: StoredEvent[] = [];
    for await (const batch of store.readAll(0n)) events.push(...batch);
    return events;
  } finally {
    await store.close();
  }
};
