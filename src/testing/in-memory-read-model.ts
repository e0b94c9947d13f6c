import type { Json } from '../events/vocabulary.js';
import { CheckpointMoved, Corrupt } from '../storage/errors.js';
import { INDEXES, MEMBERS, holdsPosition } from '../storage/read-model/indexes.js';
import {
  COLLECTIONS,
  KEYS,
  isRow,
  type Changes,
  type Collection,
  type Condition,
  type Find,
  type Key,
  type Path,
  type ReadModel,
  type Rows,
  type Scalar,
} from '../storage/read-model/port.js';

/**
 * The read model in memory, as plainly as it can be said: every question looks at every row that could meet it, and sorts. What the
 * other adapters answer is compared with this one; the simulation and `lethe replay` run on it.
 *
 * Rows go in and out as JSON, so that nobody holds a row of it and what JSON loses is lost here too. `close` lets go of nothing: the
 * same model can be opened again after a simulated crash.
 */
export const inMemoryReadModel = (): ReadModel => {
  const tables: { readonly [C in Collection]: Table<C> } = {
    catalogue: new Table('catalogue'),
    versions: new Table('versions'),
    history: new Table('history'),
    purges: new Table('purges'),
    withdrawals: new Table('withdrawals'),
    operations: new Table('operations'),
    stats: new Table('stats'),
  };
  const tableOf = <C extends Collection>(collection: C): Table<C> => tables[collection];
  let checkpoint = 0n;

  return {
    checkpoint: async () => checkpoint,

    apply: async (changes, from, to) => {
      if (checkpoint !== from)
        throw new CheckpointMoved(`the read model stands at ${checkpoint}, no longer at ${from}`);
      // What cannot be written throws here, before anything is.
      const writes = COLLECTIONS.map((collection) => prepared(tableOf(collection), collection, changes));
      for (const write of writes) write();
      checkpoint = to;
    },

    get: async (collection, keys) => tableOf(collection).get(keys),

    find: async (collection, { where, sort, after, limit }) => {
      refuseUnbounded({ where, sort, after, limit });
      const order = (a: readonly Scalar[], b: readonly Scalar[]): number => {
        for (const [i, { descending }] of sort.entries()) {
          const difference = compare(a[i] ?? null, b[i] ?? null);
          if (difference !== 0) return descending ? -difference : difference;
        }
        return 0;
      };
      const start = after?.map((value, i) => comparable(sort[i]?.path ?? '', value));
      return tableOf(collection)
        .matching(where)
        .map((row) => ({ row, values: sort.map(({ path }) => scalarAt(row, path)) }))
        .filter(({ values }) => start === undefined || order(values, start) > 0)
        .sort((a, b) => order(a.values, b.values))
        .slice(0, limit)
        .map(({ row }) => tableOf(collection).copy(row));
    },

    total: async (collection, where, sum) => {
      const rows = tableOf(collection).matching(where);
      const numbers = sum === undefined ? [] : rows.map((row) => scalarAt(row, sum));
      return {
        rows: rows.length,
        sum: numbers.reduce<number>((total, n) => total + (typeof n === 'number' ? n : 0), 0),
      };
    },

    beginLoad: async () => undefined,
    endLoad: async () => undefined,
    dump: (collection) => tableOf(collection).dump(),
    close: async () => undefined,
  };
};

const prepared = <C extends Collection>(table: Table<C>, collection: C, changes: Changes): (() => void) => {
  const rows: Changes[C] = changes[collection];
  const texts = (rows ?? []).map((row) => ({ key: KEYS[collection](row), text: JSON.stringify(row) }));
  return () => {
    for (const { key, text } of texts) table.put(key, text);
  };
};

class Table<C extends Collection> {
  readonly #rows = new Map<Key, Rows[C]>();
  readonly #lookup: Lookup;

  constructor(private readonly collection: C) {
    this.#lookup = new Lookup(collection);
  }

  put(key: Key, text: string): void {
    const old = this.#rows.get(key);
    if (old !== undefined) this.#lookup.remove(key, old);
    const row = rowOf(this.collection, text);
    this.#rows.set(key, row);
    this.#lookup.add(key, row);
  }

