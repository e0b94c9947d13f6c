/*
 * What a list is asked for, as an object, and as the query parameters that it becomes.
 */

interface Operators<V> {
  /** Differs, or is absent. */
  readonly ne?: V;
  readonly in?: readonly V[];
  /** True: is absent; false: is there. */
  readonly null?: boolean;
}
interface Ordered<V> extends Operators<V> {
  readonly gt?: V;
  readonly gte?: V;
  readonly lt?: V;
  readonly lte?: V;
}
interface Text<V> extends Ordered<V> {
  readonly startsWith?: V;
  readonly contains?: V;
}

type Instant = 'createdAt' | 'updatedAt' | 'trashedAt' | 'purgeAfter';
type Unasked = 'registry' | 'data' | 'visibility';

/** What a field of this type may be asked for: a value, one of several, operators, or null for its absence. */
type Asked<V> = [NonNullable<V>] extends [readonly string[]]
  ? string
  : [NonNullable<V>] extends [string]
    ? NonNullable<V> | readonly NonNullable<V>[] | Text<NonNullable<V>>
    : [NonNullable<V>] extends [number]
      ? number | readonly number[] | Ordered<number>
      : [NonNullable<V>] extends [boolean]
        ? boolean | Operators<boolean>
        : { readonly null: boolean };

type Time = string | Date;
export type Visibility = 1 | 0 | -1;

/** Conditions on the records of one registry, all of which must hold. */
export type Filter<A> = {
  readonly [F in Exclude<keyof A, Unasked>]?:
    (F extends Instant ? Time | readonly Time[] | Ordered<Time> : Asked<A[F]>) | (null extends A[F] ? null : never);
} & ('visibility' extends keyof A
  ? {
      /** Visible ones by default; null: whatever it is, in the trash too. */
      readonly visibility?: Visibility | readonly Visibility[] | null;
    }
  : unknown);

type SortField<A> = {
  [F in Exclude<keyof A, Unasked | 'hold'>]: A[F] extends readonly string[] ? never : F;
}[Exclude<keyof A, Unasked | 'hold'>] &
  string;

/** A field, with a `-` before it for the other order. */
export type Sort<A> = SortField<A> | `-${SortField<A>}`;

/** `{ size: { gte: 1000 } }` as `size[gte]=1000`. A condition that is undefined is none. */
export const parametersOf = (filter: object): URLSearchParams => {
  const parameters = new URLSearchParams();
  for (const [name, asked] of entriesOf(filter)) {
    if (asked === undefined) continue;
    if (name === 'visibility') parameters.set(name, asked === null ? 'any' : textOf(asked));
    else if (asked === null) parameters.set(`${name}[null]`, 'true');
    else if (Array.isArray(asked)) parameters.set(`${name}[in]`, listed(asked));
    else if (typeof asked !== 'object' || asked instanceof Date) parameters.set(name, textOf(asked));
    else {
      for (const [operator, value] of entriesOf(asked)) {
        if (value !== undefined)
          parameters.set(`${name}[${operator}]`, Array.isArray(value) ? listed(value) : textOf(value));
      }
    }
  }
  return parameters;
};

const entriesOf = (value: object): [string, unknown][] => Object.entries(value);

const listed = (values: readonly unknown[]): string =>
  values.map((value) => textOf(value).replace(/[\\,]/g, '\\$&')).join(',');

const textOf = (value: unknown): string => (value instanceof Date ? value.toISOString() : String(value));
