import type { Command } from 'commander';
import type { Leftover, Leftovers } from '../../upkeep/leftovers.js';
import { CliError, REFUSED } from '../exit.js';
import { startBar } from '../progress.js';
import { withStores, type StoresContext } from '../stores.js';
import { counted, sizeText } from '../text.js';

interface Options {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export const addGc = (program: Command): void => {
  program
    .command('gc')
    .description('clear away what uploads that broke off have left for a day: what no event ever named')
    .option('--dry-run', 'say what would go, and do nothing')
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExample:\n  $ lethe gc --dry-run --data ./lethe-data')
    .action((options: Options, command: Command) =>
      withStores(command, async (context) => {
        const { withLeftovers } = await import('../../upkeep.js');
        await withLeftovers(context.config, context.signal, (found) => clearAway(context, options, found));
      }),
    );
};

const clearAway = async (context: StoresContext, { dryRun, yes }: Options, found: Leftovers): Promise<void> => {
  const { out, fail } = context;
  const { leftovers, refused, more } = found;
  for (const { storage, why } of refused)
    await fail(new CliError(why, REFUSED), `nothing is cleared away in ${storage}`);
  if (dryRun === true) {
    await out.body({ leftovers: leftovers.map(told), refused, dryRun: true });
    await show(context, leftovers);
    await out.line(`would clear away ${totalText(leftovers)}`);
  } else if (leftovers.length === 0) {
    await out.body({ leftovers: [], refused });
    await out.line('there is nothing to clear away');
  } else {
    if (yes !== true) await confirm(context, leftovers);
    await clearAll(context, leftovers, refused);
  }
  if (more) out.note('there is more: repeat when these are gone');
};

const confirm = async (context: StoresContext, leftovers: readonly Leftover[]): Promise<void> => {
  const { question, out } = context;
  for (const leftover of leftovers) out.note(lineOf(leftover));
  if (!question.canAsk) {
    throw new CliError(
      `this would clear away ${totalText(leftovers)}, and there is no terminal to ask: repeat with --yes`,
      REFUSED,
    );
  }
  if (await question.yes(`Clear away ${totalText(leftovers)}? You can't undo this action. (y/N)`)) return;
  throw new CliError('nothing was cleared away', REFUSED);
};

const clearAll = async (
  { out, fail, signal }: StoresContext,
  leftovers: readonly Leftover[],
  refused: Leftovers['refused'],
): Promise<void> => {
  const bar = await startBar(leftovers.length, 'objects');
  const results: object[] = [];
  const cleared: Leftover[] = [];
  try {
    for (const [index, leftover] of leftovers.entries()) {
      signal.throwIfAborted();
      try {
        const became = await leftover.clear();
        results.push({ ...told(leftover), became });
        if (became !== 'kept') cleared.push(leftover);
        else out.note(`kept ${lineOf(leftover)}: it is not what it was a moment ago`);
      } catch (error) {
        results.push({ ...told(leftover), became: 'failed' });
        bar.pause();
        await fail(error, lineOf(leftover));
      }
      bar.at(index + 1);
    }
  } finally {
    bar.stop();
  }
  await out.body({ leftovers: results, refused });
  for (const leftover of cleared) await out.line(`cleared away ${lineOf(leftover)}`);
  await out.line(`cleared away ${totalText(cleared)}`);
};

const show = async ({ out }: StoresContext, leftovers: readonly Leftover[]): Promise<void> => {
  for (const leftover of leftovers) await out.line(lineOf(leftover));
};

const told = ({ storage, path, what, size, since }: Leftover): object => ({ storage, path, what, size, since });

const lineOf = ({ storage, path, size, since }: Leftover): string =>
  `${path} in ${storage} (${size === null ? 'parts of an upload' : sizeText(size)}, since ${since})`;

const totalText = (leftovers: readonly Leftover[]): string => {
  const bytes = leftovers.reduce((sum, { size }) => sum + (size ?? 0), 0);
  return `${counted(leftovers.length, 'leftover')} (${sizeText(bytes)})`;
};
