import { Option, type Command } from 'commander';
import { withConnection } from '../context.js';
import { reportPurge, WAIT_SECONDS } from '../purging.js';
import { onRecord } from '../refs.js';
import { PAGE } from '../paging.js';

interface Retrying {
  readonly storage?: 'keep';
  readonly reason?: string;
}

const COLUMNS = ['registry', 'uid', 'state', 'attempts', 'requestedAt', 'requestedBy', 'reason', 'error', 'nextTryAt'];

export const addPurges = (program: Command): void => {
  const purges = program
    .command('purges')
    .description('list the purges, newest first')
    .option('--state <which>', 'pending, failed, parked, done, cancelled; several with commas')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lethe purges --state failed,parked\n  $ lethe purges retry heBmDcUZSbbsRR6dMz2r',
    )
    .action(({ state }: { readonly state?: string }, command: Command) =>
      withConnection(command, async ({ client, out, signal }) => {
        await out.list(client.purges({ state, limit: PAGE }, { signal }), COLUMNS);
      }),
    );
  purges
    .command('retry')
    .description('try a failed or parked purge now')
    .argument('<uid>', 'the record, as <uid> or <registry>/<uid>')
    .addOption(new Option('--storage <fate>', 'keep: end it without deleting the object').choices(['keep']))
    .option('--reason <text>', 'why; it stays in the history')
    .addHelpText('after', '\nExample:\n  $ lethe purges retry heBmDcUZSbbsRR6dMz2r --storage keep')
    .action((name: string, { storage, reason }: Retrying, command: Command) =>
      withConnection(command, async (context) => {
        const { client, signal } = context;
        const retry = await onRecord(client, name, signal, async (ref) => ({
          ref,
          answer: await client.retryPurge(ref, { storage, reason, wait: WAIT_SECONDS, signal }),
        }));
        await reportPurge(context, retry.ref, retry.answer);
      }),
    );
};
