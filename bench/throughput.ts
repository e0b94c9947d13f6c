import { load } from './load.js';
import { compiled } from './places.js';
import { startLethe, startServer, using } from './processes.js';
import { table, told, type Benchmark, type Report, type Result } from './report.js';
import { counted, Deck, register, restore, trash } from './requests.js';
import { fixed, median, spread } from './statistics.js';

const CONNECTIONS = 64;
const COMMANDS = ['trash', 'restore', 'register'] as const;
const WANTED: { readonly [C in (typeof COMMANDS)[number]]: number | null } = {
  trash: 0.5,
  restore: 0.5,
  register: null,
};

interface Round {
  readonly floor: number;
  readonly commands: { readonly [C in (typeof COMMANDS)[number]]: Measured | null };
  readonly void: number;
}
interface Measured {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly lagMs: number;
}

/** Lethe's commands against the floor, side by side: floor, trash, restore, register, floor, … */
export const throughput: Benchmark = async ({ quick, rounds, folders, say }) => {
  const amount = quick ? 1_000 : 10_000;
  const folder = await folders.ready('medium', quick ? 10_000 : 100_000);
  const floorData = folders.empty('floor');
  return using(await startServer(compiled('floor.js'), { FLOOR_DATA: floorData }), async (floor) =>
    using(await startLethe(folder.path), async (lethe) => {
      const visible = new Deck([...folder.untouched]);
      const trashed = new Deck([]);
      const wanted = { url: lethe.url, connections: CONNECTIONS, status: 200 };
      const next = { trash: trash(visible, trashed), restore: restore(trashed, visible), register: register() };

      let floorAt = 0;

      const round = async (size: number): Promise<Round> => {
        const bare = await load({
          url: floor.url,
          connections: CONNECTIONS,
          amount: size,
          status: 200,
          next: () => ({ method: 'POST', path: '/append' }),
        });
        if (bare.position - floorAt !== size) throw new Error('the floor did not append one event a request');
        floorAt = bare.position;
        const trashing = await counted({ ...wanted, amount: size, next: next.trash });
        const restoring = await counted({ ...wanted, amount: size, next: next.restore });
        const registering = await counted({ ...wanted, amount: size, status: 201, next: next.register });
        return {
          floor: bare.perSecond,
          commands: { trash: trashing.run, restore: restoring.run, register: registering.run },
          void: trashing.void + restoring.void + registering.void,
        };
      };

      say('warming up');
      await round(quick ? 300 : 3_000);
      const done: Round[] = [];
      for (let number = 1; number <= rounds; number += 1) {
        const one = await round(amount);
        done.push(one);
        say(
          `round ${number}: floor ${shown(one.floor)}/s, ${COMMANDS.map((c) => `${c} ${rateOf(one, c)}`).join(', ')}`,
        );
      }
      return report(done, amount, folder.records);
    }),
  );
};

const shown = (perSecond: number): string => fixed(perSecond, 0);
const rateOf = (round: Round, command: (typeof COMMANDS)[number]): string => {
  const run = round.commands[command];
  return run === null ? 'did not count' : `${shown(run.perSecond)}/s (${fixed(run.perSecond / round.floor, 2)})`;
};

const report = (rounds: readonly Round[], amount: number, records: number): Report => {
  const results: Result[] = [
    told(
      'The floor',
      `${spread(
        rounds.map(({ floor }) => floor),
        0,
      )} requests/s`,
    ),
  ];
  for (const command of COMMANDS) {
    const runs = rounds.flatMap((round) => {
      const run = round.commands[command];
      return run === null ? [] : [{ ...run, ratio: run.perSecond / round.floor }];
    });
    const ratios = runs.map(({ ratio }) => ratio);
    const wanted = WANTED[command];
    const what = command === 'register' ? 'Registering a plain record' : command === 'trash' ? 'Trash' : 'Restore';
    results.push({
      what: `${what}, as a share of the floor`,
      measured:
        runs.length === rounds.length
          ? `${spread(ratios, 2)}, ${shown(median(runs.map(({ perSecond }) => perSecond)))}/s`
          : `${rounds.length - runs.length} of ${rounds.length} runs did not count: the read model was behind`,
      wanted: wanted === null ? null : `at least ${wanted}`,
      met: wanted === null ? null : runs.length === rounds.length && median(ratios) >= wanted,
    });
  }
  const rows = rounds.map((round, index) => [
    String(index + 1),
    shown(round.floor),
    ...COMMANDS.flatMap((command) => {
      const run = round.commands[command];
      if (run === null) return ['did not count', '', ''];
      return [rateOf(round, command), `${fixed(run.p50, 1)} / ${fixed(run.p99, 1)}`, fixed(run.lagMs, 0)];
    }),
  ]);
  const head = COMMANDS.flatMap((command) => [`${command}/s (of the floor)`, 'p50 / p99, ms', 'behind, ms']);
  const voids = rounds.reduce((sum, round) => sum + round.void, 0);
  return {
    results,
    details: [
      `${fixed(amount, 0)} requests a run on ${CONNECTIONS} keep-alive connections, no pipelining, in turns: floor, trash, restore, register. ` +
        'The floor is a process of its own: bare Nest on Fastify, one append of one 300-byte event to a stream of its own by the same SQLite adapter, ' +
        `which answers when it is on disk. Lethe has ${fixed(records, 0)} file records; each is trashed and restored by one request, and the positions prove ` +
        'that every request appended one event. "Behind" is how long after the last answer a query held all of the run; a run counts up to 1,000 ms, ' +
        `and is repeated at most twice. Runs that did not count: ${voids}.`,
      table(['round', 'floor/s', ...head], rows),
    ].join('\n\n'),
  };
};
