import { expect, test } from '@jest/globals';
import {
  given,
  held,
  OnHold,
  PurgeRecord,
  purgeRequested,
  registered,
  replay,
  SimulatedIds,
  SimulatedRandom,
  SimulatedTime,
  startLethe,
  trashed,
} from 'lethe/testing';

const EVENTS = new URL('../production.ndjson', import.meta.url);

test('what is trashed can be purged, and what is held can not', () => {
  given(registered(), trashed())
    .when(new PurgeRecord({ storage: 'delete' }))
    .then(purgeRequested({ storage: 'delete' }));
  given(registered(), trashed(), held()).when(new PurgeRecord()).then(OnHold);
});

test('the log of a live service comes to what it came to there', async () => {
  const rows = await replay(EVENTS);
  expect(rows.find({ visibility: -1 })).toHaveLength(3);
  expect(rows.purges('done')).toHaveLength(1);
});

test('chance, ids and time follow from a seed', () => {
  const [one, other] = [1, 1].map((seed) => new SimulatedIds(new SimulatedRandom(seed)).uuid());
  expect(one).toBe(other);
  const time = new SimulatedTime(Date.parse('2026-11-25T00:00:00Z'));
  time.pass(60_000);
  expect(time.clock().now().toISOString()).toBe('2026-11-25T00:01:00.000Z');
});

test('a service of its own, for one test', async () => {
  const lethe = await startLethe();
  try {
    const answer = await fetch(`${lethe.url}/v1/files`);
    expect((await answer.json()).items).toEqual([]);
  } finally {
    await lethe.close();
  }
}, 60_000);
