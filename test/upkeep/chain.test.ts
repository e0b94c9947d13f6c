import { expect, test } from 'vitest';
import { seal } from '../../src/commands/execute.js';
import type { Metadata, RecordEvent } from '../../src/events/events.js';
import { derivedId, sha256 } from '../../src/events/ids.js';
import type { StoredEvent } from '../../src/storage/event-store/port.js';
import { plain, uidFor } from '../../src/testing/events.js';
import { Chain } from '../../src/upkeep/chain.js';
import type { Finding } from '../../src/upkeep/findings.js';

const STREAMS = 60;
const ROUNDS = 3;

const streamAt = (index: number): string => `lethe.labels-${uidFor(`n${index}x`)}`;

/** Streams of four events each, as a service writes them: a command of two events, and then one of one event a round. */
const writtenLog = (): StoredEvent[] => {
  const events: StoredEvent[] = [];
  const tips = new Map<string, { stored: StoredEvent; meta: Metadata }>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let index = 0; index < STREAMS; index += 1) {
      const stream = streamAt(index);
      const update: RecordEvent = { type: 'RecordUpdated', changes: {}, withdraws: null };
      const first: RecordEvent = { type: 'RecordRegistered', visibility: 1, fields: plain(), seenAt: null };
      const commandId = derivedId('test', stream, round);
      const envelope = {
        repeatable: true,
        commandId,
        hash: sha256(commandId),
        actor: 'alice',
        reason: null,
        correlationId: commandId,
        ifMatch: null,
      };
      const at = `2026-01-01T00:00:0${round}.000Z`;
      for (const { form, meta } of seal(
        at,
        tips.get(stream) ?? null,
        envelope,
        round === 0 ? [first, update] : [update],
      )) {
        const revision = (tips.get(stream)?.stored.revision ?? -1) + 1;
        const stored = { ...form, stream, revision, position: BigInt(events.length + 1) };
        events.push(stored);
        tips.set(stream, { stored, meta });
      }
    }
  }
  return events;
};

const check = (events: readonly StoredEvent[], mostStreams?: number): { whats: string[]; passes: number } => {
  const findings: Finding[] = [];
  const chain = new Chain('lethe.', (finding) => findings.push(finding), mostStreams);
  let passes = 0;
  do {
    passes += 1;
    for (const event of events) chain.see(event);
  } while (chain.another());
  return { whats: findings.map(({ kind, what }) => `${kind}: ${what}`).sort(), passes };
};

const log = writtenLog();
const of =
  (index: number, revision: number) =>
  (event: StoredEvent): boolean =>
    event.stream === streamAt(index) && event.revision === revision;
const edited = (
  which: (event: StoredEvent) => boolean,
  change: (event: StoredEvent) => Partial<StoredEvent>,
): StoredEvent[] => log.map((event) => (which(event) ? { ...event, ...change(event) } : event));

test('what a service writes is a chain, however few streams are held at once', () => {
  expect(check(log)).toEqual({ whats: [], passes: 1 });
  const { whats, passes } = check(log, 10);
  expect(whats).toEqual([]);
  expect(passes).toBeGreaterThan(STREAMS / 10 - 1);
});

test('every fault is found once, in whichever pass', () => {
  const faulty = edited(of(7, 0), ({ data }) => ({ data: `${data} ` }))
    .filter((event) => !of(20, 1)(event) && !of(30, 0)(event))
    .map((event) => (of(40, 2)(event) ? { ...event, id: derivedId('another') } : event))
    .map((event) => (of(50, 3)(event) ? { ...event, metadata: '{' } : event));
  const { whats } = check(faulty);
  expect(whats.map((what) => what.split(':')[0])).toEqual([
    'event-altered',
    'event-altered',
    'event-altered',
    'event-missing',
    'event-missing',
    'event-unreadable',
  ]);
  expect(check(faulty, 9).whats).toEqual(whats);
});

test('an event that appears twice has an id that is not its own', () => {
  const twice = log.flatMap((event) => (of(3, 3)(event) ? [event, { ...event, revision: 4 }] : [event]));
  expect(check(twice).whats).toHaveLength(2);
});

test('a type that this version does not know has its place in the chain', () => {
  expect(check(edited(of(5, 1), () => ({ type: 'RecordPainted' }))).whats).toEqual([
    expect.stringMatching(
      /^event-altered: event \d+ \(RecordUpdated, revision 2 of .*does not carry the digest of revision 1/,
    ),
  ]);
  expect(check(edited(of(5, 3), () => ({ type: 'RecordPainted' }))).whats).toEqual([]);
});
