import fc from 'fast-check';
import { MongoServerError } from 'mongodb';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Json } from '../../src/events/vocabulary.js';
import { Corrupt, Full, Unavailable } from '../../src/storage/errors.js';
import { asStorageError } from '../../src/storage/read-model/mongodb.errors.js';
import { openMongoReadModel } from '../../src/storage/read-model/mongodb.js';
import { COLLECTIONS, type Changes, type Find, type ReadModel } from '../../src/storage/read-model/port.js';
import { openSqliteReadModel } from '../../src/storage/read-model/sqlite.js';
import { NEEDS_MONGOD, sharedMongod, whyNoSharedMongod, type Mongod } from '../servers/mongod.js';
import { readModelContract, type Opened } from './read-model.contract.js';
import { OpenedModels, writtenAndRead } from './read-model.mongodb.opened.js';
import { datasets } from './read-model.random.js';
import { at, event, file, operation, purge, stats, uid, withdrawal } from './read-model.rows.js';

const missing = await whyNoSharedMongod();
if (missing !== null) console.warn(`no mongod: ${missing}`);

describe.skipIf(missing !== null)(`MongoDB ${NEEDS_MONGOD}`, () => {
  let mongod: Pick<Mongod, 'urlOf' | 'cleanup'>;

  beforeAll(async () => {
    mongod = await sharedMongod();
  });
  afterAll(() => mongod.cleanup());

  const openedBy = async (open: (models: OpenedModels) => Promise<ReadModel>): Promise<Opened> => {
    const models = new OpenedModels(mongod);
    const model = await open(models);
    return {
      model,
      reopen: async () => {
        await model.close();
        return open(models);
      },
      second: () => open(models),
      cleanup: () => models.cleanup(),
    };
  };

  readModelContract('MongoDB', () => openedBy((models) => models.open()));
  readModelContract('MongoDB, read by another connection', () => openedBy(writtenAndRead));

  describe('MongoDB alone', () => {
    let models: OpenedModels;

    beforeEach(() => {
      models = new OpenedModels(mongod);
    });
    afterEach(() => models.cleanup());

    /** What a user may put into an event's data: names that MongoDB or JavaScript would read as something else. */
    const hostile: Json = JSON.parse(
      `{"b":1,"$set":{"a.b":{"$gt":""}},"10":1,"9":2,"":{"":null},"a\\u0000b":"\\u0000","__proto__":{"x":1},"constructor":"c",` +
        `"_id":"mine","$date":"2026","n":[1e21,-0.5,{"$numberLong":"1"}],"position":"not a number","lone":"\\ud800"}`,
    );

    test('data comes back byte for byte, whatever its names are and however deep it is', async () => {
      const model = await models.open();
      const deep: Json = JSON.parse('{"a":'.repeat(400) + '1' + '}'.repeat(400));
      const rows: Changes = {
        history: [event(1, { data: hostile }), event(2, { data: deep })],
        operations: [operation('o', { criteria: { $where: hostile, 'a.b': 1 } })],
      };
      await model.apply(rows, 0n, 1n);
      const read = [...(await model.get('history', [1])), ...(await model.get('history', [2]))];
      expect(read.map((row) => JSON.stringify(row))).toEqual(rows.history?.map((row) => JSON.stringify(row)));
      expect(JSON.stringify(await model.get('operations', ['o']))).toBe(JSON.stringify(rows.operations));
    });

    test('a value that reads as an operator or a field is text, and no object passes as a value', async () => {
      const model = await models.open();
      await model.apply({ catalogue: [file(1, { key: '$uid' }), file(2, { key: 'x' })] }, 0n, 1n);
      for (const op of ['eq', 'startsWith', 'contains'] as const) {
        const where = [{ path: 'record.fields.key', op, value: '$uid' }];
        expect(await model.find('catalogue', { ...list, where })).toEqual([file(1, { key: '$uid' })]);
        const smuggled: Find = JSON.parse(JSON.stringify({ ...list, where: [{ ...where[0], value: { $ne: null } }] }));
        await expect(model.find('catalogue', smuggled)).rejects.toThrow(RangeError);
      }
    });

    test('a dump equals that of SQLite, byte for byte', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'lethe-dumps-'));
      const sqlite = await openSqliteReadModel({ file: join(folder, 'model.db'), mode: 'read-write' });
      try {
        const mongo = await models.open();
        const drawn = fc.sample(fc.tuple(datasets, fc.array(fc.json(), { maxLength: 5 })), { numRuns: 25, seed: 4270 });
        for (const [i, [{ rows }, texts]] of drawn.entries()) {
          const changes: Changes = {
            catalogue: rows,
            versions: rows.map((row) => ({ ...row, until: { position: i + 2, at: '2026-11-04T00:00:00.000Z' } })),
            history: texts.map((text, n) => event(i * 7 + n * n, { data: JSON.parse(text) })),
            purges: rows.slice(0, 3).map((row, n) => purge(row.uid, i + n)),
            withdrawals: rows.slice(0, 2).map((row, n) => withdrawal(row.uid, i + n, { open: n === 0 })),
            operations: [operation(rows[0]?.uid ?? '', { criteria: { hostile } })],
            stats: [stats({ suffix: texts[0] ?? null, records: i })],
          };
          for (const model of [sqlite, mongo]) await model.apply(changes, BigInt(i), BigInt(i + 1));
        }
        for (const collection of COLLECTIONS) {
          const [expected, found] = [await dump(sqlite, collection), await dump(mongo, collection)];
          expect(expected.length).toBeGreaterThan(0);
          expect(found).toEqual(expected);
        }
      } finally {
        await sqlite.close();
        await rm(folder, { recursive: true });
      }
    });

    test('every answer is of one moment, while batches come in', async () => {
      const writer = await models.open();
      const reader = await models.open('read-only');
      const batch = (n: number): Changes => ({
        catalogue: Array.from({ length: 100 }, (_, i) => {
          const createdAt = i < 40 ? '2026-11-01T00:00:00.000Z' : '2026-11-02T00:00:00.000Z';
          return file(i, { key: String(n), size: n }, { record: { createdAt } });
        }),
      });
      await writer.apply(batch(0), 0n, 1n);
      // From the middle: half of the page comes by one question, half by the next.
      const find: Find = { ...list, limit: 100, after: ['2026-11-02T00:00:00.000Z', uid(80)] };
      const seen = new Set<string>();
      const one = (rows: readonly object[], length: number): void => {
        expect(rows).toHaveLength(length);
        const keys = new Set(rows.map((row) => at(row, 'record.fields.key')));
        expect(keys.size).toBe(1);
        seen.add([...keys].join());
      };
      const keys = Array.from({ length: 100 }, (_, i) => `files/${uid(i)}`);
      const ask = async (): Promise<void> => {
        one(await reader.find('catalogue', find), 80);
        one(await reader.get('catalogue', keys), 100);
        const { sum } = await reader.total('catalogue', [], 'record.fields.size');
        expect(sum % 100).toBe(0);
      };
      for (let n = 1; n <= 40; n += 1) {
        const answers = Array.from({ length: 4 }, ask);
        await writer.apply(batch(n), BigInt(n), BigInt(n + 1));
        await Promise.all(answers);
      }
      expect(seen.size).toBeGreaterThan(2);
    });

    test('of two projectors with the same batch exactly one wins, again and again', async () => {
      const [one, other] = [await models.open(), await models.open()];
      for (let n = 0; n < 25; n += 1) {
        const rows: Changes = { history: Array.from({ length: 50 }, (_, i) => event(n * 50 + i)) };
        const outcomes = await Promise.allSettled(
          [one, other].map((model) => model.apply(rows, BigInt(n), BigInt(n + 1))),
        );
        const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.name] : []));
        expect(refused).toEqual(['CheckpointMoved']);
      }
      expect(await other.checkpoint()).toBe(25n);
      expect(await one.total('history', [])).toEqual({ rows: 1250, sum: 0 });
    });

    test("another program's database is refused and left as it is", async () => {
      await models.db.collection('accounts').insertOne({ a: 1 });
      await expect(models.open()).rejects.toThrow(Corrupt);
      await expect(models.open()).rejects.toThrow(/name another database/);
      expect(await models.tables()).toEqual(['accounts']);
    });

    test.each(['{', '[]', '{"registry":"files"}'])(
      'a document that is none (%s) is Corrupt, not an answer',
      async (row) => {
        const model = await models.open();
        await model.apply({ catalogue: [file(1)] }, 0n, 1n);
        await models.db.collection('catalogue_1').updateOne({}, { $set: { row } });
        await expect(model.get('catalogue', [`files/${uid(1)}`])).rejects.toThrow(Corrupt);
        await expect(model.find('catalogue', list)).rejects.toThrow(Corrupt);
      },
    );

    test('read-only waits for a worker to make the model, but not for ever', async () => {
      await expect(models.open('read-only')).rejects.toThrow(Unavailable);
      await expect(models.open('read-only')).rejects.toThrow(/projector/);
      const reader = models.open('read-only', { madeWithinMs: 10_000 });
      const writer = await models.open();
      await writer.apply({ catalogue: [file(1)] }, 0n, 1n);
      expect(await (await reader).checkpoint()).toBe(1n);
      await expect((await reader).apply({}, 1n, 2n)).rejects.toThrow(/read-write/);
    });

    test('closed twice is closed, and says so when asked', async () => {
      for (const mode of ['read-write', 'read-only'] as const) {
        const model = await models.open(mode);
        await model.close();
        await model.close();
        await expect(model.checkpoint()).rejects.toThrow(Unavailable);
        await expect(model.find('catalogue', list)).rejects.toThrow(Unavailable);
        await expect(model.dump('catalogue')[Symbol.asyncIterator]().next()).rejects.toThrow(Unavailable);
      }
    });
  });
});

