import type { RecordState } from '../events/record.js';
import type { Ref } from '../events/vocabulary.js';
import type { Executed } from './execute.js';

export type Outcome =
  'created' | 'existing' | 'updated' | 'trashed' | 'restored' | 'held' | 'released' | 'unchanged' | 'purging';

export interface Warning {
  readonly code: string;
  readonly message: string;
  readonly by?: readonly Ref[];
}

/** What a command came to. */
export interface Result {
  readonly outcome: Outcome;
  readonly record: RecordState;
  readonly warnings: readonly Warning[];
  readonly replayed: boolean;
  /** It appended, now or when it first came. */
  readonly changed: boolean;
}

export const result = (
  outcome: Outcome,
  { record, events, replayed }: Executed,
  warnings: readonly Warning[] = [],
): Result => ({
  outcome,
  record,
  warnings,
  replayed,
  changed: events.length > 0,
});
