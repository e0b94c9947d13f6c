/**
 * The log: the only truth. An append goes to one stream, at an expected revision, whole or not at all.
 *
 * Positions are the global order of all events: they rise, with gaps, and are never used again. `0n` is before the first.
 * Revisions count a stream's events from 0; `-1` is a stream without events.
 */
export type Position = bigint;

export const BEGINNING: Position = 0n;

/** An event as it goes in. `data` and `metadata` are JSON texts of objects. `id` is a UUID, in either case, and names the event for ever. */
export interface NewEvent {
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
}

/** An event as it comes out: `id` in lower case, `data` and `metadata` equal as JSON to what went in. */
export interface StoredEvent extends NewEvent {
  readonly stream: string;
  readonly revision: number;
  readonly position: Position;
}

export interface Appended {
  /** The revision of the last event of this append. */
  readonly revision: number;
  /** The position of the last event of this append. */
  readonly position: Position;
}

export interface EventStore {
  /** Whether positions count this log's events one by one, so that a difference of two says how many lie between. */
  readonly numbersEvents: boolean;

  /**
   * Appends `events` (1 to 100, in all at most 1 MiB) after `expectedRevision` (`-1`: the stream has none yet), all or none.
   * An acknowledged append is on disk.
   * Repeating an append with the same ids and the same expected revision answers what the first answered, also after later events.
   *
   * @throws RevisionConflict, Full, Unavailable: nothing was written. OutcomeUnknown: repeat with the same ids and revision, until there
   * is an answer. Only that settles it: a later Unavailable or Full says no more than that the repeat was not written.
   * TypeError, RangeError: no log could store it (a stream outside of this log's prefix: TypeError); nothing was written.
   */
  append(stream: string, expectedRevision: number, events: readonly NewEvent[]): Promise<Appended>;

  /**
   * The events of a stream from `fromRevision` (inclusive, default 0), oldest first; empty for a stream that has none.
   *
   * @throws RangeError: `fromRevision` is not a whole number, 0 or more
   */
  readStream(stream: string, fromRevision?: number): Promise<StoredEvent[]>;

  /**
   * All events of this log's prefix after `from` (exclusive), in the order of their positions, in batches of 1 to `batchSize` (default 1,000).
   * Ends at the head as it was when the end is reached.
   *
   * @throws the signal's reason when it aborts: an end would look like the head. RangeError: `from` is below 0, or `batchSize` not a whole
   * number, 1 or more.
   */
  readAll(from: Position, options?: { batchSize?: number; signal?: AbortSignal }): AsyncIterable<StoredEvent[]>;

  /**
   * As `readAll`, and then waits for more. Ends when the signal aborts; throws Unavailable when the connection is lost: subscribe anew.
   * Nothing is skipped and nothing comes twice within one subscription.
   *
   * @throws RangeError: as `readAll`
   */
  subscribe(from: Position, options: { batchSize?: number; signal: AbortSignal }): AsyncIterable<StoredEvent[]>;

  /** The position of the last event of this log's prefix; `0n` when there is none. */
  head(): Promise<Position>;

  /** Waits for the appends made before; may be repeated. A closed store answers Unavailable everywhere, running subscriptions included. */
  close(): Promise<void>;
}
