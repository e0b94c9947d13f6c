import type { Command } from 'commander';
import type { Check } from '../../upkeep/checks.js';
import { inOrder, raiseExitCode, type Surroundings } from '../context.js';
import { FAILED } from '../exit.js';
import { storesFolderOf } from '../stores.js';
import { counted, sentence } from '../text.js';

export const addDoctor = (program: Command): void => {
  program
    .command('doctor')
    .description('look at all that Lethe needs (settings, versions, stores, clock, disk, rights), and say what to do')
    .addHelpText('after', '\nExample:\n  $ lethe doctor --data ./lethe-data\n\nExits with 1 where anything is wrong.')
    .action((_options: object, command: Command) =>
      inOrder(command, (surroundings, target) => examine(surroundings, storesFolderOf(target))),
    );
};

const examine = async ({ out, signal }: Surroundings, data: string): Promise<void> => {
  const { diagnose } = await import('../../diagnosis.js');
  const checks: Check[] = [];
  for await (const check of diagnose({ ...process.env, LETHE_DATA: data }, signal)) {
    checks.push(check);
    await out.line(lineOf(check));
  }
  const faults = checks.filter(({ state }) => state === 'wrong').length;
  await out.body({ ok: faults === 0, checks });
  const warnings = checks.filter(({ state }) => state === 'warning').length;
  const beside = warnings === 0 ? '' : `; ${counted(warnings, 'warning')}`;
  await out.line(`${faults === 0 ? 'nothing is wrong' : `${counted(faults, 'thing')} to mend`}${beside}`);
  if (faults > 0) raiseExitCode(FAILED);
};

const lineOf = ({ about, state, what, todo }: Check): string =>
  `${state.padEnd(7)}  ${about}: ${todo === null ? what : `${sentence(what)} ${sentence(todo)}`}`;
