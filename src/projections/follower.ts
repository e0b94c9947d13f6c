import type { Recorded } from '../events/events.js';
import type { Clock, Log, Random } from '../ports.js';
import { CheckpointMoved } from '../storage/errors.js';
import type { EventStore, Position, StoredEvent } from '../storage/event-store/port.js';
import type { ReadModel } from '../storage/read-model/port.js';
import { project } from './project.js';
import { readable } from './readable.js';

/**
 * Behind the head by more than this at the start, the model is loaded without the indexes that only queries need: making them again has
 * to cost less than keeping them.
 */
const loadFrom = (checkpoint: Position): Position => (checkpoint > 20_000n ? checkpoint / 4n : 5_000n);
const BATCH = 1_000;
/** How often a projector that looks on asks how far the other has come, and how long that may stand still behind the head. */
const LOOK_MS = 50;
const TAKE_OVER_MS = 2_000;
const BACKOFF_MS = { first: 50, last: 5_000 };

export interface FollowerPorts {
  readonly events: EventStore;
  readonly prefix: string;
  readonly model: ReadModel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface FollowerStatus {
  /** Up to here every event is in the model, and whoever reads it sees them. */
  readonly checkpoint: Position;
  /** How far a load has come; null while none is under way. */
  readonly loaded: Position | null;
  /** The last position at which a purge, a withdrawal or an operation came to stand differently: what sagas wake up for. */
  readonly workAt: Position;
  /** Events of types that this version does not know, since the start. */
  readonly skipped: number;
  /** What stopped it, or keeps it from moving; null while all is well. */
  readonly error: string | null;
  /** Set where no retry can help: a person must act. */
  readonly halted: boolean;
  /** Whether this one carries the log into the model; false while it looks on as another does. */
  readonly active: boolean;
}

/**
 * Carries the log into the read model, in order, and goes on by itself after any fault. What it does is safe to do twice: the model
 * takes a batch only from the checkpoint that it was made for. An event that cannot be applied halts it: no silent gap.
 */
export class Follower {
  /** A load was begun and has not ended: what the model holds is not yet everybody's to see. */
  private loading = false;
  private status: FollowerStatus = {
    checkpoint: 0n,
    loaded: null,
    workAt: 0n,
    skipped: 0,
    error: null,
    halted: false,
    active: true,
  };

