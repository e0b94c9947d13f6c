import { z } from 'zod';
import { Invalid, type Fault } from '../commands/refusals.js';
import type { Condition, Find, Sort } from '../storage/read-model/port.js';
import { readCursor } from './cursor.js';

/*
 * Section 4 of the contract: a list's query parameters, and what they ask of the read model. One table says what can be asked for;
 * the OpenAPI document is written from it.
 */

type Kind = 'text' | 'number' | 'boolean' | 'instant' | 'presence' | 'member';

export interface Field {
  readonly path: string;
  readonly kind: Kind;
  /** For a member: the registry that it names. */
  readonly of?: string;
}

const field = (path: string, kind: Kind = 'text'): Field => ({ path, kind });

const COMMON = {
  uid: field('uid'),
  createdAt: field('record.createdAt', 'instant'),
  updatedAt: field('record.updatedAt', 'instant'),
  revision: field('record.revision', 'number'),
  description: field('record.fields.description'),
};

const TRASHABLE_FIELDS = {
  ...COMMON,
  version: field('record.fields.version'),
  initialVersion: field('record.fields.initialVersion'),
  isLatest: field('isLatest', 'boolean'),
  run: field('record.fields.run'),
  transform: field('record.fields.transform'),
  createdBy: field('record.createdBy'),
  trashedAt: field('record.trashing.at', 'instant'),
  trashedBy: field('record.trashing.by'),
  reason: field('record.trashing.reason'),
  purgeAfter: field('record.trashing.purgeAfter', 'instant'),
  hold: field('record.hold.at', 'presence'),
  labels: { path: 'pointsTo', kind: 'member', of: 'labels' } satisfies Field,
};

const FIELDS: Readonly<Record<'files' | 'datasets' | 'plain', Readonly<Record<string, Field>>>> = {
  files: {
    ...TRASHABLE_FIELDS,
    key: field('record.fields.key'),
    keyIsVirtual: field('record.fields.keyIsVirtual', 'boolean'),
    path: field('record.fields.path'),
    suffix: field('record.fields.suffix'),
    accessor: field('record.fields.accessor'),
    size: field('record.fields.size', 'number'),
    hash: field('record.fields.hash'),
    hashType: field('record.fields.hashType'),
    objects: field('record.fields.objects', 'number'),
    storage: field('record.fields.storage'),
  },
  datasets: {
    ...TRASHABLE_FIELDS,
    name: field('record.fields.name'),
    files: { path: 'pointsTo', kind: 'member', of: 'files' },
  },
  plain: { ...COMMON, name: field('record.fields.name') },
};

export const fieldsOf = (registry: string): Readonly<Record<string, Field>> =>
  registry === 'files' || registry === 'datasets' ? FIELDS[registry] : FIELDS.plain;

const ORDERED = ['ne', 'gt', 'gte', 'lt', 'lte', 'in', 'null'] as const;
export const OPERATORS: Readonly<Record<Kind, readonly string[]>> = {
  text: [...ORDERED, 'startsWith', 'contains'],
  instant: ORDERED,
  number: ORDERED,
  boolean: ['ne', 'in', 'null'],
  presence: ['null'],
  member: [],
};

export interface ListQuery {
  readonly find: Find;
  readonly count: boolean;
}

export const DEFAULT_LIMIT = 50;
export const MAX_LIMIT = 1_000;

/**
 * A list of records of one registry, now or as they were at a time.
 * @throws Invalid for an unknown field or operator, a value of the wrong kind, or another query's cursor
 */
export const recordQuery = (
  registry: string,
  query: ReadonlyMap<string, string>,
  at: string | null = null,
): ListQuery => {
  const fields = fieldsOf(registry);
  const faults: Fault[] = [];
  const where: Condition[] = [
    { path: 'registry', op: 'eq', value: registry },
    { path: 'live', op: 'eq', value: true },
    ...visibilities(query.get('visibility'), faults),
  ];
  const filters = new Map([...query].filter(([name]) => !['visibility', 'at', ...PAGING].includes(name)));
  where.push(...conditions(fields, filters, faults));
  const defaultSort: Sort[] = [{ path: 'record.createdAt', descending: true }];
  return paged(
    recordList(registry, at),
    query,
    where,
    sortOf(fields, query.get('sort'), defaultSort, 'uid', faults),
    faults,
  );
};

/** A list's name: what was so at one time goes on with cursors of that time alone. */
export const recordList = (registry: string, at: string | null): string =>
  at === null ? `catalogue/${registry}` : `catalogue/${registry}@${at}`;

/** Conditions on fields, as `field=value` and `field[operator]=value`. */
const conditions = (
  fields: Readonly<Record<string, Field>>,
  filters: ReadonlyMap<string, string>,
  faults: Fault[],
): Condition[] => {
  const found: Condition[] = [];
  for (const [parameter, value] of filters) {
    const [, name = '', op] = /^([^[\]]*)(?:\[([^[\]]*)\])?$/.exec(parameter) ?? [];
    const known = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (known === undefined)
      faults.push({
        path: `?${parameter}`,
        message: `is not a field here; fields are ${Object.keys(fields).join(', ')}`,
      });
    else if (op !== undefined && !OPERATORS[known.kind].includes(op)) {
      const takes = OPERATORS[known.kind].join(', ');
      faults.push({
        path: `?${parameter}`,
        message: `${name} has no operator '${op}'; it takes ${takes === '' ? 'equality' : takes}`,
      });
    } else {
      try {
        found.push(condition(known, op ?? 'eq', value));
      } catch (error) {
        if (!(error instanceof WrongValue)) throw error;
        faults.push({ path: `?${parameter}`, message: error.message });
      }
    }
  }
  return found;
};

