import { MongoNetworkTimeoutError, type Db, type IndexDescription } from 'mongodb';
import type { Connection } from './mongodb.connection.js';
import { fieldOf, membersFields } from './mongodb.documents.js';
import { refusalOf } from './mongodb.transaction.js';
import { INDEXES } from './indexes.js';
import { COLLECTIONS, type Collection } from './port.js';

/** The collection of a generation's rows. */
export const tableOf = (collection: Collection, generation: number): string => `${collection}_${generation}`;

/** The collection that says which generations there are, and which is live. */
export const GENERATIONS = 'generations';

const TABLE = new RegExp(`^(${COLLECTIONS.join('|')})_\\d+$`);
export const isTable = (name: string): boolean => TABLE.test(name);

interface IndexMade {
  readonly description: IndexDescription & { readonly name: string };
  /** Projections ask by it. */
  readonly loading: boolean;
}

const indexesOf = (collection: Collection): IndexMade[] => [
  ...INDEXES[collection].map(({ name, paths, sparse, loading }) => ({
    description: {
      name,
      key: Object.fromEntries(paths.map((path) => [fieldOf(collection, path), 1] as const)),
      ...(sparse !== undefined && { partialFilterExpression: { [fieldOf(collection, sparse)]: { $exists: true } } }),
    },
    loading: loading === true,
  })),
  ...membersFields(collection).map((field) => ({ description: { name: field, key: { [field]: 1 } }, loading: true })),
];

/** Makes a generation's collections where they are missing: a transaction that had to make them would refuse others meanwhile. */
export const makeTables = async (db: Db, generation: number): Promise<void> => {
  for (const collection of COLLECTIONS) {
    try {
      await db.createCollection(tableOf(collection, generation));
    } catch (error) {
      if (refusalOf(error) !== 'NamespaceExists') throw error;
    }
  }
};

/** Makes the indexes that are missing: all, or those that projections ask by. */
export const makeIndexes = async (db: Db, generation: number, which: 'all' | 'loading'): Promise<void> => {
  for (const collection of COLLECTIONS) {
    const wanted = indexesOf(collection).filter(({ loading }) => loading || which === 'all');
    // At once: the rows are then read once for all of them.
    const descriptions = wanted.map(({ description }) => description);
    if (descriptions.length === 0) continue;
    await patiently(() => db.collection(tableOf(collection, generation)).createIndexes(descriptions));
  }
};

/** Asking again for an index that is being built waits for that build. */
const patiently = async (build: () => Promise<unknown>): Promise<void> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await build();
      return;
    } catch (error) {
      if (!(error instanceof MongoNetworkTimeoutError) || attempt === MOST_WAITS) throw error;
    }
  }
};
/** As many times as a connection may go without an answer: hours, for an index of a very large collection. */
const MOST_WAITS = 240;

/** Drops the indexes that no projection asks by. Only for a generation that nobody reads. */
export const dropQueryIndexes = async (db: Db, generation: number): Promise<void> => {
  for (const collection of COLLECTIONS) {
    for (const { description, loading } of indexesOf(collection)) {
      if (loading) continue;
      try {
        await db.collection(tableOf(collection, generation)).dropIndex(description.name);
      } catch (error) {
        if (refusalOf(error) !== 'IndexNotFound' && refusalOf(error) !== 'NamespaceNotFound') throw error;
      }
    }
  }
};

/** Drops whatever is left of these generations. */
export const dropTables = async (db: Db, generations: readonly number[]): Promise<void> => {
  if (generations.length === 0) return;
  const standing = new Set(await tablesIn({ db }));
  for (const generation of generations) {
    for (const collection of COLLECTIONS) {
      const table = tableOf(collection, generation);
      if (standing.has(table)) await db.dropCollection(table);
    }
  }
};

/** The names of the database's collections, others' too. */
export const tablesIn = async ({ db }: Pick<Connection, 'db'>): Promise<string[]> => {
  const tables = await db.listCollections({}, { nameOnly: true }).toArray();
  return tables.map(({ name }) => name);
};
