import { INDEXES } from './indexes.js';
import type { Collection, Condition, Find, Path, Scalar, Sort } from './port.js';
import { bound, isMembersPath, membersTable, valueOf, type Stored } from './sqlite.columns.js';

/**
 * From a question of the port to SQL. Values are always bound; paths are checked and spliced.
 *
 * A page that starts `after` some row is asked for range by range: first the rows that share all sorted values but the last with it,
 * then all but the last two, and so on. Each range is one stretch of an index, also where directions are mixed or values are null; an OR
 * of them would be read from the index's beginning.
 */
export interface Sql {
  readonly text: string;
  readonly values: readonly Stored[];
}

/** Statements that answer with rowids: to be run one after the other until there are enough, each with what is still wanted as last value. */
export const findSql = (collection: Collection, find: Find): readonly Sql[] => {
  refuseUnbounded(find);
  const arms = armsOf(collection, find);
  return rangesOf(collection, find).map((range) => {
    const sorted = orderOf(range.sort);
    const selects = arms.map((where) => selectSql(collection, range, where));
    const [first, ...more] = selects;
    if (first !== undefined && more.length === 0)
      return { text: `${first.text}${sorted} LIMIT ?`, values: first.values };
    const all = selects.map(({ text }) => `SELECT * FROM (${text}${sorted} LIMIT ${find.limit})`).join(' UNION ALL ');
    return { text: `SELECT * FROM (${all})${sorted} LIMIT ?`, values: selects.flatMap(({ values }) => values) };
  });
};

const selectSql = (collection: Collection, { terms, sort }: Range, where: readonly Condition[]): Sql => {
  const columns = sort.map(({ path }, i) => `, ${valueOf(collection, path)} AS s${i}`);
  const { text, values } = from(collection, terms, where);
  return { text: `SELECT t.rowid AS id${columns.join('')} ${text}`, values };
};

const orderOf = (sort: readonly Sort[]): string =>
  sort.length === 0
    ? ''
    : ` ORDER BY ${sort.map(({ descending }, i) => `s${i}${descending ? ' DESC' : ''}`).join(', ')}`;

export const totalSql = (collection: Collection, where: readonly Condition[], sum: Path | undefined): Sql => {
  const { text, values } = from(collection, [], where);
  const total = sum === undefined ? '0' : `total(${valueOf(collection, sum)})`;
  return { text: `SELECT count(*) AS rows, ${total} AS sum ${text}`, values };
};

const refuseUnbounded = ({ sort, after, limit }: Find): void => {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1001)
    throw new RangeError(`limit ${limit} is not within 1 to 1,001`);
  if (sort.length === 0) throw new RangeError('a find needs a sort, whose last path is unique');
  if (after !== null && after.length !== sort.length) {
    throw new RangeError(`"after" has ${after.length} values for ${sort.length} sorted paths`);
  }
};

/** The terms of a range come first: where two bound the same column, the planner takes the first. */
const from = (collection: Collection, terms: readonly Sql[], where: readonly Condition[]): Sql => {
  const members = where.filter(({ op, path }) => op === 'has' && isMembersPath(collection, path));
  const joins = members.map(({ path }, i) => `JOIN "${membersTable(collection, path)}" m${i} ON m${i}.owner = t.rowid`);
  const rest = where.filter((condition) => !members.includes(condition));
  const all = [
    ...terms,
    ...keyTerms(collection, where),
    ...members.map(({ value }, i) => ({ text: `m${i}.member = ?`, values: [String(value)] })),
    ...rest.map((condition) => termOf(collection, condition)),
  ];
  const filter = all.length === 0 ? '' : ` WHERE ${all.map(({ text }) => text).join(' AND ')}`;
  return {
    text: `FROM ${[`${collection} t`, ...joins].join(' ')}${filter}`,
    values: all.flatMap(({ values }) => values),
  };
};

/** Where a registry and uids are named, so are the keys: no list is read for them. */
const keyTerms = (collection: Collection, where: readonly Condition[]): Sql[] => {
  if (collection !== 'catalogue' && collection !== 'purges') return [];
  const [registry] = namedBy(where, 'registry') ?? [];
  const uids = namedBy(where, 'uid');
  if (registry === undefined || uids === null) return [];
  return [
    oneOf(
      't._key',
      uids.map((uid) => `${String(registry)}/${String(uid)}`),
    ),
  ];
};

const namedBy = (where: readonly Condition[], path: Path): readonly Scalar[] | null => {
  for (const condition of where) {
    if (condition.path !== path) continue;
    if (condition.op === 'eq') return [condition.value];
    if (condition.op === 'in' && path === 'uid') return condition.value;
  }
  return null;
};

