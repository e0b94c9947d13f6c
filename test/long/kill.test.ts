import { expect, test } from 'vitest';
import { surviveKills } from '../crash/kill.js';

/** `.ci/run` says how many; by hand a few do. */
const KILLS = Number(process.env['LETHE_KILLS'] ?? 50);
/** Data folders that are worked on at once, each with its own seed: a kill is mostly waiting. */
const FOLDERS = 2;
const seed = Number(process.env['LETHE_SEED'] ?? Date.now() % 1_000_000_000);

test(`${FOLDERS} data folders survive ${KILLS} kills between them`, { timeout: 900_000 }, async () => {
  const again = `LETHE_KILLS=${KILLS} LETHE_SEED=${seed} npm run test:long -- test/long/kill.test.ts`;
  const folders = Array.from({ length: FOLDERS }, (_, index) => String(seed + index));
  const survived = await Promise.all(folders.map((own) => surviveKills(Math.ceil(KILLS / FOLDERS), own, again)));
  console.info(JSON.stringify({ seed, survived }));
  expect(survived.reduce((sum, { kills }) => sum + kills, 0)).toBeGreaterThanOrEqual(KILLS);
});
