import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Collection, Condition, Scalar, Sort } from '../../src/storage/read-model/port.js';
import { rangesOf } from '../../src/storage/read-model/mongodb.query.js';
import { NEEDS_MONGOD, sharedMongod, whyNoSharedMongod, type Mongod } from '../servers/mongod.js';
import { OpenedModels } from './read-model.mongodb.opened.js';
import { STORAGE, event, file, purge, trashed, uid } from './read-model.rows.js';

const missing = await whyNoSharedMongod();

/** What MongoDB does for the questions that are asked most, or that would hurt most, among some thousand rows. */
describe.skipIf(missing !== null)(`query plans of MongoDB ${NEEDS_MONGOD}`, () => {
  let mongod: Pick<Mongod, 'urlOf' | 'cleanup'>;
  let models: OpenedModels;

  beforeAll(async () => {
    mongod = await sharedMongod();
    models = new OpenedModels(mongod);
    const model = await models.open();
    const time = (i: number): string => new Date(Date.UTC(2026, 10, 1) + i * 60_000).toISOString();
    const catalogue = Array.from({ length: 3_000 }, (_, i) => {
      const record = { createdAt: time(i), updatedAt: time(i), ...(i % 10 === 0 && trashed(time(i))) };
      const fields = {
        key: `k${i % 500}`,
        hash: `h${i}`,
        path: `p${i}`,
        initialVersion: i % 5 === 0 ? uid(i % 40) : null,
      };
      return file(i, fields, { record, row: { pointsTo: [`labels/${i % 300}`] } });
    });
    const history = catalogue.map((row, i) => event(i, { uid: row.uid }));
    const purges = catalogue
      .slice(0, 1_000)
      .map((row, i) =>
        purge(
          row.uid,
          i,
          i % 20 === 0 ? { open: true, deleting: true } : { open: false, deleting: false, stoodUntil: i },
        ),
      );
    await model.apply({ catalogue, history, purges }, 0n, 1n);
  });
  afterAll(async () => {
    await models.cleanup();
    await mongod.cleanup();
  });

  /** For each range of the page: the indexes that are read, how many rows are looked at, and whether they are sorted. */
  const plansOf = async (
    collection: Collection,
    where: readonly Condition[],
    sort: readonly Sort[],
    after: readonly Scalar[] | null = null,
  ): Promise<{ indexes: string; sorted: boolean; looked: number }[]> => {
    const plans = [];
    for (const range of rangesOf(collection, { where, sort, after, limit: 20 })) {
      const found = models.db.collection(`${collection}_1`).find(range.filter, { sort: range.sort, limit: 20 });
      const { queryPlanner, executionStats } = await found.explain('executionStats');
      const plan = JSON.stringify(queryPlanner.winningPlan);
      const indexes = new Set([...plan.matchAll(/"indexName":"([^"]+)"/g)].map(([, name]) => name));
      if (plan.includes('COLLSCAN')) indexes.add('none');
      plans.push({
        indexes: [...indexes].join(),
        sorted: plan.includes('"stage":"SORT"'),
        looked: executionStats.totalDocsExamined,
      });
    }
    return plans;
  };

  const listed: readonly Condition[] = [
    { path: 'registry', op: 'eq', value: 'files' },
    { path: 'live', op: 'eq', value: true },
  ];
  const shown: Condition = { path: 'record.visibility', op: 'eq', value: 1 };
  const by = (path: string, descending: boolean): Sort[] => [
    { path, descending },
    { path: 'uid', descending },
  ];
  const byUid: Sort[] = [{ path: 'uid', descending: false }];

  test.each([
    ['record.createdAt', 'by_created', '2026-11-02T00:00:00.000Z'],
    ['record.updatedAt', 'by_updated', '2026-11-02T00:00:00.000Z'],
    ['record.fields.key', 'by_key', 'k300'],
  ])('a list sorted by %s reads just its page from %s, the first one and every other', async (path, index, value) => {
    for (const descending of [true, false]) {
      for (const after of [null, [value, uid(5)]]) {
        for (const plan of await plansOf('catalogue', [...listed, shown], by(path, descending), after)) {
          expect(plan).toMatchObject({ indexes: index, sorted: false });
          expect(plan.looked).toBeLessThanOrEqual(20);
        }
      }
    }
  });

  test('several visibilities are pages merged, each from the index', async () => {
    const several: Condition = { path: 'record.visibility', op: 'in', value: [1, 0, -1] };
    const [plan] = await plansOf('catalogue', [...listed, several], by('record.createdAt', true));
    expect(plan).toMatchObject({ indexes: 'by_created', sorted: false });
    expect(plan?.looked).toBeLessThanOrEqual(23);
  });

  test('the trash reads by_trashing', async () => {
    const where: Condition[] = [
      { path: 'record.trashing.at', op: 'null', value: false },
      { path: 'live', op: 'eq', value: true },
      { path: 'record.visibility', op: 'eq', value: -1 },
    ];
    for (const after of [null, ['2026-11-02T00:00:00.000Z', uid(5)]]) {
      for (const plan of await plansOf('catalogue', where, by('record.trashing.at', true), after)) {
        expect(plan).toMatchObject({ indexes: 'by_trashing', sorted: false });
        expect(plan.looked).toBeLessThanOrEqual(20);
      }
    }
  });

  test('uids of a registry are looked up by key', async () => {
    const where: Condition[] = [...listed, { path: 'uid', op: 'in', value: [uid(1), uid(2)] }];
    const [plan] = await plansOf('catalogue', where, by('record.createdAt', true));
    expect(plan).toMatchObject({ indexes: '_id_', looked: 2 });
  });

  test.each<[string, Collection, string | RegExp, Condition[]]>([
    ['who points at a record', 'catalogue', 'members.pointsTo', [{ path: 'pointsTo', op: 'has', value: 'labels/7' }]],
    [
      'what lies in a folder',
      'catalogue',
      'by_object',
      [
        { path: 'record.fields.storage', op: 'eq', value: STORAGE },
        { path: 'record.fields.path', op: 'startsWith', value: 'p299' },
      ],
    ],
    ['the same content', 'catalogue', 'by_hash', [{ path: 'record.fields.hash', op: 'eq', value: 'h7' }]],
    ['a line of versions', 'catalogue', 'by_line', [{ path: 'record.fields.initialVersion', op: 'eq', value: uid(5) }]],
    [
      'storages',
      'catalogue',
      // Storages are few: an index that begins with the registry finds no more of them.
      /^by_(place|created)$/,
      [
        { path: 'registry', op: 'eq', value: 'storages' },
        { path: 'record.fields.place', op: 'null', value: false },
      ],
    ],
    [
      'deletions that stand in a folder',
      'purges',
      'by_deleting',
      [
        { path: 'deleting', op: 'eq', value: true },
        { path: 'object.storage', op: 'eq', value: STORAGE },
        { path: 'object.path', op: 'startsWith', value: '.lethe/' },
      ],
    ],
  ])('%s: what projections ask of the %s reads %s', async (_, collection, index, where) => {
    const [plan] = await plansOf(collection, where, byUid);
    expect(plan?.indexes).toMatch(index);
    expect(plan?.looked).toBeLessThanOrEqual(100);
  });

  test('the work-list of purges reads by_open', async () => {
    const open: Condition[] = [
      { path: 'open', op: 'eq', value: true },
      { path: 'state', op: 'ne', value: 'parked' },
    ];
    const [plan] = await plansOf('purges', open, by('purge.position', false));
    expect(plan?.indexes).toBe('by_open');
    expect(plan?.looked).toBeLessThanOrEqual(50);
  });

  test('whether purges of an operation are to come is read from by_operation', async () => {
    const pending: Condition[] = [
      { path: 'purge.operation', op: 'eq', value: uid(1) },
      { path: 'state', op: 'in', value: ['pending', 'failed'] },
    ];
    const [plan] = await plansOf('purges', pending, [{ path: 'state', descending: false }]);
    expect(plan).toMatchObject({ indexes: 'by_operation', sorted: false });
  });

  test('the last ticks are read from the end of by_tick', async () => {
    const ticks: Condition[] = [
      { path: 'data.logTimeMs', op: 'null', value: false },
      { path: 'position', op: 'lte', value: '2000' },
    ];
    const [plan] = await plansOf('history', ticks, [{ path: 'position', descending: true }]);
    expect(plan).toEqual({ indexes: 'by_tick', sorted: false, looked: 0 });
  });

  test('deletions that stand past their end are read from by_lingering', async () => {
    const lingering: Condition[] = [
      { path: 'lingers', op: 'eq', value: true },
      { path: 'stoodUntil', op: 'gt', value: 1 },
    ];
    const [plan] = await plansOf('purges', lingering, [{ path: 'stoodUntil', descending: false }]);
    expect(plan).toEqual({ indexes: 'by_lingering', sorted: false, looked: 0 });
  });

  test("a record's history is read from by_record, a registry's from the end of the log", async () => {
    const registry: Condition = { path: 'registry', op: 'eq', value: 'files' };
    const one = await plansOf(
      'history',
      [registry, { path: 'uid', op: 'eq', value: uid(1) }],
      [{ path: 'revision', descending: false }],
    );
    expect(one).toEqual([{ indexes: 'by_record', sorted: false, looked: 1 }]);
    const latest = await plansOf('history', [registry], [{ path: 'position', descending: true }], [100]);
    expect(latest[0]).toMatchObject({ sorted: false, looked: 20 });
    expect(latest[0]?.indexes).toMatch(/^(_id_|by_position)$/);
  });

  test.each<[string, string, Condition]>([
    ['actor', 'by_actor', { path: 'actor', op: 'eq', value: 'nobody' }],
    ['type', 'by_type', { path: 'type', op: 'eq', value: 'RecordPurged' }],
    ['call', 'by_command', { path: 'commandId', op: 'eq', value: 'nothing' }],
    ['request', 'by_correlation', { path: 'correlationId', op: 'eq', value: 'nothing' }],
  ])('the audit by %s reads a stretch of %s and sorts nothing', async (_, index, condition) => {
    const upTo: Condition = { path: 'position', op: 'lte', value: '2000' };
    for (const descending of [true, false]) {
      for (const after of [null, ['1000']]) {
        const [plan] = await plansOf('history', [condition, upTo], [{ path: 'position', descending }], after);
        expect(plan).toEqual({ indexes: index, sorted: false, looked: 0 });
      }
    }
  });
});