describe('MongoDB, without a server', () => {
  test('a URL without a database, or that is none, is refused, and its password is in no message', async () => {
    const urls = [
      'mongodb://ann:secret@127.0.0.1:1',
      'mongodb://ann:secret@127.0.0.1:1/?replicaSet=rs0',
      'http://ann:secret@127.0.0.1/lethe',
      'mongodb://ann:secret@127.0.0.1:port/lethe',
      'mongodb://ann:se@cret@127.0.0.1:1/lethe',
      'mongodb://ann:secret@127.0.0.1:1/lethe?secret=1',
      'secret',
    ];
    for (const url of urls) {
      const failure = await openMongoReadModel({ url, mode: 'read-write' }).catch((error: unknown) => error);
      expect(failure, url).toBeInstanceOf(TypeError);
      expect(
        Object.values(Object.getOwnPropertyDescriptors(failure))
          .map(({ value }) => String(value))
          .join(),
      ).not.toContain('cret');
    }
  });

  test('a full disk is Full, a primary that steps down Unavailable, a mistake stays what it is', () => {
    const as = (code: number, codeName: string): unknown =>
      asStorageError('the model', new MongoServerError({ code, codeName, errmsg: 'no' }));
    expect(as(14_031, 'OutOfDiskSpace')).toBeInstanceOf(Full);
    expect(as(189, 'PrimarySteppedDown')).toBeInstanceOf(Unavailable);
    expect(as(50, 'MaxTimeMSExpired')).toBeInstanceOf(Unavailable);
    expect(as(2, 'BadValue')).toBeInstanceOf(MongoServerError);
    // As a socket says it itself: the driver leaves that as it is.
    const ended = Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' });
    expect(asStorageError('the model', ended)).toBeInstanceOf(Unavailable);
    const mistake = new TypeError('mine');
    expect(asStorageError('the model', mistake)).toBe(mistake);
  });
});

const list: Find = {
  where: [],
  sort: [
    { path: 'record.createdAt', descending: true },
    { path: 'uid', descending: true },
  ],
  after: null,
  limit: 50,
};

const dump = async (model: ReadModel, collection: (typeof COLLECTIONS)[number]): Promise<string[]> => {
  const rows: string[] = [];
  for await (const row of model.dump(collection)) rows.push(JSON.stringify(row));
  return rows;
};
