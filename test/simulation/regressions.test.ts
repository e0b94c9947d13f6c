import { describe, expect, it } from 'vitest';
import { judge } from './judge.js';
import type { Schedule } from './schedule.js';
import { run } from './world.js';

/** Schedules that once came out wrong, cut short, each with what it found. */
const FOUND: Readonly<Record<string, Schedule>> = {
  'an operation that another process had started is waited for': {
    seed: 1862226296,
    uneven: false,
    stalls: 0.3,
    trashDays: null,
    flips: false,
    gaps: false,
    processes: [
      { api: true, worker: true },
      { api: true, worker: false },
    ],
    skews: [0, 0],
    objects: {},
    setup: [{ do: 'create', id: 'c2', name: 'R1', registry: 'runs' }],
    clients: [
      [{ do: 'empty', id: 'c8', registry: null }],
      [],
      [{ do: 'upload', id: 'c14', visibility: 1, name: 'F4', storage: 'default', path: null, content: 'c2' }],
    ],
    faults: [{ at: 26, kind: 'crash-after', ms: 163 }],
  },
};

/** Another step in the simulation itself shifts every choice of one seed: so many others are run with it. */
const SEEDS = 20;

describe('what a simulation found', () => {
  it.each(Object.entries(FOUND))('%s', async (_, schedule) => {
    for (let index = 0; index < SEEDS; index += 1) {
      const seed = schedule.seed + index;
      expect({ seed, faults: await judge(await run({ ...schedule, seed })) }).toEqual({ seed, faults: [] });
    }
  });
});
