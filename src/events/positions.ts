import type { LetheEvent } from './events.js';

/**
 * An event with each position that it names replaced. Whatever field of an event holds one is here, and a test asks the schemas for them;
 * nothing else in an event (criteria, ids, paths) follows from a position.
 */
export const withPositions = (event: LetheEvent, replace: (position: string) => string): LetheEvent => {
  switch (event.type) {
    case 'RecordRegistered':
      return event.seenAt === null ? event : { ...event, seenAt: replace(event.seenAt) };
    case 'RecordUpdated':
    case 'RecordPurgeRequested':
      return event.withdraws === null ? event : { ...event, withdraws: replace(event.withdraws) };
    case 'OperationStarted':
      return { ...event, position: replace(event.position) };
    default:
      return event;
  }
};
