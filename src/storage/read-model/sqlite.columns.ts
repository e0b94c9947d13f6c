import { INDEXES, MEMBERS, holdsPosition } from './indexes.js';
import { COLLECTIONS, type Collection, type Path, type Scalar } from './port.js';

/**
 * How a collection lies in a table: `_key`, the whole document in `_doc`, and a column for each path that an index names. A column is
 * named as its path; columns have no type, so that a text never turns into a number.
 */

/** What SQLite keeps. Whole numbers are written as bigint, which it stores as integers; a JavaScript number would become a float. */
export type Stored = string | number | bigint | null;

const PATH = /^[A-Za-z]+(\.[A-Za-z]+)*$/;

/** The path whose value is the row's key. */
const KEY_PATH: { readonly [C in Collection]?: Path } = { history: 'position', operations: 'id' };

const columns = (collection: Collection): readonly Path[] => [
  ...new Set(INDEXES[collection].flatMap(({ paths }) => paths).filter((path) => path !== KEY_PATH[collection])),
];
const COLUMNS = new Map(COLLECTIONS.map((collection) => [collection, columns(collection)]));

export const columnsOf = (collection: Collection): readonly Path[] => COLUMNS.get(collection) ?? [];

/** The column of an array's members as one JSON text: whether they changed is seen without reading the document. */
export const membersColumn = (path: Path): string => `_members.${path}`;

/** The side table of an array's members. */
export const membersTable = (collection: Collection, path: Path): string => `${collection}_${path}`;

export const isMembersPath = (collection: Collection, path: Path): boolean => MEMBERS[collection].includes(path);

/** The SQL of a column, by the name that `indexes.ts` has for it. */
export const columnOf = (collection: Collection, path: Path): string =>
  path === KEY_PATH[collection] ? '_key' : `"${checked(path)}"`;

/** The SQL of the value at a path of the table `t`. The path is spliced in, so it is checked. */
export const valueOf = (collection: Collection, path: Path): string => {
  if (path === KEY_PATH[collection] || columnsOf(collection).includes(path)) return `t.${columnOf(collection, path)}`;
  const value = `json_extract(t._doc, '$.${checked(path)}')`;
  return holdsPosition(path) ? `CAST(${value} AS INTEGER)` : value;
};

const checked = (path: Path): Path => {
  if (!PATH.test(path)) throw new RangeError(`"${path}" is no path: names of letters, joined by dots`);
  return path;
};

/** A caller's value as it compares with what is stored at the path. */
export const bound = (path: Path, value: Scalar): Stored => {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'string' && holdsPosition(path) ? Number(value) : value;
};

/** Reads a column's value from a row; null for what is absent or no scalar. */
export const columnReader = (path: Path): ((row: object) => Stored) => {
  const read = pathReader(path);
  if (holdsPosition(path)) return (row) => toStored(Number(read(row) ?? Number.NaN));
  return (row) => toStored(read(row));
};

/** Reads an array's members from a row, each once. */
export const membersReader = (path: Path): ((row: object) => readonly string[]) => {
  const read = pathReader(path);
  return (row) => {
    const value = read(row);
    return Array.isArray(value) ? [...new Set(value.filter((member) => typeof member === 'string'))] : [];
  };
};

const pathReader = (path: Path): ((row: object) => unknown) => {
  const names = checked(path).split('.');
  return (row) => {
    let value: unknown = row;
    for (const name of names) {
      if (!isObject(value)) return null;
      value = value[name];
    }
    return value;
  };
};

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

const toStored = (value: unknown): Stored => {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  return null;
};
