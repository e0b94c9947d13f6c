/** What goes wrong at one call to a port. */
export type FaultKind =
  /** Refused; nothing happened. */
  | 'error'
  /** It happened, and no answer comes. */
  | 'lost'
  /** It did not happen, and no answer comes. */
  | 'unsent'
  /** No answer comes, and it happens a while later. */
  | 'late'
  /** It takes a while to get there. */
  | 'slow'
  /** The answer takes a while. */
  | 'slow-answer'
  /** The process dies instead of calling. */
  | 'crash-before'
  /** It happens, and the process dies. */
  | 'crash-after'
  /** This store answers nobody for a while. */
  | 'down'
  /** This store takes nothing more for a while. */
  | 'full'
  /** The whole service is stopped, and its read model is thrown away. */
  | 'rebuild';

export interface Fault {
  /** Which call to any port it befalls, counted from when the clients begin. */
  readonly at: number;
  readonly kind: FaultKind;
  /** How long it lasts, where it does. */
  readonly ms: number;
}

export const FAULT_KINDS: readonly FaultKind[] = [
  'error',
  'lost',
  'unsent',
  'late',
  'slow',
  'slow-answer',
  'crash-before',
  'crash-after',
  'down',
  'full',
  'rebuild',
];
