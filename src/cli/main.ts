#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { raiseExitCode } from './context.js';
import { FAILED, WRONG_USAGE } from './exit.js';
import { addAdd } from './verbs/add.js';
import { addAudit } from './verbs/audit.js';
import { addCat } from './verbs/cat.js';
import { addCompletion } from './verbs/completion.js';
import { addCreate } from './verbs/create.js';
import { addDelete } from './verbs/delete.js';
import { addDoctor } from './verbs/doctor.js';
import { addGc } from './verbs/gc.js';
import { addEvents } from './verbs/events.js';
import { addHistory } from './verbs/history.js';
import { addHold } from './verbs/hold.js';
import { addInit } from './verbs/init.js';
import { addLs } from './verbs/ls.js';
import { addPurges } from './verbs/purges.js';
import { addRebuild } from './verbs/rebuild.js';
import { addReplay } from './verbs/replay.js';
import { addRestore } from './verbs/restore.js';
import { addServe } from './verbs/serve.js';
import { addSet } from './verbs/set.js';
import { addShow } from './verbs/show.js';
import { addTrash } from './verbs/trash.js';
import { addVerify } from './verbs/verify.js';

const VERBS = [
  addServe,
  addInit,
  addAdd,
  addCreate,
  addSet,
  addLs,
  addShow,
  addCat,
  addDelete,
  addRestore,
  addTrash,
  addHistory,
  addAudit,
  addPurges,
  addHold,
  addRebuild,
  addVerify,
  addGc,
  addDoctor,
  addEvents,
  addReplay,
  addCompletion,
];

const version = (): string => {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
};

/** What is set here holds for every verb, so it comes before them. */
const program = new Command('lethe')
  .description('A registry for data files: trash first, purge on purpose, a log that remembers.')
  .version(version())
  .option('--url <url>', 'the service to speak to (LETHE_URL; its key: LETHE_API_KEY)')
  .option('--data <folder>', 'else the data folder to open (LETHE_DATA, ./lethe-data)')
  .option('--json', 'print the HTTP bodies, of refusals too; lists as one array')
  .configureHelp({ showGlobalOptions: true, subcommandTerm: (verb) => verb.name() })
  .configureOutput({ outputError: (text, print) => print(text.replace(/^error: /, 'lethe: ')) })
  .exitOverride()
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 not found or purged,\n130 interrupted. lethe <verb> --help says more, with an example.',
  );
for (const add of VERBS) add(program);

// Whoever reads help may leave before its end. What verbs write has its own answer to that.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) {
    process.stderr.write(`lethe: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    raiseExitCode(FAILED);
  } else if (error.exitCode !== 0) {
    raiseExitCode(WRONG_USAGE);
  }
}
