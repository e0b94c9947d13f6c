import type { Command } from 'commander';
import { raiseExitCode } from '../context.js';
import { FAILED } from '../exit.js';
import { Pace } from '../pace.js';
import { withStores, type StoresContext } from '../stores.js';
import { counted, sentence } from '../text.js';

interface Options {
  readonly hash: boolean;
}

export const addVerify = (program: Command): void => {
  program
    .command('verify')
    .description(
      'compare the log, the read model and the objects with each other, and say what is wrong; a service may run meanwhile',
    )
    .option('--no-hash', 'read no object that looks as it did when it was registered')
    .addHelpText('after', '\nExample:\n  $ lethe verify --data ./lethe-data\n\nExits with 1 where anything is wrong.')
    .action(({ hash }: Options, command: Command) => withStores(command, (context) => verify(context, hash)));
};

const verify = async ({ config, out, signal }: StoresContext, hash: boolean): Promise<void> => {
  const { verifyStores } = await import('../../upkeep.js');
  let pace: { readonly of: string; readonly shown: Pace } | null = null;
  const doing = async (what: string, done: number, total: number): Promise<void> => {
    if (pace?.of !== what) {
      await pace?.shown.stop();
      pace = { of: what, shown: new Pace(what, (text) => out.note(text)) };
    }
    await pace.shown.at(done, total);
  };
  const end = (): Promise<void> => pace?.shown.stop() ?? Promise.resolve();
  const verified = await verifyStores(config, { hash, doing, signal }).finally(end);
  await out.body(verified);
  for (const { kind, what, todo } of verified.findings) await out.line(`${kind}: ${sentence(what)} ${sentence(todo)}`);
  const found = Object.values(verified.counts).reduce((sum, count) => sum + count, 0);
  if (found > verified.findings.length) out.note(`${found - verified.findings.length} more of the same kinds`);
  const { position, rows, objects } = verified;
  const compared = `verified up to position ${position}: ${counted(rows, 'row')}, ${counted(objects, 'object')}`;
  await out.line(`${compared}; ${found === 0 ? 'nothing is wrong' : counted(found, 'finding')}`);
  if (found > 0) raiseExitCode(FAILED);
};
