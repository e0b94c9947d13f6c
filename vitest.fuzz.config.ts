import { defineConfig } from 'vitest/config';

/** Generated requests to every route of the OpenAPI document. The first run fetches Schemathesis. */
export default defineConfig({
  test: {
    include: ['test/fuzz/**/*.fuzz.test.ts'],
    pool: 'forks',
    testTimeout: 150_000,
    hookTimeout: 600_000,
  },
});
