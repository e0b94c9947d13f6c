import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { dataFolderOf } from '../connection.js';
import { raiseExitCode, type GlobalOptions } from '../context.js';
import { FAILED } from '../exit.js';
import { Output } from '../output.js';

export const addInit = (program: Command): void => {
  program
    .command('init')
    .summary('make the data folder and its lethe.json')
    .description('make the data folder and its lethe.json; where they are, nothing changes')
    .option('--storage <dir>', 'the folder where objects live, as root of the storage default')
    .addHelpText('after', '\nExample:\n  $ lethe init --data ./lethe-data --storage ./my-bucket')
    .action(async ({ storage }: { readonly storage?: string }, command: Command) => {
      const { json = false, data } = command.optsWithGlobals<GlobalOptions>();
      const out = new Output(json);
      try {
        await init(
          out,
          dataFolderOf(data === undefined ? {} : { data }),
          storage === undefined ? null : resolve(storage),
        );
      } catch (error) {
        out.error(error, null);
        raiseExitCode(FAILED);
      }
    });
};

const init = async (out: Output, data: string, storage: string | null): Promise<void> => {
  const file = join(data, 'lethe.json');
  const config = storage === null ? {} : { storages: [{ name: 'default', root: `file:${storage}` }] };
  if (existsSync(file)) {
    const there: unknown = JSON.parse(await readFile(file, 'utf8'));
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
