import { Invalid, type Fault } from '../commands/refusals.js';
import { EVENTS } from '../events/events.js';
import type { HistoryCondition } from '../projections/feed.js';
import { instantOf, WrongValue } from './query-language.js';

/* What can be asked of all events together: by the audit list, by its exports and by the live stream, alike. */

export const AUDIT_FILTERS = ['actor', 'type', 'registry', 'uid', 'from', 'to', 'correlationId'] as const;

/** @param faults gets those of the filters @returns the conditions, in an order that does not depend on the query's */
export const auditConditions = (query: ReadonlyMap<string, string>, faults: Fault[]): HistoryCondition[] =>
  AUDIT_FILTERS.flatMap((name) => {
    const value = query.get(name);
    if (value === undefined) return [];
    try {
      return [conditionOf(name, value)];
    } catch (error) {
      if (!(error instanceof WrongValue)) throw error;
      faults.push({ path: `?${name}`, message: error.message });
      return [];
    }
  });

const conditionOf = (name: (typeof AUDIT_FILTERS)[number], value: string): HistoryCondition => {
  switch (name) {
    case 'from':
      return { path: 'at', op: 'gte', value: instantOf(value) };
    case 'to':
      return { path: 'at', op: 'lt', value: instantOf(value) };
    case 'type':
      // A word that no event has would be an empty list for ever: more likely a slip.
      if (!Object.hasOwn(EVENTS, value))
        throw new WrongValue(`must be one of ${Object.keys(EVENTS).join(', ')}, got '${value}'`);
      return { path: name, op: 'eq', value };
    case 'actor':
    case 'registry':
    case 'uid':
    case 'correlationId':
      return { path: name, op: 'eq', value };
  }
};

/** `order=asc` or `order=desc`. @returns whether the newest come first */
export const newestFirst = (query: ReadonlyMap<string, string>, faults: Fault[]): boolean => {
  const order = query.get('order') ?? 'desc';
  if (order !== 'asc' && order !== 'desc')
    faults.push({ path: '?order', message: `must be asc or desc, got '${order}'` });
  return order !== 'asc';
};

/** @throws Invalid where there is any */
export const refuseFaults = (faults: readonly Fault[]): void => {
  if (faults.length > 0) throw new Invalid(faults);
};
