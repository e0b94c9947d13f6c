import { Option, type Command } from 'commander';
import { withConnection, type Context } from '../context.js';
import { PAGE, wholeNumber } from '../paging.js';

interface Filters {
  readonly actor?: string;
  readonly type?: string;
  readonly registry?: string;
  readonly uid?: string;
  readonly from?: string;
  readonly to?: string;
  readonly correlationId?: string;
}

interface Options extends Filters {
  readonly order?: string;
  readonly limit?: number;
  readonly follow?: boolean;
  readonly after?: string;
}

const COLUMNS = ['position', 'at', 'actor', 'type', 'registry', 'uid', 'revision', 'reason', 'data'];

export const addAudit = (program: Command): void => {
  program
    .command('audit')
    .summary('list what happened to all records')
    .description('list what happened to all records, newest first; --follow shows what happens from now on')
    .option('--actor <name>', 'only what this one did')
    .option('--type <event>', 'only this, such as RecordTrashed')
    .option('--registry <registry>', 'only in this one')
    .option('--uid <uid>', 'only to this record, as <uid> or <registry>/<uid>')
    .option('--from <time>', 'not before: RFC 3339, such as 2026-11-23T00:57:00Z')
    .option('--to <time>', 'before that')
    .option('--correlation-id <id>', 'only what belongs to this request')
    .addOption(new Option('--order <which>', 'desc: newest first; asc: oldest first').choices(['desc', 'asc']))
    .option('--limit <n>', 'at most so many', wholeNumber)
    .option('--follow', 'go on with what happens, until Ctrl-C; with --json one event a line')
    .option('--after <position>', 'with --follow: begin behind this position')
    .addHelpText(
      'after',
      `
Examples:
  $ lethe audit --type RecordTrashed --from 2026-11-23T00:00:00Z
  $ lethe audit --uid heBmDcUZSbbsRR6dMz2r --order asc
  $ lethe audit --actor alice --follow`,
    )
    .action(({ follow, ...options }: Options, command: Command) => {
      if (follow === true && options.order !== undefined) command.error('error: --follow has one order: as it happens');
      if (follow !== true && options.after !== undefined) command.error('error: --after needs --follow');
      return withConnection(command, (context) => (follow === true ? live(context, options) : list(context, options)));
    });
};

const list = async ({ client, out, signal }: Context, { order, limit, ...filters }: Options): Promise<void> => {
  const query = queryOf(filters);
  if (order !== undefined) query.set('order', order);
  query.set('limit', String(Math.min(limit ?? PAGE, PAGE)));
  await out.list(client.audit(query, { signal }), COLUMNS, limit);
};

/** Until it has shown as many as were asked for, or is interrupted. */
const live = async ({ client, out, signal }: Context, { after, limit, ...filters }: Options): Promise<void> => {
  const query = queryOf(filters);
  if (after !== undefined) query.set('after', after);
  await out.live(client.events(query, { signal }), COLUMNS, limit);
};

const queryOf = ({ uid, registry, ...filters }: Filters): URLSearchParams => {
  const query = new URLSearchParams();
  const slash = uid?.indexOf('/') ?? -1;
  const all = {
    ...filters,
    registry: registry ?? (slash < 0 ? undefined : uid?.slice(0, slash)),
    uid: uid?.slice(slash + 1),
  };
  for (const [name, value] of Object.entries(all)) if (value !== undefined) query.set(name, value);
  return query;
};
