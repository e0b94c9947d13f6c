import { join } from 'node:path';
import { TickClockHandler } from '../../src/commands/log-time.handlers.js';
import { readTicks, TICK_MS } from '../../src/commands/log-time.js';
import { openSqliteEventStore } from '../../src/storage/event-store/sqlite.js';
import { systemClock } from '../../src/system.js';

/**
 * Tells hours to the log of a data folder that no service has open, as one that ran meanwhile would have.
 * @param wall whether the wall clock goes on with them, from now
 */
export const letHoursPass = async (data: string, hours: number, wall = true): Promise<void> => {
  const store = await openSqliteEventStore({ file: join(data, 'events.sqlite'), prefix: 'lethe.', mode: 'read-write' });
  try {
    let hour = 0;
    const now = (): Date => new Date(Date.now() + (wall ? (hour + 1) * TICK_MS : 0));
    const journal = { store, prefix: 'lethe.', clock: { ...systemClock, now }, appended: () => undefined };
    const handler = new TickClockHandler({ journal });
    for (; hour < hours; hour += 1) await handler.execute({ last: (await readTicks(journal)).at(-1) ?? null });
  } finally {
    await store.close();
  }
};
