import { setTimeout } from 'node:timers/promises';
import { until } from '../harness/until.js';
import type { Fleet } from './fleet.js';
import type { Chance } from './kill.chance.js';

const KILL_EVERY_MS = { least: 1_500, more: 2_500 };
/** How long the log stays away. */
const AWAY_MS = 1_000;

/** What happens to each server once. */
const serverFaults = ({ mongod, minio, double }: Fleet): readonly (readonly [string, () => Promise<void>])[] => [
  [
    'mongod is killed',
    async () => {
      await mongod.kill();
      await mongod.start();
    },
  ],
  [
    'MinIO is killed',
    async () => {
      await minio.kill();
      await minio.start();
    },
  ],
  [
    'the log goes away',
    async () => {
      await double.stop();
      await setTimeout(AWAY_MS);
      await double.start();
    },
  ],
  ['subscriptions are cut', async () => double.cutSubscriptions()],
];

/**
 * Kills one process every few seconds and starts it again, and lets each server go away once, in an order that chance draws.
 * @returns what happened, in its order; once all processes and servers are back
 */
export const plague = async (fleet: Fleet, seconds: number, chance: (part: string) => Chance): Promise<string[]> => {
  const happened: string[] = [];
  const since = performance.now();
  const note = (what: string): void => void happened.push(`${Math.round(performance.now() - since)} ms: ${what}`);
  const ends = AbortSignal.timeout(seconds * 1_000);
  await Promise.all([
    killMembers(fleet, ends, chance('kills'), note),
    breakServers(fleet, seconds, chance('servers'), note),
  ]);
  await until('the fleet is whole again', async () => fleet.members.every(({ running }) => running !== null));
  return happened;
};

type Note = (what: string) => void;

const killMembers = async (fleet: Fleet, ends: AbortSignal, chance: Chance, note: Note): Promise<void> => {
  const starting: Promise<void>[] = [];
  while (!ends.aborted) {
    await setTimeout(KILL_EVERY_MS.least + chance.below(KILL_EVERY_MS.more));
    const running = fleet.members.filter((member) => member.running !== null);
    const member = running[chance.below(running.length)];
    if (member === undefined || ends.aborted) continue;
    note(`${member.name} is killed`);
    await member.kill();
    starting.push(member.start());
  }
  await Promise.all(starting);
};

const breakServers = async (fleet: Fleet, seconds: number, chance: Chance, note: Note): Promise<void> => {
  const left = [...serverFaults(fleet)];
  const apart = (seconds * 1_000) / (left.length + 1);
  while (left.length > 0) {
    await setTimeout(apart * (0.8 + chance.next() * 0.2));
    const [[what, befall] = ['', async () => undefined]] = left.splice(chance.below(left.length), 1);
    note(what);
    await befall();
  }
};
