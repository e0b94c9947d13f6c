import { expect, test } from 'vitest';
import { Progress } from '../../src/projections/progress.js';
import { AwaitPurge } from '../../src/projections/queries.js';
import { AwaitPurgeHandler } from '../../src/projections/query.handlers.js';
import { objectKept, purgeCancelled, purged } from '../../src/testing/events.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { ManualClock } from '../harness/manual-clock.js';
import { calledOff, datasets, files, modelsOf, Story } from '../harness/story.js';

const [F, D] = [files('F'), datasets('D')];

test('whose purge was called off hears that, though another purge of the record has ended by then', async () => {
  const story = new Story().file('F').dataset('D', 'F').purge(F);
  const first = story.log.head;
  story
    .happens(F, purgeCancelled({ by: [D] }))
    .points('D', ['F'], [])
    .purge(F, null)
    .happens(F, objectKept({ why: 'semantic-key' }), purged());
  const [clock, model] = [new ManualClock(), await modelsOf(story.log)];
  const progress = new Progress(clock, 1_000);
  progress.moved(BigInt(story.log.head), BigInt(story.log.head));
  const events = new InMemoryLog().open('lethe.');
  const handler = new AwaitPurgeHandler({ events, model, progress, clock, stopping: new AbortController().signal });

  const told = await handler.execute(new AwaitPurge(F, 20_000, first, 1));
  expect(told).toMatchObject({ state: 'cancelled', open: false, verdict: calledOff(D) });
  expect(await handler.execute(new AwaitPurge(F, 20_000, story.log.head, 3))).toMatchObject({ state: 'done' });
  expect(await handler.execute(new AwaitPurge(F, 0))).toMatchObject({ state: 'done' });
});
