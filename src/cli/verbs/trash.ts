import { InvalidArgumentError, Option, type Command } from 'commander';
import type { OperationAnswer, Totals, TrashList } from '../../client/answers.js';
import { pause } from '../../client/transport.js';
import { withConnection, type Context } from '../context.js';
import { CliError, FAILED, REFUSED } from '../exit.js';
import { startBar } from '../progress.js';
import { counted, named, sizeText } from '../text.js';
import { PAGE, wholeNumber } from '../paging.js';

const COLUMNS = ['registry', 'uid', 'key', 'name', 'size', 'trashedAt', 'trashedBy', 'reason', 'purgeAfter'];
const POLL_MS = 250;

interface Listing {
  readonly registry?: string;
  readonly limit?: number;
}

interface Emptying {
  readonly olderThan?: string;
  readonly registry?: string;
  readonly reason?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

const registryOption = (): Option => new Option('--registry <name>', 'only of this one').choices(['files', 'datasets']);

export const addTrash = (program: Command): void => {
  const trash = program.command('trash').description('look at the trash, or empty it');
  trash
    .command('ls')
    .description('list what lies in the trash, newest first')
    .addOption(registryOption())
    .option('--limit <n>', 'at most so many', wholeNumber)
    .addHelpText('after', '\nExample:\n  $ lethe trash ls --registry files')
    .action(({ registry, limit }: Listing, command: Command) =>
      withConnection(command, async ({ client, out, signal }) => {
        const pages = client.trash({ registry, limit: Math.min(limit ?? PAGE, PAGE) }, { signal });
        await out.list(noting(out, pages), COLUMNS, limit);
      }),
    );
  trash
    .command('empty')
    .description('purge what lies in the trash, after asking')
    .option('--older-than <duration>', 'only what has lain there so long: 30d, 12h, or ISO 8601 (P30D)', duration)
    .addOption(registryOption())
    .option('--reason <text>', 'why; it stays in the history')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'say what would happen, and do nothing')
    .addHelpText('after', '\nExample:\n  $ lethe trash empty --older-than 30d')
    .action((options: Emptying, command: Command) => withConnection(command, (context) => empty(context, options)));
};

/** The totals cover every page: they are said once. */
async function* noting(out: Context['out'], pages: AsyncIterable<TrashList>): AsyncGenerator<TrashList> {
  let said = false;
  for await (const page of pages) {
    yield page;
    const { records, bytes } = page.totals;
    if (!said && records > 0) out.note(`${counted(records, 'record')}; purging all would free ${sizeText(bytes)}`);
    said = true;
  }
}

const empty = async (context: Context, { yes, dryRun, ...criteria }: Emptying): Promise<void> => {
  const { client, out, signal } = context;
  if (dryRun === true) {
    const preview = await client.previewEmptyTrash({ ...criteria, signal });
    await out.body(preview);
    await out.line(`would delete ${totalsText(preview.totals)}`);
    return;
  }
  if (yes !== true) {
    const preview = await client.previewEmptyTrash({ ...criteria, signal });
    if (preview.totals.records === 0) {
      await out.body(preview);
      await out.line('there is nothing to delete');
      return;
    }
    await confirm(context, preview.totals);
  }
  const operation = await follow(context, await client.emptyTrash({ ...criteria, signal }));
  await out.body(operation);
  await report(context, operation);
};

const confirm = async ({ question }: Context, totals: Totals): Promise<void> => {
  if (!question.canAsk) {
    throw new CliError(
      `this would permanently delete ${totalsText(totals)}, and there is no terminal to ask: repeat with --yes`,
      REFUSED,
    );
  }
  if (await question.yes(`Permanently delete ${totalsText(totals)}? You can't undo this action. (y/N)`)) return;
  throw new CliError('not deleted; the trash stays as it is', REFUSED);
};

/** Waits until an operation is done. */
const follow = async ({ client, signal }: Context, started: OperationAnswer): Promise<OperationAnswer> => {
  const bar = await startBar(started.total.records, 'records');
  try {
    for (let operation = started; ; operation = await client.operation(started.id, { signal })) {
      bar.at(operation.total.records - operation.counts.remaining);
      if (operation.state === 'done') return operation;
      await pause(POLL_MS, signal);
    }
  } finally {
    bar.stop();
  }
};

const report = async ({ out }: Context, { counts, skipped }: OperationAnswer): Promise<void> => {
  await out.line(`deleted ${counted(counts.purged, 'record')}`);
  for (const record of skipped) out.note(`skipped ${named(record)}: ${record.code}`);
  if (counts.skipped > skipped.length) out.note(`skipped ${counts.skipped - skipped.length} more`);
  if (counts.purging === 0) return;
  throw new CliError(
    `${counted(counts.purging, 'purge')} could not end and ${counts.purging === 1 ? 'is' : 'are'} parked: lethe purges --state parked`,
    FAILED,
  );
};

const totalsText = ({ records, bytes }: Totals): string => `${counted(records, 'record')} (${sizeText(bytes)})`;

/** `30d` and its like as ISO 8601, which is what the service takes. */
const duration = (text: string): string => {
  const [, count, unit = ''] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  if (count !== undefined)
    return 'dw'.includes(unit) ? `P${count}${unit.toUpperCase()}` : `PT${count}${unit.toUpperCase()}`;
  if (/^P[\dA-Z]+$/.test(text)) return text;
  throw new InvalidArgumentError(
    'It is a number with s, m, h, d or w, such as 30d, or an ISO 8601 duration, such as P30D.',
  );
};
