import type { PurgeStep } from '../commands/commands.js';
import type { Seen } from '../events/events.js';
import type { RecordState } from '../events/record.js';
import type { Verdict } from '../storage/read-model/port.js';

/** How long a keep that was asked for after a deletion had begun waits, so that no late call can still remove what it keeps. */
export const KEEP_AFTER_MS = 60 * 60 * 1000;

/** What the purge saga does next with a record: one effect, or none. */
export type Step =
  | { readonly do: 'nothing' }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'report'; readonly report: PurgeStep }
  /** Look at what lies there and name it, before anything is deleted. */
  | { readonly do: 'start' }
  | { readonly do: 'delete'; readonly seen: Seen | null }
  /** A keep was asked for in the middle: say whether the object is still whole. */
  | { readonly do: 'settle'; readonly seen: Seen | null }
  /** Clear away the folder's listing, then end. */
  | { readonly do: 'clear'; readonly manifest: string };

export interface Waited {
  /** Milliseconds since this worker first saw the last failure. */
  readonly sinceFailure: number;
  /** Milliseconds since this worker first saw that a keep was asked for. */
  readonly sinceKeep: number;
}

/** Carries out the verdict on one request, as far as the stream has come. */
export const nextStep = (record: RecordState | null, request: number, verdict: Verdict, waited: Waited): Step => {
  const purge = record?.purge ?? null;
  if (purge === null || purge.request !== request || purge.ended !== null) return { do: 'nothing' };
  const { outcome, failure, started, keepAsked } = purge;
  if (outcome !== null) {
    const manifest = started?.seen?.kind === 'folder' ? started.seen.manifest : null;
    return manifest === null ? { do: 'report', report: { step: 'end' } } : { do: 'clear', manifest };
  }
  if (failure !== null && failure.waitMs === null) return { do: 'nothing' };
  if (failure !== null && failure.waitMs !== null && waited.sinceFailure < failure.waitMs) {
    return { do: 'wait', ms: failure.waitMs - waited.sinceFailure };
  }
  switch (verdict.fate) {
    case 'called-off':
      return { do: 'report', report: { step: 'cancel', by: verdict.by } };
    case 'no-object':
      return { do: 'report', report: { step: 'end' } };
    case 'keep':
      return { do: 'report', report: { step: 'keep', why: verdict.why, by: verdict.by } };
    case 'delete':
      if (keepAsked === null) return started === null ? { do: 'start' } : { do: 'delete', seen: started.seen };
      if (started === null) return { do: 'report', report: { step: 'keep', why: 'asked', by: [] } };
      if (waited.sinceKeep < KEEP_AFTER_MS) return { do: 'wait', ms: KEEP_AFTER_MS - waited.sinceKeep };
      return { do: 'settle', seen: started.seen };
  }
};

export interface RetryPolicy {
  /** Tries before a purge is parked for a person. */
  readonly attempts: number;
  readonly firstWaitMs: number;
  readonly maxWaitMs: number;
}

/**
 * How long to wait after the `attempt`-th failure: doubling, with the last half of it left to chance so that many do not come at once.
 * @param chance from 0 (inclusive) to 1 (exclusive)
 * @returns milliseconds; null: parked
 */
export const waitAfter = (
  attempt: number,
  { attempts, firstWaitMs, maxWaitMs }: RetryPolicy,
  chance: number,
): number | null => {
  if (attempt >= attempts) return null;
  const full = Math.min(firstWaitMs * 2 ** (attempt - 1), maxWaitMs);
  return Math.round(full * (0.5 + chance / 2));
};
