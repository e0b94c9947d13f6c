import { decode, Unreadable } from '../events/codec.js';
import type { Recorded } from '../events/events.js';
import type { StoredEvent } from '../storage/event-store/port.js';

/** What a batch of the log says, up to its first event that cannot be read. */
export interface Readable {
  /** Those of types that this version knows. */
  readonly events: readonly Recorded[];
  /** How many events of the batch were read, known or not. */
  readonly size: number;
  /** Why the next one could not be; null where all were read. */
  readonly unreadable: Unreadable | null;
}

/** Reads a batch of the log. What stands before an event that cannot be read is to be applied all the same. */
export const readable = (prefix: string, batch: readonly StoredEvent[]): Readable => {
  const events: Recorded[] = [];
  for (const [size, stored] of batch.entries()) {
    try {
      const recorded = decode(prefix, stored);
      if (recorded !== null) events.push(recorded);
    } catch (error) {
      if (error instanceof Unreadable) return { events, size, unreadable: error };
      throw error;
    }
  }
  return { events, size: batch.length, unreadable: null };
};
