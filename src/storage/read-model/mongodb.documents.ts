import type { Json } from '../../events/vocabulary.js';
import { MEMBERS, holdsPosition } from './indexes.js';
import { isRow, type Collection, type Key, type Path, type Rows, type Scalar } from './port.js';
import { corrupt } from './mongodb.errors.js';

/**
 * How a row lies in a document: as text in `row`, which is what every answer gives, byte for byte and whatever names a user's JSON has;
 * beside it what can be asked for, `values` (every scalar that a path leads to) and `members` (every array's texts).
 *
 * Arrays lie apart since MongoDB meets a condition on an array by any of its members. An absent value and null are the same: neither is
 * there. Where an object or array stands, `values` has an object.
 */
export interface Document {
  readonly _id: Stored;
  readonly row: string;
  readonly values: Values;
  readonly members: Members;
}

/** Whole numbers that are positions or keys are written as bigint, which the driver stores as 64-bit integers. */
export type Stored = string | number | boolean | bigint;
interface Values {
  readonly [name: string]: Stored | Values;
}
interface Members {
  readonly [name: string]: readonly string[] | Members;
}

const NAME = /^[A-Za-z]+$/;
/** Deeper than this nothing can be asked for: the server takes documents of 180 levels, and a user's JSON may have any number. */
const MOST_NAMES = 32;

/** @throws TypeError where the row is no JSON */
export const documentOf = (key: Key, row: object): Document => {
  const text = JSON.stringify(row);
  return { _id: storedKey(key), row: text, values: valuesOf('', row, 1), members: membersOf(row, 1) };
};

export const storedKey = (key: Key): string | bigint => (typeof key === 'number' ? BigInt(key) : key);

const valuesOf = (above: Path, object: object, depth: number): Values => {
  const values: Record<string, Stored | Values> = {};
  if (depth > MOST_NAMES) return values;
  for (const [name, value] of Object.entries(object)) {
    if (!NAME.test(name)) continue;
    const path = above === '' ? name : `${above}.${name}`;
    if (isObject(value)) values[name] = Array.isArray(value) ? {} : valuesOf(path, value, depth + 1);
    else if (isScalar(value)) values[name] = bound(path, value);
  }
  return values;
};

const membersOf = (object: object, depth: number): Members => {
  const members: Record<string, readonly string[] | Members> = {};
  if (depth > MOST_NAMES) return members;
  for (const [name, value] of Object.entries(object)) {
    if (!NAME.test(name) || !isObject(value)) continue;
    const inner = Array.isArray(value)
      ? [...new Set(value.filter((member) => typeof member === 'string'))]
      : membersOf(value, depth + 1);
    if (Object.keys(inner).length > 0) members[name] = inner;
  }
  return members;
};

/** A scalar as it is stored at the path and compared there. @throws RangeError: it is none */
export const bound = (path: Path, value: Exclude<Scalar, null>): Stored => {
  if (!isScalar(value)) throw new RangeError(`${path} is compared with what is neither text, number nor boolean`);
  if (typeof value === 'boolean' || !holdsPosition(path)) return value;
  if (typeof value === 'string' && /^\d{1,18}$/.test(value)) return BigInt(value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? BigInt(number) : number;
};

/** The path whose value is the row's key. */
const KEY_PATH: { readonly [C in Collection]?: Path } = { history: 'position', operations: 'id' };

/** The field where the values of a path are. @throws RangeError: it is no path */
export const fieldOf = (collection: Collection, path: Path): string =>
  path === KEY_PATH[collection] ? '_id' : `values.${checked(path)}`;

/** The field where the members of an array are. @throws RangeError: it is no path */
export const membersField = (path: Path): string => `members.${checked(path)}`;

export const membersFields = (collection: Collection): readonly string[] => MEMBERS[collection].map(membersField);

const checked = (path: Path): Path => {
  const names = path.split('.');
  if (names.length <= MOST_NAMES && names.every((name) => NAME.test(name))) return path;
  throw new RangeError(`"${path}" is no path: at most ${MOST_NAMES} names of letters, joined by dots`);
};

/** @throws Corrupt where the text is no row of this collection */
export const rowOf = <C extends Collection>(name: string, collection: C, text: unknown): Rows[C] => {
  const value = parse(name, text);
  if (isRow(collection, value)) return value;
  throw corrupt(name, `has a row in ${collection} that is none`);
};

/** @throws Corrupt where the text is no JSON */
export const jsonOf = (name: string, text: unknown): Json => {
  const value = parse(name, text);
  if (isJson(value)) return value;
  throw corrupt(name, 'has a row that is no JSON');
};

const parse = (name: string, text: unknown): unknown => {
  try {
    if (typeof text === 'string') return JSON.parse(text);
  } catch (cause) {
    throw corrupt(name, 'has a row that is no JSON', cause);
  }
  throw corrupt(name, 'has a document without a row');
};

const isJson = (value: unknown): value is Json => value !== undefined;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const isScalar = (value: unknown): value is Exclude<Scalar, null> =>
  typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
