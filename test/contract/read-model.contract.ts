import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Json } from '../../src/events/vocabulary.js';
import { CheckpointMoved } from '../../src/storage/errors.js';
import type { Position } from '../../src/storage/event-store/port.js';
import type {
  CatalogueRow,
  Collection,
  Condition,
  Find,
  Key,
  ReadModel,
  Scalar,
  Sort,
} from '../../src/storage/read-model/port.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import { datasets } from './read-model.random.js';
import { at, dataset, event, file, operation, purge, stats, trashed, uid } from './read-model.rows.js';

/** A model that is empty. `second` is another connection to the same; `reopen` closes the first and opens it again. */
export interface Opened {
  readonly model: ReadModel;
  reopen(): Promise<ReadModel>;
  second(): Promise<ReadModel>;
  cleanup(): Promise<void>;
}

/** What the port promises, each promise by name. An adapter has only to be opened. */
export function readModelContract(name: string, open: () => Promise<Opened>): void {
  describe(`read model: ${name}`, () => {
    let opened: Opened;
    let model: ReadModel;

    beforeEach(async () => {
      opened = await open();
      model = opened.model;
    });
    afterEach(() => opened.cleanup());

    /** Puts rows into a model that stands at 0. */
    const given = (...rows: readonly CatalogueRow[]): Promise<void> => model.apply({ catalogue: rows }, 0n, 1n);
    const names = (rows: readonly { uid: string }[]): string[] => rows.map((row) => row.uid.replace(/^0+/, ''));
    const found = async (...where: readonly Condition[]): Promise<string[]> =>
      names(await model.find('catalogue', { where, sort: [up('uid')], after: null, limit: 1000 }));

    describe('checkpoint and apply', () => {
      test('an empty model stands at 0', async () => {
        expect(await model.checkpoint()).toBe(0n);
      });

      test('rows and checkpoint are there together, and still after it is opened again', async () => {
        const rows = {
          catalogue: [file(1)],
          history: [event(7)],
          purges: [purge(1, 7)],
          operations: [operation('o')],
          stats: [stats()],
        };
        await model.apply(rows, 0n, 7n);
        const again = await opened.reopen();
        expect(await again.checkpoint()).toBe(7n);
        expect(await again.get('catalogue', [`files/${uid(1)}`])).toEqual([file(1)]);
        expect(await again.get('history', [7])).toEqual([event(7)]);
        expect(await again.get('purges', [`files/${uid(1)}`])).toEqual([purge(1, 7)]);
        expect(await again.get('operations', ['o'])).toEqual([operation('o')]);
        expect(await again.get('stats', [JSON.stringify(['files', null, 1])])).toEqual([stats()]);
      });

      test('another connection sees what was applied', async () => {
        const other = await opened.second();
        await given(file(1));
        expect(await other.checkpoint()).toBe(1n);
        expect(await other.get('catalogue', [`files/${uid(1)}`])).toEqual([file(1)]);
      });

      test('a checkpoint is a 64-bit number', async () => {
        const far = 2n ** 63n - 1n;
        await model.apply({}, 0n, far);
        expect(await model.checkpoint()).toBe(far);
        await expect(model.apply({}, far - 1n, far)).rejects.toThrow(CheckpointMoved);
      });

      test('a batch without rows moves the checkpoint', async () => {
        await model.apply({}, 0n, 5n);
        expect(await model.checkpoint()).toBe(5n);
      });

      test('a row takes the place of the one with its key, in every answer', async () => {
        await given(file(1, { key: 'old' }, { row: { pointsTo: ['files/a', 'files/b'] } }));
        await model.apply(
          { catalogue: [file(1, { key: 'new' }, { row: { pointsTo: ['files/b', 'files/c'] } })] },
          1n,
          2n,
        );
        expect(await found({ path: 'record.fields.key', op: 'eq', value: 'old' })).toEqual([]);
        expect(await found({ path: 'record.fields.key', op: 'eq', value: 'new' })).toEqual(['1']);
        expect(await found({ path: 'pointsTo', op: 'has', value: 'files/a' })).toEqual([]);
        expect(await found({ path: 'pointsTo', op: 'has', value: 'files/b' })).toEqual(['1']);
        expect(await found({ path: 'pointsTo', op: 'has', value: 'files/c' })).toEqual(['1']);
        expect(await model.total('catalogue', [])).toEqual({ rows: 1, sum: 0 });
      });

      test('of two rows with one key in a batch the last one stays', async () => {
        await given(
          file(1, { key: 'first' }, { row: { pointsTo: ['files/a'] } }),
          file(1, { key: 'last' }, { row: { pointsTo: ['files/b'] } }),
        );
        expect(await model.get('catalogue', [`files/${uid(1)}`])).toEqual([
          file(1, { key: 'last' }, { row: { pointsTo: ['files/b'] } }),
        ]);
        expect(await found({ path: 'pointsTo', op: 'has', value: 'files/a' })).toEqual([]);
      });

      test('a batch that begins elsewhere is refused and writes nothing', async () => {
        await given(file(1));
        await expect(model.apply({ catalogue: [file(1, { key: 'x' }), file(2)] }, 0n, 2n)).rejects.toThrow(
          CheckpointMoved,
        );
        await expect(model.apply({ catalogue: [file(2)] }, 2n, 3n)).rejects.toThrow(CheckpointMoved);
        expect(await model.checkpoint()).toBe(1n);
        expect(await all('catalogue')).toEqual([[`files/${uid(1)}`, file(1)]]);
      });

      test('a repeat is refused', async () => {
        await given(file(1));
        await expect(given(file(1))).rejects.toThrow(CheckpointMoved);
      });

      test('of two projectors at one checkpoint one wins, and nothing of the other is there', async () => {
        const other = await opened.second();
        const outcomes = await Promise.allSettled([
          model.apply({ catalogue: [file(1), file(2)] }, 0n, 1n),
          other.apply({ catalogue: [file(3), file(4)] }, 0n, 2n),
        ]);
        const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
        expect(refused.map(({ reason }) => reason.name)).toEqual(['CheckpointMoved']);
        expect([await model.checkpoint(), await found()]).toEqual(
          outcomes[0].status === 'fulfilled' ? [1n, ['1', '2']] : [2n, ['3', '4']],
        );
      });

      test('a batch with a row that cannot be written leaves nothing, and the next one goes', async () => {
        const ring: Json[] = [];
        ring.push(ring);
        await expect(
          model.apply({ catalogue: [file(1)], history: [event(1), event(2, { data: ring })] }, 0n, 2n),
        ).rejects.toThrow();
        expect(await model.checkpoint()).toBe(0n);
        expect(await all('catalogue')).toEqual([]);
        expect(await all('history')).toEqual([]);
        await given(file(2));
        expect(await found()).toEqual(['2']);
      });

      test('a batch of 1,000 events goes in whole', async () => {
        const catalogue = Array.from({ length: 1000 }, (_, i) => file(i));
        const history = Array.from({ length: 1000 }, (_, i) => event(i + 1, { uid: uid(i) }));
        await model.apply({ catalogue, history }, 0n, 1000n);
        expect(await model.total('catalogue', [], 'record.fields.size')).toEqual({ rows: 1000, sum: 1000 });
        expect(await model.total('history', [])).toEqual({ rows: 1000, sum: 0 });
      });
    });

    describe('get', () => {
      test('gives the rows that exist, each once', async () => {
        await given(file(1), file(2), file(3));
        const keys = [`files/${uid(2)}`, 'files/none', `files/${uid(1)}`, `files/${uid(2)}`];
        const rows = await model.get('catalogue', keys);
        expect(names(rows).sort()).toEqual(['1', '2']);
        expect(await model.get('catalogue', [])).toEqual([]);
      });

      test('gives back just what was written: any text, deep data, large rows', async () => {
        const texts = [
          '',
          ' ',
          "'",
          '"',
          '\\',
          '\n',
          '\0',
          'a\0b',
          'é',
          'e\u0301',
          '\ud7ff\ue000\uffff',
          '😀',
          '\u{10ffff}',
          '%_*?[]',
        ];
        const data = { texts, deep: [[{ a: [null, true, 1.5, -0.25, 1e21, 2 ** 53 - 1] }]], '': 1, $a: { 'b.c': 2 } };
        const large = 'x'.repeat(300_000);
        await model.apply(
          { catalogue: [file(1, { description: large, key: texts.join() })], history: [event(1, { data })] },
          0n,
          1n,
        );
        expect(await model.get('history', [1])).toEqual([event(1, { data })]);
        expect(await model.get('catalogue', [`files/${uid(1)}`])).toEqual([
          file(1, { description: large, key: texts.join() }),
        ]);
      });

      test('gives rows of the caller: what is done to them is not seen by others', async () => {
        await model.apply({ operations: [operation('o', { criteria: { days: [1] } })] }, 0n, 1n);
        const [mine] = await model.get('operations', ['o']);
        expect(mine?.criteria['days']).toEqual([1]);
        Object.assign(mine?.criteria ?? {}, { days: 'changed' });
        expect(await model.get('operations', ['o'])).toEqual([operation('o', { criteria: { days: [1] } })]);
      });
    });

    describe('find', () => {
      const keyed = (...keys: readonly (string | null)[]): Promise<void> =>
        given(...keys.map((key, i) => file(i, { key })));
      const keysFound = async (path: string, ...where: readonly Condition[]): Promise<Scalar[]> => {
        const rows = await model.find('catalogue', { where, sort: [up(path), up('uid')], after: null, limit: 1000 });
        return rows.map((row) => at(row, path));
      };
      /** A path with an index and one without one: they must agree. */
      const paths = ['record.fields.key', 'record.fields.description'];
      const both = (...keys: readonly (string | null)[]): Promise<void> =>
        given(...keys.map((key, i) => file(i, { key, description: key })));

      test('without conditions gives every row, sorted', async () => {
        await keyed('b', null, 'a');
        expect(await keysFound('record.fields.key')).toEqual([null, 'a', 'b']);
      });

      test.each(paths)('ne is met by absent values, no other operator is (%s)', async (path) => {
        await both('a', 'b', null);
        expect(await keysFound(path, { path, op: 'ne', value: 'a' })).toEqual([null, 'b']);
        for (const op of ['eq', 'gt', 'gte', 'lt', 'lte'] as const) {
          expect(await keysFound(path, { path, op, value: '' })).toEqual(op === 'gt' || op === 'gte' ? ['a', 'b'] : []);
        }
        expect(await keysFound(path, { path, op: 'startsWith', value: '' })).toEqual(['a', 'b']);
        expect(await keysFound(path, { path, op: 'contains', value: '' })).toEqual(['a', 'b']);
        expect(await keysFound(path, { path, op: 'in', value: ['b', 'c', 'b'] })).toEqual(['b']);
        expect(await keysFound(path, { path, op: 'in', value: [] })).toEqual([]);
      });

      test.each(paths)('null asks for absent values, or for the others (%s)', async (path) => {
        await both('a', null);
        expect(await keysFound(path, { path, op: 'null', value: true })).toEqual([null]);
        expect(await keysFound(path, { path, op: 'null', value: false })).toEqual(['a']);
      });

      test('null asks about an object as a whole, and about paths that a row does not have', async () => {
        await given(file(1), file(2, {}, { record: trashed('2026-11-02T00:00:00.000Z') }), dataset(3));
        expect(await found({ path: 'record.trashing', op: 'null', value: false })).toEqual(['2']);
        expect(await found({ path: 'record.trashing', op: 'null', value: true })).toEqual(['1', '3']);
        expect(await found({ path: 'record.trashing.at', op: 'null', value: false })).toEqual(['2']);
        expect(await found({ path: 'record.fields.key', op: 'null', value: true })).toEqual(['1', '2', '3']);
        expect(await found({ path: 'record.fields.size', op: 'null', value: false })).toEqual(['1', '2']);
        expect(await found({ path: 'registry.of.nothing', op: 'null', value: true })).toEqual(['1', '2', '3']);
      });

      test.each(paths)('text sorts and compares by code point, case matters (%s)', async (path) => {
        const sorted = [
          '',
          '\0',
          '\0a',
          'A',
          'Z',
          'a',
          'a\0',
          'aa',
          'é',
          '\ud7ff',
          '\ue000',
          '\uffff',
          '\u{10000}',
          '😀',
          '\u{10ffff}',
        ];
        await both(...sorted.toReversed());
        expect(await keysFound(path)).toEqual(sorted);
        expect(await keysFound(path, { path, op: 'gt', value: '\uffff' })).toEqual(sorted.slice(12));
        expect(await keysFound(path, { path, op: 'lt', value: '\u{10000}' })).toEqual(sorted.slice(0, 12));
        expect(await keysFound(path, { path, op: 'eq', value: 'a' })).toEqual(['a']);
      });

      test.each(paths)('startsWith takes its text literally, up to the highest code points (%s)', async (path) => {
        const all = [
          'a%',
          'a%b',
          'a_',
          'ab',
          'A%',
          '%',
          '\ud7ff',
          '\ud7ffz',
          '\ue000',
          '\u{10ffff}',
          '\u{10ffff}a',
          'z\u{10ffff}',
          'z\u{10ffff}\u{10ffff}',
          '{',
          'n\0x',
          'nx',
        ];
        await both(...all, null);
        for (const prefix of [
          'a%',
          'a_',
          'a',
          'A',
          '%',
          '\ud7ff',
          '\u{10ffff}',
          'z\u{10ffff}',
          'z\u{10ffff}\u{10ffff}',
          'n\0',
          '*',
        ]) {
          const starting = all.filter((key) => key.startsWith(prefix));
          expect(new Set(await keysFound(path, { path, op: 'startsWith', value: prefix }))).toEqual(new Set(starting));
        }
      });

      test.each(paths)('contains takes its text literally (%s)', async (path) => {
        await both('50% off', '50 off', 'a_b', 'acb', 'x\0y', '😀!', 'RNA', 'rna', null);
        for (const [value, keys] of [
          ['%', ['50% off']],
          ['_', ['a_b']],
          ['\0y', ['x\0y']],
          ['😀', ['😀!']],
          ['rna', ['rna']],
          ['.', []],
        ] as const) {
          expect(await keysFound(path, { path, op: 'contains', value })).toEqual(keys);
        }
      });

      test('numbers compare as numbers', async () => {
        const sizes = [10, 9, 100, 0, 5_000_000_000, 2 ** 53 - 1];
        await given(...sizes.map((size, i) => file(i, { size }, { record: { revision: i } })));
        const path = 'record.fields.size';
        expect(await keysFound(path)).toEqual([0, 9, 10, 100, 5_000_000_000, 2 ** 53 - 1]);
        expect(await keysFound(path, { path, op: 'gt', value: 9 }, { path, op: 'lte', value: 5_000_000_000 })).toEqual([
          10, 100, 5_000_000_000,
        ]);
        expect(await keysFound(path, { path, op: 'in', value: [9, 2 ** 53 - 1] })).toEqual([9, 2 ** 53 - 1]);
        expect(await found({ path: 'record.revision', op: 'gte', value: 4 })).toEqual(['4', '5']);
      });

      test('booleans are neither 0 nor text', async () => {
        const row = { live: false, isLatest: false };
        await given(file(1), file(2, { keyIsVirtual: false }, { row }));
        for (const path of ['live', 'isLatest', 'record.fields.keyIsVirtual']) {
          expect(await found({ path, op: 'eq', value: true })).toEqual(['1']);
          expect(await found({ path, op: 'eq', value: false })).toEqual(['2']);
          expect(await found({ path, op: 'ne', value: true })).toEqual(['2']);
          expect(await found({ path, op: 'in', value: [true, false] })).toEqual(['1', '2']);
        }
      });

      test('positions compare as the numbers that they are, given as text or as number', async () => {
        await model.apply(
          { history: [9, 10, 100].map((position) => event(position)), purges: [purge(1, 9), purge(2, 10)] },
          0n,
          1n,
        );
        for (const after of ['9', 9]) {
          const where: Condition[] = [{ path: 'position', op: 'gt', value: after }];
          const later = await model.find('history', { where, sort: [down('position')], after: null, limit: 10 });
          expect(later.map(({ position }) => position)).toEqual(['100', '10']);
          const next = await model.find('history', { where: [], sort: [up('position')], after: [after], limit: 1 });
          expect(next.map(({ position }) => position)).toEqual(['10']);
        }
        const open = {
          where: [{ path: 'open', op: 'eq', value: true }],
          sort: [up('purge.position')],
          after: null,
          limit: 10,
        } as const;
        expect(names(await model.find('purges', open))).toEqual(['1', '2']);
        expect(names(await model.find('purges', { ...open, after: ['9'] }))).toEqual(['2']);
        await model.apply(
          { catalogue: [file(1, {}, { record: { position: 9 } }), file(2, {}, { record: { position: 10 } })] },
          1n,
          2n,
        );
        expect(await found({ path: 'record.position', op: 'lt', value: '10' })).toEqual(['1']);
        const operations = ['10', '9'].map((position) => operation(`at ${position}`, { position }));
        await model.apply({ operations }, 2n, 3n);
        const started = await model.find('operations', { where: [], sort: [up('position')], after: null, limit: 10 });
        expect(started.map(({ position }) => position)).toEqual(['9', '10']);
      });

      test('has asks an array for a member, one with an index and any other', async () => {
        const refs = [uid('a'), uid('b')];
        await given(
          file(1, { labels: refs }, { row: { pointsTo: ['labels/a', 'labels/b'] } }),
          file(2, { labels: [uid('b')] }, { row: { pointsTo: ['labels/b', 'labels/b'] } }),
          file(3),
        );
        expect(await found({ path: 'pointsTo', op: 'has', value: 'labels/b' })).toEqual(['1', '2']);
        expect(await found({ path: 'pointsTo', op: 'has', value: 'labels' })).toEqual([]);
        expect(await found({ path: 'record.fields.labels', op: 'has', value: uid('b') })).toEqual(['1', '2']);
        const two: Condition[] = ['labels/a', 'labels/b'].map((value) => ({ path: 'pointsTo', op: 'has', value }));
        expect(await found(...two)).toEqual(['1']);
        expect(await model.total('catalogue', [{ path: 'pointsTo', op: 'has', value: 'labels/b' }])).toEqual({
          rows: 2,
          sum: 0,
        });
      });

      test('conditions are joined by and', async () => {
        await given(
          file(1, { size: 1 }),
          file(2, { size: 2 }),
          dataset(3),
          file(4, { size: 4 }, { row: { live: false } }),
        );
        const listed: Condition[] = [
          { path: 'registry', op: 'eq', value: 'files' },
          { path: 'live', op: 'eq', value: true },
        ];
        expect(await found(...listed)).toEqual(['1', '2']);
        expect(await found(...listed, { path: 'uid', op: 'in', value: [uid(2), uid(3), uid(4)] })).toEqual(['2']);
        expect(await found(...listed, { path: 'uid', op: 'eq', value: uid(3) })).toEqual([]);
        expect(await found(...listed, { path: 'record.fields.size', op: 'lt', value: 2 })).toEqual(['1']);
        expect(await found({ path: 'registry', op: 'in', value: ['datasets', 'files'] })).toEqual(['1', '2', '3', '4']);
      });

      test('several values before the sort give one order', async () => {
        const visibilities = [1, 0, -1, 1, 0] as const;
        await given(
          ...visibilities.map((visibility, i) =>
            file(i, {}, { record: { visibility, createdAt: `2026-11-0${i + 1}T00:00:00.000Z` } }),
          ),
        );
        const where: Condition[] = [
          { path: 'registry', op: 'eq', value: 'files' },
          { path: 'live', op: 'eq', value: true },
          { path: 'record.visibility', op: 'in', value: [0, 1, 0] },
        ];
        const find: Find = { where, sort: [down('record.createdAt'), down('uid')], after: null, limit: 10 };
        expect(names(await model.find('catalogue', find))).toEqual(['4', '3', '1', '']);
        expect(names(await walk(model, { ...find, limit: 1 }))).toEqual(['4', '3', '1', '']);
      });

      test.each([
        ['both up', up('record.fields.key'), up('uid'), ['', '3', '1', '4', '2']],
        ['both down', down('record.fields.key'), down('uid'), ['2', '4', '1', '3', '']],
        ['down, then up', down('record.fields.key'), up('uid'), ['2', '1', '4', '', '3']],
        ['up, then down', up('record.fields.key'), down('uid'), ['3', '', '4', '1', '2']],
      ])('pages join without a gap or a repeat, equal and absent values too: %s', async (_, first, second, order) => {
        await keyed(null, 'a', 'b', null, 'a');
        for (const limit of [1, 2, 3, 5]) {
          const find: Find = { where: [], sort: [first, second], after: null, limit };
          expect(names(await walk(model, find))).toEqual(order);
        }
      });

      test('a page begins after values that no row has', async () => {
        await keyed('a', 'c', 'e');
        const sort = [up('record.fields.key'), up('uid')];
        const rows = await model.find('catalogue', { where: [], sort, after: ['b', uid(9)], limit: 10 });
        expect(rows.map((row) => at(row, 'record.fields.key'))).toEqual(['c', 'e']);
      });

      test('gives at most 1,001 rows and refuses to be asked for more, or for nothing', async () => {
        await model.apply({ catalogue: Array.from({ length: 1002 }, (_, i) => file(i)) }, 0n, 1n);
        const find: Find = { where: [], sort: [up('uid')], after: null, limit: 1001 };
        expect(await model.find('catalogue', find)).toHaveLength(1001);
        for (const limit of [0, -1, 1002, 1.5, Number.NaN]) {
          await expect(model.find('catalogue', { ...find, limit })).rejects.toThrow(RangeError);
        }
        await expect(model.find('catalogue', { ...find, sort: [] })).rejects.toThrow(RangeError);
        await expect(model.find('catalogue', { ...find, after: ['a', 'b'] })).rejects.toThrow(RangeError);
      });

      test.each(["uid' OR 1=1 --", 'a.b.', '$where', 'a[0]', '', 'a b', 'a..b', 'é'])(
        'refuses %j as a path',
        async (path) => {
          await given(file(1));
          const find: Find = { where: [], sort: [up('uid')], after: null, limit: 1 };
          await expect(model.find('catalogue', { ...find, where: [{ path, op: 'eq', value: 'x' }] })).rejects.toThrow(
            RangeError,
          );
          await expect(model.find('catalogue', { ...find, sort: [up(path)] })).rejects.toThrow(RangeError);
          await expect(model.total('catalogue', [], path)).rejects.toThrow(RangeError);
        },
      );
    });

    describe('total', () => {
      test('counts what find finds, and sums numbers; absent ones count as 0', async () => {
        await given(
          file(1, { size: 3_000_000_000 }),
          file(2, { size: 4_000_000_000 }),
          dataset(3),
          file(4, { size: 5 }, { row: { live: false } }),
        );
        expect(await model.total('catalogue', [])).toEqual({ rows: 4, sum: 0 });
        expect(await model.total('catalogue', [], 'record.fields.size')).toEqual({ rows: 4, sum: 7_000_000_005 });
        const live: Condition[] = [{ path: 'live', op: 'eq', value: true }];
        expect(await model.total('catalogue', live, 'record.fields.size')).toEqual({ rows: 3, sum: 7_000_000_000 });
        const none: Condition[] = [{ path: 'registry', op: 'eq', value: 'runs' }];
        expect(await model.total('catalogue', none, 'record.fields.size')).toEqual({ rows: 0, sum: 0 });
      });
    });

    describe('loading', () => {
      test('a model answers and is written as ever while it loads', async () => {
        await given(file(1, { key: 'a' }));
        await model.beginLoad();
        await model.apply({ catalogue: [file(2, { key: 'b' }, { row: { pointsTo: ['files/x'] } })] }, 1n, 2n);
        await expect(model.apply({ catalogue: [file(3)] }, 1n, 3n)).rejects.toThrow(CheckpointMoved);
        await model.apply({ catalogue: [file(4)] }, 2n, 4n);
        expect(await model.checkpoint()).toBe(4n);
        expect(await found()).toEqual(['1', '2', '4']);
        expect(await found({ path: 'record.fields.key', op: 'startsWith', value: 'b' })).toEqual(['2']);
        expect(await found({ path: 'pointsTo', op: 'has', value: 'files/x' })).toEqual(['2']);
        expect(
          names(await walk(model, { where: [], sort: [down('record.createdAt'), down('uid')], after: null, limit: 1 })),
        ).toEqual(['4', '2', '1']);
        expect(await all('catalogue')).toHaveLength(3);
        await model.endLoad();
        expect(await (await opened.second()).checkpoint()).toBe(4n);
        expect(await found()).toEqual(['1', '2', '4']);
      });

      test('beginning twice, or ending what was not begun, does no harm', async () => {
        await model.beginLoad();
        await given(file(1));
        await model.beginLoad();
        await model.endLoad();
        await model.endLoad();
        expect(await found()).toEqual(['1']);
        expect(await (await opened.reopen()).checkpoint()).toBe(1n);
      });

      test('closed while it loads, it stands where it stood', async () => {
        await model.beginLoad();
        await given(file(1, { key: 'a' }));
        model = await opened.reopen();
        expect(await model.checkpoint()).toBe(1n);
        expect(await found({ path: 'record.fields.key', op: 'eq', value: 'a' })).toEqual(['1']);
        await model.apply({ catalogue: [file(2)] }, 1n, 2n);
        expect(await found()).toEqual(['1', '2']);
      });
    });

    describe('dump', () => {
      test('gives every row by key: text by code point, positions by number', async () => {
        const registries = ['z', 'B', 'a', 'é', '\uffff', '😀'];
        const catalogue = registries.map((registry) => file(1, {}, { row: { registry } }));
        await model.apply({ catalogue, history: [100, 9, 10].map((position) => event(position)) }, 0n, 1n);
        const keys = ['B', 'a', 'z', 'é', '\uffff', '😀'].map((registry) => `${registry}/${uid(1)}`);
        expect((await all('catalogue')).map(([key]) => key)).toEqual(keys);
        expect(await all('history')).toEqual([9, 10, 100].map((position) => [position, event(position)]));
        expect(await all('operations')).toEqual([]);
      });

      test('is of one moment, however long it takes and whatever is applied meanwhile', async () => {
        const history = Array.from({ length: 1000 }, (_, i) => event(i + 1));
        await model.apply({ history }, 0n, 1n);
        await model.apply({ history: history.map((row) => event(1000 + Number(row.position))) }, 1n, 2n);
        const rows: unknown[] = [];
        let checkpoint = 2n;
        const moments: Position[] = [];
        for await (const { row } of model.dump('history', (at) => moments.push(at))) {
          rows.push(row);
          if (rows.length % 500 !== 1) continue;
          const changed = { history: [event(2000, { actor: 'bob' }), event(2001)] };
          await model.apply(changed, checkpoint, checkpoint + 1n);
          checkpoint += 1n;
        }
        expect(rows).toHaveLength(2000);
        expect(rows.at(-1)).toEqual(event(2000));
        expect(moments).toEqual([2n]);
      });

      test('tells its moment where it has no rows, too', async () => {
        const moments: Position[] = [];
        const none = model.dump('operations', (at) => moments.push(at))[Symbol.asyncIterator]();
        await model.apply({ catalogue: [file(1)] }, 0n, 7n);
        expect(moments).toEqual([]);
        expect((await none.next()).done).toBe(true);
        expect(moments).toEqual([7n]);
      });

      test('can be left early', async () => {
        await given(file(1), file(2));
        for await (const { key } of model.dump('catalogue')) {
          expect(key).toBe(`files/${uid(1)}`);
          break;
        }
        await model.apply({ catalogue: [file(3)] }, 1n, 2n);
        expect(await all('catalogue')).toHaveLength(3);
      });
    });

    test('random rows and questions: the same answers as a plain implementation in memory', async () => {
      await fc.assert(
        fc.asyncProperty(datasets, async ({ rows, questions }) => {
          const { model, cleanup } = await open();
          try {
            const plain = inMemoryReadModel();
            for (const each of [model, plain]) await each.apply({ catalogue: rows }, 0n, 1n);
            for (const find of questions) {
              const expected = await plain.find('catalogue', { ...find, limit: 1000 });
              expect(names(await walk(model, find)), JSON.stringify(find)).toEqual(names(expected));
              const total = await plain.total('catalogue', find.where, 'record.fields.size');
              expect(await model.total('catalogue', find.where, 'record.fields.size'), JSON.stringify(find)).toEqual(
                total,
              );
            }
          } finally {
            await cleanup();
          }
        }),
        { numRuns: 30, endOnFailure: false },
      );
    });

    const all = async (collection: Collection): Promise<[Key, Json][]> => {
      const rows: [Key, Json][] = [];
      for await (const { key, row } of model.dump(collection)) rows.push([key, row]);
      return rows;
    };
  });
}

const up = (path: string): Sort => ({ path, descending: false });
const down = (path: string): Sort => ({ path, descending: true });

/** All pages, one after the other. */
const walk = async (model: ReadModel, find: Find): Promise<CatalogueRow[]> => {
  const rows: CatalogueRow[] = [];
  let after = find.after;
  while (true) {
    const page = await model.find('catalogue', { ...find, after });
    rows.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < find.limit) return rows;
    after = find.sort.map(({ path }) => at(last, path));
  }
};
