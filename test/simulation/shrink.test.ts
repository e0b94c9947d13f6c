import { expect, it } from 'vitest';
import { judge } from './judge.js';
import { scheduleOf, type Schedule } from './schedule.js';
import { shrink } from './shrink.js';
import { run, type World } from './world.js';

/** No saga sees a purge: the first that is asked for never ends. */
const spoil = ({ model }: World): void => {
  const find = model.find.bind(model);
  model.find = async (collection, query) =>
    query.where.some(({ path }) => path === 'open') ? [] : find(collection, query);
};

const neverEnds = async (schedule: Schedule): Promise<boolean> => {
  const faults = await judge(await run(schedule, { spoil }));
  return faults.some((fault) => fault.startsWith('I4 the purge of '));
};

/** Long enough to be cut, and without storages of its own, whose purge takes a call that makes them. */
const isPlain = ({ clients }: Schedule): boolean => {
  const calls = clients.flat();
  return calls.length >= 6 && !calls.some((call) => call.do === 'create' && call.registry === 'storages');
};

it('a schedule is cut short to what it takes to see its failure', async () => {
  let seed = 1;
  while (!isPlain(scheduleOf(seed)) || !(await neverEnds(scheduleOf(seed)))) seed += 1;
  const small = await shrink(scheduleOf(seed), neverEnds);
  expect(await neverEnds(small)).toBe(true);
  expect(small.faults).toEqual([]);
  expect(small.clients.flat().map((operation) => operation.do)).toEqual([expect.stringMatching(/purge|empty/)]);
  expect(small.setup.length).toBeLessThanOrEqual(2);
});
