import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { fetchSchemathesis } from './fetch-schemathesis.mjs';
import type { Seeded } from './seeded.js';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
/**
 * The service has no keys. What a schema allows may still name what is not there, or come too late: `hooks.py` looks at such refusals one by
 * one. And what a `DELETE` trashed can be read, as can the history of what it purged: `hooks.py` knows what has to be gone.
 */
const NOT_CHECKED = 'ignored_auth,positive_data_acceptance,use_after_free';
const REPORTED = 20_000;
const LINE = 1_000;

/** What no schema can say of a value that it allows, as Lethe's errors say it: the path, then the message. */
const BEYOND_SCHEMAS = [
  '^\\?(at|position) comes with (revision|at): send one of them$',
  '^\\?(revision|at|position) is yet to come',
  '^\\?cursor is not a cursor of this query',
  '^\\?path (must name one file|is for folders|leads below a folder \\.lethe/)',
  "^\\?sort '[a-zA-Z]+' comes twice$",
  'is not text in UTF-8$',
  'well-formed text without NUL$',
  'has a control character in it$',
  '^/path (nothing lies at|what lies below a folder \\.lethe/)',
  '^/key a semantic key (is|never lies below a folder \\.lethe/)',
  '^/storage has a meaning for a purge alone$',
  '^/records/[0-9]+ names a record twice$',
  '^/metadata must be the first part',
  '^\\S+ no [a-z]+ has the (uid|name)',
  // Absent, it is null: only some registries' own schemas take that.
  '^/data must be object$',
  // Quotes do not survive the first phase's way to a header.
  '^if-match must be a revision in quotes',
];

/** A request of five thousand uids says no more than its beginning. */
const readable = (report: string): string =>
  report
    .split('\n')
    .map((line) => (line.length > LINE ? `${line.slice(0, LINE)}…` : line))
    .join('\n')
    .slice(-REPORTED);

export interface Fuzzing {
  /** The document that says what is right: its URL, or a file. */
  readonly document: string;
  readonly phases: readonly string[];
  readonly seed: number;
  /** Of the whole run; requests at random go on until they are over. */
  readonly seconds: number;
  /** Generated requests of each route and phase. */
  readonly examples: number;
  /** Whether what a schema allows may be refused for a known reason alone: for requests that are the same in each run. */
  readonly strict?: true;
  /** Only the routes with these ids; all of them where left out. */
  readonly only?: readonly string[];
}

export interface Fuzzed {
  readonly found: boolean;
  /** How many requests were sent. */
  readonly requests: number;
  /** What it says, the end of it where it is long. */
  readonly report: string;
}

/** Sends generated requests to a service and holds its answers against a document. @throws Error where it could not */
export const fuzz = async ({ service, uids, broken }: Seeded, it: Fuzzing): Promise<Fuzzed> => {
  const child = spawn(
    await fetchSchemathesis(),
    [
      ...['--config-file', `${FOLDER}schemathesis.toml`, 'run', it.document, '--url', service.url, '--no-color'],
      ...[
        '--phases',
        it.phases.join(','),
        '--checks',
        'all',
        '--exclude-checks',
        NOT_CHECKED,
        '--seed',
        String(it.seed),
      ],
      ...['--max-time', String(it.seconds), '--max-examples', String(it.examples)],
      ...['--generation-database', 'none', '--exclude-path-regex', '^/v1/events$'],
      ...(it.only ?? []).flatMap((id) => ['--include-operation-id', id]),
    ],
    {
      env: {
        PATH: process.env['PATH'],
        PYTHONPATH: FOLDER,
        PYTHONDONTWRITEBYTECODE: '1',
        SCHEMATHESIS_HOOKS: 'hooks',
        LETHE_FUZZ_UIDS: JSON.stringify(uids),
        LETHE_FUZZ_BROKEN: JSON.stringify(broken),
        LETHE_FUZZ_BEYOND_SCHEMAS: JSON.stringify(it.strict === true ? BEYOND_SCHEMAS : ['']),
      },
      cwd: service.data,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let report = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      report += text;
    });
  }
  const [code]: (number | null)[] = await once(child, 'close');
  const requests = Number(/(\d+) generated/.exec(report)?.[1] ?? 0);
  // 1 is also the code of a run that broke down: only one that sent something and counted it has found anything.
  if ((code !== 0 && code !== 1) || requests === 0) throw new Error(`the fuzz broke down (${code}):\n${report}`);
  return { found: code === 1, requests, report: readable(report) };
};