const termOf = (collection: Collection, condition: Condition): Sql => {
  const { path } = condition;
  const value = valueOf(collection, path);
  switch (condition.op) {
    case 'eq':
      return { text: `${value} = ?`, values: [bound(path, condition.value)] };
    case 'ne':
      return { text: `${value} IS NOT ?`, values: [bound(path, condition.value)] };
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return { text: `${value} ${COMPARE[condition.op]} ?`, values: [bound(path, condition.value)] };
    case 'in':
      return oneOf(value, [...new Set(condition.value.map((one) => bound(path, one)))]);
    case 'startsWith':
      return startsWith(value, condition.value);
    case 'contains':
      return { text: `instr(${value}, ?) > 0`, values: [condition.value] };
    case 'has':
      return {
        text: `EXISTS (SELECT 1 FROM json_each(t._doc, '$.${path}') WHERE json_each.value = ?)`,
        values: [condition.value],
      };
    case 'null':
      return { text: `${value} IS ${condition.value ? 'NULL' : 'NOT NULL'}`, values: [] };
  }
};

const COMPARE = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

const oneOf = (value: string, values: readonly Stored[]): Sql => ({
  text: values.length === 1 ? `${value} = ?` : `${value} IN (${values.map(() => '?').join(', ')})`,
  values,
});

/** A prefix as a stretch of the index: LIKE and GLOB would give `%`, `_` and `*` a meaning. */
const startsWith = (value: string, prefix: string): Sql => {
  const end = afterAllWith(prefix);
  if (end === null) return { text: `${value} >= ?`, values: [prefix] };
  return { text: `${value} >= ? AND ${value} < ?`, values: [prefix, end] };
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

interface Range {
  readonly terms: readonly Sql[];
  readonly sort: readonly Sort[];
}

const rangesOf = (collection: Collection, { sort, after }: Find): Range[] => {
  if (after === null) return [{ terms: [], sort }];
  const same = sort.map(({ path }, i) => sameAs(collection, path, after[i] ?? null));
  return sort
    .map((by, i) =>
      beyond(collection, by, after[i] ?? null, sort.slice(i + 1)).map(({ terms, sort }) => ({
        terms: [...same.slice(0, i), ...terms],
        sort,
      })),
    )
    .reverse()
    .flat();
};

const sameAs = (collection: Collection, path: Path, value: Scalar): Sql =>
  termOf(collection, value === null ? { path, op: 'null', value: true } : { path, op: 'eq', value });

/** What comes after a value in the order of one path; null is the lowest. */
const beyond = (collection: Collection, by: Sort, value: Scalar, then: readonly Sort[]): Range[] => {
  const { path, descending } = by;
  const range = (condition: Condition, sort: readonly Sort[]): Range => ({
    terms: [termOf(collection, condition)],
    sort,
  });
  if (value === null) return descending ? [] : [range({ path, op: 'null', value: false }, [by, ...then])];
  if (!descending) return [range({ path, op: 'gt', value }, [by, ...then])];
  return [range({ path, op: 'lt', value }, [by, ...then]), range({ path, op: 'null', value: true }, then)];
};

/** More than these would cost more than a sort. */
const MOST_ARMS = 16;

/**
 * The conditions, once for each combination of the values of those `in` that stand before the sort in an index (several visibilities,
 * say). Each arm then is a stretch of the index in the right order, and a page a merge of pages instead of a sort of everything.
 */
const armsOf = (collection: Collection, { where, sort }: Find): readonly (readonly Condition[])[] => {
  const by = sort[0]?.path ?? '';
  for (const { paths } of INDEXES[collection]) {
    const before = paths.slice(0, Math.max(0, paths.indexOf(by)));
    const fixing = before.map((path) => where.find((condition) => condition.path === path && FIXING.has(condition.op)));
    if (before.length === 0 || fixing.includes(undefined)) continue;
    const arms = where.reduce<readonly (readonly Condition[])[]>(
      (arms, condition) => {
        const split = fixing.includes(condition) ? splitUp(condition) : [condition];
        return arms.flatMap((arm) => split.map((one) => [...arm, one]));
      },
      [[]],
    );
    if (arms.length > 0 && arms.length <= MOST_ARMS) return arms;
  }
  return [where];
};

const FIXING: ReadonlySet<Condition['op']> = new Set(['eq', 'in']);

const splitUp = (condition: Condition): readonly Condition[] => {
  if (condition.op !== 'in') return [condition];
  const { path, value } = condition;
  return [...new Set(value)].map((one) => ({ path, op: 'eq', value: one }));
};
