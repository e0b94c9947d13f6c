import { isDeepStrictEqual } from 'node:util';
import type { RecordEvent } from '../events/events.js';
import { isPurging, isTrashed, type RecordState } from '../events/record.js';
import { HIDDEN, isTrashable, TRASHED, VISIBLE, type Json } from '../events/vocabulary.js';
import type {
  Envelope,
  HoldRecord,
  RegisterRecord,
  ReleaseHold,
  RestoreRecord,
  TrashRecord,
  UpdateRecord,
} from './commands.js';
import { mergePatch } from './merge-patch.js';
import { Conflict, InTrash, NotTrashable, Purged, RevisionChanged } from './refusals.js';

/*
 * What a command makes of a record, in events; none where it changes nothing. Data in, data out: no clock, no chance, no I/O.
 * What a decision needs to know of other records comes in as facts.
 */

/** A live record at the revision that the caller saw, or the refusal that comes first. */
export const admit = (record: RecordState, envelope: Envelope): void => {
  if (isPurging(record)) throw new Purged(record);
  assertRevision(record, envelope);
};

export const assertRevision = (record: RecordState, { ifMatch }: Envelope): void => {
  if (ifMatch !== null && ifMatch !== record.revision) throw new RevisionChanged(ifMatch, record.revision);
};

export const decideRegister = (record: RecordState | null, command: RegisterRecord): RecordEvent[] => {
  if (record !== null) throw new Conflict(`${record.registry}/${record.uid} is registered already.`);
  return [{ type: 'RecordRegistered', visibility: command.visibility, fields: command.fields, seenAt: command.seenAt }];
};

export const decideUpdate = (record: RecordState, command: UpdateRecord): RecordEvent[] => {
  admit(record, command.envelope);
  const { visibility, ...patch } = command.patch;
  const changes: Record<string, { from: Json; to: Json }> = {};
  if (visibility === VISIBLE || visibility === HIDDEN) {
    if (isTrashed(record)) throw new InTrash('change its visibility');
    if (visibility !== record.visibility) changes['visibility'] = { from: record.visibility, to: visibility };
  }
  const before: Readonly<Record<string, Json>> = record.fields;
  for (const [name, wanted] of Object.entries(patch)) {
    const from = before[name] ?? null;
    const to = name === 'data' ? mergePatch(from, wanted) : wanted;
    if (!isDeepStrictEqual(from, to)) changes[name] = { from, to };
  }
  return Object.keys(changes).length === 0 ? [] : [{ type: 'RecordUpdated', changes, withdraws: null }];
};

export interface TrashFacts {
  /** When retention may purge it, from the log's own time; null while retention is off. */
  readonly purgeAfter: string | null;
}

/** A record in the trash is left as it is: whether that needs a yes is the caller's question, and the handler's answer. */
export const decideTrash = (record: RecordState, command: TrashRecord, facts: TrashFacts): RecordEvent[] => {
  if (isPurging(record)) return [];
  admit(record, command.envelope);
  if (!isTrashable(record.registry)) throw new NotTrashable(record.registry);
  if (record.visibility === TRASHED) return [];
  return [{ type: 'RecordTrashed', from: record.visibility, purgeAfter: facts.purgeAfter }];
};

export const decideRestore = (record: RecordState, command: RestoreRecord): RecordEvent[] => {
  admit(record, command.envelope);
  return record.trashing === null ? [] : [{ type: 'RecordRestored', to: record.trashing.from }];
};

export const decideHold = (record: RecordState, command: HoldRecord): RecordEvent[] => {
  admit(record, command.envelope);
  return record.hold !== null && record.hold.reason === command.envelope.reason ? [] : [{ type: 'RecordHeld' }];
};

export const decideRelease = (record: RecordState, command: ReleaseHold): RecordEvent[] => {
  admit(record, command.envelope);
  return record.hold === null ? [] : [{ type: 'RecordHoldReleased' }];
};
