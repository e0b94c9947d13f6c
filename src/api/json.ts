import { Invalid, type Fault } from '../commands/refusals.js';
import { Problem } from './problem.js';

/** How deep a body's fields may go. MongoDB ends at 100 levels, and whoever folds an event years later must not run out of stack. */
const MAX_DEPTH = 64;
/** The most faults that one answer names. */
const NAMED = 20;

/**
 * JSON as a request brings it.
 *
 * @param what is read, for the sentence
 * @throws Problem `malformed` for what is no JSON; and as `checkedJson`
 */
export const readJson = (text: string, what: string): unknown => checkedJson(parsed(text, what), what);

/**
 * A value that came as JSON. What no schema says of `data` is looked at here, and without recursion: schemas themselves fail on what is
 * nested too deep.
 *
 * @throws Problem `malformed` for names that reach into prototypes; Invalid for values that no store keeps as they are
 */
export const checkedJson = (value: unknown, what: string): unknown => {
  const faults: Fault[] = [];
  const open: Place[] = [{ value, path: '', depth: 0 }];
  for (let place = open.pop(); place !== undefined && faults.length < NAMED; place = open.pop()) {
    const message = faultOf(place);
    if (message !== null) faults.push({ path: place.path, message });
    else open.push(...within(place, what));
  }
  if (faults.length > 0) throw new Invalid(faults);
  return value;
};

interface Place {
  readonly value: unknown;
  /** A JSON Pointer. */
  readonly path: string;
  readonly depth: number;
}

const parsed = (text: string, what: string): unknown => {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (error) {
    throw new Problem('malformed', `${what} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
};

const faultOf = ({ value, depth }: Place): string | null => {
  if (typeof value === 'string') return isText(value) ? null : NO_TEXT;
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'is a number too great to be kept';
  if (typeof value !== 'object' || value === null) return null;
  if (depth > MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`;
  return Object.keys(value).every(isText) ? null : `has a name that is none: each ${NO_TEXT}`;
};

const NO_TEXT = 'must be well-formed text without NUL';
const isText = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

const within = ({ value, path, depth }: Place, what: string): Place[] => {
  if (typeof value !== 'object' || value === null) return [];
  const members: [string, unknown][] = Object.entries(value);
  return members.map(([name, inner]) => {
    if (reachesIntoPrototypes(name, inner))
      throw new Problem('malformed', `${what} has a member named ${name}, which would reach into prototypes.`);
    return { value: inner, path: `${path}/${pointerPart(name)}`, depth: depth + 1 };
  });
};

const reachesIntoPrototypes = (name: string, inner: unknown): boolean =>
  name === '__proto__' ||
  (name === 'constructor' && typeof inner === 'object' && inner !== null && Object.hasOwn(inner, 'prototype'));

/** One name as a part of a JSON Pointer (RFC 6901). */
export const pointerPart = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
