import { digestOf, encode, type StoredForm } from './codec.js';
import { EVENTS } from './events.js';
import type { Exported } from './exported.js';
import { withPositions } from './positions.js';

/*
 * A log that goes to where it gets other positions (ADR 10): what names positions in it is made to name the new ones.
 */

/** Which position each event of one log got in another, in the order of both: 16 bytes an event. */
export class Positions {
  private readonly before: BigUint64Array;
  private readonly now: BigUint64Array;
  private count = 0;

  /** @param events how many there will be */
  constructor(events: number) {
    this.before = new BigUint64Array(events);
    this.now = new BigUint64Array(events);
  }

  /** The next event. @throws RangeError where one of the positions does not rise */
  add(before: bigint, now: bigint): void {
    const last = this.count - 1;
    if (before <= (this.before[last] ?? 0n) || now <= (this.now[last] ?? 0n))
      throw new RangeError(
        `position ${before}, now ${now}, does not come after ${this.before[last]}, now ${this.now[last]}`,
      );
    this.before[this.count] = before;
    this.now[this.count] = now;
    this.count += 1;
  }

  /** What a position of the first log is in the other one: that of the last event at or before it; 0 before the first. */
  of(position: bigint): bigint {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.before[middle] ?? 0n) <= position) low = middle + 1;
      else high = middle;
    }
    return this.now[low - 1] ?? 0n;
  }

  /** The new ones, in their order. */
  *inOrder(): Generator<bigint> {
    for (let at = 0; at < this.count; at += 1) yield this.now[at] ?? 0n;
  }
}

/** An event as the other log is to hold it. */
export type Translated = StoredForm & { readonly stream: string; readonly revision: number };

/**
 * Goes through an export, event by event, in its order. What names a position gets other data; from there on the stream's digests are those
 * of what it now holds, so that it is a chain again. Where nothing in a stream names one, all stays as it was.
 */
export class Translation {
  /** Of the last event of each stream that has become another one. */
  private readonly digests = new Map<string, string>();

  /** @param positions of all events before the next one */
  constructor(private readonly positions: Positions) {}

  next({ stored, recorded }: Exported): Translated {
    const { id, type, data, metadata, stream, revision } = stored;
    const event = withPositions(recorded.event, (position) => String(this.positions.of(BigInt(position))));
    const moved = event !== recorded.event && encode(id, event, recorded.meta).data !== data;
    const previous = this.digests.get(stream);
    if (!moved && previous === undefined) return { id, type, data, metadata, stream, revision };
    // What is written anew is written in today's version.
    const version = moved ? EVENTS[event.type].version : recorded.meta.version;
    const meta = { ...recorded.meta, version, previous: previous ?? recorded.meta.previous };
    const form = moved ? encode(id, event, meta) : { id, type, data, metadata: JSON.stringify(meta) };
    this.digests.set(stream, digestOf(form, meta));
    return { ...form, stream, revision };
  }
}
