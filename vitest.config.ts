import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**', 'test/pack/**', 'test/fuzz/**', 'test/**/*.{mongodb,minio,servers}*.test.ts'],
    // Native modules, worker threads and child processes: each file gets a process of its own.
    pool: 'forks',
    // Files wait for processes that they started as much as they work: two at a time on two processors, too.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Where one of these is reached, something hangs: how fast a machine is, no test asks.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
