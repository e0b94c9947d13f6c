import { defineConfig } from 'vitest/config';

/** What takes minutes: kill -9 in a loop, full disks, long simulations. One file at a time, so that each has the machine to itself. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
