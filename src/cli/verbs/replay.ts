import { readFile, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Difference } from '../../testing/folding.js';
import { inOrder, type Surroundings } from '../context.js';
import { CliError, FAILED } from '../exit.js';
import { counted } from '../text.js';

interface Options {
  readonly expect?: string;
  readonly write?: string;
}

/** How many differences are shown. */
const SHOWN = 20;

export const addReplay = (program: Command): void => {
  program
    .command('replay')
    .summary('fold an exported log anew, and compare')
    .description(
      'fold an exported log into fresh projections, twice and in odd batches, and compare; opens no data folder',
    )
    .argument('<events>', 'what lethe events export wrote')
    .option('--expect <snapshot>', 'compare with a snapshot of before; exits with 1 where anything differs')
    .option('--write <snapshot>', 'write what the log comes to, for a later --expect')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lethe replay production-2026-11.ndjson --write snapshot.json\n  $ lethe replay production-2026-11.ndjson --expect snapshot.json',
    )
    .action((file: string, options: Options, command: Command) =>
      inOrder(command, (surroundings) => replayFile(surroundings, file, options)),
    );
};

const replayFile = async ({ out }: Surroundings, file: string, { expect, write }: Options): Promise<void> => {
  const [{ readLogFile }, { compareRuns, readSnapshot, snapshotOf, snapshotText }] = await Promise.all([
    import('../../testing/folding.js'),
    import('../../testing/snapshot.js'),
  ]);
  const log = await readLogFile(file);
  const { runs, differing } = await compareRuns(log);
  const snapshot = await snapshotOf(log);
  const expected = expect === undefined ? null : readSnapshot(await readFile(expect, 'utf8'), expect);
  const unexpected = expected === null ? [] : snapshot.against(expected);
  if (write !== undefined) await writeFile(write, snapshotText(snapshot));
  const { events, position } = snapshot;
  await out.body({ file, events, position, runs, differing, unexpected });
  if (differing !== null) {
    await show(out, differing.differences);
    throw new CliError(
      `the log comes to other rows ${differing.run} than in batches of 1,000: what a projection makes of an event hangs on more than the log`,
      FAILED,
    );
  }
  await out.line(
    `replayed ${counted(events, 'event')} up to position ${position}, ${runs.length} times alike (${runs.join(', ')})`,
  );
  if (write !== undefined) await out.line(`wrote ${write}`);
  if (unexpected.length === 0) return;
  await show(out, unexpected);
  throw new CliError(
    `${unexpected.length === 1 ? '1 value differs' : `${unexpected.length} values differ`} from ${expect ?? 'the snapshot'}`,
    FAILED,
  );
};

/** As a diff: what was expected with a minus, what is there with a plus. */
const show = async (out: Surroundings['out'], differences: readonly Difference[]): Promise<void> => {
  for (const { at, expected, found } of differences.slice(0, SHOWN)) {
    await out.line(at);
    if (expected !== undefined) await out.line(`  - ${JSON.stringify(expected)}`);
    if (found !== undefined) await out.line(`  + ${JSON.stringify(found)}`);
  }
  if (differences.length > SHOWN) await out.line(`and ${differences.length - SHOWN} more`);
};
