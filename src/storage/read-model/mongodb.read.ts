import type { ClientSession, Document as Stage } from 'mongodb';
import { ONE_MOMENT, type Connection } from './mongodb.connection.js';
import { fieldOf, storedKey } from './mongodb.documents.js';
import { corrupt } from './mongodb.errors.js';
import { generationOf, type Generation } from './mongodb.generations.js';
import { filterOf, rangesOf } from './mongodb.query.js';
import { GENERATIONS, tableOf } from './mongodb.schema.js';
import { refusalOf } from './mongodb.transaction.js';
import type { Collection, Condition, Find, Key, Path } from './port.js';

/** What was asked for, and beside it the generation that it was read from as it stood at that moment. */
export interface Answer<T> {
  readonly value: T;
  readonly generation: Generation;
}
export interface Total {
  readonly rows: number;
  readonly sum: number;
}

/** Beyond a null that sorts last there is nothing. */
const NOTHING: readonly Stage[] = [{ $match: { _id: { $in: [] } } }];

/** A query takes no longer than this, on the server. */
const LONGEST_MS = 20_000;
const MOST_ATTEMPTS = 5;

/**
 * Asks a generation. Each answer shows one moment (`snapshot`), which is that of the last batch that a majority has, and carries the
 * generation's own document, of that moment too: whoever reads the live one then knows that it was, without another question.
 */
export class Reader {
  constructor(private readonly connection: Connection) {}

  async get(generation: number, collection: Collection, keys: readonly Key[]): Promise<Answer<unknown[]>> {
    const stages = [{ $match: { _id: { $in: [...new Set(keys)].map(storedKey) } } }, { $project: { row: 1 } }];
    const { value, ...answer } = await this.asked(generation, collection, stages);
    return { ...answer, value: value.map(({ row }) => row) };
  }

  async find(generation: number, collection: Collection, find: Find): Promise<Answer<unknown[]>> {
    const pages = rangesOf(collection, find).map(({ filter, sort }) => [
      { $match: filter },
      { $sort: sort },
      { $limit: find.limit },
      { $project: { row: 1 } },
    ]);
    const [first = NOTHING, ...more] = pages;
    const read = async (session?: ClientSession): Promise<Answer<unknown[]>> => {
      const { value, ...answer } = await this.asked(generation, collection, first, session);
      for (const stages of more) {
        if (value.length >= find.limit) break;
        const page = await this.asked(generation, collection, stages, session);
        value.push(...page.value.slice(0, find.limit - value.length));
      }
      return { ...answer, value: value.map(({ row }) => row) };
    };
    // One question is of one moment by itself.
    return more.length === 0 ? read() : this.atOnce(read);
  }

  async total(
    generation: number,
    collection: Collection,
    where: readonly Condition[],
    sum?: Path,
  ): Promise<Answer<Total>> {
    const counted = { rows: { $sum: 1 }, ...(sum !== undefined && { sum: { $sum: `$${fieldOf(collection, sum)}` } }) };
    const stages = [{ $match: filterOf(collection, where) }, { $group: { _id: null, ...counted } }];
    const { value, ...answer } = await this.asked(generation, collection, stages);
    const [total] = value;
    return { ...answer, value: { rows: Number(total?.['rows'] ?? 0), sum: Number(total?.['sum'] ?? 0) } };
  }

  /** One moment for several questions. A moment that the server can no longer show is taken anew. */
  async atOnce<T>(read: (session: ClientSession) => Promise<T>): Promise<T> {
    return again(async () => {
      const session = this.connection.client.startSession({ snapshot: true });
      try {
        return await read(session);
      } finally {
        await session.endSession();
      }
    });
  }

  private async asked(
    generation: number,
    collection: Collection,
    stages: readonly Stage[],
    session?: ClientSession,
  ): Promise<Answer<Record<string, unknown>[]>> {
    const beside = { $unionWith: { coll: GENERATIONS, pipeline: [{ $match: { _id: generation } }] } };
    const ask = (): Promise<Record<string, unknown>[]> =>
      this.connection.db
        .collection(tableOf(collection, generation))
        .aggregate<Record<string, unknown>>([...stages, beside], {
          ...(session !== undefined && { session }),
          ...ONE_MOMENT,
          maxTimeMS: LONGEST_MS,
          allowDiskUse: true,
          batchSize: MOST_ROWS,
        })
        .toArray();
    // Within a session its moment is fixed: whoever opened it asks again.
    const found = session === undefined ? await again(ask) : await ask();
    const documents = found.filter((one) => 'state' in one);
    const [document] = documents;
    if (document === undefined) throw corrupt(this.connection.name, `no longer knows its generation ${generation}`);
    return { value: found.filter((one) => one !== document), generation: generationOf(this.connection.name, document) };
  }
}

/** One answer of the server then has a whole page, and the generation. */
const MOST_ROWS = 1_002;

/** Right after a collection or an index was made or dropped, the server can't show a moment before. */
const again = async <T>(read: () => Promise<T>): Promise<T> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await read();
    } catch (error) {
      if (refusalOf(error) !== 'SnapshotUnavailable' || attempt === MOST_ATTEMPTS) throw error;
    }
  }
};
