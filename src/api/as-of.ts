import { Invalid } from '../commands/refusals.js';
import type { AsOf } from '../projections/as-of.js';
import { instantOf, WrongValue } from './query-language.js';

/* Reads as of an earlier moment: which one a request names. */

export const AS_OF = ['revision', 'at', 'position'] as const;

/**
 * The moment that a request for one record names; null where it asks for now.
 * @throws Invalid for more than one of them, or one that is none
 */
export const asOfQuery = (query: ReadonlyMap<string, string>): AsOf | null => {
  const [name, second] = AS_OF.filter((one) => query.has(one));
  if (name === undefined) return null;
  if (second !== undefined)
    throw new Invalid([{ path: `?${second}`, message: `comes with ${name}: send one of them` }]);
  const value = query.get(name) ?? '';
  if (name === 'at') return { at: instant(value) };
  return name === 'revision' ? { revision: whole(name, value) } : { position: whole(name, value) };
};

/** The time of a list. @throws Invalid where it is none, or yet to come */
export const timeQuery = (query: ReadonlyMap<string, string>, now: Date): string | null => {
  const value = query.get('at');
  if (value === undefined) return null;
  const at = instant(value);
  if (at > now.toISOString()) throw ahead('at');
  return at;
};

/** The refusal of a moment that is yet to come. */
export const ahead = (name: string): Invalid =>
  new Invalid([{ path: `?${name}`, message: 'is yet to come: leave it out to read what is so now' }]);

const instant = (value: string): string => {
  try {
    return instantOf(value);
  } catch (error) {
    if (!(error instanceof WrongValue)) throw error;
    throw new Invalid([{ path: '?at', message: error.message }]);
  }
};

const whole = (name: string, value: string): number => {
  if (/^\d{1,19}$/.test(value)) return Number(value);
  throw new Invalid([{ path: `?${name}`, message: `must be a whole number, got '${value}'` }]);
};
