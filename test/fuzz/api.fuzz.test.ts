import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { discard } from '../harness/service.js';
import { fetchSchemathesis } from './fetch-schemathesis.mjs';
import { fuzz, type Fuzzed, type Fuzzing } from './fuzzing.js';
import { startSeeded, type Seeded } from './seeded.js';

/* What the OpenAPI document says of every route, held against what a real process answers to generated requests, right and wrong ones. */

let seeded: Seeded;

beforeAll(async () => {
  await fetchSchemathesis();
  seeded = await startSeeded();
});

afterAll(() => discard(seeded.service));

const openApi = (): string => `${seeded.service.url}/openapi.json`;

const expectNothing = ({ found, requests, report }: Fuzzed, atLeast: number): void => {
  expect(found, report).toBe(false);
  expect(requests).toBeGreaterThan(atLeast);
  expect(seeded.service.process.exitCode).toBeNull();
};

describe('the check itself', () => {
  const live = async (schema: object): Promise<Fuzzed> => {
    const document = (await seeded.service.request('GET', '/openapi.json')).body;
    document.components.schemas.Live = schema;
    const file = join(seeded.service.data, 'changed.json');
    await writeFile(file, JSON.stringify(document));
    return fuzz(seeded, {
      document: file,
      phases: ['fuzzing'],
      seed: 1,
      seconds: 15,
      examples: 2,
      only: ['getLiveness'],
    });
  };

  it('finds an answer that is not as the document says', async () => {
    const { found, report } = await live({ type: 'object', required: ['uptime'] });
    expect(found).toBe(true);
    expect(report).toMatch(/"uptime" is a required property/);
  });

  it('finds nothing where it is', async () => {
    const { found, report } = await live({ type: 'object', required: ['status'] });
    expect(found, report).toBe(false);
  });
});

describe('every route answers as the document says', () => {
  it('to each bound of each parameter, in, at and beyond it', async () => {
    const phases = ['examples', 'coverage'];
    const every: Fuzzing = { document: openApi(), phases, seed: 1, seconds: 180, examples: 10, strict: true };
    expectNothing(await fuzz(seeded, every), 1_000);
  });

  it('to requests at random, and to what follows from answers', async () => {
    const seed = Number(process.env['LETHE_FUZZ_SEED'] ?? randomInt(1_000_000));
    console.log(`LETHE_FUZZ_SEED=${seed} npm run fuzz repeats this`);
    const phases = ['fuzzing', 'stateful'];
    expectNothing(await fuzz(seeded, { document: openApi(), phases, seed, seconds: 40, examples: 15 }), 100);
  });
});
