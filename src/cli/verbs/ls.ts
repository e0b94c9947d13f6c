import { InvalidArgumentError, type Command } from 'commander';
import { withConnection } from '../context.js';
import { PAGE, wholeNumber } from '../paging.js';
import { registryName } from '../refs.js';

interface Options {
  readonly visibility?: string;
  readonly where?: readonly (readonly [string, string])[];
  readonly at?: string;
  readonly sort?: string;
  readonly limit?: number;
}

/** LaminDB's columns of an artifact in its order, under our names. */
const FILE_COLUMNS = [
  'uid',
  'storage',
  'key',
  'suffix',
  'accessor',
  'description',
  'version',
  'size',
  'hash',
  'hashType',
  'objects',
  'transform',
  'run',
  'visibility',
  'keyIsVirtual',
  'createdAt',
  'updatedAt',
  'createdBy',
];
const DATASET_COLUMNS = [
  'uid',
  'name',
  'description',
  'version',
  'files',
  'transform',
  'run',
  'visibility',
  'createdAt',
  'updatedAt',
  'createdBy',
];
const PLAIN_COLUMNS = ['uid', 'name', 'description', 'data', 'createdAt', 'updatedAt'];
const COLUMNS: Readonly<Record<string, readonly string[]>> = { files: FILE_COLUMNS, datasets: DATASET_COLUMNS };

export const addLs = (program: Command): void => {
  program
    .command('ls')
    .description('list the records of a registry')
    .argument('[registry]', 'files, datasets, storages, labels, …', registryName, 'files')
    .option(
      '--visibility <which>',
      '1 (visible), 0 (hidden), -1 (in the trash), several with commas, or any (default: 1)',
    )
    .option('--where <condition>', 'field=value or field[operator]=value; may be repeated', condition)
    .option('--at <time>', 'what was visible then: RFC 3339, such as 2026-11-23T00:57:00Z')
    .option('--sort <fields>', 'such as -updatedAt,uid (default: -createdAt)')
    .option('--limit <n>', 'at most so many', wholeNumber)
    .addHelpText(
      'after',
      `
Operators: ne, gt, gte, lt, lte, in (a,b), startsWith, contains, null (true or false). Conditions are joined by AND.

Examples:
  $ lethe ls
  $ lethe ls files --where suffix=.parquet --where "size[gte]=1000" --sort -size --limit 10
  $ lethe ls --where "key[startsWith]=sales/" --at 2026-11-23T00:57:00Z`,
    )
    .action((registry: string, { visibility, where = [], at, sort, limit }: Options, command: Command) =>
      withConnection(command, async ({ client, out, signal }) => {
        const query = new URLSearchParams();
        for (const [name, value] of where) query.append(name, value);
        if (visibility !== undefined) query.append('visibility', visibility);
        if (at !== undefined) query.append('at', at);
        if (sort !== undefined) query.append('sort', sort);
        query.append('limit', String(Math.min(limit ?? PAGE, PAGE)));
        await out.list(client.list(registry, query, { signal }), COLUMNS[registry] ?? PLAIN_COLUMNS, limit);
      }),
    );
};

/** Parameters that are no fields, and have options of their own or none. */
const RESERVED = ['visibility', 'at', 'sort', 'limit', 'cursor', 'count'];

const condition = (
  text: string,
  before: readonly (readonly [string, string])[] | undefined,
): (readonly [string, string])[] => {
  const equals = text.indexOf('=');
  const name = text.slice(0, equals);
  if (equals < 1) throw new InvalidArgumentError('It is field=value, or field[operator]=value.');
  if (RESERVED.includes(name)) throw new InvalidArgumentError(`${name} is no field.`);
  return [...(before ?? []), [name, text.slice(equals + 1)]];
};
