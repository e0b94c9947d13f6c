import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CheckpointMoved, Corrupt, Unavailable } from '../../src/storage/errors.js';
import { COLLECTIONS } from '../../src/storage/read-model/port.js';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import { NEEDS_MONGOD, sharedMongod, whyNoSharedMongod, type Mongod } from '../servers/mongod.js';
import { OpenedModels } from './read-model.mongodb.opened.js';
import { event, file, uid } from './read-model.rows.js';

const missing = await whyNoSharedMongod();

describe.skipIf(missing !== null)(`generations of MongoDB's read model ${NEEDS_MONGOD}`, () => {
  let mongod: Pick<Mongod, 'urlOf' | 'cleanup'>;
  let models: OpenedModels;

  beforeAll(async () => {
    mongod = await sharedMongod();
  });
  afterAll(() => mongod.cleanup());
  beforeEach(() => {
    models = new OpenedModels(mongod);
  });
  afterEach(() => models.cleanup());

  /** Batches of one file each, whose key says who wrote it. */
  const fill = async (model: ReadModel, key: string, from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n += 1) await model.apply({ catalogue: [file(n, { key })] }, BigInt(n), BigInt(n + 1));
  };
  const keysIn = async (model: ReadModel): Promise<string> => {
    const sort = [{ path: 'uid', descending: false }];
    const rows = await model.find('catalogue', { where: [], sort, after: null, limit: 100 });
    return rows.map(({ record: { fields } }) => ('key' in fields ? fields.key : null)).join('');
  };
  const tablesOf = (generation: number): string[] => COLLECTIONS.map((name) => `${name}_${generation}`);
  const indexesOf = async (table: string): Promise<string[]> =>
    (await models.db.collection(table).indexes()).map(({ name }) => name ?? '').sort();
  const setFormat = (format: number): Promise<unknown> =>
    models.db.collection('generations').updateMany({}, { $set: { format } });

  test('a rebuild is seen by nobody until it ends, and then by everybody', async () => {
    const old = await models.open();
    await fill(old, 'a', 0, 3);
    const reader = await models.open('read-only');
    expect(await keysIn(reader)).toBe('aaa');

    const worker = await models.rebuilding();
    expect(await worker.checkpoint()).toBe(0n);
    await worker.beginLoad();
    await fill(worker, 'b', 0, 4);
    expect([await keysIn(worker), await keysIn(reader), await reader.checkpoint()]).toEqual(['bbbb', 'aaa', 3n]);
    expect(await keysIn(await models.open('read-only'))).toBe('aaa');

    await worker.endLoad();
    expect([await keysIn(reader), await reader.checkpoint()]).toEqual(['bbbb', 4n]);
    expect(await reader.get('catalogue', [`files/${uid(0)}`])).toEqual([file(0, { key: 'b' })]);
    expect(await reader.total('catalogue', [])).toEqual({ rows: 4, sum: 0 });
    await fill(worker, 'c', 4, 5);
    expect(await keysIn(reader)).toBe('bbbbc');
  });

  test('each kind of question notices the switch by itself', async () => {
    await fill(await models.open(), 'a', 0, 2);
    const key = `files/${uid(0)}`;
    const asks: ((reader: ReadModel) => Promise<unknown>)[] = [
      keysIn,
      async (reader) => (await reader.get('catalogue', [key]))[0]?.record.fields,
      (reader) => reader.total('catalogue', [{ path: 'record.fields.key', op: 'eq', value: 'b' }]),
      async (reader) => {
        const keys: unknown[] = [];
        for await (const { row } of reader.dump('catalogue')) keys.push(JSON.stringify(row).includes('"key":"b"'));
        return keys;
      },
    ];
    const asking = await Promise.all(asks.map(async (ask) => ({ ask, reader: await models.open('read-only') })));
    for (const { ask, reader } of asking) await ask(reader);
    const worker = await models.rebuilding();
    await fill(worker, 'b', 0, 2);
    await worker.endLoad();
    const answers = await Promise.all(asking.map(({ ask, reader }) => ask(reader)));
    expect(answers).toEqual(['bb', file(0, { key: 'b' }).record.fields, { rows: 2, sum: 0 }, [true, true]]);
  });

  test('the one before stays for whoever reads it, and goes with the next switch', async () => {
    const worker = await models.open();
    await fill(worker, 'a', 0, 1);
    const reader = await models.open('read-only');
    expect(await keysIn(reader)).toBe('a');
    for (const key of ['b', 'c', 'd']) {
      const next = await models.rebuilding();
      await fill(next, key, 0, 1);
      await next.endLoad();
    }
    expect(await models.states()).toEqual(['gone', 'gone', 'previous', 'live']);
    expect(await models.tables()).toEqual([...tablesOf(3), ...tablesOf(4), 'generations'].sort());
    // It still holds the first, whose rows are gone twice over.
    expect(await keysIn(reader)).toBe('d');
  });

  test('a dump whose rows were dropped under it says so, and does not just end', async () => {
    const first = await models.open();
    await first.apply({ history: Array.from({ length: 1500 }, (_, i) => event(i)) }, 0n, 1n);
    const reader = await models.open('read-only');
    const dumped = async (): Promise<number> => {
      let rows = 0;
      for await (const { key } of reader.dump('history')) {
        expect(key).toBe(rows);
        rows += 1;
        if (rows !== 1) continue;
        for (let switches = 0; switches < 2; switches += 1) {
          const next = await models.rebuilding();
          await next.apply({}, 0n, 1n);
          await next.endLoad();
        }
      }
      return rows;
    };
    await expect(dumped()).rejects.toThrow(Unavailable);
  });

  test('a worker that follows the old one is refused after the switch, and goes on with the new one', async () => {
    const old = await models.open();
    await fill(old, 'a', 0, 2);
    const worker = await models.rebuilding();
    await worker.beginLoad();
    await fill(worker, 'b', 0, 2);
    await fill(old, 'a', 2, 3);
    await fill(worker, 'b', 2, 4);
    await worker.endLoad();
    await expect(fill(old, 'a', 3, 4)).rejects.toThrow(CheckpointMoved);
    expect(await old.checkpoint()).toBe(4n);
    await fill(old, 'c', 4, 5);
    expect(await keysIn(await models.open('read-only'))).toBe('bbbbc');
  });

  test('two workers that begin at once fill one generation, and neither harms the other', async () => {
    await fill(await models.open(), 'a', 0, 2);
    await setFormat(0);
    const workers = await Promise.all([models.open(), models.open()]);
    expect(await models.states()).toEqual(['live', 'filling']);
    const outcomes = await Promise.allSettled(workers.map((worker) => fill(worker, 'b', 0, 3)));
    // One of the two may lose any batch, never both.
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeLessThanOrEqual(2);
    const [one, other] = workers;
    if (one === undefined || other === undefined) throw new Error('two were opened');
    await fill(one, 'b', Number(await one.checkpoint()), 3);
    await Promise.all([one.endLoad(), other.endLoad()]);
    expect(await models.states()).toEqual(['previous', 'live']);
    const reader = await models.open('read-only');
    expect([await keysIn(reader), await reader.checkpoint()]).toEqual(['bbb', 3n]);
  });

  test('workers that both ask for a rebuild: the later one begins again, the earlier one goes on with it', async () => {
    await fill(await models.open(), 'a', 0, 2);
    const earlier = await models.rebuilding();
    await fill(earlier, 'b', 0, 2);
    const later = await models.rebuilding();
    await expect(fill(earlier, 'b', 2, 3)).rejects.toThrow(CheckpointMoved);
    expect(await earlier.checkpoint()).toBe(0n);
    await fill(earlier, 'c', 0, 2);
    await earlier.endLoad();
    await later.endLoad();
    expect(await models.states()).toEqual(['previous', 'gone', 'live']);
    expect(await keysIn(await models.open('read-only'))).toBe('cc');
  });

  test('a build that was cut off, of a model of an older format, goes on where it stopped', async () => {
    await fill(await models.open(), 'a', 0, 3);
    await setFormat(0);
    const worker = await models.open();
    await worker.beginLoad();
    await fill(worker, 'b', 0, 2);
    await worker.close();
    const again = await models.open();
    expect(await again.checkpoint()).toBe(2n);
    await fill(again, 'c', 2, 3);
    await again.endLoad();
    expect(await keysIn(await models.open('read-only'))).toBe('bbc');
  });

  test('a worker that begins while somebody rebuilds, or after that was cut off, carries on what others read', async () => {
    await fill(await models.open(), 'a', 0, 2);
    const built = await models.rebuild();
    await fill(built.model, 'b', 0, 1);
    const worker = await models.open();
    expect(await worker.checkpoint()).toBe(2n);
    await fill(worker, 'a', 2, 3);
    expect(await keysIn(await models.open('read-only'))).toBe('aaa');
    await fill(built.model, 'b', 1, 3);
    expect(await built.replace()).toBe(true);
    await expect(fill(worker, 'a', 3, 4)).rejects.toThrow(CheckpointMoved);
    expect(await worker.checkpoint()).toBe(3n);
    await fill(worker, 'c', 3, 4);
    expect(await keysIn(await models.open('read-only'))).toBe('bbbc');
  });

  test('one that was loaded goes live as it is: the log may be shorter than it was', async () => {
    await fill(await models.open(), 'a', 0, 3);
    const worker = await models.rebuilding();
    await worker.beginLoad();
    await fill(worker, 'b', 0, 1);
    await worker.endLoad();
    expect(await keysIn(await models.open('read-only'))).toBe('b');
  });

  test('one that was loaded waits where others have come to read more since its load began', async () => {
    const old = await models.open();
    await fill(old, 'a', 0, 3);
    const reader = await models.open('read-only');
    const worker = await models.rebuilding();
    await worker.beginLoad();
    await fill(worker, 'b', 0, 3);
    await fill(old, 'a', 3, 5);
    await worker.endLoad();
    expect([await keysIn(reader), await reader.checkpoint()]).toEqual(['aaaaa', 5n]);
    await fill(worker, 'b', 3, 4);
    expect(await reader.checkpoint()).toBe(5n);
    await fill(worker, 'b', 4, 5);
    expect([await keysIn(reader), await reader.checkpoint()]).toEqual(['bbbbb', 5n]);
  });

  test('whoever rebuilds is told whether it took the live one’s place', async () => {
    const old = await models.open();
    await fill(old, 'a', 0, 2);
    const built = await models.rebuild();
    await built.model.beginLoad();
    await fill(built.model, 'b', 0, 2);
    await fill(old, 'a', 2, 3);
    expect(await built.replace()).toBe(false);
    expect(await models.states()).toEqual(['live', 'filling']);
    await fill(built.model, 'b', 2, 3);
    expect([await built.replace(), await built.replace()]).toEqual([true, true]);
    expect(await models.states()).toEqual(['previous', 'live']);
  });

  test('whoever rebuilds goes on with another rebuild that was begun since, and hears so where that has ended', async () => {
    await fill(await models.open(), 'a', 0, 2);
    const built = await models.rebuild();
    await fill(built.model, 'b', 0, 1);
    const later = await models.rebuild();
    await fill(later.model, 'c', 0, 2);
    expect(await built.model.checkpoint()).toBe(2n);
    expect(await later.replace()).toBe(true);
    expect(await models.states()).toEqual(['previous', 'gone', 'live']);
    expect(await built.replace()).toBe(true);
  });

  test('and that it has not, where another rebuild was begun in between', async () => {
    const old = await models.open();
    await fill(old, 'a', 0, 2);
    const built = await models.rebuild();
    await fill(built.model, 'b', 0, 2);
    await models.rebuild();
    expect(await built.replace()).toBe(false);
    expect(await models.states()).toEqual(['live', 'gone', 'filling']);
    expect(await built.model.checkpoint()).toBe(0n);
    await fill(built.model, 'c', 0, 2);
    expect(await built.replace()).toBe(true);
    expect(await keysIn(await models.open('read-only'))).toBe('cc');
  });

  test('a batch that comes in while it takes the place is in both, or refused', async () => {
    for (let round = 0; round < 10; round += 1) {
      const old = await models.open();
      const at = Number(await old.checkpoint());
      const next = await models.rebuilding();
      await next.beginLoad();
      await fill(next, 'b', 0, at);
      const [batch, ended] = await Promise.allSettled([fill(old, 'a', at, at + 1), next.endLoad()]);
      expect(ended.status).toBe('fulfilled');
      const reader = await models.open('read-only');
      // Nobody loses sight of a batch that was taken.
      expect(await reader.checkpoint()).toBe(BigInt(batch.status === 'fulfilled' ? at + 1 : at));
      await fill(next, 'b', at, at + 1);
      expect(await keysIn(reader)).toBe('b'.repeat(at + 1));
    }
  });

  test('a model of an older format is rebuilt, and nobody of this version reads it meanwhile', async () => {
    const before = await models.open();
    await fill(before, 'a', 0, 3);
    await setFormat(0);
    const reader = await models.open('read-only');
    const worker = await models.open();
    expect(await worker.checkpoint()).toBe(0n);
    for (const ask of [() => reader.checkpoint(), () => keysIn(reader)]) {
      await expect(ask()).rejects.toThrow(Unavailable);
      await expect(ask()).rejects.toThrow(/older version/);
    }
    // A worker of that version goes on with what its own readers see.
    await fill(before, 'a', 3, 4);
    await worker.beginLoad();
    await fill(worker, 'b', 0, 4);
    await worker.endLoad();
    expect([await keysIn(reader), await reader.checkpoint()]).toEqual(['bbbb', 4n]);
  });

  test('a model of a newer format is refused, whoever comes upon it', async () => {
    const worker = await models.open();
    const reader = await models.open('read-only');
    await fill(worker, 'a', 0, 1);
    expect(await keysIn(reader)).toBe('a');
    await setFormat(999);
    for (const mode of ['read-write', 'read-only'] as const) {
      await expect(models.open(mode)).rejects.toThrow(Corrupt);
    }
    await expect(models.rebuild()).rejects.toThrow(/newer version.*upgrade/);
    await expect(reader.checkpoint()).rejects.toThrow(Corrupt);
    expect(await models.states()).toEqual(['live']);
  });

  test('a load spares the indexes of queries only where nobody reads yet; opened again, a live one has them all', async () => {
    const first = await models.open();
    const all = await indexesOf('catalogue_1');
    await first.beginLoad();
    expect(await indexesOf('catalogue_1')).toEqual(all);
    const worker = await models.rebuilding();
    await worker.beginLoad();
    const loading = ['_id_', 'by_line', 'by_object', 'by_place', 'members.pointsTo'];
    expect(await indexesOf('catalogue_2')).toEqual(loading);
    await fill(worker, 'a', 0, 2);
    await worker.endLoad();
    expect(await indexesOf('catalogue_2')).toEqual(all);
    await models.db.collection('catalogue_2').dropIndex('by_key');
    await models.open();
    expect(await indexesOf('catalogue_2')).toEqual(all);
  });
});
