import { describe, expect, it } from 'vitest';
import { told } from './judge.fold.js';
import { judge } from './judge.js';
import { SCENARIOS, scheduleFor } from './scenarios.js';
import { run } from './world.js';

/** In how many ways each race is run at least, and at most until what it is about has come about. */
const SEEDS = { least: 20, most: 300 };

describe('the races of deleting', () => {
  it.each(Object.entries(SCENARIOS))('%s', async (_, scenario) => {
    let shown = false;
    for (let seed = 1; seed <= SEEDS.least || (!shown && seed <= SEEDS.most); seed += 1) {
      const outcome = await run(scheduleFor(scenario, seed));
      expect({ seed, faults: await judge(outcome) }).toEqual({ seed, faults: [] });
      shown ||= scenario.shows(told(outcome.log.events));
    }
    expect(shown).toBe(true);
  });
});
