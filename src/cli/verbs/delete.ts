import { Option, type Command } from 'commander';
import type { CommandAnswer, Ref } from '../../client/answers.js';
import type { Deleting } from '../../client/client.js';
import { ConfirmationRequired } from '../../client/errors.js';
import { withConnection, type Context } from '../context.js';
import { CliError, REFUSED } from '../exit.js';
import { previewText, reportPurge, WAIT_SECONDS } from '../purging.js';
import { onRecord } from '../refs.js';
import { capitalNoun, named } from '../text.js';

interface Options {
  readonly permanent?: boolean;
  readonly storage?: 'keep' | 'delete';
  readonly reason?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

export const addDelete = (program: Command): void => {
  program
    .command('delete')
    .summary('move records to the trash, or purge them')
    .description('move records to the trash; purge those that lie there already, after asking')
    .argument('<uid...>', 'the records, as <uid> or <registry>/<uid>')
    .option('--permanent', 'purge at once, without the trash and without asking')
    .addOption(
      new Option('--storage <fate>', 'what becomes of the object when the record is purged').choices([
        'keep',
        'delete',
      ]),
    )
    .option('--reason <text>', 'why; it stays in the history')
    .option('--yes', 'answer the question with yes; it never turns a move to the trash into a purge')
    .option('--dry-run', 'say what would happen, and do nothing')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lethe delete heBmDcUZSbbsRR6dMz2r\n  $ lethe delete heBmDcUZSbbsRR6dMz2r --permanent --reason "wrong upload"',
    )
    .action((names: string[], options: Options, command: Command) =>
      withConnection(command, async (context) => {
        for (const name of names) {
          try {
            await deleteOne(context, name, options);
          } catch (error) {
            await context.fail(error, names.length > 1 ? name : undefined);
          }
        }
      }),
    );
};

const deleteOne = async (context: Context, name: string, options: Options): Promise<void> => {
  const { client, out, signal } = context;
  const { ref, answer } = await onRecord(client, name, signal, async (found) => ({
    ref: found,
    answer: await deleteAsking(context, found, options),
  }));
  if (answer.dryRun === true) {
    out.warnings(answer.warnings);
    await out.body(answer);
    await out.line(
      answer.outcome === 'purging' && answer.preview != null
        ? previewText(answer.preview)
        : `would ${wouldText(answer, ref)}`,
    );
  } else if (answer.outcome === 'purged' || answer.outcome === 'purging') {
    await reportPurge(context, ref, answer);
  } else {
    out.warnings(answer.warnings);
    await out.body(answer);
    await out.line(
      answer.outcome === 'trashed' ? `moved ${named(ref)} to trash` : `${named(ref)} is in the trash already`,
    );
  }
};

const wouldText = ({ outcome }: CommandAnswer, ref: Ref): string =>
  outcome === 'trashed' ? `move ${named(ref)} to trash` : `leave ${named(ref)} as it is`;

/** Deletes, and where the record lies in the trash already, asks before it purges. */
const deleteAsking = async (context: Context, ref: Ref, options: Options): Promise<CommandAnswer> => {
  const { client, signal } = context;
  const { permanent, storage, reason, dryRun } = options;
  const deleting: Deleting = { permanent, storage, reason, dryRun, wait: WAIT_SECONDS, signal };
  try {
    return await client.delete(ref, deleting);
  } catch (error) {
    if (!(error instanceof ConfirmationRequired)) throw error;
    await confirm(context, ref, error, options);
    return client.delete(ref, { ...deleting, permanent: true, ifRevision: error.preview?.revision });
  }
};

/** Shows what a purge would do and asks for a yes. @throws where there is none */
const confirm = async (
  { out, question }: Context,
  { registry }: Ref,
  needed: ConfirmationRequired,
  { yes, dryRun }: Options,
): Promise<void> => {
  if (yes === true) return;
  if (needed.preview !== null) out.note(previewText(needed.preview));
  if (dryRun === true) {
    await out.body(needed.problem);
    throw new CliError(
      `${capitalNoun(registry)} record is already in trash: without --yes, delete asks before it does this`,
      REFUSED,
    );
  }
  if (!question.canAsk) {
    await out.body(needed.problem);
    throw new CliError(
      `${capitalNoun(registry)} record is already in trash. There is no terminal to ask whether to delete it permanently: repeat with --yes`,
      REFUSED,
    );
  }
  if (
    await question.yes(
      `${capitalNoun(registry)} record is already in trash! Permanently delete it? You can't undo this action. (y/N)`,
    )
  )
    return;
  await out.body(needed.problem);
  throw new CliError('not deleted; the record stays in the trash', REFUSED);
};
