import type { Unreadable } from '../events/codec.js';
import { project } from '../projections/project.js';
import { readable } from '../projections/readable.js';
import type { EventStore, Position, StoredEvent } from '../storage/event-store/port.js';
import type { ReadModel } from '../storage/read-model/port.js';

const BATCH = 1_000;

export interface ShadowPorts {
  readonly events: EventStore;
  readonly prefix: string;
  /** A model of its own, in which there is nothing yet. */
  readonly model: ReadModel;
  /** Told of each event of the log once, in their order. */
  readonly see: (stored: StoredEvent) => void;
  readonly signal: AbortSignal;
}

/** What the log makes of a model, as far as one asks: held beside the live one to be compared with it. */
export class Shadow {
  /** Why the rest of the log cannot be projected; null while it can. */
  blocked: Unreadable | null = null;
  /** How far the log was read. */
  readTo: Position = 0n;
  private checkpoint: Position = 0n;
  private begun = false;

  constructor(private readonly ports: ShadowPorts) {}

  get model(): ReadModel {
    return this.ports.model;
  }

  /** Goes on to this position, and not beyond. @param reached told after each batch */
  async advance(to: Position, reached: (at: Position) => Promise<void>): Promise<void> {
    const { events, see, signal, model } = this.ports;
    // Its load has no end: only projections and dumps ask it.
    if (!this.begun) await model.beginLoad();
    this.begun = true;
    if (to <= this.readTo) return;
    for await (const whole of events.readAll(this.readTo, { batchSize: BATCH, signal })) {
      const batch = whole.filter(({ position }) => position <= to);
      for (const stored of batch) see(stored);
      await this.apply(batch);
      this.readTo = batch.at(-1)?.position ?? this.readTo;
      await reached(this.readTo);
      if (batch.length < whole.length) break;
    }
    this.readTo = to;
  }

  private async apply(batch: readonly StoredEvent[]): Promise<void> {
    if (this.blocked !== null) return;
    const { model, prefix } = this.ports;
    const { events, size, unreadable } = readable(prefix, batch);
    this.blocked = unreadable;
    const to = batch[size - 1]?.position;
    if (to === undefined) return;
    await model.apply(await project(model, events), this.checkpoint, to);
    this.checkpoint = to;
  }

  /** Up to here it holds what the log says. */
  get holds(): Position {
    return this.blocked === null ? this.readTo : this.checkpoint;
  }
}
