import type Database from 'better-sqlite3';
import { z } from 'zod';
import type { Json } from '../../events/vocabulary.js';
import type { Position } from '../event-store/port.js';
import type { Collection, Condition, Find, Key, Path, ReadModel, Rows } from './port.js';
import { guarded } from './sqlite.errors.js';
import { QueryThread } from './sqlite.queries.js';
import { Reader, type Total } from './sqlite.read.js';
import { jsonOf, rowOf } from './sqlite.rows.js';

const positionSchema = z.bigint();
const docsSchema = z.array(z.string());
const totalSchema = z.object({ rows: z.number(), sum: z.number() });
const pageSchema = z.array(z.tuple([z.union([z.string(), z.number()]), z.string()]));

/** For whoever answers requests: by key at once, everything else in a thread of its own. */
export class ReadableModel implements ReadModel {
  readonly #db: Database.Database;
  readonly #reader: Reader;
  readonly #queries: QueryThread;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#reader = new Reader(db);
    this.#queries = new QueryThread(db.name);
  }

  async checkpoint(): Promise<Position> {
    return guarded(this.#db, () => this.#reader.checkpoint());
  }

  async get<C extends Collection>(collection: C, keys: readonly Key[]): Promise<Rows[C][]> {
    const docs = guarded(this.#db, () => this.#reader.get(collection, keys));
    return docs.map((doc) => rowOf(this.#db.name, collection, doc));
  }

  async find<C extends Collection>(collection: C, find: Find): Promise<Rows[C][]> {
    const docs = await this.#queries.ask({ call: 'find', collection, find }, docsSchema);
    return docs.map((doc) => rowOf(this.#db.name, collection, doc));
  }

  async total(collection: Collection, where: readonly Condition[], sum?: Path): Promise<Total> {
    return this.#queries.ask({ call: 'total', collection, where, sum }, totalSchema);
  }

  async *dump(collection: Collection, begins?: (checkpoint: Position) => void): AsyncIterable<{ key: Key; row: Json }> {
    const dump = this.#queries.nextId();
    const pageAfter = (after: Key | null) => this.#queries.ask({ call: 'page', dump, after }, pageSchema);
    try {
      const checkpoint = await this.#queries.ask({ call: 'begin', dump, collection }, positionSchema);
      begins?.(checkpoint);
      let page = await pageAfter(null);
      while (page.length > 0) {
        for (const [key, doc] of page) yield { key, row: jsonOf(this.#db.name, doc) };
        const [last] = page.at(-1) ?? [null];
        page = await pageAfter(last);
      }
    } finally {
      this.#queries.leave(dump);
    }
  }

  async apply(): Promise<void> {
    throw this.#refusal();
  }

  async beginLoad(): Promise<void> {
    throw this.#refusal();
  }

  async endLoad(): Promise<void> {
    throw this.#refusal();
  }

  async close(): Promise<void> {
    this.#db.close();
    await this.#queries.close();
  }

  #refusal(): Error {
    return new TypeError(
      `the read model ${this.#db.name} is open for reading only: apply to the projector's, which is open read-write`,
    );
  }
}
