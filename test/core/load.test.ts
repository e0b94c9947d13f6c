import { expect, test } from 'vitest';
import { load } from '../../src/projections/load.js';
import { CheckpointMoved } from '../../src/storage/errors.js';
import type { ReadModel, Rebuild } from '../../src/storage/read-model/port.js';
import { registered, uidFor } from '../../src/testing/events.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import { TestLog } from '../../src/testing/log.js';
import { dumpOf, projected } from '../harness/projecting.js';

/** A log that grows by one event each time that somebody is asked whether a model may take the live one's place. */
const rebuilt = async (model: ReadModel, behind: number): Promise<{ position: bigint; asked: bigint[] }> => {
  const written = new TestLog();
  for (let n = 0; n < 10 + behind; n += 1) written.happens({ registry: 'files', uid: uidFor(`f${n}`) }, registered());
  const log = new InMemoryLog();
  log.load(written.stored.slice(0, 10));
  const asked: bigint[] = [];
  const built: Rebuild = {
    model,
    replace: async () => {
      asked.push(await model.checkpoint());
      const next = written.stored.slice(9 + asked.length, 10 + asked.length);
      log.load(next);
      return next.length === 0;
    },
    close: async () => undefined,
  };
  const events = log.open('lethe.');
  const signal = new AbortController().signal;
  const position = await load({ events, prefix: 'lethe.', built, reached: async () => undefined, signal });
  expect(await dumpOf(model)).toBe(await dumpOf(await projected(written.recorded)));
  return { position, asked };
};

test('a rebuild carries on what came meanwhile, until its model may take the live one’s place', async () => {
  expect(await rebuilt(inMemoryReadModel(), 3)).toEqual({ position: 13n, asked: [10n, 11n, 12n, 13n] });
});

test('and goes on where a worker fills the same model', async () => {
  const inner = inMemoryReadModel();
  let lost = 0;
  const contested: ReadModel = {
    ...inner,
    apply: async (changes, from, to) => {
      await inner.apply(changes, from, to);
      lost += 1;
      if (lost % 2 === 1) throw new CheckpointMoved('the worker was quicker with the same batch');
    },
  };
  expect(await rebuilt(contested, 2)).toMatchObject({ position: 12n });
  expect(lost).toBeGreaterThan(1);
});
