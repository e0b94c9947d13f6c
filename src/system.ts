import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { Clock, Ids, Random } from './ports.js';

/** The machine's own clock, ids and chance: what the ports are in a running service. */
export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await setTimeout(ms, undefined, { signal, ref: false });
  },
};

export const systemIds: Ids = { uuid: () => randomUUID() };

export const systemRandom: Random = { next: () => Math.random() };
