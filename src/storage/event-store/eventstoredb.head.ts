import type { Place } from './eventstoredb.events.js';
import type { Position } from './port.js';

/** What a search for the head asks of the store. */
export interface Tail {
  /** At most `count` events before a position (null: from the end on), newest first, whose ever they are. */
  before(position: Position | null, count: number): Promise<Place[]>;
  /** The position of the last event of this prefix after one position and up to another, found by the server; null when there is none. */
  lastBetween(after: Position, upTo: Position): Promise<Position | null>;
}

/**
 * How many events are asked for at a time, newest first. In a store of Lethe's own the first answer has the head. What lies further back
 * than all of these is left to the server's filter, which is fifty times as fast; it reports only after each 1,000 events, so these must be more.
 */
const PAGES = [4, 32, 256, 4_096];

/**
 * The position of the last event of one prefix, in a store that may be shared. EventStoreDB cannot be asked for it, so what came since
 * the last search is looked through: the cost is that of other services' events in between, and of all of them the first time.
 */
export class Head {
  private known = { at: 0n, seen: 0n };

  constructor(private readonly isOwn: (stream: string) => boolean) {}

  /** @returns 0n when this prefix has no event */
  async find(tail: Tail): Promise<Position> {
    let { at, seen } = this.known;
    let newest: Position | null = null;
    let before: Position | null = null;
    for (const count of PAGES) {
      const page = await tail.before(before, count);
      newest ??= page[0]?.position ?? 0n;
      // The log ends before what was seen of it: it is another one by now, restored from a backup.
      if (newest < seen) [at, seen] = [0n, 0n];
      const limit = seen;
      const found = page.find(({ stream, position }) => position <= limit || this.isOwn(stream));
      if (found !== undefined) return this.learn(found.position <= limit ? at : found.position, newest);
      if (page.length < count) return this.learn(at, newest);
      before = page.at(-1)?.position ?? before;
    }
    return this.learn((await tail.lastBetween(seen, before ?? 0n)) ?? at, newest ?? 0n);
  }

  private learn(at: Position, seen: Position): Position {
    this.known = { at, seen };
    return at;
  }
}
