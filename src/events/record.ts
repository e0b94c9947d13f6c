import type { EventOf, Fields, KeptWhy, RecordEvent, Recorded, Seen, StorageWish } from './events.js';
import { TRASHED, VISIBLE, type Ref, type Shown, type Visibility } from './vocabulary.js';

/** One record as its events tell it. Plain data: the catalogue keeps it as it is. */
export interface RecordState {
  readonly registry: string;
  readonly uid: string;
  readonly revision: number;
  readonly position: number;
  readonly fields: Fields;
  readonly visibility: Visibility;
  readonly hold: { readonly reason: string | null; readonly by: string; readonly at: string } | null;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** The place of its registration in the log's order. */
  readonly registeredAt: number;
  readonly trashing: Trashing | null;
  readonly purge: Purge | null;
}

export interface Trashing {
  readonly from: Shown;
  readonly at: string;
  readonly by: string;
  readonly reason: string | null;
  readonly purgeAfter: string | null;
  readonly revision: number;
  readonly position: number;
}

/** The open, or ended, purge of a record. A purge that was called off leaves none. */
export interface Purge {
  /** The revision of its RecordPurgeRequested: a verdict, a step and a receipt belong to one request. */
  readonly request: number;
  readonly position: number;
  readonly at: string;
  readonly by: string;
  readonly reason: string | null;
  readonly commandId: string;
  readonly correlationId: string;
  readonly storage: StorageWish;
  readonly withdraws: string | null;
  readonly operation: string | null;
  readonly attempts: number;
  readonly failure: {
    readonly error: string;
    readonly waitMs: number | null;
    readonly at: string;
    readonly revision: number;
  } | null;
  readonly started: { readonly seen: Seen | null; readonly at: string } | null;
  /** A person asked to keep the object after the deletion had failed or was parked. */
  readonly keepAsked: { readonly at: string; readonly revision: number } | null;
  readonly outcome: Outcome | null;
  /** When RecordPurged was written; null while purging. */
  readonly ended: { readonly at: string; readonly position: number } | null;
}

export type Outcome =
  | { readonly fate: 'kept'; readonly why: KeptWhy; readonly by: readonly Ref[] }
  | { readonly fate: 'deleted'; readonly objects: number; readonly bytes: number; readonly changed: boolean };

/**
 * The next state of a record. Never throws on a stored event: what makes no sense for the state (an event of a record that was never
 * registered, a second registration) leaves it as it was, but for the revision.
 */
export const evolve = (record: RecordState | null, recorded: Recorded<RecordEvent>): RecordState | null => {
  const { event } = recorded;
  if (event.type === 'RecordRegistered') return record ?? registered(event, recorded);
  if (record === null) return null;
  return { ...record, ...change(record, event, recorded), revision: recorded.revision, position: recorded.position };
};

export const fold = (history: readonly Recorded<RecordEvent>[]): RecordState | null =>
  history.reduce<RecordState | null>(evolve, null);

const registered = (
  event: EventOf<'RecordRegistered'>,
  { meta, registry, uid, revision, position }: Recorded,
): RecordState => ({
  registry,
  uid,
  revision,
  position,
  fields: event.fields,
  visibility: event.visibility,
  hold: null,
  createdBy: meta.actor,
  createdAt: meta.at,
  updatedAt: meta.at,
  registeredAt: position,
  trashing: null,
  purge: null,
});

type Change = Partial<Omit<RecordState, 'registry' | 'uid'>>;

