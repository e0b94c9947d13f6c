import type { CommandAnswer, OperationAnswer, PurgeAnswer, Ref } from './answers.js';
import type { Client } from './client.js';
import { calledOff, parked } from './errors.js';
import type { Aborting } from './requests.js';
import { pause } from './transport.js';

const POLL_MS = 100;
const MAX_POLL_MS = 5_000;

/** How a purge ended: gone, parked for a person, or called off. */
export type Ended = PurgeAnswer & { readonly state: 'done' | 'parked' | 'cancelled' };

export interface Following extends Aborting {
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

/** How long one answer may wait for a purge, in seconds: the most that the service takes. */
export const WAIT_SECONDS = 30;

/**
 * Waits for a purge to end as it was asked for.
 * @returns null where the answer is of no purge
 * @throws StoreUnavailable where it is parked; Referenced where it is called off
 */
export const endOf = async (
  client: Client,
  ref: Ref,
  answer: CommandAnswer,
  following: Following = {},
): Promise<Ended | null> => {
  const ended = await followPurge(client, ref, answer, following);
  if (ended?.state === 'parked') throw parked(ended);
  if (ended?.state === 'cancelled') throw calledOff(ended);
  return ended;
};

interface FollowingOperation extends Aborting {
  readonly onProgress?: ((operation: OperationAnswer) => void) | undefined;
}

/** Follows an operation until it is done. */
export const followOperation = async (
  client: Client,
  begun: OperationAnswer,
  { signal, onProgress }: FollowingOperation,
): Promise<OperationAnswer> => {
  let operation = begun;
  for (let wait = POLL_MS; ; wait = Math.min(wait * 1.5, MAX_POLL_MS)) {
    onProgress?.(operation);
    if (operation.state === 'done') return operation;
    await pause(wait, signal ?? null);
    operation = await client.operation(operation.id, { signal });
  }
};
