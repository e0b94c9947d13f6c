import { defineConfig } from 'vitest/config';

/** What takes minutes: kill -9 in a loop, a million rows. Two files at a time, as elsewhere: none of them measures time. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
