import type { Schedule } from './schedule.js';

/** How often a shrunk schedule is tried with another choice of turns: what was left out changes what chance says of the rest. */
const SEEDS = 8;
/** The most schedules that are tried. */
const MOST = 3_000;

/**
 * A smaller schedule that fails in the same way: calls, faults and processes are left out one by one, as long as it does.
 * @param failing whether a schedule fails so
 */
export const shrink = async (
  schedule: Schedule,
  failing: (candidate: Schedule) => Promise<boolean>,
): Promise<Schedule> => {
  let best = schedule;
  let tried = 0;
  const fails = async (candidate: Schedule): Promise<Schedule | null> => {
    for (let index = 0; index < SEEDS && tried < MOST; index += 1) {
      tried += 1;
      const reseeded = { ...candidate, seed: best.seed + index };
      if (await failing(reseeded)) return reseeded;
    }
    return null;
  };
  for (let smaller = true; smaller && tried < MOST;) {
    smaller = false;
    for (const candidate of smallerOf(best)) {
      // Each is made from the schedule as it was: once one is taken, the others are made anew.
      const found = await fails(candidate);
      if (found === null) continue;
      best = found;
      smaller = true;
      break;
    }
  }
  return best;
};

/** Every schedule that lacks one thing of this one, those that lack most first. */
const smallerOf = function* (schedule: Schedule): Generator<Schedule> {
  const { clients, setup, faults, processes, skews } = schedule;
  if (faults.length > 1) yield { ...schedule, faults: [] };
  for (const [at] of clients.entries()) yield { ...schedule, clients: without(clients, at) };
  if (processes.length > 1) yield { ...schedule, processes: [{ api: true, worker: true }], skews: [0] };
  if (faults.length > 3) yield { ...schedule, faults: faults.slice(0, faults.length / 2) };
  if (faults.length > 3) yield { ...schedule, faults: faults.slice(faults.length / 2) };
  for (const [at] of faults.entries()) yield { ...schedule, faults: without(faults, at) };
  for (const [at, operations] of clients.entries())
    for (const [one] of operations.entries())
      yield { ...schedule, clients: clients.with(at, without(operations, one)) };
  for (const [at] of setup.entries()) yield { ...schedule, setup: without(setup, at) };
  for (const location of Object.keys(schedule.objects)) {
    const objects = Object.fromEntries(Object.entries(schedule.objects).filter(([other]) => other !== location));
    yield { ...schedule, objects };
  }
  if (schedule.stalls > 0) yield { ...schedule, stalls: 0 };
  if (schedule.trashDays !== null) yield { ...schedule, trashDays: null };
  if (schedule.flips) yield { ...schedule, flips: false };
  if (schedule.gaps) yield { ...schedule, gaps: false };
  if (schedule.uneven) yield { ...schedule, uneven: false };
  if (skews.some((skew) => skew !== 0)) yield { ...schedule, skews: skews.map(() => 0) };
};

const without = <T>(from: readonly T[], at: number): T[] => from.filter((_, index) => index !== at);
