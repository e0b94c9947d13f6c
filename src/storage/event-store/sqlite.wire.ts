import { Corrupt, Full, OutcomeUnknown, Unavailable } from '../errors.js';
import type { NewEvent } from './port.js';

// What goes between the store (sqlite.writer.ts) and the thread that writes (sqlite.thread.ts).

export interface ThreadAppend {
  readonly stream: string;
  readonly expected: number;
  readonly events: readonly NewEvent[];
}

export type ToThread =
  | { readonly kind: 'open'; readonly file: string; readonly maxPages: number | null }
  | { readonly kind: 'commit'; readonly appends: readonly ThreadAppend[] }
  | { readonly kind: 'close' };

export type FromThread =
  | { readonly kind: 'opened'; readonly journalMode: string; readonly synchronous: number }
  | { readonly kind: 'refused'; readonly failure: Failure }
  | { readonly kind: 'committed'; readonly outcomes: readonly Outcome[]; readonly transactions: number };

export type Outcome =
  /** `fresh`: written now, and not found to be a repeat. */
  | { readonly kind: 'appended'; readonly revision: number; readonly position: number; readonly fresh: boolean }
  | { readonly kind: 'conflict'; readonly actual: number }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** An error on its way between threads, which keeps its class by name. */
export interface Failure {
  readonly name: 'Corrupt' | 'Full' | 'OutcomeUnknown' | 'Unavailable';
  readonly message: string;
}

export const toError = ({ name, message }: Failure): Error => {
  switch (name) {
    case 'Corrupt':
      return new Corrupt(message);
    case 'Full':
      return new Full(message);
    case 'OutcomeUnknown':
      return new OutcomeUnknown(message);
    case 'Unavailable':
      return new Unavailable(message);
  }
};
