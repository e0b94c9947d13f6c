import type { Command } from 'commander';
import { withConnection } from '../context.js';
import { onRecord } from '../refs.js';

export const addShow = (program: Command): void => {
  program
    .command('show')
    .description('show one record')
    .argument('<uid>', 'the record, as <uid> or <registry>/<uid>')
    .option('--at <time>', 'as it was then: RFC 3339, such as 2026-11-23T00:57:00Z')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lethe show heBmDcUZSbbsRR6dMz2r\n  $ lethe show heBmDcUZSbbsRR6dMz2r --at 2026-11-23T00:57:00Z',
    )
    .action((name: string, { at }: { readonly at?: string }, command: Command) =>
      withConnection(command, async ({ client, out, signal }) => {
        await out.fields(await onRecord(client, name, signal, (ref) => client.get(ref, { signal }, { at })));
      }),
    );
};
