import type { Command } from 'commander';
import { withConnection } from '../context.js';
import { onRecord } from '../refs.js';

export const addShow = (program: Command): void => {
  program
    .command('show')
    .description('show one record')
    .argument('<uid>', 'the record, as <uid> or <registry>/<uid>')
    .addHelpText('after', '\nExample:\n  $ lethe show heBmDcUZSbbsRR6dMz2r')
    .action((name: string, _options: object, command: Command) =>
      withConnection(command, async ({ client, out, signal }) => {
        await out.fields(await onRecord(client, name, signal, (ref) => client.get(ref, { signal })));
      }),
    );
};
