import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Option, type Command } from 'commander';
import type { Context } from '../context.js';
import { withConnection } from '../context.js';
import { CliError, PipeClosed, WRONG_USAGE } from '../exit.js';

interface Options {
  readonly path?: string;
  readonly visibility?: string;
}

export const addCat = (program: Command): void => {
  program
    .command('cat')
    .description("write a file's bytes to stdout")
    .argument('<uid>', 'the file, as <uid> or files/<uid>')
    .option('--path <name>', 'of a folder: the one file in it')
    .addOption(new Option('--visibility <which>', 'any: also of a file in the trash').choices(['any']))
    .addHelpText('after', '\nExample:\n  $ lethe cat heBmDcUZSbbsRR6dMz2r > mydf.parquet')
    .action((name: string, options: Options, command: Command) =>
      withConnection(command, (context) => copy(context, uidOf(name), options)),
    );
};

const uidOf = (name: string): string => {
  const [registry, uid] = name.includes('/') ? name.split('/', 2) : ['files', name];
  if (registry === 'files' && uid !== undefined) return uid;
  throw new CliError(`cat is for files; ${name} has no bytes`, WRONG_USAGE);
};

const copy = async ({ client, signal }: Context, uid: string, { path, visibility }: Options): Promise<void> => {
  const answer = await client.content(uid, { path, visibility }, { signal });
  if (answer.body === null) return;
  try {
    await pipeline(Readable.fromWeb(answer.body), process.stdout, { end: false, signal });
  } catch (error) {
    if (
      error instanceof Error &&
      'code' in error &&
      (error.code === 'EPIPE' || error.code === 'ERR_STREAM_PREMATURE_CLOSE')
    )
      throw new PipeClosed();
    throw error;
  }
};
