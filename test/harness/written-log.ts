import { openSqliteEventStore } from '../../src/storage/event-store/sqlite.js';
import type { StoredEvent } from '../../src/storage/event-store/port.js';

const IN_FLIGHT = 500;

/** Writes events into the log of a data folder, as they are. Each stream's are appended in their order. */
export const writeLog = async (file: string, events: readonly StoredEvent[]): Promise<void> => {
  const store = await openSqliteEventStore({ file, prefix: 'lethe.', mode: 'read-write' });
  try {
    for (let start = 0; start < events.length; start += IN_FLIGHT) {
      await Promise.all(
        events
          .slice(start, start + IN_FLIGHT)
          .map(({ stream, revision, id, type, data, metadata }) =>
            store.append(stream, revision - 1, [{ id, type, data, metadata }]),
          ),
      );
    }
  } finally {
    await store.close();
  }
};
