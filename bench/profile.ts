import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { startLethe, using } from './processes.js';
import { table, type Benchmark } from './report.js';
import { counted, Deck, trash } from './requests.js';
import { fixed } from './statistics.js';

const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

const SHOWN = 20;

/** Where the service's main thread spends its time under trashing, its start left out. Not part of a whole run. */
export const profile: Benchmark = async ({ quick, folders }) => {
  const folder = await folders.ready('medium', quick ? 10_000 : 100_000);
  const profiles = folders.empty('profiles');
  const amount = quick ? 5_000 : 40_000;
  const visible = new Deck([...folder.untouched]);
  const flags = ['--cpu-prof', '--cpu-prof-interval=500', `--cpu-prof-dir=${profiles}`];
  const { rate, startMs } = await using(await startLethe(folder.path, flags), async ({ url, startMs }) => {
    const { run } = await counted({ url, connections: 64, status: 200, amount, next: trash(visible, new Deck([])) });
    return { rate: run?.perSecond ?? Number.NaN, startMs };
  });
  // Threads that are started without the process's flags write none.
  const parts = readdirSync(profiles).map((name) => {
    const times = selfTimes(readFileSync(join(profiles, name), 'utf8'), startMs);
    return [
      `\`${name}\`: ${fixed(times.busyMs, 0)} ms not idle. By function:`,
      table(['ms', '%', 'function', 'at'], shares(times.byFunction, times.busyMs)),
      'By package, or folder of Lethe:',
      table(['ms', '%', 'package'], shares(times.byPackage, times.busyMs)),
    ].join('\n\n');
  });
  return {
    results: [],
    details: [`${fixed(amount, 0)} trashings, ${fixed(rate, 0)}/s with the profiler on.`, ...parts].join('\n\n'),
  };
};

interface SelfTimes {
  readonly busyMs: number;
  readonly byFunction: ReadonlyMap<string, number>;
  readonly byPackage: ReadonlyMap<string, number>;
}

/** @param skipMs what is left out at the profile's beginning */
const selfTimes = (json: string, skipMs: number): SelfTimes => {
  const { nodes, samples, timeDeltas } = profileSchema.parse(JSON.parse(json));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const byFunction = new Map<string, number>();
  const byPackage = new Map<string, number>();
  let atMs = 0;
  let busyMs = 0;
  samples.forEach((id, index) => {
    const ms = (timeDeltas[index] ?? 0) / 1_000;
    atMs += ms;
    const frame = frames.get(id);
    if (atMs < skipMs || frame === undefined || frame.functionName === '(idle)') return;
    busyMs += ms;
    const file = frame.url.replace(/^.*\/(?=(node_modules|dist)\/)/, '');
    const at = file === '' ? '' : `${file}:${frame.lineNumber + 1}`;
    add(byFunction, `${frame.functionName || '(anonymous)'}\t${at}`, ms);
    add(byPackage, file === '' ? (/^\(.*\)$/.exec(frame.functionName)?.[0] ?? 'native') : packageOf(file), ms);
  });
  return { busyMs, byFunction, byPackage };
};

const packageOf = (file: string): string =>
  /^node_modules\/(@[^/]+\/[^/]+|[^/]+)/.exec(file)?.[1] ??
  /^(node:[^/]+|dist(\/[^/]+)*(?=\/))/.exec(file)?.[0] ??
  file;

const add = (times: Map<string, number>, key: string, ms: number): void => {
  times.set(key, (times.get(key) ?? 0) + ms);
};

const shares = (times: ReadonlyMap<string, number>, whole: number): string[][] =>
  [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([key, ms]) => [fixed(ms, 0), fixed((100 * ms) / whole, 1), ...key.split('\t')]);
