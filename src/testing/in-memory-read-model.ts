import type { Json } from '../events/vocabulary.js';
import { CheckpointMoved, Corrupt } from '../storage/errors.js';
import { INDEXES, MEMBERS } from '../storage/read-model/indexes.js';
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
import { comparable, compare, meets, membersAt, scalarAt } from './in-memory-read-model.values.js';

/** Answers at once, for whoever holds the model alone and need not wait for it. */
export interface AtOnce {
  get<C extends Collection>(collection: C, keys: readonly Key[]): Rows[C][];
  /** `limit` may be as high as one likes. */
  find<C extends Collection>(collection: C, query: Find): Rows[C][];
  total(collection: Collection, where: readonly Condition[], sum?: string): { rows: number; sum: number };
}

export interface InMemoryReadModel extends ReadModel {
  readonly atOnce: AtOnce;
}

/**
 * The read model in memory, as plainly as it can be said: every question looks at every row that could meet it, and sorts. What the
 * other adapters answer is compared with this one; the simulation and `lethe replay` run on it.
 *
 * Rows go in and out as JSON, so that nobody holds a row of it and what JSON loses is lost here too. `close` lets go of nothing: the
 * same model can be opened again after a simulated crash.
 */
export const inMemoryReadModel = (): InMemoryReadModel => {
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

  const atOnce: AtOnce = {
    get: (collection, keys) => tableOf(collection).get(keys),

    find: (collection, { where, sort, after, limit }) => {
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

    total: (collection, where, sum) => {
      const rows = tableOf(collection).matching(where);
      const numbers = sum === undefined ? [] : rows.map((row) => scalarAt(row, sum));
      return {
        rows: rows.length,
        sum: numbers.reduce<number>((total, n) => total + (typeof n === 'number' ? n : 0), 0),
      };
    },
  };

  return {
    atOnce,
    checkpoint: async () => checkpoint,

    apply: async (changes, from, to) => {
      if (checkpoint !== from)
        throw new CheckpointMoved(`the read model stands at ${checkpoint}, no longer at ${from}`);
      // What cannot be written throws here, before anything is.
      const writes = COLLECTIONS.map((collection) => prepared(tableOf(collection), collection, changes));
      for (const write of writes) write();
      checkpoint = to;
    },

    get: async (collection, keys) => atOnce.get(collection, keys),

    find: async (collection, query) => {
      refuseUnbounded(query);
      return atOnce.find(collection, query);
    },

    total: async (collection, where, sum) => atOnce.total(collection, where, sum),

    beginLoad: async () => undefined,
    endLoad: async () => undefined,
    dump: (collection, begins) => tableOf(collection).dump(() => begins?.(checkpoint)),
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

  async *dump(begins: () => void): AsyncIterable<{ key: Key; row: Json }> {
    begins();
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
    const loading = INDEXES[collection].filter(({ loading, stretches }) => loading === true && stretches !== true);
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

const refuseUnbounded = ({ sort, after, limit }: Find): void => {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1001)
    throw new RangeError(`limit ${limit} is not within 1 to 1,001`);
  if (sort.length === 0) throw new RangeError('a find needs a sort, whose last path is unique');
  if (after !== null && after.length !== sort.length) {
    throw new RangeError(`"after" has ${after.length} values for ${sort.length} sorted paths`);
  }
};
