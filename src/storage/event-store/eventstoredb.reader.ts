import { Unavailable } from '../errors.js';
import { atLeader, readError, typeOf } from './eventstoredb.errors.js';
import { assertWhole, toPlace, toStored, type Place } from './eventstoredb.events.js';
import { Head } from './eventstoredb.head.js';
import { Inlet } from './eventstoredb.inlet.js';
import type { Source, Subscribing, Wire } from './eventstoredb.wire.js';
import type { Position, StoredEvent } from './port.js';

const BATCH = 1_000;

/** Times 1,000 events between two reports of how far the server has come: what makes it quick to pass by others' events. */
const CHECKPOINT_INTERVAL = 100;

/** Reads the streams of one prefix. Whatever fails here, fails as the port says. */
export class Reader {
  private readonly heads: Head;

  /** @param closing aborts when the store was closed */
  constructor(
    private readonly wire: Wire,
    private readonly prefix: string,
    private readonly timeoutMs: number,
    private readonly closing: AbortSignal,
  ) {
    this.heads = new Head((stream) => stream.startsWith(prefix));
  }

  async stream(stream: string, from: number): Promise<StoredEvent[]> {
    try {
      const events = (await atLeader(() => this.collect(this.wire.stream(stream, from)))).map(toStored);
      assertWhole(stream, from, events);
      return events;
    } catch (error) {
      if (typeOf(error) === 'stream-not-found') return [];
      throw readError(error, this.wire.place, stream);
    }
  }

  async head(): Promise<Position> {
    try {
      return await this.heads.find({
        before: (position, count) => this.places(() => this.wire.backwards(position, count)),
        lastBetween: (after, upTo) => this.lastBetween(after, upTo),
      });
    } catch (error) {
      throw readError(error, this.wire.place, '$all');
    }
  }

  /**
   * The events after a position, as the server finds them. Ends only when the signal aborts.
   *
   * @param until 'head': there is something to come, and it has to come in time. 'for ever': it may wait, once it is confirmed
   */
  async *follow(
    from: Position,
    size: number,
    signal: AbortSignal | undefined,
    until: 'head' | 'for ever',
  ): AsyncGenerator<StoredEvent[]> {
    const signals = signal === undefined ? [this.closing] : [signal, this.closing];
    const isEnded = (): boolean => signals.some(({ aborted }) => aborted);
    let patienceMs: number | null = this.timeoutMs;
    let last = from;
    // The server filters as this does; what it repeats where it turns from old events to new ones is dropped.
    const isNext = ({ stream, position }: StoredEvent): boolean => {
      if (!stream.startsWith(this.prefix) || position <= last) return false;
      last = position;
      return true;
    };
    try {
      const { source, inlet } = await this.subscribe(from, {
        checkpointInterval: CHECKPOINT_INTERVAL,
        buffer: Math.min(size, BATCH),
        onConfirmed: () => {
          if (until === 'for ever') patienceMs = null;
        },
      });
      try {
        while (!isEnded()) {
          const items = await inlet.next(size, signals, patienceMs);
          if (items === null) throw this.wasEnded();
          const events = items.map(toStored).filter(isNext);
          if (events.length > 0 && !isEnded()) yield events;
        }
      } finally {
        await source.leave();
      }
    } catch (error) {
      throw readError(error, this.wire.place, '$all');
    }
    if (signal?.aborted !== true) throw this.wasClosed();
  }

  wasClosed(): Unavailable {
    return new Unavailable(`${this.wire.place} was closed: open it again`);
  }

  private wasEnded(): Unavailable {
    return new Unavailable(`${this.wire.place} ended a subscription: subscribe anew`);
  }

  private async subscribe(
    from: Position,
    options: Pick<Subscribing, 'checkpointInterval' | 'buffer'> & Partial<Subscribing>,
  ): Promise<{ source: Source; inlet: Inlet }> {
    const after = (await this.isThere(from)) ? from : null;
    let inlet: Inlet | null = null;
    const source = this.wire.subscription({
      onConfirmed: () => undefined,
      ...options,
      prefix: this.prefix,
      after,
      onCheckpoint: (position) => {
        options.onCheckpoint?.(position);
        inlet?.touch();
      },
    });
    inlet = new Inlet(source.items);
    return { source, inlet };
  }

  /**
   * Whether an event begins at a position. Where a subscription begins, the server steps over the first event at or after the position:
   * right if that is the one that was seen, and a loss if it is gone. So another position is looked for from the log's beginning on.
   */
  private async isThere(position: Position): Promise<boolean> {
    if (position === 0n) return false;
    try {
      const [first] = await this.places(() => this.wire.forwards(position, 1));
      return first?.position === position;
    } catch (error) {
      if (typeOf(error) === 'unknown') return false; // in the middle of an event: the server can't read there
      throw error;
    }
  }

  /** The position of this prefix's last event between two positions, by the server's filter; null when there is none. */
  private async lastBetween(after: Position, upTo: Position): Promise<Position | null> {
    let [reached, last]: [Position, Position | null] = [after, null];
    const { source, inlet } = await this.subscribe(after, {
      checkpointInterval: 1,
      buffer: BATCH,
      onCheckpoint: (position) => {
        reached = position;
      },
    });
    try {
      for (;;) {
        const items = await inlet.next(BATCH, [this.closing], this.timeoutMs);
        if (this.closing.aborted) throw this.wasClosed();
        if (items === null) throw this.wasEnded();
        for (const { position } of items.map(toPlace)) {
          if (position > upTo) return last;
          if (position > after) last = position;
        }
        if (items.length === 0 && reached >= upTo) return last; // a checkpoint, and all that came before it was taken
      }
    } finally {
      await source.leave();
    }
  }

  private places(read: () => Source): Promise<Place[]> {
    return atLeader(async () => (await this.collect(read())).map(toPlace));
  }

  /** All that a read answers. */
  private async collect(source: Source): Promise<unknown[]> {
    const inlet = new Inlet(source.items);
    const all: unknown[] = [];
    let isWhole = false;
    try {
      while (!this.closing.aborted) {
        const items = await inlet.next(BATCH, [this.closing], this.timeoutMs);
        isWhole = items === null;
        if (items === null) return all;
        all.push(...items);
      }
      throw this.wasClosed();
    } finally {
      if (!isWhole) await source.leave();
    }
  }
}
