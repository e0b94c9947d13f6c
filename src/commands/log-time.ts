import { decode, streamOf } from '../events/codec.js';
import type { Metadata } from '../events/events.js';
import type { StoredEvent } from '../storage/event-store/port.js';
import type { Journal } from './execute.js';

/*
 * The log's own time (design, section 3): what workers saw pass, an hour at a time. Days in which none ran, and leaps of the machine's clock,
 * are not in it.
 */

/** What one tick advances the log's time by. */
export const TICK_MS = 3_600_000;
export const DAY_MS = 24 * TICK_MS;

export interface Tick {
  readonly revision: number;
  readonly position: number;
  readonly at: string;
  /** How far the log's time had come with it. */
  readonly logTimeMs: number;
}

/** The ticks from a revision of the clock's stream on, in their order. */
export const readTicks = async (journal: Journal, from = 0): Promise<Tick[]> =>
  (await journal.store.readStream(clockOf(journal), from)).map((stored) => readTick(journal, stored).tick);

export const clockOf = ({ prefix }: Journal): string => streamOf(prefix, 'log', 'clock');

export const readTick = ({ prefix }: Journal, stored: StoredEvent): { meta: Metadata; tick: Tick } => {
  const recorded = decode(prefix, stored);
  if (recorded?.event.type !== 'ClockTicked') throw new Error(`${stored.stream} holds a ${stored.type}`);
  const { event, meta, revision, position } = recorded;
  return { meta, tick: { revision, position, at: meta.at, logTimeMs: event.logTimeMs } };
};

/** When retention may purge what is trashed at `at`, and not before; null while it is off. */
export const purgeAfter = (at: string, trashDays: number | null): string | null =>
  trashDays === null ? null : new Date(Date.parse(at) + trashDays * DAY_MS).toISOString();
