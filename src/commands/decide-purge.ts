import type { RecordEvent } from '../events/events.js';
import { isPurging, isTrashed, type Purge, type RecordState } from '../events/record.js';
import type { Ref } from '../events/vocabulary.js';
import type { PurgeRecord, ReportPurgeStep, RetryPurge } from './commands.js';
import { admit, assertRevision } from './decide.js';
import { Conflict, ForeignStorage, OnHold, Referenced } from './refusals.js';

/** What the other records say of a purge, as far as the read model knows. The projection's verdict has the last word. */
export interface PurgeFacts {
  readonly referencedBy: { readonly by: readonly Ref[]; readonly count: number };
  /** The name of the record's storage where Lethe may not delete from it; null where it may, or there is no object. */
  readonly unmanaged: string | null;
  /** Why this record cannot be purged for a reason outside of it; null where nothing stands against it. */
  readonly protectedBy: string | null;
}

/** What stands against purging a live record, in the contract's order. */
export const refusePurge = (record: RecordState, storage: PurgeRecord['storage'], facts: PurgeFacts): void => {
  if (record.hold !== null) throw new OnHold(record.hold);
  const { by, count } = facts.referencedBy;
  if (count > 0) throw new Referenced(by, count);
  if (storage === 'delete' && facts.unmanaged !== null) throw new ForeignStorage(facts.unmanaged);
  if (facts.protectedBy !== null) throw new Conflict(facts.protectedBy);
};

export const decidePurge = (record: RecordState, command: PurgeRecord, facts: PurgeFacts): RecordEvent[] => {
  if (isPurging(record)) return [];
  admit(record, command.envelope);
  if (command.step !== null && !(isTrashed(record) && record.trashing?.revision === command.step.trashing)) {
    throw new Conflict('The record is no longer in the trash by the trashing that this operation saw.');
  }
  refusePurge(record, command.storage, facts);
  const operation = command.step?.operation ?? null;
  return [{ type: 'RecordPurgeRequested', storage: command.storage, withdraws: null, operation }];
};

export const decideRetry = (record: RecordState, command: RetryPurge): RecordEvent[] => {
  const { purge } = record;
  assertRevision(record, command.envelope);
  if (purge === null || purge.ended !== null || purge.failure === null) {
    throw new Conflict('The purge of this record has not failed: there is nothing to try again.');
  }
  return [{ type: 'RecordPurgeRetried', request: purge.request, storage: command.storage }];
};

/**
 * A saga's report, as events. It counts only while the request that it names is open and at the step that it reports of; a late one,
 * or another worker's repeat, changes nothing. Calling off and dealing with the object exclude each other here.
 */
export const decidePurgeStep = (record: RecordState, { request, report }: ReportPurgeStep): RecordEvent[] => {
  const { purge } = record;
  if (purge === null || purge.request !== request || purge.ended !== null) return [];
  const fresh = purge.started === null && purge.outcome === null;
  const deleting = purge.started !== null && purge.outcome === null;
  switch (report.step) {
    case 'cancel':
      return fresh ? [{ type: 'RecordPurgeCancelled', request, why: 'referenced', by: [...report.by] }] : [];
    case 'keep':
      if (!fresh && !(deleting && purge.keepAsked !== null && report.why === 'asked')) return [];
      return [{ type: 'ObjectKept', request, why: report.why, by: [...report.by] }, ...ending(purge)];
    case 'start':
      return fresh && purge.keepAsked === null ? [{ type: 'ObjectDeletionStarted', request, seen: report.seen }] : [];
    case 'fail': {
      if (purge.outcome !== null || report.attempt !== purge.attempts + 1) return [];
      const { attempt, error, waitMs } = report;
      return [{ type: 'ObjectDeletionFailed', request, attempt, error, waitMs }];
    }
    case 'deleted': {
      if (!deleting) return [];
      const { objects, bytes, changed } = report;
      return [{ type: 'ObjectDeleted', request, objects, bytes, changed }, ...ending(purge)];
    }
    case 'end':
      return purge.outcome !== null || record.fields.kind !== 'file' ? [{ type: 'RecordPurged', request }] : [];
  }
};

/** The record's end comes with its object's, in one append, unless a folder's listing has to be cleared away in between. */
const ending = ({ request, started }: Purge): RecordEvent[] =>
  started?.seen?.kind === 'folder' && started.seen.manifest !== null ? [] : [{ type: 'RecordPurged', request }];
