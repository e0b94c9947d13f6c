import { MongoClient } from 'mongodb';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CheckpointMoved, OutcomeUnknown, Unavailable, Unsuitable } from '../../src/storage/errors.js';
import { openMongoReadModel } from '../../src/storage/read-model/mongodb.js';
import type { Changes, Find, ReadModel } from '../../src/storage/read-model/port.js';
import { until } from '../harness/until.js';
import { NEEDS_MONGOD, startMongod, whyNoMongod, type Mongod } from '../servers/mongod.js';
import { OpenedModels } from './read-model.mongodb.opened.js';
import { event, file, uid } from './read-model.rows.js';

const missing = await whyNoMongod();

describe.skipIf(missing !== null)(`MongoDB under faults ${NEEDS_MONGOD}`, () => {
  let mongod: Mongod;
  let models: OpenedModels;

  beforeAll(async () => {
    mongod = await startMongod();
  });
  afterAll(() => mongod.cleanup());
  beforeEach(() => {
    models = new OpenedModels(mongod);
  });
  afterEach(() => models.cleanup());

  /** Makes the server fail at commands of the model's connections. */
  const failing = async (mode: object | string, data: object): Promise<void> => {
    const client = new MongoClient(mongod.url);
    await client.db('admin').command({ configureFailPoint: 'failCommand', mode, data: { appName: 'lethe', ...data } });
    await client.close();
  };

  describe('answers that get lost', () => {
    const rows: Changes = { catalogue: [file(1)], history: [event(1)] };
    const applied = async (model: ReadModel): Promise<unknown> => [
      await model.checkpoint(),
      (await model.total('history', [])).rows,
      (await model.total('catalogue', [])).rows,
    ];

    test('a commit that took effect without a clear answer is found at the checkpoint', async () => {
      const model = await models.open();
      const writeConcernError = { code: 91, errmsg: 'no' };
      await failing('alwaysOn', { failCommands: ['commitTransaction'], writeConcernError });
      try {
        await model.apply(rows, 0n, 1n);
      } finally {
        await failing('off', {});
      }
      expect(await applied(model)).toEqual([1n, 1, 1]);
    });

    test('a commit that never reached the server is sent again', async () => {
      const model = await models.open();
      await failing({ times: 2 }, { failCommands: ['commitTransaction'], closeConnection: true });
      await model.apply(rows, 0n, 1n);
      expect(await applied(model)).toEqual([1n, 1, 1]);
    });

    test('one that gets no answer at all is OutcomeUnknown, and does not stand in the way for long', async () => {
      const model = await models.open();
      await failing('alwaysOn', { failCommands: ['commitTransaction'], closeConnection: true });
      try {
        await expect(model.apply(rows, 0n, 1n)).rejects.toThrow(OutcomeUnknown);
      } finally {
        await failing('off', {});
      }
      expect(await applied(model)).toEqual([0n, 0, 0]);
      await model.apply(rows, 0n, 1n);
      expect(await applied(model)).toEqual([1n, 1, 1]);
    });

    test('a worker that died in the middle of a batch does not hold up the next one', async () => {
      const model = await models.open();
      const dead = new MongoClient(mongod.url, { appName: 'lethe' });
      const session = dead.startSession();
      session.startTransaction();
      const touched = { $set: { checkpoint: 7n } };
      await dead.db(models.db.databaseName).collection('generations').updateOne({}, touched, { session });
      await model.apply(rows, 0n, 1n);
      expect(await applied(model)).toEqual([1n, 1, 1]);
      await session.endSession();
      await dead.close();
    });

    test('what passes by itself is tried again: a conflict, a primary that steps down', async () => {
      const model = await models.open();
      const errorLabels = ['TransientTransactionError'];
      await failing({ times: 3 }, { failCommands: ['update'], errorCode: 112, errorLabels });
      await model.apply(rows, 0n, 1n);
      await failing({ times: 1 }, { failCommands: ['commitTransaction'], errorCode: 189 });
      await model.apply({ history: [event(2)] }, 1n, 2n);
      expect(await applied(model)).toEqual([2n, 2, 1]);
    });

    test('what does not pass is Unavailable, and nothing was written', async () => {
      const model = await models.open();
      await failing('alwaysOn', { failCommands: ['update', 'aggregate'], errorCode: 13 });
      try {
        await expect(model.apply(rows, 0n, 1n)).rejects.toThrow(Unavailable);
        await expect(model.get('catalogue', ['a'])).rejects.toThrow(Unavailable);
      } finally {
        await failing('off', {});
      }
      expect(await applied(model)).toEqual([0n, 0, 0]);
    });
  });

  test('killed while batches come in, it is Unavailable; started again, rows and checkpoint are of one batch', async () => {
    const model = await models.open('read-write', { answeredWithinMs: 10_000 });
    const reader = await models.open('read-only', { answeredWithinMs: 10_000 });
    const batch = (n: number): Changes => ({
      history: Array.from({ length: 100 }, (_, i) => event(n * 100 + i)),
      catalogue: Array.from({ length: 20 }, (_, i) => file(i, { size: n })),
    });
    const follow = async (from: bigint, reached: (checkpoint: bigint) => void): Promise<unknown> => {
      for (let checkpoint = from; checkpoint < from + 2_000n; checkpoint += 1n) {
        try {
          await model.apply(batch(Number(checkpoint)), checkpoint, checkpoint + 1n);
          reached(checkpoint + 1n);
        } catch (error) {
          return error;
        }
      }
      return 'never killed';
    };
    for (const rounds of [1, 2]) {
      let acknowledged = await model.checkpoint();
      const begun = acknowledged;
      const ended = follow(begun, (checkpoint) => {
        acknowledged = checkpoint;
      });
      await until('some batches are in', async () => acknowledged >= begun + 3n);
      await mongod.kill();
      const failure = await ended;
      expect(failure, `round ${rounds}`).toSatisfy((e) => e instanceof Unavailable || e instanceof OutcomeUnknown);
      await expect(reader.checkpoint()).rejects.toThrow(Unavailable);
      await mongod.start();
      const checkpoint = await until('the model answers again', () =>
        model.checkpoint().catch((error: unknown) => {
          if (error instanceof Unavailable) return null;
          throw error;
        }),
      );
      // The one that was under way may have got through.
      expect([acknowledged, acknowledged + 1n]).toContain(checkpoint);
      expect(await model.total('history', [])).toEqual({ rows: Number(checkpoint) * 100, sum: 0 });
      const { sum } = await reader.total('catalogue', [], 'record.fields.size');
      expect(sum).toBe((Number(checkpoint) - 1) * 20);
      expect(await reader.checkpoint()).toBe(checkpoint);
    }
  });

  test('a server that hangs is given up in time', async () => {
    const patient = await models.open();
    await patient.apply({ catalogue: [file(1)] }, 0n, 1n);
    const model = await models.open('read-write', { answeredWithinMs: 3_000 });
    const reader = await models.open('read-only', { answeredWithinMs: 3_000 });
    const { pid } = mongod;
    if (pid === null) throw new Error('no mongod runs');
    process.kill(pid, 'SIGSTOP');
    try {
      const asked = [
        () => reader.get('catalogue', [`files/${uid(1)}`]),
        () => reader.find('catalogue', list),
        () => reader.checkpoint(),
        () => model.apply({ catalogue: [file(2)] }, 1n, 2n),
      ];
      for (const ask of asked) await expect(ask()).rejects.toThrow(Unavailable);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    // What it was sent meanwhile it does now, a part of a batch too: which is ended before the next one goes.
    await until('it takes a batch again', () =>
      patient.apply({ catalogue: [file(3)] }, 1n, 2n).then(
        () => true,
        (error: unknown) => {
          if (error instanceof Unavailable || error instanceof OutcomeUnknown) return false;
          // A try before this one came through: what it wrote is looked at below.
          if (error instanceof CheckpointMoved) return true;
          throw error;
        },
      ),
    );
    expect(await patient.find('catalogue', list)).toEqual([file(1), file(3)]);
  });

  test('a server that stands alone is refused, with the command that makes it a replica set', async () => {
    const alone = await startMongod({ replicaSet: false });
    try {
      for (const mode of ['read-write', 'read-only'] as const) {
        const opening = openMongoReadModel({ url: alone.urlOf('lethe'), mode });
        await expect(opening).rejects.toThrow(Unsuitable);
        await expect(opening).rejects.toThrow(/mongod --replSet rs0[^]*rs\.initiate\(\)/);
      }
    } finally {
      await alone.cleanup();
    }
  });
});

describe('MongoDB that is not there', () => {
  test('nobody at that port, or one who never answers, is Unavailable within seconds, and no password is in the message', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    if (address === null || typeof address === 'string') throw new Error('no port was given');
    try {
      for (const port of [1, address.port]) {
        const url = `mongodb://ann:secret@127.0.0.1:${port}/lethe`;
        const failure = await openMongoReadModel({ url, mode: 'read-write' }).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(Unavailable);
        expect(String(failure)).toMatch(/lethe on 127\.0\.0\.1/);
        expect(String(failure)).not.toContain('secret');
      }
    } finally {
      silent.close();
    }
  });
});

const list: Find = { where: [], sort: [{ path: 'uid', descending: false }], after: null, limit: 50 };
