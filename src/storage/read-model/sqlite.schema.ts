import type Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { Corrupt } from '../errors.js';
import { columnOf, columnsOf, membersColumn, membersTable } from './sqlite.columns.js';
import { INDEXES, MEMBERS, type Index } from './indexes.js';
import { COLLECTIONS, type Collection, type Path } from './port.js';

/** Raise it when what the projections write into a row changes while the tables stay as they are. */
const ROWS = 1;

const indexName = (collection: Collection, index: Index): string => `${collection}_${index.name}`;

const tables = (collection: Collection): string[] => {
  // The indexed columns stand before the document: whoever scans them does not read through it.
  const columns = columnsOf(collection).map((path) => columnOf(collection, path));
  const members = MEMBERS[collection].map((path) => `"${membersColumn(path)}" TEXT`);
  const keys =
    collection === 'history' ? ['_key INTEGER PRIMARY KEY'] : ['_id INTEGER PRIMARY KEY', '_key TEXT NOT NULL UNIQUE'];
  return [
    `CREATE TABLE ${collection} (${[...keys, ...columns, ...members, '_doc TEXT NOT NULL'].join(', ')})`,
    ...MEMBERS[collection].map(
      (path) =>
        `CREATE TABLE "${membersTable(collection, path)}" (member TEXT, owner INTEGER, PRIMARY KEY (member, owner)) WITHOUT ROWID`,
    ),
  ];
};

const createIndex = (collection: Collection, index: Index): string => {
  const columns = index.paths.map((path) => columnOf(collection, path)).join(', ');
  const where = index.sparse === undefined ? '' : ` WHERE ${columnOf(collection, index.sparse)} IS NOT NULL`;
  return `CREATE INDEX IF NOT EXISTS ${indexName(collection, index)} ON ${collection} (${columns})${where}`;
};

const META = [
  'CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), checkpoint INTEGER NOT NULL)',
  'INSERT INTO meta VALUES (1, 0)',
];
const TABLES = [...META, ...COLLECTIONS.flatMap(tables)];

/** Names this layout in `user_version`: 28 bits of a digest, so that no change of a table or an index is ever forgotten. */
const SCHEMA = Number.parseInt(
  createHash('sha256')
    .update(
      JSON.stringify([
        ROWS,
        TABLES,
        COLLECTIONS.map((collection) => INDEXES[collection].map((index) => createIndex(collection, index))),
      ]),
    )
    .digest('hex')
    .slice(0, 7),
  16,
);

/** Marks the file as a read model of Lethe's (`application_id`): "Leth". */
const OURS = 0x4c657468;

export const isMade = (db: Database.Database): boolean =>
  db.pragma('user_version', { simple: true }) === SCHEMA && db.pragma('application_id', { simple: true }) === OURS;

/** @throws Corrupt where the file is a database of something else. To be asked before anything is done to it. */
export const refuseForeign = (db: Database.Database): void => {
  if (db.pragma('application_id', { simple: true }) === OURS || tablesIn(db).length === 0) return;
  throw new Corrupt(`${db.name} is a database, but no read model of Lethe's, and was left as it is: name another file`);
};

/** Makes the tables; those of another version are thrown away, since the log has all that was in them. */
export const make = (db: Database.Database): void => {
  const remake = db.transaction(() => {
    if (isMade(db)) return;
    for (const name of tablesIn(db)) db.exec(`DROP TABLE "${name}"`);
    for (const statement of TABLES) db.exec(statement);
    db.exec('ANALYZE'); // makes sqlite_stat1
    for (const collection of COLLECTIONS) addIndexes(db, collection);
    db.pragma(`application_id = ${OURS}`);
    db.pragma(`user_version = ${SCHEMA}`);
  });
  // What is made already is looked at without waiting for whoever writes.
  if (!isMade(db)) remake.immediate();
};

const tablesIn = (db: Database.Database): string[] =>
  db
    .prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'")
    .pluck()
    .all();

/** Drops the indexes that no projection asks by. */
export const dropQueryIndexes = (db: Database.Database): void => {
  const drop = db.transaction(() => {
    for (const collection of COLLECTIONS) {
      const spared = INDEXES[collection].filter(({ loading }) => loading !== true);
      for (const index of spared) db.exec(`DROP INDEX IF EXISTS ${indexName(collection, index)}`);
    }
  });
  drop.immediate();
};

/** Makes the indexes that are missing, one by one, so that the write-ahead log can be emptied in between. */
export const makeIndexes = (db: Database.Database): void => {
  const standing = new Set(db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'index'").pluck().all());
  for (const collection of COLLECTIONS) {
    for (const index of INDEXES[collection]) {
      if (!standing.has(indexName(collection, index)))
        db.transaction(() => addIndexes(db, collection, [index])).immediate();
    }
  }
};

/**
 * Beside each index goes what the planner is to think of it. The numbers are written, not measured: plans then are the same on every
 * machine and from the first row on, and the tests can state them.
 */
const addIndexes = (db: Database.Database, collection: Collection, indexes = INDEXES[collection]): void => {
  for (const index of indexes) db.exec(createIndex(collection, index));
  db.prepare('DELETE FROM sqlite_stat1 WHERE tbl = ?').run(collection);
  const add = db.prepare('INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)');
  if (collection === 'history') add.run(collection, null, String(ROWS_EXPECTED));
  else add.run(collection, `sqlite_autoindex_${collection}_1`, `${ROWS_EXPECTED} 1`);
  for (const index of INDEXES[collection]) add.run(collection, indexName(collection, index), statOf(index));
  for (const path of MEMBERS[collection]) {
    const table = membersTable(collection, path);
    db.prepare('DELETE FROM sqlite_stat1 WHERE tbl = ?').run(table);
    add.run(table, table, `${3 * ROWS_EXPECTED} 20 1`);
  }
  db.exec('ANALYZE sqlite_schema'); // reads sqlite_stat1 again
};

const ROWS_EXPECTED = 1_000_000;
/** How many values a path has among all rows; a path that is not named has nearly one a row. */
const VALUES_EXPECTED: { readonly [path: Path]: number } = {
  registry: 5,
  actor: 50,
  type: 20,
  live: 2,
  'record.visibility': 3,
  open: 20,
  deleting: 20,
  lingers: 1_000,
  state: 5,
  'record.fields.storage': 5,
  'object.storage': 5,
  'record.fields.initialVersion': 100_000,
  'purge.operation': 1_000,
};
/** How many rows have a value at a path that not all have. */
const PRESENT_EXPECTED: { readonly [path: Path]: number } = {
  'record.fields.place': 10,
  'data.logTimeMs': 10_000,
  'record.fields.initialVersion': 200_000,
  'record.trashing.at': 100_000,
  'purge.operation': 100_000,
};

/** The form of `sqlite_stat1`: all rows, then how many share a value of the first column, of the first two, and so on. */
const statOf = ({ paths, sparse }: Index): string => {
  let rows = sparse === undefined ? ROWS_EXPECTED : (PRESENT_EXPECTED[sparse] ?? ROWS_EXPECTED);
  const stat = [rows];
  for (const path of paths) {
    rows = Math.max(1, Math.round(rows / (VALUES_EXPECTED[path] ?? ROWS_EXPECTED / 2)));
    stat.push(rows);
  }
  return stat.join(' ');
};
