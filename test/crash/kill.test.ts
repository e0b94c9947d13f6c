import { expect, test } from 'vitest';
import { surviveKills } from './kill.js';

const KILLS = 20;
const seed = process.env['LETHE_SEED'] ?? String(Date.now() % 1_000_000_000);

test(
  'kill -9 in the middle of commands, uploads and purges loses and leaves nothing',
  { timeout: 300_000 },
  async () => {
    const survived = await surviveKills(KILLS, seed, `LETHE_SEED=${seed} npx vitest run test/crash/kill.test.ts`);
    expect(survived.kills).toBeGreaterThanOrEqual(KILLS);
  },
);
