import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { DataFolders } from './data-folders.js';
import { emptying } from './emptying.js';
import { lamindb } from './lamindb.js';
import { latency } from './latency.js';
import { machine } from './machine.js';
import { memory } from './memory.js';
import { makeScratchFolder } from './places.js';
import { profile } from './profile.js';
import { rebuild } from './rebuild.js';
import type { Benchmark } from './report.js';
import { markdown, writeResults, type Run } from './results.js';
import { eventstore, mongodb } from './servers.js';
import { start } from './start.js';
import { throughput } from './throughput.js';
import { upload } from './upload.js';

/*
 * `npm run bench` measures everything and writes bench/RESULTS.md; `npm run bench -- <name…>` measures a part and only prints it, or
 * with `--write` writes bench/RESULTS.<name…>.md. `--quick` takes small numbers and only prints: to see whether everything runs.
 */

interface Part {
  readonly name: string;
  readonly title: string;
  readonly benchmark: Benchmark;
}

/** In this order: the log that `rebuild` builds from is then there for those that follow. */
const WHOLE: readonly Part[] = [
  { name: 'throughput', title: 'Commands against the floor', benchmark: throughput },
  { name: 'upload', title: 'Uploads', benchmark: upload },
  { name: 'rebuild', title: 'Rebuild', benchmark: rebuild },
  { name: 'start', title: 'Start', benchmark: start },
  { name: 'latency', title: 'Latency with few and with many records', benchmark: latency },
  { name: 'emptying', title: 'Emptying the trash', benchmark: emptying },
  { name: 'lamindb', title: 'A script, beside LaminDB', benchmark: lamindb },
  { name: 'memory', title: 'Memory', benchmark: memory },
  { name: 'eventstore', title: 'Rebuild from EventStoreDB', benchmark: eventstore },
  { name: 'mongodb', title: 'Rebuild into MongoDB', benchmark: mongodb },
];
const BY_NAME: readonly Part[] = [...WHOLE, { name: 'profile', title: 'Profile', benchmark: profile }];

const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !BY_NAME.some((part) => part.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `There is no benchmark ${unknown.join(', ')}; there are ${BY_NAME.map(({ name }) => name).join(', ')}.\n`,
  );
  process.exit(2);
}
const { quick, write } = values;
if (quick && write) {
  process.stderr.write('The numbers of a quick run are too small to be written down: leave --quick or --write out.\n');
  process.exit(2);
}
const chosen = positionals.length === 0 ? WHOLE : BY_NAME.filter(({ name }) => positionals.includes(name));

const scratch = makeScratchFolder();
process.once('exit', () => rmSync(scratch, { recursive: true, force: true, maxRetries: 3 }));
const say = (line: string): void => {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
};

const at = new Date();
const measuredOn = machine(scratch);
const parts: Run['parts'][number][] = [];
const failures: Run['failures'][number][] = [];
const folders = new DataFolders(scratch, say);
for (const { name, title, benchmark } of chosen) {
  say(`${name} begins`);
  try {
    const report = await benchmark({ quick, rounds: quick ? 3 : 5, folders, say: (line) => say(`${name}: ${line}`) });
    parts.push({ name, title, report });
  } catch (error) {
    // The others are worth their time all the same.
    say(`${name} broke off: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    failures.push({ name, why: error instanceof Error ? error.message : String(error) });
  }
}
const run: Run = { at, quick, only: positionals, machine: measuredOn, parts, failures };
process.stdout.write(markdown(run));
if ((positionals.length === 0 || write) && !quick) say(`written to ${await writeResults(run)}`);
process.exit(failures.length === 0 ? 0 : 1);
