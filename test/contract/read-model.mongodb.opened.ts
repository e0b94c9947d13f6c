import { MongoClient, type Db } from 'mongodb';
import {
  openMongoReadModel,
  rebuildMongoReadModel,
  type MongoReadModelOptions,
} from '../../src/storage/read-model/mongodb.js';
import type { ReadModel, Rebuild } from '../../src/storage/read-model/port.js';
import type { Mongod } from '../servers/mongod.js';

let databases = 0;

/** Models of one database that no other test has, and what lies in it; all closed and dropped in the end. */
export class OpenedModels {
  readonly url: string;
  private readonly models: ReadModel[] = [];
  private readonly client: MongoClient;

  constructor(mongod: Pick<Mongod, 'urlOf'>) {
    databases += 1;
    this.url = mongod.urlOf(`lethe_${process.pid}_${databases}`);
    this.client = new MongoClient(this.url, { serverSelectionTimeoutMS: 10_000 });
  }

  async open(
    mode: 'read-write' | 'read-only' = 'read-write',
    more: Partial<MongoReadModelOptions> = {},
  ): Promise<ReadModel> {
    return this.adopt(await openMongoReadModel({ url: this.url, mode, madeWithinMs: 200, ...more }));
  }

  async rebuild(): Promise<Rebuild> {
    const built = await rebuildMongoReadModel(this.url);
    this.adopt(built.model);
    return built;
  }

  async rebuilding(): Promise<ReadModel> {
    return (await this.rebuild()).model;
  }

  adopt(model: ReadModel): ReadModel {
    this.models.push(model);
    return model;
  }

  /** The database, behind the adapter's back. */
  get db(): Db {
    return this.client.db();
  }

  /** The states of all generations, in the order in which they were begun. */
  async states(): Promise<unknown[]> {
    const found = await this.db.collection('generations').find().sort({ _id: 1 }).toArray();
    return found.map(({ state }) => state);
  }

  async tables(): Promise<string[]> {
    const found = await this.db.listCollections({}, { nameOnly: true }).toArray();
    return found.map(({ name }) => name).sort();
  }

  async cleanup(): Promise<void> {
    for (const model of this.models) await model.close();
    await this.db.dropDatabase();
    await this.client.close();
  }
}

/** Both modes as one model: what a worker writes is read as an API process reads it. */
export const writtenAndRead = async (models: OpenedModels): Promise<ReadModel> => {
  const writer = await models.open();
  const reader = await models.open('read-only');
  return {
    checkpoint: () => reader.checkpoint(),
    get: (collection, keys) => reader.get(collection, keys),
    find: (collection, find) => reader.find(collection, find),
    total: (collection, where, sum) => reader.total(collection, where, sum),
    dump: (collection, begins) => reader.dump(collection, begins),
    apply: (changes, from, to) => writer.apply(changes, from, to),
    beginLoad: () => writer.beginLoad(),
    endLoad: () => writer.endLoad(),
    close: async () => {
      await reader.close();
      await writer.close();
    },
  };
};
