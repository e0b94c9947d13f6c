import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { judge } from './judge.js';
import { scheduleOf, type Schedule } from './schedule.js';
import { shrink } from './shrink.js';
import { run } from './world.js';

/*
 * `npm run simulate -- --seeds 2000`: runs the schedules of so many seeds, one after the other, and ends with 1 at the first that comes out
 * wrong, with what it takes to see it again.
 */

const USAGE = `npm run simulate -- [--seeds N] [--from S] [--workers N] [--trace] [--uncut] [--schedule JSON]
  --seeds N         how many schedules, 100 where it is left out
  --from S          the first seed; a fresh one where it is left out
  --workers N       on so many threads
  --trace           print every step, and the log at the end
  --uncut           do not look for a smaller schedule that fails in the same way
  --schedule JSON   run this schedule instead, as a failure prints it`;

interface Failure {
  readonly seed: number;
  readonly faults: readonly string[];
}

const faultsOf = async (schedule: Schedule): Promise<string[]> => judge(await run(schedule));

/** The first of these seeds whose schedule comes out wrong; null where none does. */
const firstFailure = async (from: number, seeds: number, step: number): Promise<Failure | null> => {
  for (let seed = from; seed < from + seeds; seed += step) {
    const faults = await faultsOf(scheduleOf(seed));
    if (faults.length > 0) return { seed, faults };
  }
  return null;
};

const onThreads = async (from: number, seeds: number, workers: number): Promise<Failure | null> => {
  const threads = Array.from(
    { length: workers },
    (_, index) =>
      new Worker(new URL(import.meta.url), { workerData: { from: from + index, seeds: seeds - index, step: workers } }),
  );
  const failures = await Promise.all(
    threads.map(
      (thread) =>
        new Promise<Failure | null>((resolve, reject) => {
          thread.once('message', resolve);
          thread.once('error', reject);
        }),
    ),
  );
  return failures.reduce((a, b) => (a === null || (b !== null && b.seed < a.seed) ? b : a), null);
};

/** The same invariant is broken: what else is wrong may be so for another reason. */
const kindOf = (faults: readonly string[]): string => faults[0]?.split(' ')[0] ?? '';

const report = async ({ seed, faults }: Failure, uncut: boolean): Promise<void> => {
  console.log(`seed ${seed} came out wrong:\n  ${faults.join('\n  ')}\n`);
  console.log(`see it again:  npm run simulate -- --seeds 1 --from ${seed} --trace\n`);
  if (uncut) return;
  const kind = kindOf(faults);
  const small = await shrink(scheduleOf(seed), async (candidate) => kindOf(await faultsOf(candidate)) === kind);
  console.log(`cut short, it is:\n  ${(await faultsOf(small)).join('\n  ')}\n`);
  for (const [name, operations] of [
    ['setup', small.setup] as const,
    ...small.clients.map((each, at) => [`client ${at + 1}`, each] as const),
  ])
    console.log(`  ${name}\n${operations.map((operation) => `    ${JSON.stringify(operation)}`).join('\n')}`);
  for (const fault of small.faults) console.log(`  ${JSON.stringify(fault)}`);
  console.log(`\nsee that again:  npm run simulate -- --trace --schedule '${JSON.stringify(small)}'`);
};

const trace = async (schedule: Schedule): Promise<boolean> => {
  const outcome = await run(schedule, { traced: true });
  console.log(outcome.lines?.join('\n') ?? '');
  for (const { position, stream, revision, type, data } of outcome.log.events)
    console.log(`${position} ${stream}#${revision} ${type} ${data}`);
  const faults = await judge(outcome);
  console.log(faults.length === 0 ? `\nall is well (${outcome.hash})` : `\n${faults.join('\n')}`);
  return faults.length === 0;
};

const main = async (): Promise<boolean> => {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string' },
      workers: { type: 'string', default: '1' },
      trace: { type: 'boolean', default: false },
      uncut: { type: 'boolean', default: false },
      schedule: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return true;
  }
  if (values.schedule !== undefined) {
    const schedule = JSON.parse(values.schedule) as Schedule;
    if (values.trace) return trace(schedule);
    const faults = await faultsOf(schedule);
    console.log(faults.length === 0 ? 'all is well' : faults.join('\n'));
    return faults.length === 0;
  }
  const [seeds, workers] = [Number(values.seeds), Math.min(Number(values.workers), availableParallelism())];
  const from = values.from === undefined ? randomInt(2 ** 31) : Number(values.from);
  if (![seeds, workers, from].every((number) => Number.isSafeInteger(number) && number >= 0) || workers < 1) {
    console.error(USAGE);
    return false;
  }
  if (values.trace) return trace(scheduleOf(from));
  console.log(`${seeds} schedules from seed ${from} on`);
  const start = performance.now();
  const failure = await (workers === 1 ? firstFailure(from, seeds, 1) : onThreads(from, seeds, workers));
  if (failure !== null) {
    await report(failure, values.uncut);
    return false;
  }
  const seconds = (performance.now() - start) / 1_000;
  console.log(`all came out well, in ${seconds.toFixed(1)} s (${(seeds / seconds).toFixed(0)} a second)`);
  return true;
};

if (isMainThread) process.exitCode = (await main()) ? 0 : 1;
else {
  const { from, seeds, step } = workerData as { from: number; seeds: number; step: number };
  parentPort?.postMessage(await firstFailure(from, seeds, step));
}