  get(keys: Iterable<Key>): Rows[C][] {
    return [...new Set(keys)].flatMap((key) => this.#rows.get(key) ?? []).map((row) => this.copy(row));
  }

  copy(row: Rows[C]): Rows[C] {
    return rowOf(this.collection, JSON.stringify(row));
  }

  /** The rows themselves, not copies. */
  matching(where: readonly Condition[]): Rows[C][] {
    const keys = this.#lookup.keys(where) ?? this.#rows.keys();
    return [...keys]
      .flatMap((key) => this.#rows.get(key) ?? [])
      .filter((row) => where.every((condition) => meets(row, condition)));
  }

  async *dump(): AsyncIterable<{ key: Key; row: Json }> {
    const rows = [...this.#rows].sort(([a], [b]) => compare(a, b));
    for (const [key, row] of rows) yield { key, row: jsonOf(JSON.stringify(row)) };
  }
}

const rowOf = <C extends Collection>(collection: C, text: string): Rows[C] => {
  const value: unknown = JSON.parse(text);
  if (isRow(collection, value)) return value;
  throw new Corrupt(`a row for ${collection} is none: ${text.slice(0, 100)}`);
};

const jsonOf = (text: string): Json => {
  const value: unknown = JSON.parse(text);
  if (isJson(value)) return value;
  throw new Corrupt('a row is no JSON');
};

const isJson = (value: unknown): value is Json => value !== undefined;

/**
 * Which rows can meet a question that projections ask while they load: without it a replay of a long log would look at every row for
 * every event. It only narrows down; whether a row meets a condition is asked of the row.
 */
class Lookup {
  readonly #paths: readonly (readonly Path[])[];
  readonly #members: readonly Path[];
  readonly #keys = new Map<string, Set<Key>>();

  constructor(collection: Collection) {
    const loading = INDEXES[collection].filter((index) => index.loading === true);
    this.#paths = loading.flatMap(({ paths }) => paths.map((_, i) => paths.slice(0, i + 1)));
    this.#members = MEMBERS[collection];
  }

  add(key: Key, row: object): void {
    for (const place of this.#placesOf(row)) {
      const keys = this.#keys.get(place) ?? new Set();
      this.#keys.set(place, keys.add(key));
    }
  }

  remove(key: Key, row: object): void {
    for (const place of this.#placesOf(row)) this.#keys.get(place)?.delete(key);
  }

  /** The fewest keys that one of the conditions leaves; null where none of them says. */
  keys(where: readonly Condition[]): Iterable<Key> | null {
    const equal = new Map(where.flatMap((by) => (by.op === 'eq' ? [[by.path, comparable(by.path, by.value)]] : [])));
    const places = this.#paths
      .filter((paths) => paths.every((path) => equal.has(path)))
      .map((paths) =>
        placeOf(
          paths,
          paths.map((path) => equal.get(path) ?? null),
        ),
      );
    for (const by of where)
      if (by.op === 'has' && this.#members.includes(by.path)) places.push(placeOf([by.path], [by.value]));
    const sets = places.map((place) => this.#keys.get(place) ?? new Set<Key>());
    return sets.sort((a, b) => a.size - b.size)[0] ?? null;
  }

  #placesOf(row: object): string[] {
    const members = this.#members.flatMap((path) => membersAt(row, path).map((member) => placeOf([path], [member])));
    return [
      ...this.#paths.map((paths) =>
        placeOf(
          paths,
          paths.map((path) => scalarAt(row, path)),
        ),
      ),
      ...members,
    ];
  }
}

const placeOf = (paths: readonly Path[], values: readonly Scalar[]): string => JSON.stringify([paths, values]);

const meets = (row: object, condition: Condition): boolean => {
  const { path } = condition;
  const value = scalarAt(row, path);
  switch (condition.op) {
    case 'eq':
      return value === comparable(path, condition.value);
    case 'ne':
      return value !== comparable(path, condition.value);
    case 'gt':
      return value !== null && compare(value, comparable(path, condition.value)) > 0;
    case 'gte':
      return value !== null && compare(value, comparable(path, condition.value)) >= 0;
    case 'lt':
      return value !== null && compare(value, comparable(path, condition.value)) < 0;
    case 'lte':
      return value !== null && compare(value, comparable(path, condition.value)) <= 0;
    case 'in':
      return condition.value.some((one) => value === comparable(path, one));
    case 'startsWith':
      return typeof value === 'string' && value.startsWith(condition.value);
    case 'contains':
      return typeof value === 'string' && value.includes(condition.value);
    case 'has':
      return membersAt(row, path).includes(condition.value);
    case 'null':
      return ((valueAt(row, path) ?? null) === null) === condition.value;
  }
};

const valueAt = (row: object, path: Path): unknown => {
  if (!/^[A-Za-z]+(\.[A-Za-z]+)*$/.test(path))
    throw new RangeError(`"${path}" is no path: names of letters, joined by dots`);
  return path.split('.').reduce<unknown>((value, name) => (isObject(value) ? value[name] : null), row);
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** Objects and arrays compare as absent values do. */
const scalarAt = (row: object, path: Path): Scalar => {
  const value = valueAt(row, path);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? comparable(path, value)
    : null;
};

const membersAt = (row: object, path: Path): string[] => {
  const value = valueAt(row, path);
  return Array.isArray(value) ? value.filter((member) => typeof member === 'string') : [];
};

const comparable = (path: Path, value: Scalar): Scalar =>
  typeof value === 'string' && holdsPosition(path) ? Number(value) : value;

/** Null before everything, numbers and booleans by size, text by code point. */
const compare = (a: Scalar, b: Scalar): number => {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? -1 : 1;
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (typeof a === 'string' || typeof b === 'string') return typeof a === 'string' ? 1 : -1;
  return Number(a) - Number(b);
};

const compareText = (a: string, b: string): number => {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i += 1) {
    const difference = rank(a.charCodeAt(i)) - rank(b.charCodeAt(i));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
};

/** JavaScript compares code units: surrogates, which stand for the highest code points, have to come after all others. */
const rank = (unit: number): number => {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
};

const refuseUnbounded = ({ sort, after, limit }: Find): void => {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1001)
    throw new RangeError(`limit ${limit} is not within 1 to 1,001`);
  if (sort.length === 0) throw new RangeError('a find needs a sort, whose last path is unique');
  if (after !== null && after.length !== sort.length) {
    throw new RangeError(`"after" has ${after.length} values for ${sort.length} sorted paths`);
  }
};
