import type { DataFolder } from './data-folders.js';
import { load, type Load } from './load.js';
import { startLethe, using } from './processes.js';
import { table, type Benchmark, type Report, type Result } from './report.js';
import { counted, Deck, get, list, restore, trash } from './requests.js';
import { fixed, median, spread } from './statistics.js';

const OPERATIONS = ['trash', 'list of 50', 'get by uid'] as const;
type Operation = (typeof OPERATIONS)[number];
const CONNECTIONS = [64, 1] as const;
const MOST = 1.3;

/** Requests a run. All rounds of trashing together stay below the records of the smaller folder, so that each meets a record of one event. */
const AMOUNTS: { readonly [O in Operation]: { readonly [C in (typeof CONNECTIONS)[number]]: number } } = {
  trash: { 64: 900, 1: 300 },
  'list of 50': { 64: 1_000, 1: 300 },
  'get by uid': { 64: 3_000, 1: 1_000 },
};

interface Times {
  readonly p50: number;
  readonly p99: number;
}
interface Pair {
  readonly small: Times | null;
  readonly large: Times | null;
}
interface Case {
  readonly operation: Operation;
  readonly connections: (typeof CONNECTIONS)[number];
}
const CASES: readonly Case[] = OPERATIONS.flatMap((operation) =>
  CONNECTIONS.map((connections) => ({ operation, connections })),
);

/** The same requests to a service with few records and to one with many, in turns; the one that is not asked is idle. */
export const latency: Benchmark = async ({ quick, rounds, folders, say }) => {
  const few = await folders.ready('small', quick ? 2_000 : 10_000);
  const many = await folders.ready('large', quick ? 20_000 : 1_000_000);
  return using(await startLethe(few.path), async (small) =>
    using(await startLethe(many.path), async (large) => {
      const sides = { small: new Side(small.url, few, quick), large: new Side(large.url, many, quick) };
      say('warming up');
      for (const side of [sides.small, sides.large]) for (const each of CASES) await side.run(each);
      const pairs = new Map<Case, Pair[]>(CASES.map((each) => [each, []]));
      for (let number = 1; number <= rounds; number += 1) {
        for (const each of CASES) {
          // Who comes first changes with each round.
          const first = number % 2 === 0 ? 'large' : 'small';
          const one = await sides[first].run(each);
          const other = await sides[first === 'small' ? 'large' : 'small'].run(each);
          pairs.get(each)?.push(first === 'small' ? { small: one, large: other } : { small: other, large: one });
        }
        say(`round ${number} of ${rounds} is through`);
      }
      return report(pairs, few.records, many.records);
    }),
  );
};

/** One of the two services, and what it is asked. */
class Side {
  private readonly visible: Deck;
  private readonly trashed = new Deck([]);
  private readonly get: ReturnType<typeof get>;

  constructor(
    private readonly url: string,
    folder: DataFolder,
    private readonly quick: boolean,
  ) {
    this.visible = new Deck([...folder.untouched]);
    this.get = get(folder.untouched.slice(0, 10_000));
  }

  /** @returns null where no run counted */
  async run({ operation, connections }: Case): Promise<Load | null> {
    const amount = Math.ceil(AMOUNTS[operation][connections] / (this.quick ? 5 : 1));
    const wanted = { url: this.url, connections, amount, status: 200 };
    if (operation === 'list of 50') return load({ ...wanted, next: list });
    if (operation === 'get by uid') return load({ ...wanted, next: this.get });
    const { run } = await counted({ ...wanted, next: trash(this.visible, this.trashed) });
    // Back to where it was, so that every round meets as many visible records as the first.
    const back = { ...wanted, connections: 64, amount: this.trashed.left, next: restore(this.trashed, this.visible) };
    await counted(back);
    return run;
  }
}

const report = (pairs: ReadonlyMap<Case, readonly Pair[]>, few: number, many: number): Report => {
  const results: Result[] = [];
  const rows: string[][] = [];
  for (const [{ operation, connections }, runs] of pairs) {
    const whole = runs.flatMap(({ small, large }) => (small === null || large === null ? [] : [{ small, large }]));
    const on = connections === 1 ? '1 connection' : `${connections} connections`;
    const measured = (['p50', 'p99'] as const).map((share) => ({
      share,
      ratios: whole.map(({ small, large }) => large[share] / small[share]),
      small: median(whole.map(({ small }) => small[share])),
      large: median(whole.map(({ large }) => large[share])),
    }));
    for (const { share, ratios, small, large } of measured) {
      results.push({
        what: `${operation}, ${share} on ${on}: ${fixed(many, 0)} records against ${fixed(few, 0)}`,
        measured:
          whole.length === runs.length
            ? `${spread(ratios, 2)}: ${fixed(large, 2)} ms against ${fixed(small, 2)} ms`
            : `${runs.length - whole.length} of ${runs.length} runs did not count: the read model was behind`,
        wanted: `at most ${MOST}`,
        met: whole.length === runs.length && median(ratios) <= MOST,
      });
      rows.push([operation, on, share, ...runs.map((pair) => shown(pair, share))]);
    }
  }
  const rounds = Math.max(...[...pairs.values()].map(({ length }) => length));
  const numbers = Array.from({ length: rounds }, (_, index) => `round ${index + 1}`);
  return {
    results,
    details: [
      `Milliseconds with ${fixed(few, 0)} / with ${fixed(many, 0)} file records. Both services run, one is asked at a time. ` +
        'Each trashed record had one event and is restored before the next run, unmeasured. A list is `GET /v1/files`, fifty records of about a kilobyte; ' +
        'a get takes one of 10,000 records in turn.',
      table(['what', 'on', '', ...numbers], rows),
    ].join('\n\n'),
  };
};

const shown = ({ small, large }: Pair, share: 'p50' | 'p99'): string =>
  [small, large].map((times) => (times === null ? 'did not count' : fixed(times[share], 2))).join(' / ');
