import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { load, type Load } from './load.js';
import { startLethe, using } from './processes.js';
import { table, told, type Benchmark, type Report } from './report.js';
import { caughtUp, get, list, register } from './requests.js';
import { fixed, median } from './statistics.js';

const CASES = ['get by uid', 'list of 50', 'register'] as const;
type Case = (typeof CASES)[number];
const AMOUNT: Readonly<Record<Case, number>> = { 'get by uid': 300, 'list of 50': 60, register: 60 };
const BULK = 1_000;
const LOOK_MS = 250;

const operationSchema = z.object({
  state: z.string(),
  total: z.object({ records: z.number() }),
  counts: z.object({ purged: z.number(), skipped: z.number(), remaining: z.number() }),
});

/** What callers wait for while the trash is emptied, beside what they wait for when nothing else is done: the same requests, one connection. */
export const emptying: Benchmark = async ({ quick, folders, say }) => {
  const folder = await folders.ready('emptying', quick ? 2_000 : 210_000);
  const records = folder.untouched.length;
  return using(await startLethe(folder.path), async ({ url }) => {
    const next = { 'get by uid': get(folder.untouched.slice(0, 10_000)), 'list of 50': list, register: register() };
    const run = (each: Case): Promise<Load> =>
      load({ url, connections: 1, amount: AMOUNT[each], status: each === 'register' ? 201 : 200, next: next[each] });
    const round = async (): Promise<Record<Case, Load>> => ({
      'get by uid': await run('get by uid'),
      'list of 50': await run('list of 50'),
      register: await run('register'),
    });
    say('warming up');
    await round();
    const idle = [await round(), await round(), await round()];
    say(`putting ${records} records into the trash`);
    const trashing = performance.now();
    let position = 0;
    for (let at = 0; at < records; at += BULK) position = await trash(url, folder.untouched.slice(at, at + BULK));
    const endedAt = performance.now();
    const trashed: Trashed = {
      perSecond: records / ((endedAt - trashing) / 1_000),
      lagMs: await caughtUp(url, { position, endedAt }),
    };
    say('emptying it');
    const began = performance.now();
    const answer = await fetch(`${url}/v1/trash?permanent=true`, { method: 'DELETE' });
    const place = answer.headers.get('location');
    if (answer.status !== 202 || place === null) throw new Error(`${answer.status} to DELETE /trash`);
    next['get by uid'] = get(await visible(url));
    const busy: Record<Case, Load>[] = [];
    let seen = await look(url + place);
    while (seen.state !== 'done') {
      busy.push(await round());
      await sleep(LOOK_MS);
      seen = await look(url + place);
    }
    const seconds = (performance.now() - began) / 1_000;
    if (seen.counts.purged < records || seen.counts.skipped > 0) throw new Error(`not purged: ${JSON.stringify(seen)}`);
    return report(trashed, idle, busy, seen.counts.purged, seconds);
  });
};

/** @returns the answer's position */
const trash = async (url: string, uids: readonly string[]): Promise<number> => {
  const body = JSON.stringify({ action: 'trash', records: uids.map((uid) => ({ registry: 'files', uid })) });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}/v1/bulk`, { method: 'POST', headers, body });
  const { results } = z.object({ results: z.array(z.object({ status: z.number() })) }).parse(await answer.json());
  if (results.some(({ status }) => status !== 200)) throw new Error('a record could not be trashed');
  return Number(answer.headers.get('x-position'));
};

const visible = async (url: string): Promise<string[]> => {
  const answer = await fetch(`${url}/v1/files?limit=1000`);
  const { items } = z.object({ items: z.array(z.object({ uid: z.string() })) }).parse(await answer.json());
  return items.map(({ uid }) => uid);
};

const look = async (place: string): Promise<z.infer<typeof operationSchema>> =>
  operationSchema.parse(await (await fetch(place)).json());

interface Trashed {
  readonly perSecond: number;
  /** From the last answer until a query saw all of it. */
  readonly lagMs: number;
}

const report = (
  trashed: Trashed,
  idle: readonly Record<Case, Load>[],
  busy: readonly Record<Case, Load>[],
  purged: number,
  seconds: number,
): Report => {
  const rows = CASES.flatMap((each) =>
    (['p50', 'p99'] as const).map((share) => {
      const [before, during] = [idle, busy].map((rounds) => median(rounds.map((round) => round[each][share])));
      const ratio = (during ?? 0) / (before ?? 1);
      return [each, share, fixed(before ?? 0, 2), fixed(during ?? 0, 2), fixed(ratio, 1)];
    }),
  );
  return {
    results: [
      told(
        `Trashing by ${fixed(BULK, 0)} a request`,
        `${fixed(trashed.perSecond, 0)} a second; a query saw the last ${fixed(trashed.lagMs, 0)} ms after its answer`,
      ),
      told(
        'Emptying the trash',
        `${fixed(purged, 0)} records in ${fixed(seconds, 0)} s: ${fixed(purged / seconds, 0)} a second`,
      ),
      ...rows.map(([each = '', share = '', before = '', during = '', ratio = '']) =>
        told(
          `${each}, ${share} while it is emptied, against an idle service`,
          `${ratio}: ${during} ms against ${before} ms`,
        ),
      ),
    ],
    details: [
      'Milliseconds on one connection, medians of the rounds. The records have virtual keys and no objects, so each purge asks the store once and deletes nothing.',
      table(['what', '', 'idle', 'while emptying', 'ratio'], rows),
    ].join('\n\n'),
  };
};