  constructor(
    private readonly ports: FollowerPorts,
    private readonly onStatus: (status: FollowerStatus) => void,
  ) {}

  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    const moved = (): void => {
      failures = 0;
    };
    for (let another = false; !signal.aborted;) {
      try {
        if (another) await this.lookOn(signal, moved);
        another = false;
        if (!signal.aborted) await this.follow(signal, moved);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof CheckpointMoved) another = true;
        else if (isPassing(error)) {
          failures += 1;
          await this.backOff(error, failures, signal);
        } else {
          this.halt(error);
          return;
        }
      }
    }
  }

  private async backOff(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    this.say({ error: messageOf(error) });
    const wait = Math.min(BACKOFF_MS.first * 2 ** failures, BACKOFF_MS.last) * (0.5 + this.ports.random.next() / 2);
    this.ports.log.warn({ error: messageOf(error), waitMs: Math.round(wait) }, 'the projection stopped and will go on');
    await this.ports.clock.sleep(wait, signal).catch(() => undefined);
  }

  /** Another projector was quicker: it is left to it for as long as the checkpoint moves, or there is nothing more in the log. */
  private async lookOn(signal: AbortSignal, moved: () => void): Promise<void> {
    const { model, events, clock } = this.ports;
    let seen = await model.checkpoint();
    moved();
    this.say({ ...this.standing(seen), error: null, active: false });
    for (let movedAt = clock.monotonic(); !signal.aborted;) {
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
      const checkpoint = await model.checkpoint();
      if (checkpoint !== seen) {
        [seen, movedAt] = [checkpoint, clock.monotonic()];
        this.say(this.standing(checkpoint));
      } else if (clock.monotonic() - movedAt >= TAKE_OVER_MS) {
        if ((await events.head()) > checkpoint) return;
        // All is in. Whoever put it there may have died before it was shown.
        await this.endLoad(checkpoint);
        movedAt = clock.monotonic();
      }
    }
  }

  private async follow(signal: AbortSignal, moved: () => void): Promise<void> {
    const { events, model } = this.ports;
    let checkpoint = await model.checkpoint();
    const head = await events.head();
    if (checkpoint > head) {
      throw new BeyondHead(checkpoint, head);
    }
    // What got in unheard, before a fault, may be work.
    this.say({ ...this.standing(checkpoint), error: null });
    if (this.loading || this.isFarBehind(checkpoint, head)) {
      await model.beginLoad();
      this.loading = true;
    }
    // The end of a load says that all of the log is in, also where nothing was spared for it.
    for await (const batch of events.readAll(checkpoint, { batchSize: BATCH, signal })) {
      // What is loaded is nobody's to read before all of it is: the checkpoint that others hear of stays where it was.
      checkpoint = await this.apply(batch, checkpoint, (to) => {
        this.say(this.loading ? { loaded: to } : { checkpoint: to });
      });
      moved();
      if (!this.loading && checkpoint >= head) break;
    }
    await this.endLoad(checkpoint);
    for await (const batch of events.subscribe(checkpoint, { batchSize: BATCH, signal })) {
      checkpoint = await this.apply(batch, checkpoint, (applied) => {
        this.say({ checkpoint: applied });
      });
      moved();
    }
  }

  private async endLoad(checkpoint: Position): Promise<void> {
    await this.ports.model.endLoad();
    this.loading = false;
    this.say({ ...this.standing(checkpoint), loaded: null });
  }

  /** How far the model has come by whoever carried it there: there may be work in that. What is being loaded is not everybody's to see. */
  private standing(checkpoint: Position): Partial<FollowerStatus> {
    return this.loading ? { loaded: checkpoint } : { checkpoint, workAt: checkpoint };
  }

  /** Where positions do not count events, only a model that holds nothing yet is known to be far behind. */
  private isFarBehind(checkpoint: Position, head: Position): boolean {
    if (this.ports.events.numbersEvents) return head - checkpoint > loadFrom(checkpoint);
    return checkpoint === 0n && head > 0n;
  }

  private async apply(
    batch: readonly StoredEvent[],
    from: Position,
    reached: (to: Position) => void,
  ): Promise<Position> {
    const { events, size, unreadable } = readable(this.ports.prefix, batch);
    const to = batch[size - 1]?.position ?? from;
    if (size > 0) await this.carry(events, size, from, to, reached);
    if (unreadable !== null) throw unreadable;
    return to;
  }

  private async carry(
    known: readonly Recorded[],
    size: number,
    from: Position,
    to: Position,
    reached: (to: Position) => void,
  ): Promise<void> {
    const changes = await project(this.ports.model, known);
    await this.ports.model.apply(changes, from, to);
    const work = [changes.purges, changes.withdrawals, changes.operations].some((rows) => (rows?.length ?? 0) > 0);
    this.say({
      active: true,
      workAt: work ? to : this.status.workAt,
      skipped: this.status.skipped + size - known.length,
      error: null,
    });
    reached(to);
  }

  private halt(error: unknown): void {
    this.ports.log.error({ error: messageOf(error) }, 'the projection halted: it cannot go on without a person');
    this.say({ error: messageOf(error), halted: true });
  }

  private say(change: Partial<FollowerStatus>): void {
    this.status = { ...this.status, ...change };
    this.onStatus(this.status);
  }
}

class BeyondHead extends Error {
  override readonly name = 'BeyondHead';
  constructor(checkpoint: Position, head: Position) {
    super(
      `The read model stands at position ${checkpoint}, beyond the log's head ${head}: the log was restored from a backup, or is another one. ` +
        'Restore the log that belongs to it, or throw the read model away so that it is built again.',
    );
  }
}

/** Faults of a store pass; an event that cannot be read, a defect, or a log that lost its end does not. */
const isPassing = (error: unknown): boolean =>
  error instanceof Error && ['Unavailable', 'OutcomeUnknown', 'Full'].includes(error.name);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
