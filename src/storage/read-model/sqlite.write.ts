import type Database from 'better-sqlite3';
import { CheckpointMoved } from '../errors.js';
import type { Position } from '../event-store/port.js';
import { MEMBERS } from './indexes.js';
import { COLLECTIONS, KEYS, type Changes, type Collection, type Key, type Path, type Rows } from './port.js';
import {
  columnOf,
  columnReader,
  columnsOf,
  membersColumn,
  membersReader,
  membersTable,
  type Stored,
} from './sqlite.columns.js';

/** While loading, this many batches go to the disk together: pages that many of them touch are then written once. */
const BATCHES_AT_ONCE = 16;

/** Writes batches: the rows and the checkpoint of each in one transaction, while loading of many at once. */
export class Writer {
  readonly #db: Database.Database;
  readonly #move: Database.Statement<[bigint, bigint]>;
  readonly #tables: { readonly [C in Collection]: (row: Rows[C]) => void };
  #loading = false;
  /** How many batches the transaction that stands open has. */
  #held = 0;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#move = db.prepare('UPDATE meta SET checkpoint = ? WHERE checkpoint = ?');
    this.#tables = {
      catalogue: tableWriter(db, 'catalogue'),
      versions: tableWriter(db, 'versions'),
      history: tableWriter(db, 'history'),
      purges: tableWriter(db, 'purges'),
      withdrawals: tableWriter(db, 'withdrawals'),
      operations: tableWriter(db, 'operations'),
      stats: tableWriter(db, 'stats'),
    };
  }

  write(changes: Changes, from: Position, to: Position): void {
    // Immediate: whoever is second waits for the first to end, and then sees its checkpoint.
    if (!this.#db.inTransaction) this.#db.exec('BEGIN IMMEDIATE');
    try {
      this.#writeRows(changes, from, to);
      this.#held += 1;
      if (!this.#loading || this.#held === BATCHES_AT_ONCE) this.commit();
    } catch (error) {
      // A repeat has written nothing and takes nothing back.
      if (this.#loading && error instanceof CheckpointMoved) throw error;
      this.#rollBack();
      throw error;
    }
  }

  /** From here on batches are held back to go together. */
  beginLoad(): void {
    this.#loading = true;
  }

  endLoad(): void {
    this.#loading = false;
    this.commit();
  }

  /** Whatever is held back goes to the disk, where other connections see it. */
  commit(): void {
    try {
      if (this.#db.inTransaction) this.#db.exec('COMMIT');
      this.#held = 0;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #writeRows(changes: Changes, from: Position, to: Position): void {
    if (this.#move.run(to, from).changes === 0) {
      throw new CheckpointMoved(
        `the read model ${this.#db.name} no longer stands at ${from}, so nothing was written: read its checkpoint and go on from there`,
      );
    }
    const writeTable = <C extends Collection>(collection: C, rows: Changes[C]): void => {
      for (const row of rows ?? []) this.#tables[collection](row);
    };
    for (const collection of COLLECTIONS) writeTable(collection, changes[collection]);
  }

  #rollBack(): void {
    this.#held = 0;
    // SQLite has done it already where the disk was full.
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
  }
}

const tableWriter = <C extends Collection>(db: Database.Database, collection: C): ((row: Rows[C]) => void) => {
  const paths = columnsOf(collection);
  const readers = paths.map(columnReader);
  const arrays = MEMBERS[collection].map((path) => new Members(db, collection, path));
  const columns = [
    ...paths.map((path) => columnOf(collection, path)),
    ...MEMBERS[collection].map((path) => `"${membersColumn(path)}"`),
    '_doc',
  ];
  const put = db.prepare<Stored[]>(upsert(collection, columns));
  return (row) => {
    const key = KEYS[collection](row);
    const values: Stored[] = [typeof key === 'number' ? BigInt(key) : key];
    for (const read of readers) values.push(read(row));
    const changes = arrays.map((array) => array.changes(row, key));
    for (const { text } of changes) values.push(text);
    values.push(JSON.stringify(row));
    const { lastInsertRowid } = put.run(...values);
    for (const change of changes) change.follow(lastInsertRowid);
  };
};

const upsert = (collection: Collection, columns: readonly string[]): string => {
  const updates = columns.map((column) => `${column} = excluded.${column}`).join(', ');
  const marks = columns.map(() => '?').join(', ');
  return `INSERT INTO ${collection} (_key, ${columns.join(', ')}) VALUES (?, ${marks}) ON CONFLICT (_key) DO UPDATE SET ${updates}`;
};

/** Keeps the side table of an array in step with its row: mostly the array is as it was, and nothing is written. */
class Members {
  readonly #read: (row: object) => readonly string[];
  readonly #before: Database.Statement<[Key], { id: number; text: string }>;
  readonly #add: Database.Statement<[string, number | bigint]>;
  readonly #remove: Database.Statement<[string, number | bigint]>;

  constructor(db: Database.Database, collection: Collection, path: Path) {
    const table = `"${membersTable(collection, path)}"`;
    this.#read = membersReader(path);
    this.#before = db.prepare(`SELECT _id AS id, "${membersColumn(path)}" AS text FROM ${collection} WHERE _key = ?`);
    this.#add = db.prepare(`INSERT INTO ${table} (member, owner) VALUES (?, ?)`);
    this.#remove = db.prepare(`DELETE FROM ${table} WHERE member = ? AND owner = ?`);
  }

  /** To be asked before the row is written; `follow` afterwards, with the id of a row that is new. */
  changes(row: object, key: Key): { text: string; follow: (newId: number | bigint) => void } {
    const before = this.#before.get(key);
    const members = this.#read(row);
    const text = JSON.stringify(members);
    if (before?.text === text) return { text, follow: () => undefined };
    const old = before === undefined ? [] : parseTexts(before.text);
    return {
      text,
      follow: (newId) => {
        const owner = before?.id ?? newId;
        for (const member of old) if (!members.includes(member)) this.#remove.run(member, owner);
        for (const member of members) if (!old.includes(member)) this.#add.run(member, owner);
      },
    };
  }
}

const parseTexts = (text: string): string[] => {
  const members: unknown = JSON.parse(text);
  return Array.isArray(members) ? members.filter((member) => typeof member === 'string') : [];
};