export class WrongValue extends Error {}

const condition = ({ path, kind, of }: Field, op: string, value: string): Condition => {
  if (kind === 'member') return { path, op: 'has', value: `${of ?? ''}/${value}` };
  switch (op) {
    case 'null':
      return { path, op, value: booleanOf(value) };
    case 'in':
      return { path, op, value: splitList(value).map((item) => scalarOf(kind, item)) };
    case 'startsWith':
    case 'contains':
      return { path, op, value };
    case 'eq':
    case 'ne':
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      if (kind === 'presence') throw new WrongValue('takes only [null]');
      return { path, op, value: scalarOf(kind, value) };
    default:
      throw new WrongValue(`has no operator '${op}'`);
  }
};

const scalarOf = (kind: Kind, value: string): string | number | boolean => {
  if (kind === 'number') {
    if (/^-?\d{1,15}$/.test(value)) return Number(value);
    throw new WrongValue(`must be a whole number, got '${value}'`);
  }
  if (kind === 'boolean') return booleanOf(value);
  return kind === 'instant' ? instantOf(value) : value;
};

const booleanOf = (value: string): boolean => {
  if (value === 'true' || value === 'false') return value === 'true';
  throw new WrongValue(`must be true or false, got '${value}'`);
};

const rfc3339 = z.iso.datetime({ offset: true });

/** RFC 3339 with any offset, as UTC with milliseconds. */
export const instantOf = (value: string): string => {
  // A query's "+" stands for a blank: "+02:00" that was not encoded comes in so.
  const text = value.replace(/ (\d{2}:\d{2})$/, '+$1').toUpperCase();
  const time = rfc3339.safeParse(text).success ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new WrongValue(`must be a time such as 2026-11-23T00:57:00Z, got '${value}'`);
  const instant = new Date(time).toISOString();
  // An offset may lead out of the years with four digits, and what comes then does not compare as text.
  if (!/^\d/.test(instant)) throw new WrongValue(`must be within the years 0000 to 9999 of UTC, got '${value}'`);
  return instant;
};

/** `a,b`; `\,` is a comma within an item, `\\` a backslash. */
const splitList = (value: string): string[] => {
  const items = [''];
  for (let i = 0; i < value.length; i += 1) {
    const char = value.charAt(i);
    if (char === '\\' && (value.charAt(i + 1) === ',' || value.charAt(i + 1) === '\\')) {
      i += 1;
      items.push((items.pop() ?? '') + value.charAt(i));
    } else if (char === ',') items.push('');
    else items.push((items.pop() ?? '') + char);
  }
  if (items.length > 1_000) throw new WrongValue('takes at most 1,000 values');
  return items;
};

const visibilities = (value: string | undefined, faults: Fault[]): Condition[] => {
  const items = value === 'any' ? ['1', '0', '-1'] : (value ?? '1').split(',');
  if (!items.every((item) => ['1', '0', '-1'].includes(item))) {
    faults.push({
      path: '?visibility',
      message: `must be 1, 0, -1, several of them with commas, or any; got '${value ?? ''}'`,
    });
    return [];
  }
  const wanted = [...new Set(items.map(Number))];
  const [only] = wanted;
  if (wanted.length === 1 && only !== undefined) return [{ path: 'record.visibility', op: 'eq', value: only }];
  return [{ path: 'record.visibility', op: 'in', value: wanted }];
};

const sortOf = (
  fields: Readonly<Record<string, Field>>,
  value: string | undefined,
  byDefault: readonly Sort[],
  unique: string,
  faults: Fault[],
): Sort[] => {
  const sort: Sort[] = [];
  for (const item of value === undefined ? [] : value.split(',')) {
    const descending = item.startsWith('-');
    const name = descending ? item.slice(1) : item;
    const known = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (known === undefined || known.kind === 'member')
      faults.push({ path: '?sort', message: `'${name}' is not a field to sort by` });
    else if (sort.some(({ path }) => path === known.path))
      faults.push({ path: '?sort', message: `'${name}' comes twice` });
    else sort.push({ path: known.path, descending });
  }
  if (value === undefined) sort.push(...byDefault);
  const last = sort.at(-1);
  if (!sort.some(({ path }) => path === unique)) sort.push({ path: unique, descending: last?.descending ?? false });
  return sort;
};

export const PAGING = ['sort', 'limit', 'cursor', 'count'];

/**
 * The page of a list that a query asks for. A cursor belongs to the list, its conditions and its order.
 * @throws Invalid with these faults and those of `limit`, `cursor` and `count`
 */
export const paged = (
  list: string,
  query: ReadonlyMap<string, string>,
  where: readonly Condition[],
  sort: readonly Sort[],
  faults: Fault[] = [],
): ListQuery => {
  const limit = query.get('limit') ?? String(DEFAULT_LIMIT);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_LIMIT) {
    faults.push({ path: '?limit', message: `must be a whole number from 1 to ${MAX_LIMIT}, got '${limit}'` });
  }
  const count = query.get('count') ?? 'false';
  if (count !== 'true' && count !== 'false')
    faults.push({ path: '?count', message: `must be true or false, got '${count}'` });
  const cursor = query.get('cursor');
  const after = cursor === undefined ? null : readCursor(cursor, list, where, sort);
  if (cursor !== undefined && after === null)
    faults.push({
      path: '?cursor',
      message: 'is not a cursor of this query: leave it out, and take next from the answer',
    });
  if (faults.length > 0) throw new Invalid(faults);
  return { find: { where, sort, after, limit: Number(limit) }, count: count === 'true' };
};
