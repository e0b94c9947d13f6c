import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findMinio } from '../servers/minio.js';
import { whyNoMongod } from '../servers/mongod.js';
import { FleetRun } from './fleet.run.js';

const SECONDS = Number(process.env['LETHE_FLEET_SECONDS'] ?? 20);
const seed = process.env['LETHE_SEED'] ?? String(Date.now() % 1_000_000_000);
const again = `LETHE_SEED=${seed} LETHE_FLEET_SECONDS=${SECONDS} npx vitest run --config vitest.servers.config.ts test/crash/fleet.servers.test.ts`;

const minio = (await whyNoMongod()) === null ? await findMinio() : null;

/** Fails with the way to repeat it. */
const repeatable = async (work: () => Promise<void>): Promise<void> => {
  try {
    await work();
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}\n\nAgain: ${again}`, {
      cause: error,
    });
  }
};

describe.skipIf(minio === null)(
  'two that answer and two that work, on the same servers [needs mongod] [needs minio]',
  () => {
    if (minio === null) return;
    let run: FleetRun;

    beforeAll(() => repeatable(async () => void (run = await FleetRun.start(minio, seed))));
    afterAll(() => run.close());

    test(
      'lose and double nothing while processes are killed and servers go away',
      { timeout: (SECONDS + 240) * 1_000 },
      () =>
        repeatable(async () => {
          const told = await run.survive(SECONDS);
          console.info([`seed ${seed}`, ...told].join('\n'));
          await run.settled();
          await run.check();
          expect(run.fleet.members.reduce((kills, member) => kills + member.kills, 0)).toBeGreaterThan(0);
          console.info(JSON.stringify(run.counts()));
        }),
    );

    test.each([0, 1])('a worker that stalls is taken over, and what it does too late is not done twice (%i)', (index) =>
      repeatable(async () => {
        const worker = run.fleet.workers[index];
        if (worker === undefined) throw new RangeError(`there is no worker ${index}`);
        const purges = await run.purgeable(90, `stalled-${index}`);
        // The other has to carry out what is asked for while this one stands still.
        const took = await run.stall(worker, purges, 10_000);
        await run.settled();
        await run.check();
        console.info(`${worker.name} stalled: the other had carried out its first purge after ${Math.round(took)} ms`);
      }),
    );
  },
);
