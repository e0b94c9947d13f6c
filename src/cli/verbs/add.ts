import { realpath, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { withConnection, type Context } from '../context.js';
import { CliError, WRONG_USAGE } from '../exit.js';
import { localPlaces, placeOf, placeWithin, type Place } from '../places.js';
import { unreadable, upload, reportAdded } from '../uploading.js';
import { walk } from '../walk.js';

interface Options {
  readonly key?: string;
  readonly semantic?: boolean;
  readonly description?: string;
}

export const addAdd = (program: Command): void => {
  program
    .command('add')
    .summary('register files and folders')
    .description('register files and folders: in place where they lie in a storage, else by a copy')
    .argument('<path...>', 'files or folders')
    .option('--key <key>', 'the name to give it; for a folder, what stands before the names in it')
    .option('--semantic', 'let the key be the path in the storage (needs --key)')
    .option('--description <text>', 'what it is')
    .addHelpText(
      'after',
      `
A path inside a storage is registered where it lies, a folder as one record. Anything else is copied to a virtual key, a folder as one
record for each file with the key <folder>/<relative path>. Symbolic links inside a folder are skipped, with a warning. Interrupted, it
may be started again: what is there already is not added twice.

Examples:
  $ lethe add mydf.parquet --description mydf
  $ lethe add results/ --key runs/7`,
    )
    .action((paths: string[], options: Options, command: Command) => {
      if (options.semantic === true && options.key === undefined) command.error('error: --semantic needs --key');
      if (options.key !== undefined && paths.length > 1) command.error('error: --key names one path, not several');
      return withConnection(command, (context) => addAll(context, paths, options), { makesFolder: true });
    });
};

const addAll = async (context: Context, paths: readonly string[], options: Options): Promise<void> => {
  const places = await localPlaces(context);
  for (const path of paths) {
    try {
      await addOne(context, places, path, options);
    } catch (error) {
      await context.fail(error, paths.length > 1 ? path : undefined);
    }
  }
};

const addOne = async (context: Context, places: readonly Place[], path: string, options: Options): Promise<void> => {
  const real = await realpath(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  const found = await stat(real);
  const isFolder = found.isDirectory();
  // A pipe or a device has a size of 0, and would be kept as an empty file.
  if (!isFolder && !found.isFile()) throw new CliError(`${path}: no regular file. Write what it gives into one first`);
  const home = placeOf(places, real);
  if (home !== null) return registerInPlace(context, home.place, home.path, isFolder, options);
  const within = isFolder ? placeWithin(places, real) : null;
  if (within !== null)
    throw new CliError(`${path} has the storage ${within.name} in it (${within.root}): add what you mean by itself`);
  const name = basename(resolve(path));
  if (!isFolder)
    return upload(context, [{ path: real, key: options.key ?? name, size: found.size }], {
      ...options,
      each: false,
    });
  const skipped = (entry: string, what: string): void => context.out.note(`lethe: warning: skipped ${entry}: ${what}`);
  const files = await walk(real, skipped);
  if (files.length === 0) throw new CliError(`${path} has no files in it`);
  const prefix = (options.key ?? name).replace(/\/+$/, '');
  return upload(
    context,
    files.map((file) => ({ ...file, key: `${prefix}/${file.relative}` })),
    { ...options, each: true },
  );
};

const registerInPlace = async (
  { client, out, signal }: Context,
  place: Place,
  path: string,
  isFolder: boolean,
  options: Options,
): Promise<void> => {
  if (path === '') throw new CliError(`this is the root of the storage ${place.name}: add something in it`);
  if (options.key !== undefined && options.key.replace(/\/$/, '') !== path) {
    throw new CliError(
      `it lies in the storage ${place.name}, where its key is its path, ${path}: leave --key out`,
      WRONG_USAGE,
    );
  }
  const body = { path: isFolder ? `${path}/` : path, storage: place.uid, description: options.description ?? null };
  const answer = await client.register('files', body, { signal });
  await reportAdded(
    out,
    answer,
    (uid, size) => `registered ${uid} where it lies, ${place.name}:${body.path} (${size})`,
  );
};
