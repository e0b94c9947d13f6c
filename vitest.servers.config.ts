import { defineConfig } from 'vitest/config';

/** What needs real servers: `npm run servers` fetches them, and each file starts its own. Two files at a time: they wait as much as they work. */
export default defineConfig({
  test: {
    include: ['test/**/*.{mongodb,minio,servers}*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
