import { expect, test } from 'vitest';
import { surviveKills } from '../crash/kill.js';

/** `.ci/run` says how many; by hand a few do. */
const KILLS = Number(process.env['LETHE_KILLS'] ?? 50);
const seed = process.env['LETHE_SEED'] ?? String(Date.now() % 1_000_000_000);

test(`the data folder survives ${KILLS} kills in a row`, { timeout: 900_000 }, async () => {
  const again = `LETHE_KILLS=${KILLS} LETHE_SEED=${seed} npm run test:long -- test/long/kill.test.ts`;
  const survived = await surviveKills(KILLS, seed, again);
  console.info(JSON.stringify({ seed, ...survived }));
  expect(survived.kills).toBeGreaterThanOrEqual(KILLS);
});
