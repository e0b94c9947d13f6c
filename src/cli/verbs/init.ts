import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { inOrder } from '../context.js';
import { CliError } from '../exit.js';
import type { Output } from '../output.js';
import { storesFolderOf } from '../stores.js';

export const addInit = (program: Command): void => {
  program
    .command('init')
    .summary('make the data folder and its lethe.json')
    .description('make the data folder and its lethe.json; where they are, nothing changes')
    .option('--storage <dir>', 'the folder where objects live, as root of the storage default')
    .addHelpText('after', '\nExample:\n  $ lethe init --data ./lethe-data --storage ./my-bucket')
    .action(({ storage }: { readonly storage?: string }, command: Command) =>
      inOrder(command, ({ out }, target) =>
        init(out, storesFolderOf(target), storage === undefined ? null : resolve(storage)),
      ),
    );
};

const init = async (out: Output, data: string, storage: string | null): Promise<void> => {
  const file = join(data, 'lethe.json');
  const config = storage === null ? {} : { storages: [{ name: 'default', root: `file:${storage}` }] };
  if (existsSync(file)) {
    const there = parsed(file, await readFile(file, 'utf8'));
    await out.body({ data, created: false, config: there });
    await out.line(`${file} is there already; nothing was changed`);
    if (storage !== null && JSON.stringify(there) !== JSON.stringify(config)) {
      out.note(`lethe: warning: it was not written with --storage ${storage}; look into ${file}`);
    }
    return;
  }
  await mkdir(data, { recursive: true, mode: 0o700 });
  if (storage !== null) await mkdir(storage, { recursive: true });
  await writeFile(file, `${JSON.stringify(config, null, 2)}\n`, { flag: 'wx' });
  await out.body({ data, created: true, config });
  await out.line(`made ${file}${storage === null ? '' : `; objects live in ${storage}`}`);
};

const parsed = (file: string, text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    throw new CliError(`${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
};
