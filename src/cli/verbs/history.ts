import type { Command } from 'commander';
import { withConnection } from '../context.js';
import { onRecord } from '../refs.js';
import { PAGE } from '../paging.js';

const COLUMNS = ['revision', 'at', 'actor', 'type', 'reason', 'data'];

export const addHistory = (program: Command): void => {
  program
    .command('history')
    .summary('list what happened to a record')
    .description('list what happened to a record, oldest first; it stays after a purge')
    .argument('<uid>', 'the record, as <uid> or <registry>/<uid>')
    .addHelpText('after', '\nExample:\n  $ lethe history heBmDcUZSbbsRR6dMz2r')
    .action((name: string, _options: object, command: Command) =>
      withConnection(command, async ({ client, out, signal }) => {
        await onRecord(client, name, signal, (ref) =>
          out.list(client.history(ref, { limit: PAGE }, { signal }), COLUMNS),
        );
      }),
    );
};
