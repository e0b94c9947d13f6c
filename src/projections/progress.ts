import type { Clock } from '../ports.js';
import type { Position } from '../storage/event-store/port.js';
import { Timer } from './timer.js';

/** The projection has not reached a position within the bound. */
export class ProjectionBehind extends Error {
  override readonly name = 'ProjectionBehind';
  constructor(
    readonly wanted: Position,
    readonly reached: Position,
  ) {
    super(`The projection is at position ${reached}, not yet at ${wanted}. Try again in a moment.`);
  }
}

/** Longer than a projector that stands still is left alone (see the follower): its successor is then at work already. */
const PATIENCE_MS = 3_000;
/** How long after its append a command is seen by queries before the next one waits: far below what a query waits. */
const AHEAD_MS = 1_000;
/** The longest that a command waits for that. */
const PACE_MS = 2_000;
/** The most appends whose times are kept. */
const KEPT = 10_000;

interface Waiter {
  readonly position: Position;
  readonly done: () => void;
}

/**
 * How far the read model is, as this process knows it, and what this process has appended: its queries wait for that, so that they see
 * its own writes.
 */
export class Progress {
  private reached: Position = 0n;
  private own: Position = 0n;
  /** What this process appended and the model does not hold yet, oldest first. */
  private ahead: { position: Position; readonly at: number }[] = [];
  private work: Position = 0n;
  /** When the projection last moved, or last fell behind. */
  private behindSince = 0;
  /** Whether the projector of this process carries the log; another one may, and then its process works on what follows. */
  private active = true;
  private movedAt = 0;
  private waiters: Waiter[] = [];
  /** Called when somebody begins to wait for the projection, or for work. */
  onAwaited: () => void = () => undefined;
  private readonly listeners = new Set<() => void>();
  private readonly movers = new Set<() => void>();
  /** How many commands have waited in `pace`, since the start. */
  paced = 0;

  constructor(
    private readonly clock: Clock,
    /** How long anyone waits, in milliseconds. */
    private readonly boundMs: number,
  ) {}

  get checkpoint(): Position {
    return this.reached;
  }

  get lastAppended(): Position {
    return this.own;
  }

  /** Queries wait for this position, too, as for what this process appended itself. */
  awaits(position: Position): void {
    if (this.reached >= this.own) this.behindSince = this.clock.monotonic();
    if (position > this.own) this.own = position;
  }

  appended(position: Position): void {
    this.awaits(position);
    if (position <= this.reached) return;
    const last = this.ahead.at(-1);
    if (last === undefined || this.ahead.length < KEPT) this.ahead.push({ position, at: this.clock.monotonic() });
    else if (position > last.position) last.position = position;
  }

  /** How long the projection has stood still behind what this process appended, in milliseconds: the watchdog's measure. */
  stalledMs(): number {
    return this.reached >= this.own ? 0 : this.clock.monotonic() - this.behindSince;
  }

  get isAwaited(): boolean {
    return this.waiters.length > 0 || this.listeners.size > 0 || this.movers.size > 0;
  }

  /**
   * How long a saga here waits before it works, in milliseconds. Where another process projects, that one works, too; where the model stands
   * still, that one may be gone, and what is left over is anybody's.
   */
  patienceMs(): number {
    return this.active ? 0 : Math.max(0, this.movedAt + PATIENCE_MS - this.clock.monotonic());
  }

  /**
   * @param workAt the last position at which a purge or an operation came to stand differently
   * @param active whether this process's projector carried it there
   */
  moved(checkpoint: Position, workAt: Position, active = true): void {
    this.active = active;
    if (checkpoint <= this.reached) return;
    this.reached = checkpoint;
    this.movedAt = this.clock.monotonic();
    this.behindSince = this.clock.monotonic();
    const first = this.ahead.findIndex(({ position }) => position > checkpoint);
    this.ahead = first === -1 ? [] : this.ahead.slice(first);
    if (workAt > this.work) {
      this.work = workAt;
      for (const listener of this.listeners) listener();
    }
    for (const mover of [...this.movers]) mover();
    const due = this.waiters.filter(({ position }) => position <= checkpoint);
    if (due.length === 0) return;
    this.waiters = this.waiters.filter(({ position }) => position > checkpoint);
    for (const { done } of due) done();
  }

  /** Calls the listener whenever purges or operations stand differently in the model. @returns how to stop that */
  onWork(listener: () => void): () => void {
    this.listeners.add(listener);
    this.onAwaited();
    return () => this.listeners.delete(listener);
  }

  /** Calls the listener whenever the model holds more of the log. @returns how to stop that */
  onMoved(listener: () => void): () => void {
    this.movers.add(listener);
    this.onAwaited();
    return () => this.movers.delete(listener);
  }

  /**
   * Before a command: waits while queries are late to see what this process appends, so that no burst of commands gets so far ahead that
   * whoever reads waits in vain. It waits for two seconds at most, not at all for a model that stands still, and no longer than until the
   * signal aborts: the log takes commands all the same.
   */
  async pace(signal: AbortSignal): Promise<void> {
    const end = this.clock.monotonic() + PACE_MS;
    const rest = (): number => Math.min(this.tooFarAheadMs(), end - this.clock.monotonic());
    let restMs = rest();
    if (restMs > 0 && !signal.aborted) this.paced += 1;
    for (; restMs > 0 && !signal.aborted; restMs = rest()) await this.movedWithin(restMs, signal);
  }

  private async movedWithin(ms: number, signal: AbortSignal): Promise<void> {
    const timer = new Timer(signal);
    const stop = this.onMoved(timer.end);
    await this.clock.sleep(ms, timer.signal).catch(() => undefined);
    stop();
    timer.end();
  }

  /** How many milliseconds a command waits for the model to move, and not longer; 0: it goes on. */
  private tooFarAheadMs(): number {
    const [oldest] = this.ahead;
    const now = this.clock.monotonic();
    if (oldest === undefined || now - oldest.at < AHEAD_MS) return 0;
    return Math.max(0, this.movedAt + PATIENCE_MS - now);
  }

  /**
   * Resolves once the model holds `position` and all that this process appended before the call.
   * @throws ProjectionBehind past the bound
   */
  async reach(position: Position = 0n): Promise<void> {
    const wanted = position > this.own ? position : this.own;
    if (wanted <= this.reached) return;
    const timer = new AbortController();
    let waiter: Waiter | null = null;
    const moved = new Promise<true>((resolve) => {
      waiter = { position: wanted, done: () => resolve(true) };
      this.waiters.push(waiter);
      this.onAwaited();
    });
    const late = this.clock.sleep(this.boundMs, timer.signal).then(
      () => false,
      () => true,
    );
    const inTime = await Promise.race([moved, late]);
    timer.abort();
    if (inTime) return;
    this.waiters = this.waiters.filter((other) => other !== waiter);
    throw new ProjectionBehind(wanted, this.reached);
  }
}
