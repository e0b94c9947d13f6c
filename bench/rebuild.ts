import { startLethe, using } from './processes.js';
import { dropReadModel, whenBegun, whenBuilt } from './read-model.js';
import { table, told, type Benchmark } from './report.js';
import { fixed, median, spread } from './statistics.js';

const LEAST = 40_000;

/** A service that starts without its read model: from the projector's first touch of the file to the last index. */
export const rebuild: Benchmark = async ({ quick, folders, say }) => {
  const folder = await folders.withLog('large', quick ? 20_000 : 1_000_000);
  const runs: { begunMs: number; buildMs: number; perSecond: number }[] = [];
  for (let number = 1; number <= (quick ? 2 : 3); number += 1) {
    dropReadModel(folder.path);
    const spawned = performance.now();
    const begun = whenBegun(folder.path);
    const built = await using(await startLethe(folder.path), () => whenBuilt(folder.path, folder.head));
    const buildMs = built - (await begun);
    runs.push({ begunMs: (await begun) - spawned, buildMs, perSecond: (folder.events / buildMs) * 1_000 });
    say(`rebuild ${number}: ${fixed((folder.events / buildMs) * 1_000, 0)} events/s`);
  }
  const rates = runs.map(({ perSecond }) => perSecond);
  return {
    results: [
      {
        what: `Rebuild of ${fixed(folder.events, 0)} events, all indexes in place at its end`,
        measured: `${spread(rates, 0)} events/s`,
        wanted: `at least ${fixed(LEAST, 0)} events/s`,
        met: median(rates) >= LEAST,
      },
      told(
        'Start of a service without its read model until that is whole again',
        `${fixed(median(runs.map(({ begunMs, buildMs }) => begunMs + buildMs)) / 1_000, 1)} s`,
      ),
    ],
    details: [
      `The log of ${fixed(folder.records, 0)} files holds ${fixed(folder.events, 0)} events: registrations, and for a quarter of the records an update, a trashing, ` +
        'a trashing and a restoring, or a whole purge, each long after the record came. The time runs from the first sight of the read ' +
        "model's file until another connection sees the log's head in it and every index.",
      table(
        ['run', 'spawn to first touch, s', 'rebuild, s', 'events/s'],
        runs.map(({ begunMs, buildMs, perSecond }, index) => [
          String(index + 1),
          fixed(begunMs / 1_000, 2),
          fixed(buildMs / 1_000, 1),
          fixed(perSecond, 0),
        ]),
      ),
    ].join('\n\n'),
  };
};
