import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../config.js';
import { dataFolderOf, type Target } from './connection.js';
import { inOrder, type Surroundings } from './context.js';
import { CliError, WRONG_USAGE } from './exit.js';

/** What a verb works with that works on the stores themselves. */
export interface StoresContext extends Surroundings {
  readonly config: Config;
}

/** Runs a verb of whoever operates the stores. They are those of the environment and the data folder, whether a service runs on them or not. */
export const withStores = async (command: Command, verb: (context: StoresContext) => Promise<void>): Promise<void> =>
  inOrder(command, async (surroundings, target) => {
    const data = storesFolderOf(target);
    const { readConfig } = await import('../config.js');
    const config = readConfig({ LETHE_LOG_LEVEL: 'error', ...process.env, LETHE_DATA: data });
    if (config.eventStore === null && !existsSync(data)) {
      throw new CliError(`there is no data folder ${data}. Name it with --data (LETHE_DATA)`);
    }
    await verb({ ...surroundings, config });
  });

/** @throws CliError where a service was named: it cannot do this for a caller */
export const storesFolderOf = (target: Target): string => {
  if (target.url === undefined) return dataFolderOf(target);
  throw new CliError('this works on the stores themselves: name the data folder (--data), not a service', WRONG_USAGE);
};
