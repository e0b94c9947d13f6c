import { isDeepStrictEqual } from 'node:util';
import type { EventOf, Recorded, RecordEvent } from '../events/events.js';
import { isPurging, type RecordState } from '../events/record.js';
import type { Json, Ref } from '../events/vocabulary.js';

/**
 * Takes back what came too late (design, section 4): a registration by a purge of its own, an update by putting back all that it changed
 * and nobody has changed since. No hold and no reference stands against it. What is being purged anyway needs no taking back.
 */
export const decideWithdraw = (
  record: RecordState,
  { event, position }: Recorded<RecordEvent>,
  targets: readonly Ref[],
): RecordEvent[] => {
  if (isPurging(record)) return [];
  const withdraws = String(position);
  if (event.type === 'RecordRegistered') {
    const { fields } = record;
    // The bytes that this registration wrote go with it; what it only found was there before it and stays.
    const storage = fields.kind !== 'file' ? null : fields.own ? 'delete' : 'keep';
    return [{ type: 'RecordPurgeRequested', storage, withdraws, operation: null }];
  }
  if (event.type !== 'RecordUpdated') return [];
  const changes = putBack(record, event, targets);
  return Object.keys(changes).length === 0 ? [] : [{ type: 'RecordUpdated', changes, withdraws }];
};

/** A withdrawal that comes too late itself, since what it put back was going too, is not put back again: what is going is dropped. */
const putBack = (
  record: RecordState,
  { changes, withdraws }: EventOf<'RecordUpdated'>,
  targets: readonly Ref[],
): EventOf<'RecordUpdated'>['changes'] => {
  const now: { readonly [name: string]: Json } = { ...record.fields, visibility: record.visibility };
  const back: EventOf<'RecordUpdated'>['changes'] = {};
  for (const [name, { from, to }] of Object.entries(changes)) {
    const current = now[name] ?? null;
    const untouched = withdraws === null && isDeepStrictEqual(current, to);
    const restored = without(name, untouched ? from : current, targets);
    if (!isDeepStrictEqual(current, restored)) back[name] = { from: current, to: restored };
  }
  return back;
};

const POINTERS: { readonly [name: string]: string } = {
  labels: 'labels',
  files: 'files',
  run: 'runs',
  transform: 'transforms',
};

/** A field's value without what is going. */
const without = (name: string, value: Json, targets: readonly Ref[]): Json => {
  const going = (uid: Json): boolean =>
    targets.some((target) => target.registry === POINTERS[name] && target.uid === uid);
  if (Array.isArray(value)) return value.filter((uid) => !going(uid));
  return going(value) ? null : value;
};
