import type { Command } from 'commander';
import { Pace } from '../pace.js';
import { withStores, type StoresContext } from '../stores.js';

export const addRebuild = (program: Command): void => {
  program
    .command('rebuild')
    .description('build the read model anew from the log, beside the live one, and switch')
    .addHelpText('after', '\nExample:\n  $ lethe rebuild --data ./lethe-data')
    .action((_options: object, command: Command) => withStores(command, rebuildModel));
};

const rebuildModel = async ({ config, out, signal }: StoresContext): Promise<void> => {
  const { rebuild } = await import('../../upkeep.js');
  const pace = new Pace('rebuilding the read model', (text) => out.note(text));
  try {
    const reached = (position: bigint, head: bigint): Promise<void> => pace.at(Number(position), Number(head));
    const rebuilt = await rebuild(config, { reached, signal });
    await out.body(rebuilt);
    await out.line(`rebuilt the read model up to position ${rebuilt.position}, in ${rebuilt.seconds.toFixed(1)} s`);
  } finally {
    await pace.stop();
  }
};
