/** What a decision may not take from the air: time, ids and chance. Injected everywhere, so that a whole service can run in simulated time from one seed. */

export interface Clock {
  /** Wall-clock time. It may jump: nothing but a display or an event's `at` depends on it. */
  now(): Date;
  /** Milliseconds on a clock that only ever rises, from an unknown zero. */
  monotonic(): number;
  /** Resolves after `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Ids {
  /** A new UUID. */
  uuid(): string;
}

export interface Random {
  /** A number from 0 (inclusive) to 1 (exclusive). */
  next(): number;
}

/** What a part of the service says to whoever operates it. Never a secret, never a file's content. */
export interface Log {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}
