import { defineConfig } from 'vitest/config';

/** What needs the package packed and installed anew: minutes, and the npm registry. */
export default defineConfig({
  test: {
    include: ['test/pack/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 600_000,
  },
});
