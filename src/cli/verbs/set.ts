import type { Command } from 'commander';
import { withConnection } from '../context.js';
import { CliError, WRONG_USAGE } from '../exit.js';
import { locate } from '../refs.js';
import { named } from '../text.js';

export const addSet = (program: Command): void => {
  program
    .command('set')
    .description('change fields of a record')
    .argument('<uid>', 'the record, as <uid> or <registry>/<uid>')
    .argument('<field=value...>', 'null empties a field; labels and files take uids with commas; data takes JSON')
    .option('--reason <text>', 'why; it stays in the history')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lethe set heBmDcUZSbbsRR6dMz2r description="the right one" visibility=0\n  $ lethe set labels/9uBSXWeTUpZrHvK5pLqA name=raw',
    )
    .action((name: string, assignments: string[], { reason }: { readonly reason?: string }, command: Command) =>
      withConnection(command, async ({ client, out, signal }) => {
        const patch = Object.fromEntries(assignments.map(assignment));
        // Each registry takes other fields, and says so before it looks for the record: so where the record is comes first.
        const ref = await locate(client, name, signal);
        const answer = await client.update(ref, patch, { reason, signal });
        out.warnings(answer.warnings);
        await out.body(answer);
        await out.line(`${answer.outcome} ${named(ref)}`);
      }),
    );
};

const assignment = (text: string): [string, unknown] => {
  const equals = text.indexOf('=');
  if (equals < 1) throw new CliError(`'${text}' is not field=value`, WRONG_USAGE);
  const field = text.slice(0, equals);
  return [field, valueOf(field, text.slice(equals + 1))];
};

/** What was typed, as the field takes it: most are text, and a text that looks like a number stays one. */
const valueOf = (field: string, typed: string): unknown => {
  if (typed === 'null') return null;
  switch (field) {
    case 'visibility':
      return /^-?\d+$/.test(typed) ? Number(typed) : typed;
    case 'labels':
    case 'files':
      return typed === '' ? [] : typed.split(',');
    case 'data':
      return jsonOr(typed);
    default:
      return typed;
  }
};

const jsonOr = (typed: string): unknown => {
  try {
    const value: unknown = JSON.parse(typed);
    return value;
  } catch {
    return typed; // text without quotes, as a shell leaves it
  }
};
