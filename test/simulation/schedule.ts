import { SimulatedRandom } from '../../src/testing/simulated.js';
import { FAULT_KINDS, type Fault } from './faults.js';
import type { Operation } from './operations.js';
import { Maker } from './schedule.maker.js';
import type { Root } from './ports.js';
import type { Roles } from './process.js';

/** All that a run follows from. Plain data: it can be written down, cut short, and run again. */
export interface Schedule {
  /** Chooses who goes next, how long things take, and every id. */
  readonly seed: number;
  /** Some kinds of steps are much slower than others. */
  readonly uneven: boolean;
  /** How often a call is long under way, from 0 to 1. */
  readonly stalls: number;
  /** How many days of the log's time anything stays in the trash, a part of one as a rule; null where retention is off. */
  readonly trashDays: number | null;
  /** A restart may find that its configuration takes Lethe's leave to delete from a storage, or gives it. */
  readonly flips: boolean;
  /** Positions rise with gaps, as those of a server do. */
  readonly gaps: boolean;
  /** The storages are buckets without versions: a late call of a deletion takes the same bytes for the ones before. */
  readonly bucket?: boolean;
  readonly processes: readonly Roles[];
  /** By how much each process's wall clock is off, in milliseconds. */
  readonly skews: readonly number[];
  /** What lies there before, by location. */
  readonly objects: Readonly<Record<string, string>>;
  /** Done one after the other, before the clients begin. */
  readonly setup: readonly Operation[];
  /** Each client's calls, one after the other; the clients are at it all at once. */
  readonly clients: readonly (readonly Operation[])[];
  readonly faults: readonly Fault[];
}

/** Storages in one another, with and without Lethe's leave to delete. */
export const ROOTS: readonly Root[] = [
  { name: 'default', root: 'file:', managed: true, place: 'memory:/s/' },
  { name: 'inner', root: 'file:/s/in', managed: true, place: 'memory:/s/in/' },
  { name: 'public', root: 'file:/p', managed: false, place: 'memory:/p/' },
  { name: 'shut', root: 'file:/s/shut', managed: false, place: 'memory:/s/shut/' },
];

/** Where storages come and go while the clients are at it. */
export const SPARE: Root = { name: '', root: 'file:/s/sp', managed: true, place: 'memory:/s/sp/' };

const BOTH = { api: true, worker: true };
const SHAPES: readonly (readonly Roles[])[] = [
  [BOTH],
  [BOTH],
  [BOTH, BOTH],
  [BOTH, { api: true, worker: false }],
  [
    { api: true, worker: false },
    { api: false, worker: true },
    { api: false, worker: true },
  ],
];

/** The schedule of a seed. */
export const scheduleOf = (seed: number): Schedule => {
  const random = new SimulatedRandom(seed);
  const processes = random.pick(SHAPES);
  const maker = new Maker(random);
  const setup = maker.setup();
  maker.heat();
  const clients = Array.from({ length: 2 + random.below(5) }, () =>
    Array.from({ length: 1 + random.below(4) }, () => maker.call()),
  );
  const schedule = {
    seed,
    uneven: random.happens(0.6),
    stalls: random.pick([0, 0, 0.05, 0.15, 0.3]),
    trashDays: random.pick([null, null, null, 1 / 24, 2 / 24]),
    flips: processes.length === 1 && random.happens(0.3),
    gaps: random.happens(0.3),
    processes,
    skews: processes.map(() => (random.happens(0.2) ? Math.round((random.next() - 0.5) * 7_200_000) : 0)),
    objects: {
      'memory:/s/o': 'c1',
      'memory:/s/a/b': 'c2',
      'memory:/s/in/x': 'c1',
      'memory:/p/q': 'c1',
      'memory:/s/shut/z': 'c2',
    },
    setup,
    clients,
    faults: faultsFrom(random),
    bucket: random.happens(0.2),
  };
  // After all else: the other schedules are what they were before there were these.
  if (!random.happens(0.2)) return schedule;
  return {
    ...schedule,
    objects: { ...schedule.objects, 'memory:/s/sp/w': 'c1' },
    clients: [...clients, ...maker.movers(rootIn(schedule.bucket, SPARE))],
  };
};

/** A root as a schedule's storages have it. */
export const rootIn = (bucket: boolean, { root }: Root): string => (bucket ? root.replace(/^file:/, 's3:') : root);

/** None in a third of all schedules, so that races alone are looked at too; else few or many. */
const faultsFrom = (random: SimulatedRandom): Fault[] => {
  const count = random.pick([0, 0, 1, 2, 5, 15]);
  const within = random.pick([150, 400, 900]);
  const faults = new Map<number, Fault>();
  for (let index = 0; index < count; index += 1) {
    const kind = random.pick(FAULT_KINDS);
    if (kind === 'rebuild' && !random.happens(0.3)) continue;
    const at = 1 + random.below(within);
    faults.set(at, { at, kind, ms: Math.round(10 ** (1 + random.next() * 3.2)) });
  }
  return [...faults.values()].sort((a, b) => a.at - b.at);
};