const change = (
  record: RecordState,
  event: Exclude<RecordEvent, { type: 'RecordRegistered' }>,
  { meta, revision, position }: Recorded,
): Change => {
  const updatedAt = meta.at;
  switch (event.type) {
    case 'RecordUpdated':
      return { ...patched(record, event), updatedAt };
    case 'RecordTrashed': {
      const { from, purgeAfter } = event;
      const trashing = { from, at: meta.at, by: meta.actor, reason: meta.reason, purgeAfter, revision, position };
      return { visibility: TRASHED, trashing, updatedAt };
    }
    case 'RecordRestored':
      return { visibility: event.to, trashing: null, updatedAt };
    case 'RecordHeld':
      return { hold: { reason: meta.reason, by: meta.actor, at: meta.at }, updatedAt };
    case 'RecordHoldReleased':
      return { hold: null, updatedAt };
    case 'RecordPurgeRequested':
      return record.purge === null ? { purge: requested(event, meta, revision, position) } : {};
    case 'RecordPurgeCancelled':
      return record.purge?.request === event.request && record.purge.ended === null ? { purge: null } : {};
    case 'RecordPurged':
      return purging(record, event, { ended: { at: meta.at, position } });
    case 'ObjectKept':
      return purging(record, event, { outcome: { fate: 'kept', why: event.why, by: event.by }, failure: null });
    case 'ObjectDeletionStarted':
      return purging(record, event, { started: { seen: event.seen, at: meta.at } });
    case 'ObjectDeletionFailed': {
      const failure = { error: event.error, waitMs: event.waitMs, at: meta.at, revision };
      return purging(record, event, { attempts: event.attempt, failure });
    }
    case 'RecordPurgeRetried': {
      const keepAsked = event.storage === 'keep' ? { at: meta.at, revision } : (record.purge?.keepAsked ?? null);
      return purging(record, event, { attempts: 0, failure: null, keepAsked });
    }
    case 'ObjectDeleted': {
      const { objects, bytes, changed } = event;
      return purging(record, event, { outcome: { fate: 'deleted', objects, bytes, changed }, failure: null });
    }
  }
};

const requested = (
  event: EventOf<'RecordPurgeRequested'>,
  meta: Recorded['meta'],
  revision: number,
  position: number,
): Purge => ({
  request: revision,
  position,
  at: meta.at,
  by: meta.actor,
  reason: meta.reason,
  commandId: meta.commandId,
  correlationId: meta.correlationId,
  storage: event.storage,
  withdraws: event.withdraws,
  operation: event.operation,
  attempts: 0,
  failure: null,
  started: null,
  keepAsked: null,
  outcome: null,
  ended: null,
});

/** A saga's event counts only for the request that it names, and for none that has ended. */
const purging = (record: RecordState, event: { request: number }, purge: Partial<Purge>): Change =>
  record.purge?.request === event.request && record.purge.ended === null
    ? { purge: { ...record.purge, ...purge } }
    : {};

const patched = (record: RecordState, event: EventOf<'RecordUpdated'>): Change => {
  const { visibility, ...changes } = event.changes;
  const fields = { ...record.fields };
  for (const [name, { to }] of Object.entries(changes)) Object.assign(fields, { [name]: to });
  // What lies in the trash gets its visibility back by a restore alone.
  if (visibility === undefined || record.trashing !== null) return { fields };
  return { fields, visibility: visibility.to === VISIBLE ? 1 : 0 };
};

export const isTrashed = (record: RecordState): boolean => record.visibility === TRASHED;
/** A purge was requested and not called off: no query shows it, and it protects nothing. */
export const isPurging = (record: RecordState): boolean => record.purge !== null;
export const isPurged = (record: RecordState): boolean => record.purge?.ended != null;

/** `registry/uid` of each record that this one points to. */
export const pointsTo = ({ registry, fields }: Pick<RecordState, 'registry' | 'fields'>): string[] => {
  if (fields.kind === 'plain') return [];
  const { run, transform, labels, initialVersion } = fields;
  const targets = labels.map((uid) => `labels/${uid}`);
  if (run !== null) targets.push(`runs/${run}`);
  if (transform !== null) targets.push(`transforms/${transform}`);
  if (initialVersion !== null) targets.push(`${registry}/${initialVersion}`);
  if (fields.kind === 'file') targets.push(`storages/${fields.storage}`);
  else targets.push(...fields.files.map((uid) => `files/${uid}`));
  return targets;
};
