import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe } from 'vitest';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import { openMongoReadModel } from '../../src/storage/read-model/mongodb.js';
import { NEEDS_MONGOD, startMongod, whyNoMongod, type Mongod } from '../servers/mongod.js';
import { readModelContract, type Opened } from './read-model.contract.js';

const missing = await whyNoMongod();
if (missing !== null) console.warn(`no mongod: ${missing}`);

describe.skipIf(missing !== null)(`MongoDB ${NEEDS_MONGOD}`, () => {
  let mongod: Mongod;
  let databases = 0;

  beforeAll(async () => {
    mongod = await startMongod();
  });
  afterAll(() => mongod.cleanup());

  const freshUrl = (): string => {
    databases += 1;
    return mongod.urlOf(`lethe_${databases}`);
  };
  const openedBy = async (open: (url: string) => Promise<ReadModel>): Promise<Opened> => {
    const url = freshUrl();
    const models: ReadModel[] = [];
    const another = async (): Promise<ReadModel> => {
      const model = await open(url);
      models.push(model);
      return model;
    };
    const model = await another();
    return {
      model,
      reopen: async () => {
        await model.close();
        return another();
      },
      second: another,
      cleanup: async () => {
        for (const each of models) await each.close();
        const client = new MongoClient(url);
        await client.db().dropDatabase();
        await client.close();
      },
    };
  };

  readModelContract('MongoDB', () => openedBy((url) => openMongoReadModel({ url, mode: 'read-write' })));
});
