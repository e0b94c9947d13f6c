import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**', 'test/pack/**', 'test/fuzz/**', 'test/**/*.{mongodb,minio,servers}*.test.ts'],
    // Native modules, worker threads and child processes: each file gets a process of its own.
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
