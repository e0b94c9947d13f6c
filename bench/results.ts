import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { ROOT } from './places.js';
import { table, type Report, type Result } from './report.js';

/** Written by hand: what takes the time where a number falls short. */
const NOTES = join(ROOT, 'bench', 'NOTES.md');

export interface Run {
  readonly at: Date;
  readonly quick: boolean;
  /** The parts that were asked for; none: all. */
  readonly only: readonly string[];
  readonly machine: readonly (readonly [string, string])[];
  readonly parts: readonly { readonly name: string; readonly title: string; readonly report: Report }[];
  readonly failures: readonly { readonly name: string; readonly why: string }[];
}

/** A run as Markdown. */
export const markdown = ({ at, quick, only, machine, parts, failures }: Run): string => {
  const results = parts.flatMap(({ report }) => report.results);
  const short = results.filter(({ met }) => met === false);
  const text = [
    '# Benchmarks',
    `Made by \`npm run bench${only.length === 0 ? '' : ` -- ${only.join(' ')} --write`}\` on ${at.toISOString().slice(0, 10)} from ${commit()}; don't edit it.` +
      (quick ? ' **A quick run: its numbers are too small to mean anything.**' : ''),
    table(['machine', ''], machine),
    'The load comes from one process on the same machine, so that it and what it measures share the cores, the floor as much as Lethe. ' +
      'A number with a range in brackets is the median of the runs, with the lowest and the highest; a ratio is taken within a round, between runs that stand side by side.',
    '## Summary',
    table(['what', 'measured', 'wanted', 'met'], results.map(row)),
    ...failures.map(({ name, why }) => `**${name} broke off:** ${why}`),
    '## Where it falls short',
    short.length === 0
      ? 'Nothing that was wanted was missed.'
      : short.map(({ what, measured, wanted }) => `- ${what}: ${measured}; wanted ${wanted ?? ''}.`).join('\n'),
    ...(only.length === 0 && existsSync(NOTES) ? [readFileSync(NOTES, 'utf8').trim()] : []),
    ...parts.flatMap(({ title, report }) => [`## ${title}`, report.details]),
  ];
  return `${text.join('\n\n')}\n`;
};

const row = ({ what, measured, wanted, met }: Result): string[] => [
  what,
  measured,
  wanted ?? '',
  met === null ? '' : met ? 'yes' : '**no**',
];

export const writeResults = async (run: Run): Promise<string> => {
  const file = join(ROOT, 'bench', ['RESULTS', ...run.only, 'md'].join('.'));
  const options = await resolveConfig(file);
  writeFileSync(file, await format(markdown(run), { ...options, filepath: file }));
  return file;
};

const commit = (): string => {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return `commit ${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', 'src') === '' ? '' : ' with changes'}`;
  } catch {
    return 'a checkout without git'; // an unpacked archive has none, and the benchmarks run there too
  }
};
