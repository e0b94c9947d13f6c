import Database from 'better-sqlite3';
import type { Position } from '../event-store/port.js';
import { COLLECTIONS, type Collection, type Condition, type Find, type Key, type Path } from './port.js';
import { columnOf, columnReader, columnsOf, isObject, type Stored } from './sqlite.columns.js';
import { corrupt } from './sqlite.errors.js';
import { findSql, totalSql } from './sqlite.query.js';

/** A document as text, so that it crosses from one thread to another cheaply and is parsed once. */
export type Doc = string;
export type Entry = readonly [key: Key, doc: Doc];
export interface Total {
  readonly rows: number;
  readonly sum: number;
}

const CHECKPOINT = 'SELECT checkpoint FROM meta';

/** Asks a connection. Each answer shows one moment. */
export class Reader {
  readonly #db: Database.Database;
  readonly #checkpoint: Database.Statement<[], bigint>;
  readonly #docs: Statements<Doc>;
  readonly #ids: Statements<number>;
  readonly #totals: Statements<Total>;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#checkpoint = db.prepare<[], bigint>(CHECKPOINT).pluck().safeIntegers();
    this.#docs = new Statements((text) => db.prepare<Stored[], Doc>(text).pluck());
    this.#ids = new Statements((text) => db.prepare<Stored[], number>(text).pluck());
    this.#totals = new Statements((text) => db.prepare<Stored[], Total>(text));
  }

  checkpoint(): Position {
    return this.#checkpoint.get() ?? 0n;
  }

  get(collection: Collection, keys: readonly Key[]): Doc[] {
    const byKey = this.#docs.of(`SELECT _doc FROM ${collection} WHERE _key = ?`);
    const [only] = keys;
    // One row is of one moment by itself.
    if (keys.length === 1 && only !== undefined) return byKey.all(only);
    return this.#atOnce(() => [...new Set(keys)].flatMap((key) => byKey.all(key)));
  }

  find(collection: Collection, find: Find): Doc[] {
    const byId = this.#docs.of(`SELECT _doc FROM ${collection} WHERE rowid = ?`);
    // First the ids, which an index often has, and then only the documents that are wanted.
    return this.#atOnce(() => this.#page(collection, find).flatMap((id) => byId.all(id)));
  }

  total(collection: Collection, where: readonly Condition[], sum?: Path): Total {
    const { text, values } = totalSql(collection, where, sum);
    return this.#totals.of(text).get(...values) ?? { rows: 0, sum: 0 };
  }

  #page(collection: Collection, find: Find): number[] {
    const ids: number[] = [];
    for (const { text, values } of findSql(collection, find)) {
      if (ids.length < find.limit) ids.push(...this.#ids.of(text).all(...values, find.limit - ids.length));
    }
    return ids;
  }

  /** One transaction around several reads, so that no other connection's batch comes between them. */
  #atOnce<T>(read: () => T): T {
    return this.#db.transaction(read)();
  }
}

/** Prepared statements by their text, at most `MOST_STATEMENTS` of them: the least recently used one goes first. */
class Statements<R> {
  readonly #prepare: (text: string) => Database.Statement<Stored[], R>;
  readonly #prepared = new Map<string, Database.Statement<Stored[], R>>();

  constructor(prepare: (text: string) => Database.Statement<Stored[], R>) {
    this.#prepare = prepare;
  }

  of(text: string): Database.Statement<Stored[], R> {
    const statement = this.#prepared.get(text) ?? this.#prepare(text);
    this.#prepared.delete(text);
    this.#prepared.set(text, statement);
    const [oldest] = this.#prepared.keys();
    if (this.#prepared.size > MOST_STATEMENTS && oldest !== undefined) this.#prepared.delete(oldest);
    return statement;
  }
}

const MOST_STATEMENTS = 100;

type Columns = readonly [...Entry, ...columns: Stored[]];

/**
 * All rows of a collection by key, page by page, as they were when it began. It has a connection of its own, which holds that moment.
 * What queries ask is a row's columns: they have to say what the document says, and where they do not, a dump is no account of the model.
 */
export class Snapshot {
  /** Where the model stood at that moment. */
  readonly checkpoint: Position;
  readonly #db: Database.Database;
  readonly #first: Database.Statement<[], Columns>;
  readonly #next: Database.Statement<[Key], Columns>;
  readonly #collection: Collection;

  constructor(file: string, collection: Collection) {
    this.#db = new Database(file, { readonly: true, fileMustExist: true });
    this.#collection = collection;
    const columns = columnsOf(collection).map((path) => `, ${columnOf(collection, path)}`);
    const rows = `SELECT _key, _doc${columns.join('')} FROM ${collection}`;
    this.#first = this.#db.prepare<[], Columns>(`${rows} ORDER BY _key`).raw();
    this.#next = this.#db.prepare<[Key], Columns>(`${rows} WHERE _key > ? ORDER BY _key`).raw();
    this.#db.exec('BEGIN');
    // The moment is that of the first read.
    this.checkpoint = this.#db.prepare<[], bigint>(CHECKPOINT).pluck().safeIntegers().get() ?? 0n;
  }

  /** The rows after this key; none at the end. @throws Corrupt where a row's columns are not its document's */
  page(after: Key | null): Entry[] {
    const page: Entry[] = [];
    let size = 0;
    for (const [key, doc, ...columns] of after === null ? this.#first.iterate() : this.#next.iterate(after)) {
      this.#compare(key, doc, columns);
      page.push([key, doc]);
      size += doc.length;
      if (page.length >= PAGE_ROWS || size >= PAGE_CHARACTERS) break;
    }
    return page;
  }

  #compare(key: Key, doc: Doc, columns: readonly Stored[]): void {
    const collection = this.#collection;
    const wrong = strayColumn(collection, doc, columns);
    if (wrong === null) return;
    throw corrupt(
      this.#db.name,
      `the row ${key} in ${collection} has another value in its column ${wrong} than in its document`,
    );
  }

  close(): void {
    this.#db.close();
  }
}

const READERS = new Map(
  COLLECTIONS.map((name) => [name, columnsOf(name).map((path) => [path, columnReader(path)] as const)]),
);

/** The first column that does not say what the document says; null where all do. */
const strayColumn = (collection: Collection, doc: Doc, columns: readonly Stored[]): Path | null => {
  const row = parsed(doc);
  // What is no document is told by whoever reads it.
  if (!isObject(row)) return null;
  const stray = READERS.get(collection)?.find(([, read], index) => {
    const value = read(row);
    return (typeof value === 'bigint' ? Number(value) : value) !== columns[index];
  });
  return stray?.[0] ?? null;
};

const parsed = (doc: Doc): unknown => {
  try {
    return JSON.parse(doc);
  } catch {
    return null; // told by whoever reads it
  }
};

const PAGE_ROWS = 500;
const PAGE_CHARACTERS = 2 ** 21;
