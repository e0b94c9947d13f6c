import { holdsPosition } from '../storage/read-model/indexes.js';
import type { Condition, Path, Scalar } from '../storage/read-model/port.js';

/* What a row holds at a path, and how that compares: as the port says it, and as plainly as it can be said. */

export const meets = (row: object, condition: Condition): boolean => {
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
export const scalarAt = (row: object, path: Path): Scalar => {
  const value = valueAt(row, path);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? comparable(path, value)
    : null;
};

export const membersAt = (row: object, path: Path): string[] => {
  const value = valueAt(row, path);
  return Array.isArray(value) ? value.filter((member) => typeof member === 'string') : [];
};

export const comparable = (path: Path, value: Scalar): Scalar =>
  typeof value === 'string' && holdsPosition(path) ? Number(value) : value;

/** Null before everything, numbers and booleans by size, text by code point. */
export const compare = (a: Scalar, b: Scalar): number => {
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
