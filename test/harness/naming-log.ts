import type { LetheEvent } from '../../src/events/events.js';
import { TestLog } from '../../src/testing/log.js';
import { generateLog } from './log-generator.js';

/** A generated log whose events name positions wherever they can: what was seen before a look at an object, and what is taken back. */
export const generateNamingLog = (seed: number, events: number): TestLog => {
  const log = new TestLog();
  /** Of each record: the positions of its registration and of its last event. */
  const known = new Map<string, { readonly first: number; last: number }>();
  for (const { event, meta, registry, uid } of generateLog(seed, events).recorded) {
    const key = `${registry}/${uid}`;
    const record = known.get(key) ?? { first: log.head + 1, last: log.head + 1 };
    const named = naming(event, log.head, record);
    const { actor, reason } = meta;
    log.happens({ registry, uid }, { event: () => named, said: { actor, reason } });
    known.set(key, { ...record, last: log.head });
  }
  return log;
};

const naming = (
  event: LetheEvent,
  head: number,
  { first, last }: { readonly first: number; readonly last: number },
): LetheEvent => {
  if (event.type === 'RecordRegistered' && event.seenAt !== null)
    return { ...event, seenAt: String(Math.max(0, head - (head % 40))) };
  if (event.type === 'RecordUpdated' && head % 5 === 0) return { ...event, withdraws: String(last) };
  if (event.type === 'RecordPurgeRequested' && head % 5 === 0) return { ...event, withdraws: String(first) };
  return event;
};
