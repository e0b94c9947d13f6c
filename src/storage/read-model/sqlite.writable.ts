import type Database from 'better-sqlite3';
import type { Json } from '../../events/vocabulary.js';
import type { Position } from '../event-store/port.js';
import type { Changes, Collection, Condition, Find, Key, Path, ReadModel, Rows } from './port.js';
import { guarded } from './sqlite.errors.js';
import { Reader, Snapshot, type Total } from './sqlite.read.js';
import { jsonOf, rowOf } from './sqlite.rows.js';
import { dropQueryIndexes, make, makeIndexes, refuseForeign } from './sqlite.schema.js';
import { Writer } from './sqlite.write.js';

/** Memory for pages, and how many pages the write-ahead log may have before they move to the file: the more, the fewer moves. */
interface Tuning {
  readonly cacheKib: number;
  readonly walPages: number;
}
const FOLLOWING: Tuning = { cacheKib: 32 * 1024, walPages: 4_096 };
const LOADING: Tuning = { cacheKib: 256 * 1024, walPages: 16_384 };

const tune = (db: Database.Database, { cacheKib, walPages }: Tuning): void => {
  db.pragma(`cache_size = ${-cacheKib}`);
  db.pragma(`wal_autocheckpoint = ${walPages}`);
  db.pragma('shrink_memory');
};

/** Makes the file what this version needs: see `openSqliteReadModel`. */
export const prepare = (db: Database.Database): void => {
  refuseForeign(db);
  db.pragma('page_size = 8192'); // of a new file: rows of a kilobyte or two fill these better than the default
  db.pragma('journal_mode = WAL');
  // A power cut may take the last batches, never tear one: they are applied again from the log.
  db.pragma('synchronous = NORMAL');
  db.pragma(`journal_size_limit = ${64 * 2 ** 20}`);
  tune(db, FOLLOWING);
  make(db);
  // A load that died has left some out. Here, and not at the next `endLoad`: a follower that is nearly done may see no need to load.
  makeIndexes(db);
};

/** For the projector: everything is done at once, on its own thread. */
export class WritableModel implements ReadModel {
  readonly #db: Database.Database;
  readonly #reader: Reader;
  readonly #writer: Writer;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#reader = new Reader(db);
    this.#writer = new Writer(db);
  }

  async checkpoint(): Promise<Position> {
    return guarded(this.#db, () => this.#reader.checkpoint());
  }

  async apply(changes: Changes, from: Position, to: Position): Promise<void> {
    guarded(this.#db, () => this.#writer.write(changes, from, to));
  }

  async get<C extends Collection>(collection: C, keys: readonly Key[]): Promise<Rows[C][]> {
    const docs = guarded(this.#db, () => this.#reader.get(collection, keys));
    return docs.map((doc) => rowOf(this.#db.name, collection, doc));
  }

  async find<C extends Collection>(collection: C, query: Find): Promise<Rows[C][]> {
    const docs = guarded(this.#db, () => this.#reader.find(collection, query));
    return docs.map((doc) => rowOf(this.#db.name, collection, doc));
  }

  async total(collection: Collection, where: readonly Condition[], sum?: Path): Promise<Total> {
    return guarded(this.#db, () => this.#reader.total(collection, where, sum));
  }

  async beginLoad(): Promise<void> {
    guarded(this.#db, () => {
      this.#writer.commit();
      dropQueryIndexes(this.#db);
      tune(this.#db, LOADING);
      this.#writer.beginLoad();
    });
  }

  async endLoad(): Promise<void> {
    guarded(this.#db, () => {
      this.#writer.endLoad();
      makeIndexes(this.#db);
      tune(this.#db, FOLLOWING);
    });
  }

  async *dump(collection: Collection, begins?: (checkpoint: Position) => void): AsyncIterable<{ key: Key; row: Json }> {
    const snapshot = guarded(this.#db, () => {
      this.#writer.commit();
      return new Snapshot(this.#db.name, collection);
    });
    try {
      begins?.(snapshot.checkpoint);
      let page = guarded(this.#db, () => snapshot.page(null));
      while (page.length > 0) {
        for (const [key, doc] of page) yield { key, row: jsonOf(this.#db.name, doc) };
        const [last] = page.at(-1) ?? [null];
        page = guarded(this.#db, () => snapshot.page(last));
      }
    } finally {
      snapshot.close();
    }
  }

  async close(): Promise<void> {
    if (!this.#db.open) return;
    guarded(this.#db, () => this.#writer.commit());
    this.#db.close();
  }
}
