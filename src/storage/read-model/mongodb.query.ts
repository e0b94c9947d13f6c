import type { Document as Filter } from 'mongodb';
import type { Collection, Condition, Find, Path, Scalar, Sort } from './port.js';
import { bound, fieldOf, membersField } from './mongodb.documents.js';

/**
 * From a question of the port to filters. They are made here alone, of checked paths and scalars, so that nothing a caller sends is ever
 * read as an operator. Text has no collation: MongoDB compares its UTF-8 bytes, and so its code points.
 *
 * A page that starts `after` some row is asked for range by range: first the rows that share all sorted values but the last with it,
 * then all but the last two, and so on. Each range is one stretch of an index, also where directions are mixed or values are null.
 */
export interface Range {
  readonly filter: Filter;
  readonly sort: { readonly [field: string]: 1 | -1 };
}

/** The ranges of a page: to be asked for one after the other until there are enough rows. @throws RangeError */
export const rangesOf = (collection: Collection, find: Find): readonly Range[] => {
  refuseUnbounded(find);
  const sort = Object.fromEntries(
    find.sort.map(({ path, descending }) => [fieldOf(collection, path), descending ? -1 : 1] as const),
  );
  return stretchesOf(collection, find).map((terms) => ({ filter: filterOf(collection, find.where, terms), sort }));
};

/** @throws RangeError: one of the paths is none */
export const filterOf = (
  collection: Collection,
  where: readonly Condition[],
  terms: readonly Filter[] = [],
): Filter => {
  const all = [...terms, ...keyTerms(collection, where), ...where.map((condition) => termOf(collection, condition))];
  return all.length === 0 ? {} : { $and: all };
};

const refuseUnbounded = ({ sort, after, limit }: Find): void => {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1001)
    throw new RangeError(`limit ${limit} is not within 1 to 1,001`);
  if (sort.length === 0) throw new RangeError('a find needs a sort, whose last path is unique');
  if (after !== null && after.length !== sort.length) {
    throw new RangeError(`"after" has ${after.length} values for ${sort.length} sorted paths`);
  }
};

/** Where a registry and uids are named, so are the keys: no list is read for them. */
const keyTerms = (collection: Collection, where: readonly Condition[]): Filter[] => {
  if (collection !== 'catalogue' && collection !== 'purges') return [];
  const [registry] = namedBy(where, 'registry') ?? [];
  const uids = namedBy(where, 'uid');
  if (registry === undefined || uids === null) return [];
  return [{ _id: { $in: uids.map((uid) => `${String(registry)}/${String(uid)}`) } }];
};

const namedBy = (where: readonly Condition[], path: Path): readonly Scalar[] | null => {
  for (const condition of where) {
    if (condition.path !== path) continue;
    if (condition.op === 'eq') return [condition.value];
    if (condition.op === 'in' && path === 'uid') return condition.value;
  }
  return null;
};

const termOf = (collection: Collection, condition: Condition): Filter => {
  const { path } = condition;
  const field = fieldOf(collection, path);
  switch (condition.op) {
    case 'eq':
    case 'ne':
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return { [field]: { [`$${condition.op}`]: bound(path, condition.value) } };
    case 'in':
      return { [field]: { $in: [...new Set(condition.value.map((one) => bound(path, one)))] } };
    case 'startsWith':
      return { [field]: startsWith(textual(condition.value)) };
    case 'contains':
      return contains(field, textual(condition.value));
    case 'has':
      return { [membersField(path)]: { $eq: textual(condition.value) } };
    case 'null':
      // Both: the first is what an index of present values is asked by, the second leaves out the others where an index has all.
      return { [field]: condition.value ? { $exists: false } : { $exists: true, $ne: null } };
  }
};

/** Types end at run time: what came through as an object would be read as operators. */
const textual = (value: unknown): string => {
  if (typeof value === 'string') return value;
  throw new RangeError('a text is compared with what is none');
};

/** A prefix as a stretch of the index: a regular expression would give its text a meaning. */
const startsWith = (prefix: string): Filter => {
  const end = afterAllWith(prefix);
  return end === null ? { $gte: prefix } : { $gte: prefix, $lt: end };
};

/** The least text above all that start with the prefix: its last code point raised by one. Null where there is none. */
const afterAllWith = (prefix: string): string | null => {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return null;
  // No text holds a surrogate: UTF-8 has none.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
};

/** Bytes in bytes: linear, and without a regular expression that a caller could make slow. */
const contains = (field: string, part: string): Filter => {
  const text = { $cond: [{ $eq: [{ $type: `$${field}` }, 'string'] }, `$${field}`, null] };
  return { $expr: { $gte: [{ $indexOfBytes: [text, { $literal: part }] }, 0] } };
};

const stretchesOf = (collection: Collection, { sort, after }: Find): readonly (readonly Filter[])[] => {
  if (after === null) return [[]];
  const same = sort.map(({ path }, i) => sameAs(collection, path, after[i] ?? null));
  return sort
    .map((by, i) => beyond(collection, by, after[i] ?? null).map((term) => [...same.slice(0, i), term]))
    .reverse()
    .flat();
};

const sameAs = (collection: Collection, path: Path, value: Scalar): Filter =>
  termOf(collection, value === null ? { path, op: 'null', value: true } : { path, op: 'eq', value });

/** What comes after a value in the order of one path; null is the lowest. */
const beyond = (collection: Collection, { path, descending }: Sort, value: Scalar): Filter[] => {
  if (value === null) return descending ? [] : [termOf(collection, { path, op: 'null', value: false })];
  if (!descending) return [termOf(collection, { path, op: 'gt', value })];
  return [termOf(collection, { path, op: 'lt', value }), termOf(collection, { path, op: 'null', value: true })];
};
