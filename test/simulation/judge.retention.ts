import { isLive, pointersOf, type Tale } from './judge.fold.js';
import type { Outcome } from './world.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Retention purges nothing before its days are over in the log's own time, and nothing that nobody holds much later. */
export const retained = ({ schedule }: Outcome, tale: Tale): string[] => {
  const { events, records, operations } = tale;
  const days = schedule.trashDays;
  const ticks = events.filter(({ event }) => event.type === 'ClockTicked').map(({ position }) => position);
  const faults: string[] = [];
  for (const { event, registry, uid, position } of events) {
    if (event.type !== 'RecordPurgeRequested' || operations.get(event.operation ?? '')?.kind !== 'retention') continue;
    const where = `${registry}/${uid} is purged by retention at ${position}`;
    const trashing = events.findLast(
      (other) =>
        other.registry === registry &&
        other.uid === uid &&
        other.position < position &&
        other.event.type === 'RecordTrashed',
    );
    const passed = ticks.filter((tick) => tick > (trashing?.position ?? Infinity) && tick < position).length;
    if (days === null || (passed - 1) * HOUR_MS < days * DAY_MS)
      faults.push(`I4 ${where}, ${passed} ticks after its trashing`);
  }
  // Whose clocks are off are late by so much; whoever was skipped comes again a day later.
  if (days === null || schedule.skews.some((skew) => skew !== 0)) return faults;
  const pointedAt = new Set(
    events.flatMap(({ event, registry }) =>
      event.type === 'RecordRegistered'
        ? pointersOf(registry, event.fields)
        : event.type === 'RecordUpdated'
          ? Object.entries(event.changes).flatMap(([name, { to }]) =>
              [to].flat().map((target) => `${name}/${JSON.stringify(target).slice(1, -1)}`),
            )
          : [],
    ),
  );
  const held = new Set(
    events.filter(({ event }) => event.type === 'RecordHeld').map(({ registry, uid }) => `${registry}/${uid}`),
  );
  for (const record of records.values()) {
    const { trashed, key } = record;
    if (trashed === null || !isLive(record) || held.has(key) || pointedAt.has(key)) continue;
    const passed = ticks.filter((tick) => tick > trashed.position).length;
    if ((passed - 2) * HOUR_MS > days * DAY_MS)
      faults.push(`I4 ${key} is still in the trash, ${passed} ticks after its trashing`);
  }
  return faults;
};
