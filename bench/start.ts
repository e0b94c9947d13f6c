import { setTimeout as sleep } from 'node:timers/promises';
import { startLethe, using } from './processes.js';
import { table, type Benchmark, type Result } from './report.js';
import { fixed, median, spread } from './statistics.js';

const MOST_MS = 1_200;

/** From the spawn of the process until it has said that it is ready, and says so over HTTP as well. */
export const start: Benchmark = async ({ quick, rounds, folders, say }) => {
  const empty = folders.empty('start');
  const large = await folders.ready('large', quick ? 20_000 : 1_000_000);
  const timed = async (path: string): Promise<number> => {
    const spawned = performance.now();
    return using(await startLethe(path), async ({ url }) => {
      while (!(await fetch(`${url}/health/ready`)).ok) await sleep(2);
      return performance.now() - spawned;
    });
  };
  await timed(empty); // makes the folder, and brings the files into memory
  const runs: { empty: number; large: number }[] = [];
  for (let number = 1; number <= rounds; number += 1)
    runs.push({ empty: await timed(empty), large: await timed(large.path) });
  say(
    `${spread(
      runs.map((run) => run.empty),
      0,
    )} ms empty, ${spread(
      runs.map((run) => run.large),
      0,
    )} ms large`,
  );
  const result = (what: string, times: readonly number[]): Result => ({
    what: `Start to ready, ${what}`,
    measured: `${spread(times, 0)} ms`,
    wanted: `at most ${fixed(MOST_MS, 0)} ms`,
    met: median(times) <= MOST_MS,
  });
  return {
    results: [
      result(
        'an empty folder',
        runs.map((run) => run.empty),
      ),
      result(
        `${fixed(large.records, 0)} records`,
        runs.map((run) => run.large),
      ),
    ],
    details: [
      'Milliseconds from the spawn of `node dist/main.js` until `/health/ready` answers 200, first asked once the service has written that it is ready.',
      table(
        ['run', 'empty', `${fixed(large.records, 0)} records`],
        runs.map((run, index) => [String(index + 1), fixed(run.empty, 0), fixed(run.large, 0)]),
      ),
    ].join('\n\n'),
  };
};
