import fc from 'fast-check';
import { expect, test } from 'vitest';
import { listAsOf, recordAsOf, totalAsOf } from '../../src/projections/as-of.js';
import type { CatalogueRow, Find, ReadModel } from '../../src/storage/read-model/port.js';
import { generateLog } from '../harness/log-generator.js';
import { dumpOf, projected } from '../harness/projecting.js';
import { rowsOf } from '../harness/story.js';

/* What was so at a moment is what a model shows that was built from the log cut there. */

const find: Find = {
  where: [{ path: 'live', op: 'eq', value: true }],
  sort: [
    { path: 'record.fields.key', descending: true },
    { path: 'uid', descending: false },
  ],
  after: null,
  limit: 1_000,
};

/** What a reader sees of a row. */
const seen = ({ registry, uid, live, isLatest, record }: CatalogueRow): object =>
  live ? { registry, uid, live, isLatest, record } : { registry, uid, live, revision: record.revision };

const expectSame = async (whole: ReadModel, cut: ReadModel, position: number, at: string | null): Promise<void> => {
  for (const row of await rowsOf(whole, 'catalogue')) {
    const [then] = await cut.get('catalogue', [`${row.registry}/${row.uid}`]);
    const expected = then === undefined ? null : seen(then);
    const was = await recordAsOf(whole, row, { position });
    expect(was === null ? null : seen(was.row)).toEqual(expected);
    expect(was?.purge != null).toBe(then !== undefined && !then.live && then.record.purge?.ended != null);
    if (at === null) continue;
    const byTime = await recordAsOf(whole, row, { at });
    expect(byTime === null ? null : seen(byTime.row)).toEqual(expected);
  }
  if (at === null) return;
  const listed = await listAsOf(whole, find, at);
  expect(listed.map(seen)).toEqual((await cut.find('catalogue', find)).map(seen));
  expect(await totalAsOf(whole, find.where, at)).toBe(listed.length);
};

test('at any position, and at any time where times rise, it is what a log that ends there comes to', async () => {
  let byTime = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 1_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (seed, part) => {
        const { recorded } = generateLog(seed, 250);
        const position = 1 + Math.floor(part * (recorded.length - 1));
        const at = recorded[position - 1]?.meta.at ?? '';
        const rises = recorded.every(({ meta, position: p }) => (p <= position ? meta.at <= at : meta.at > at));
        if (rises) byTime += 1;
        await expectSame(
          await projected(recorded),
          await projected(recorded.slice(0, position)),
          position,
          rises ? at : null,
        );
      },
    ),
    { numRuns: 25 },
  );
  expect(byTime).toBeGreaterThan(0);
});

test.each([1, 3, 50])('in batches of %d the versions are the same, with no interval that is negative', async (size) => {
  const { recorded } = generateLog(5, 300);
  const model = await projected(recorded, size);
  expect(await dumpOf(model)).toBe(await dumpOf(await projected(recorded)));
  const versions = await rowsOf(model, 'versions');
  expect(versions.length).toBeGreaterThan(50);
  expect(versions.filter(({ since, until }) => since.at > until.at || since.position >= until.position)).toEqual([]);
});
