import { addAbortSignal } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import type { Command } from 'commander';
import { withConnection } from '../context.js';
import { CliError, WRONG_USAGE } from '../exit.js';
import { registryName } from '../refs.js';
import { named } from '../text.js';

export const addCreate = (program: Command): void => {
  program
    .command('create')
    .description('register a record from JSON')
    .argument('<registry>', 'datasets, labels, transforms, …; files by their path in a storage', registryName)
    .argument('<json>', "the record's fields; - reads them from stdin")
    .option('--reason <text>', 'why; it stays in the history')
    .addHelpText(
      'after',
      `\nExamples:\n  $ lethe create labels '{"name":"raw"}'\n  $ lethe create datasets - < dataset.json`,
    )
    .action((registry: string, json: string, { reason }: { readonly reason?: string }, command: Command) =>
      withConnection(
        command,
        async ({ client, out, signal }) => {
          const body = parsed(json === '-' ? await fromStdin(signal) : json);
          const answer = await client.register(registry, body, { reason, signal });
          out.warnings(answer.warnings);
          await out.body(answer);
          const { record, outcome } = answer;
          if (record !== null)
            await out.line(
              outcome === 'existing' ? `${named(record)} has the same content already` : `created ${named(record)}`,
            );
        },
        { makesFolder: true },
      ),
    );
};

/** What is not read any more is closed: a pipe that stays open would keep the process. */
const fromStdin = (signal: AbortSignal): Promise<string> => textOf(addAbortSignal(signal, process.stdin));

const parsed = (json: string): unknown => {
  try {
    const value: unknown = JSON.parse(json);
    return value;
  } catch (error) {
    throw new CliError(`this is not JSON: ${error instanceof Error ? error.message : String(error)}`, WRONG_USAGE);
  }
};
