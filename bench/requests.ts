import { setTimeout as sleep } from 'node:timers/promises';
import { load, type Call, type Load } from './load.js';

/** The requests of the benchmarks, and the deck of records that they are dealt from. */

/** File records, each dealt once until the deck is through: who is dealt first comes back last. */
export class Deck {
  private at = 0;

  constructor(private readonly uids: string[]) {}

  get left(): number {
    return this.uids.length - this.at;
  }

  take(): string {
    const uid = this.uids[this.at];
    if (uid === undefined)
      throw new Error(`the deck of ${this.uids.length} records is through: make the folder larger`);
    this.at += 1;
    return uid;
  }

  put(uid: string): void {
    this.uids.push(uid);
  }
}

/** Moves a visible record to the trash. */
export const trash = (visible: Deck, trashed: Deck) => (): Call => {
  const uid = visible.take();
  return { method: 'DELETE', path: `/v1/files/${uid}`, answered: () => trashed.put(uid) };
};

/** Takes a record out of the trash again. */
export const restore = (trashed: Deck, visible: Deck) => (): Call => {
  const uid = trashed.take();
  return { method: 'POST', path: `/v1/files/${uid}/restore`, answered: () => visible.put(uid) };
};

/** Registers a plain record with some data of its own. */
export const register = (): (() => Call) => {
  let number = 0;
  return () => {
    number += 1;
    const data = { instrument: 'Opera Phenix', operator: 'ada', channels: [405, 488, 561, 640], plate: number };
    const body = JSON.stringify({ name: `acquisition ${number}`, description: 'Registered by a benchmark', data });
    return { method: 'POST', path: '/v1/runs', body };
  };
};

/** A page of fifty, as a caller gets it who asks for nothing in particular. */
export const list = (): Call => ({ method: 'GET', path: '/v1/files' });

/** One record after the other, round and round. */
export const get = (uids: readonly string[]): (() => Call) => {
  let at = 0;
  return () => ({ method: 'GET', path: `/v1/files/${uids[(at += 1) % uids.length] ?? ''}` });
};

/** A run counts only if the read model holds all of it this long after its last answer. */
const CAUGHT_UP_MS = 1_000;
const ATTEMPTS = 3;

/**
 * Runs a load of commands, each of which must append exactly one event, and waits until the read model holds all of them.
 * @returns the first run that counts, and how many before it did not; null where none of three did
 */
export const counted = async (
  wanted: Parameters<typeof load>[0],
): Promise<{ run: (Load & { lagMs: number }) | null; void: number }> => {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const before = await positionOf(wanted.url);
    const run = await load(wanted);
    const lagMs = await caughtUp(wanted.url, run);
    const appended = run.position - before;
    if (appended !== wanted.amount)
      throw new Error(`${wanted.amount} commands appended ${appended} events: something else was measured`);
    if (lagMs <= CAUGHT_UP_MS) return { run: { ...run, lagMs }, void: attempt };
  }
  return { run: null, void: ATTEMPTS };
};

/** @returns milliseconds from the last answer until a query answered with everything in it */
export const caughtUp = async (
  url: string,
  { position, endedAt }: Pick<Load, 'position' | 'endedAt'>,
): Promise<number> => {
  for (const late = performance.now() + 60_000; performance.now() < late;) {
    const answer = await fetch(`${url}/v1/files?limit=1`, { headers: { 'X-Min-Position': String(position) } });
    await answer.arrayBuffer();
    if (answer.ok) return performance.now() - endedAt;
    if (answer.status !== 503) throw new Error(`${answer.status} to a list at position ${position}`);
    await sleep(50);
  }
  throw new Error(`the read model of ${url} has not reached position ${position} within a minute`);
};

/** Where the read model stands, with all in it that this service has appended. */
const positionOf = async (url: string): Promise<number> => {
  const answer = await fetch(`${url}/v1/files?limit=1`);
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${answer.status} to a list`);
  return Number(answer.headers.get('x-position'));
};
