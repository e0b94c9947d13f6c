import { defineConfig } from 'vitest/config';

/** What needs real servers: `npm run servers` fetches them, and each file starts its own. One file at a time: several servers and processes a file. */
export default defineConfig({
  test: {
    include: ['test/**/*.{mongodb,minio,servers}*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
});
