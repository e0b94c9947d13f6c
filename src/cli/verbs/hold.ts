import type { Command } from 'commander';
import type { CommandAnswer, Ref } from '../../client/answers.js';
import type { Client } from '../../client/client.js';
import type { Aborting } from '../../client/requests.js';
import { withConnection } from '../context.js';
import { onRecord } from '../refs.js';
import { named } from '../text.js';

interface Options {
  readonly reason?: string;
}

export const addHold = (program: Command): void => {
  program
    .command('hold')
    .summary('keep a record from being purged')
    .description('keep a record from being purged, by anyone, until the hold is released')
    .argument('<uid>', 'the record, as <uid> or <registry>/<uid>')
    .option('--reason <text>', 'why; it is shown with the record')
    .addHelpText('after', '\nExample:\n  $ lethe hold heBmDcUZSbbsRR6dMz2r --reason "audit 2026"')
    .action((name: string, options: Options, command: Command) =>
      change(command, name, options, (client, ref, commanding) => client.hold(ref, commanding), {
        held: 'put a hold on',
        unchanged: 'there is such a hold already on',
      }),
    );
  program
    .command('unhold')
    .description('release the hold on a record')
    .argument('<uid>', 'the record, as <uid> or <registry>/<uid>')
    .option('--reason <text>', 'why; it stays in the history')
    .addHelpText('after', '\nExample:\n  $ lethe unhold heBmDcUZSbbsRR6dMz2r')
    .action((name: string, options: Options, command: Command) =>
      change(command, name, options, (client, ref, commanding) => client.unhold(ref, commanding), {
        released: 'released the hold on',
        unchanged: 'there is no hold on',
      }),
    );
};

const change = (
  command: Command,
  name: string,
  { reason }: Options,
  act: (client: Client, ref: Ref, commanding: Options & Aborting) => Promise<CommandAnswer>,
  words: Partial<Record<CommandAnswer['outcome'], string>>,
): Promise<void> =>
  withConnection(command, async ({ client, out, signal }) =>
    onRecord(client, name, signal, async (ref) => {
      const answer = await act(client, ref, { ...(reason === undefined ? {} : { reason }), signal });
      out.warnings(answer.warnings);
      await out.body(answer);
      await out.line(`${words[answer.outcome] ?? answer.outcome} ${named(ref)}`);
    }),
  );
