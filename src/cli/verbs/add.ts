import { access, constants, realpath, stat } from 'node:fs/promises';
import { openAsBlob } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import type { CommandAnswer } from '../../client/answers.js';
import { LetheError } from '../../client/errors.js';
import { withConnection, type Context } from '../context.js';
import { CliError, WRONG_USAGE } from '../exit.js';
import { localPlaces, placeOf, placeWithin, type Place } from '../places.js';
import { startBar, type Bar } from '../progress.js';
import { counted, named, sizeText } from '../text.js';
import { walk, type Found } from '../walk.js';

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
record for each file with the key <folder>/<relative path>. Symbolic links inside a folder are skipped, with a warning.

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
  const isFolder = (await stat(real)).isDirectory();
  const home = placeOf(places, real);
  if (home !== null) return registerInPlace(context, home.place, home.path, isFolder, options);
  const within = isFolder ? placeWithin(places, real) : null;
  if (within !== null)
    throw new CliError(`${path} has the storage ${within.name} in it (${within.root}): add what you mean by itself`);
  const name = basename(resolve(path));
  if (!isFolder)
    return upload(context, [{ path: real, key: options.key ?? name, size: (await stat(real)).size }], options);
  const skipped = (entry: string, what: string): void => context.out.note(`lethe: warning: skipped ${entry}: ${what}`);
  const files = await walk(real, skipped);
  if (files.length === 0) throw new CliError(`${path} has no files in it`);
  const prefix = (options.key ?? name).replace(/\/+$/, '');
  return upload(
    context,
    files.map((file) => ({ ...file, key: `${prefix}/${file.relative}` })),
    options,
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
  await report(out, answer, (uid, size) => `registered ${uid} where it lies, ${place.name}:${body.path} (${size})`);
};

interface Upload extends Omit<Found, 'relative'> {
  readonly key: string;
}

/** One after the other. A file that is refused is reported, and the others go on; a service that fails ends it all. */
const upload = async (context: Context, files: readonly Upload[], options: Options): Promise<void> => {
  const { out, meter, fail } = context;
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const bar = await startBar(total, 'bytes');
  let before = 0;
  try {
    for (const [index, file] of files.entries()) {
      const note = files.length === 1 ? '' : `${index + 1} of ${counted(files.length, 'file')}`;
      listen(bar, meter, before, note);
      try {
        const answer = await uploadOne(context, file, options);
        bar.pause();
        await report(out, answer, (uid, size) => `added ${uid} as ${file.key} (${size})`);
      } catch (error) {
        bar.pause();
        if (files.length === 1 || !isRefusal(error)) throw error;
        await fail(error, file.path);
      }
      before += file.size;
    }
  } finally {
    meter.listen(null);
    bar.stop();
  }
};

const listen = (bar: Bar, meter: Context['meter'], before: number, note: string): void => {
  if (!process.stderr.isTTY) return;
  let sent = 0;
  meter.listen({
    restarted: () => {
      sent = 0;
    },
    sent: (bytes) => {
      sent += bytes;
      bar.at(before + sent, note);
    },
  });
};

const uploadOne = async (
  { client, signal }: Context,
  { path, key }: Upload,
  { semantic, description }: Options,
): Promise<CommandAnswer> => {
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    throw unreadable(path, error);
  }
  const metadata = { key, keyIsVirtual: semantic !== true, description: description ?? null };
  return client.upload(metadata, await openAsBlob(path), basename(path), { signal });
};

const report = async (
  out: Context['out'],
  answer: CommandAnswer,
  added: (file: string, size: string) => string,
): Promise<void> => {
  out.warnings(answer.warnings);
  await out.body(answer);
  const { record, outcome } = answer;
  if (record === null) return;
  const size = 'size' in record ? sizeText(record.size) : '';
  await out.line(outcome === 'existing' ? `${named(record)} has the same content already` : added(named(record), size));
};

const isRefusal = (error: unknown): boolean =>
  error instanceof CliError || (error instanceof LetheError && error.status >= 400 && error.status < 500);

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is nothing',
  EACCES: 'no right to read it',
  EPERM: 'no right to read it',
};

const unreadable = (path: string, error: unknown): CliError => {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  return new CliError(`${path}: ${REASONS[code] ?? (code === '' ? String(error) : code)}`, undefined, { cause: error });
};
