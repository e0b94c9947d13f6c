import Database from 'better-sqlite3';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Collection, Condition, Find, ReadModel, Scalar, Sort } from '../../src/storage/read-model/port.js';
import { openSqliteReadModel } from '../../src/storage/read-model/sqlite.js';
import { findSql, totalSql, type Sql } from '../../src/storage/read-model/sqlite.query.js';
import { STORAGE, uid } from './read-model.rows.js';

/** What SQLite is going to do for the questions that are asked most, or that would hurt most: stated, so that no change loses an index. */
describe('query plans of SQLite', () => {
  let folder: string;
  let model: ReadModel;
  let path: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lethe-plans-'));
    path = join(folder, 'model.db');
    model = await openSqliteReadModel({ file: path, mode: 'read-write' });
  });
  afterAll(async () => {
    await model.close();
    await rm(folder, { recursive: true });
  });

  const explain = ({ text, values }: Sql, ...more: number[]): string => {
    const db = new Database(path, { readonly: true });
    try {
      return db
        .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${text}`)
        .all(...values, ...more)
        .map(({ detail }) => detail)
        .join('\n');
    } finally {
      db.close();
    }
  };
  /** One plan for each range of the page. */
  const plans = (
    collection: Collection,
    where: readonly Condition[],
    sort: readonly Sort[],
    after: readonly Scalar[] | null = null,
  ): string[] => {
    const find: Find = { where, sort, after, limit: 50 };
    return findSql(collection, find).map((sql) => explain(sql, 50));
  };

  const listed: readonly Condition[] = [
    { path: 'registry', op: 'eq', value: 'files' },
    { path: 'live', op: 'eq', value: true },
    { path: 'record.visibility', op: 'eq', value: 1 },
  ];
  const newestFirst: readonly Sort[] = [
    { path: 'record.createdAt', descending: true },
    { path: 'uid', descending: true },
  ];
  const AT = '2026-11-01T00:00:00.000Z';
  const SORT = /TEMP B-TREE/;

  test('the default list reads just its page from by_created, the first one and every other', () => {
    for (const after of [null, [AT, uid(1)]]) {
      for (const plan of plans('catalogue', listed, newestFirst, after)) {
        expect(plan).toMatch(
          /^SEARCH t USING COVERING INDEX catalogue_by_created \(registry=\? AND live=\? AND record\.visibility=\?/,
        );
        expect(plan).not.toMatch(SORT);
        expect(plan).not.toMatch(/SCAN/);
      }
    }
    // The next page begins where the last one ended, not at the beginning.
    expect(plans('catalogue', listed, newestFirst, [AT, uid(1)])).toEqual([
      expect.stringMatching(/createdAt=\? AND uid<\?\)$/),
      expect.stringMatching(/createdAt=\? AND uid=\?\)$/),
      expect.stringMatching(/createdAt<\?\)$/),
      expect.stringMatching(/createdAt=\?\)$/),
    ]);
  });

  test.each([
    ['record.updatedAt', 'by_updated'],
    ['record.fields.key', 'by_key'],
  ])('a list sorted by %s reads %s, up and down', (sorted, index) => {
    for (const descending of [true, false]) {
      const sort = [
        { path: sorted, descending },
        { path: 'uid', descending },
      ];
      for (const after of [null, ['a', uid(1)], [null, uid(1)]]) {
        for (const plan of plans('catalogue', listed, sort, after)) {
          expect(plan).toMatch(`COVERING INDEX catalogue_${index} (registry=? AND live=? AND record.visibility=?`);
          expect(plan).not.toMatch(SORT);
        }
      }
    }
  });

  test('several visibilities are pages merged, each from the index', () => {
    const where: Condition[] = [...listed.slice(0, 2), { path: 'record.visibility', op: 'in', value: [1, 0, -1] }];
    for (const plan of plans('catalogue', where, newestFirst, [AT, uid(1)])) {
      expect(
        plan.match(/COVERING INDEX catalogue_by_created \(registry=\? AND live=\? AND record\.visibility=\?/g),
      ).toHaveLength(3);
      expect(plan).not.toMatch(/SCAN t/);
    }
  });

  test('the trash reads by_trashing, its totals nothing else', () => {
    const where: readonly Condition[] = [
      { path: 'record.trashing.at', op: 'null', value: false },
      { path: 'live', op: 'eq', value: true },
      { path: 'record.visibility', op: 'eq', value: -1 },
    ];
    const sort: readonly Sort[] = [
      { path: 'record.trashing.at', descending: true },
      { path: 'uid', descending: true },
    ];
    for (const after of [null, [AT, uid(1)]]) {
      for (const plan of plans('catalogue', where, sort, after)) {
        expect(plan).toMatch(/COVERING INDEX catalogue_by_trashing \(live=\?/);
        expect(plan).not.toMatch(SORT);
      }
    }
    const freed: Condition[] = [
      ...where,
      { path: 'record.hold.at', op: 'null', value: true },
      { path: 'record.fields.keyIsVirtual', op: 'eq', value: true },
      { path: 'record.fields.storage', op: 'in', value: [STORAGE] },
    ];
    expect(explain(totalSql('catalogue', freed, 'record.fields.size'))).toMatch(/COVERING INDEX catalogue_by_trashing/);
  });

  test('counting a list reads the index alone', () => {
    expect(explain(totalSql('catalogue', listed, undefined))).toMatch(/^SEARCH t USING COVERING INDEX catalogue_by_/);
  });

  test('a prefix of a key is a stretch of by_key', () => {
    const where: Condition[] = [...listed, { path: 'record.fields.key', op: 'startsWith', value: 'sales/' }];
    const byKey: Sort[] = [
      { path: 'record.fields.key', descending: false },
      { path: 'uid', descending: false },
    ];
    const [plan] = plans('catalogue', where, byKey);
    expect(plan).toMatch(
      /catalogue_by_key \(registry=\? AND live=\? AND record\.visibility=\? AND record\.fields\.key>\? AND record\.fields\.key<\?\)$/,
    );
  });

  test('uids of a registry are looked up by key', () => {
    const where: Condition[] = [...listed, { path: 'uid', op: 'in', value: [uid(1), uid(2)] }];
    expect(plans('catalogue', where, newestFirst)[0]).toMatch(/sqlite_autoindex_catalogue_1 \(_key=\?\)/);
  });

  test('same content is found by its hash', () => {
    const where: Condition[] = [
      { path: 'record.fields.hash', op: 'eq', value: 'h' },
      { path: 'record.fields.storage', op: 'eq', value: STORAGE },
      { path: 'live', op: 'eq', value: true },
    ];
    expect(plans('catalogue', where, newestFirst)[0]).toMatch(/INDEX catalogue_by_hash \(record\.fields\.hash=\?\)/);
  });

  test("a record's history is read from by_record, a registry's from the end of the log", () => {
    const registry: Condition = { path: 'registry', op: 'eq', value: 'files' };
    const byRevision: Sort[] = [{ path: 'revision', descending: false }];
    const [one] = plans('history', [registry, { path: 'uid', op: 'eq', value: uid(1) }], byRevision);
    expect(one).toBe('SEARCH t USING COVERING INDEX history_by_record (uid=? AND registry=?)');
    const latest: Sort[] = [{ path: 'position', descending: true }];
    expect(plans('history', [registry], latest)).toEqual(['SCAN t USING COVERING INDEX history_by_position']);
  });

  const upTo: Condition = { path: 'position', op: 'lte', value: '1000' };
  test.each<[string, string, Condition[]]>([
    ['by actor', 'by_actor (actor=? AND', [{ path: 'actor', op: 'eq', value: 'ann' }]],
    ['by type', 'by_type (type=? AND', [{ path: 'type', op: 'eq', value: 'RecordPurged' }]],
    ['by call', 'by_command (commandId=? AND', [{ path: 'commandId', op: 'eq', value: 'c' }]],
    ['by request', 'by_correlation (correlationId=? AND', [{ path: 'correlationId', op: 'eq', value: 'c' }]],
    [
      'by time',
      'by_position (',
      [
        { path: 'at', op: 'gte', value: AT },
        { path: 'at', op: 'lt', value: AT },
      ],
    ],
    [
      'of a registry, by time',
      'by_position (',
      [
        { path: 'registry', op: 'eq', value: 'files' },
        { path: 'at', op: 'lt', value: AT },
      ],
    ],
  ])('the audit %s reads a stretch of %s and sorts nothing', (_, index, where) => {
    for (const descending of [true, false]) {
      for (const after of [null, ['100']]) {
        for (const plan of plans('history', [...where, upTo], [{ path: 'position', descending }], after)) {
          expect(plan).toContain(`COVERING INDEX history_${index}`);
          expect(plan).not.toMatch(SORT);
        }
      }
    }
  });

  test('whether purges of an operation are to come is read from by_operation', () => {
    const where: Condition[] = [
      { path: 'purge.operation', op: 'eq', value: uid(1) },
      { path: 'state', op: 'in', value: ['pending', 'failed'] },
    ];
    const [plan] = plans('purges', where, [{ path: 'state', descending: false }]);
    expect(plan).toMatch(/INDEX purges_by_operation \(purge\.operation=\? AND state=\?\)/);
    expect(plan).not.toMatch(SORT);
  });

  test('what projections ask stands while the model loads', async () => {
    const asked: (() => void)[] = [
      () => {
        const where: Condition[] = [
          { path: 'pointsTo', op: 'has', value: 'files/x' },
          { path: 'live', op: 'eq', value: true },
        ];
        const [plan] = plans('catalogue', where, [{ path: 'uid', descending: false }]);
        expect(plan).toMatch(
          /SEARCH m0 USING PRIMARY KEY \(member=\?\)\nSEARCH t USING INTEGER PRIMARY KEY \(rowid=\?\)/,
        );
      },
      ...(['in', 'startsWith'] as const).map((op) => () => {
        const place: Condition =
          op === 'in'
            ? { path: 'record.fields.path', op, value: ['a', 'b/'] }
            : { path: 'record.fields.path', op, value: 'a/' };
        const where: Condition[] = [
          { path: 'record.fields.storage', op: 'eq', value: STORAGE },
          { path: 'live', op: 'eq', value: true },
          place,
        ];
        expect(plans('catalogue', where, [{ path: 'uid', descending: false }])[0]).toMatch(
          /INDEX catalogue_by_object \(record\.fields\.storage=\? AND record\.fields\.path[=>]\?/,
        );
      }),
      () => {
        const where: Condition[] = [{ path: 'record.fields.initialVersion', op: 'eq', value: uid(1) }];
        expect(plans('catalogue', where, [{ path: 'uid', descending: false }])[0]).toMatch(/INDEX catalogue_by_line/);
      },
      () => {
        const where: Condition[] = [
          { path: 'registry', op: 'eq', value: 'storages' },
          { path: 'live', op: 'eq', value: true },
          { path: 'record.fields.place', op: 'null', value: false },
        ];
        expect(plans('catalogue', where, [{ path: 'uid', descending: false }])[0]).toMatch(/INDEX catalogue_by_place/);
      },
      () => {
        const sort: Sort[] = [
          { path: 'purge.position', descending: false },
          { path: 'uid', descending: false },
        ];
        const where: Condition[] = [
          { path: 'open', op: 'eq', value: true },
          { path: 'state', op: 'ne', value: 'parked' },
        ];
        expect(plans('purges', where, sort)[0]).toMatch(/^SEARCH t USING INDEX purges_by_open \(open=\?\)/);
      },
      () => {
        const where: Condition[] = [
          { path: 'deleting', op: 'eq', value: true },
          { path: 'object.storage', op: 'eq', value: STORAGE },
          { path: 'object.path', op: 'startsWith', value: 'a/' },
        ];
        const [plan] = plans('purges', where, [{ path: 'uid', descending: false }]);
        expect(plan).toMatch(
          /INDEX purges_by_deleting \(deleting=\? AND object\.storage=\? AND object\.path>\? AND object\.path<\?\)/,
        );
      },
      () => {
        const where: Condition[] = [
          { path: 'data.logTimeMs', op: 'null', value: false },
          { path: 'position', op: 'lte', value: '100' },
        ];
        const [plan] = plans('history', where, [{ path: 'position', descending: true }]);
        expect(plan).toMatch(/USING (COVERING )?INDEX history_by_tick/);
        expect(plan).not.toMatch(SORT);
      },
      () => {
        const where: Condition[] = [
          { path: 'lingers', op: 'eq', value: true },
          { path: 'stoodUntil', op: 'gt', value: 1 },
        ];
        const [plan] = plans('purges', where, [{ path: 'stoodUntil', descending: false }]);
        expect(plan).toMatch(/INDEX purges_by_lingering \(lingers=\? AND stoodUntil>\?\)/);
        expect(plan).not.toMatch(SORT);
      },
    ];
    for (const ask of asked) ask();
    await model.beginLoad();
    for (const ask of asked) ask();
    await model.endLoad();
    for (const ask of asked) ask();
    expect(plans('catalogue', listed, newestFirst)[0]).toMatch(/catalogue_by_created/);
  });
});
