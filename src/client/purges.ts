import type { CommandAnswer, PurgeAnswer, Ref } from './answers.js';
import type { Client } from './client.js';
import type { Aborting } from './requests.js';
import { pause } from './transport.js';

const POLL_MS = 500;
const MAX_POLL_MS = 5_000;

/** How a purge ended: gone, parked for a person, or called off. */
export type Ended = PurgeAnswer & { readonly state: 'done' | 'parked' | 'cancelled' };

interface Following extends Aborting {
  /** Hears of each state that the purge is seen in before it ends. */
  readonly onWaiting?: (purge: PurgeAnswer) => void;
}

/**
 * Follows a purge from the answer that it is under way until it ends.
 * @returns null where the answer is of no purge
 */
export const followPurge = async (
  client: Client,
  ref: Ref,
  answer: CommandAnswer,
  { signal, onWaiting }: Following = {},
): Promise<Ended | null> => {
  if (answer.purge === undefined) return null;
  let purge = answer.purge;
  for (let wait = POLL_MS; !hasEnded(purge); wait = Math.min(wait * 1.5, MAX_POLL_MS)) {
    onWaiting?.(purge);
    await pause(wait, signal ?? null);
    purge = await client.purge(ref, { signal });
  }
  return purge;
};

const hasEnded = (purge: PurgeAnswer): purge is Ended =>
  purge.state === 'done' || purge.state === 'parked' || purge.state === 'cancelled';
