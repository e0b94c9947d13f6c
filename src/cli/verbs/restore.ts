import type { Command } from 'commander';
import { withConnection } from '../context.js';
import { onRecord } from '../refs.js';
import { named } from '../text.js';

export const addRestore = (program: Command): void => {
  program
    .command('restore')
    .description('bring records back from the trash')
    .argument('<uid...>', 'the records, as <uid> or <registry>/<uid>')
    .option('--reason <text>', 'why; it stays in the history')
    .addHelpText('after', '\nExample:\n  $ lethe restore heBmDcUZSbbsRR6dMz2r')
    .action((names: string[], { reason }: { readonly reason?: string }, command: Command) =>
      withConnection(command, async ({ client, out, signal, fail }) => {
        for (const name of names) {
          try {
            await onRecord(client, name, signal, async (ref) => {
              const answer = await client.restore(ref, { reason, signal });
              out.warnings(answer.warnings);
              await out.body(answer);
              await out.line(
                answer.outcome === 'restored' ? `restored ${named(ref)}` : `${named(ref)} is not in the trash`,
              );
            });
          } catch (error) {
            await fail(error, names.length > 1 ? name : undefined);
          }
        }
      }),
    );
};
