import type { Readable } from 'node:stream';
import type { Message } from './eventstoredb.events.js';
import type { Position } from './port.js';

/** What this adapter asks of the client (eventstoredb.ts), in its own words. What comes back is not looked at yet. */
export interface Wire {
  /** Where it leads, for messages. */
  readonly place: string;

  /**
   * @param expected -1: the stream has no event yet
   * @returns the position is null where the server does not say it
   */
  append(
    stream: string,
    expected: number,
    messages: readonly Message[],
    deadlineMs: number,
  ): Promise<{ readonly revision: number; readonly position: Position | null }>;

  /** A stream's events, oldest first, from a revision on, inclusive. */
  stream(stream: string, from: number): Source;

  /** At most `count` events of whatever stream: newest first, before a position (null: from the end on). */
  backwards(before: Position | null, count: number): Source;

  /** As `backwards`, oldest first, from a position on, inclusive. */
  forwards(from: Position, count: number): Source;

  /** The events of one prefix, old ones and then new ones; never ends by itself. */
  subscription(options: Subscribing): Source;

  dispose(): Promise<void>;
}

export interface Subscribing {
  readonly prefix: string;
  /** Where it begins: after the event at this position, which has to be there. Null: with the first event. */
  readonly after: Position | null;
  /** After how many times 1,000 events, whose ever they are, the server reports how far it has come. */
  readonly checkpointInterval: number;
  /** How many events wait here at most. */
  readonly buffer: number;
  readonly onConfirmed: () => void;
  readonly onCheckpoint: (position: Position) => void;
}

export interface Source {
  readonly items: Readable;
  /** Tells the server that no more is wanted. */
  leave(): Promise<void>;
}
