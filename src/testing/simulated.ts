import type { Clock, Ids, Random } from '../ports.js';

/*
 * The ports of src/ports.ts for a service in simulated time: all that differs between two runs follows from one seed.
 */

/** Chance that follows from a seed, evenly spread (the generator is mulberry32: 2^32 numbers before they come again). */
export class SimulatedRandom implements Random {
  private state: number;

  /** @param seed a whole number, of which the lowest 32 bits count */
  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** Whether something happens that does so with this chance, from 0 to 1. */
  happens(chance: number): boolean {
    return this.next() < chance;
  }

  /** @throws RangeError where there is nothing to choose from */
  pick<T>(from: readonly T[]): T {
    const found = from[this.below(from.length)];
    if (found === undefined) throw new RangeError('nothing to choose from');
    return found;
  }

  /** Another source of chance, which follows from this one and leaves it alone from here on. */
  fork(): SimulatedRandom {
    return new SimulatedRandom(this.below(2 ** 32));
  }
}

/** UUIDs that follow from chance: random ones by their form (RFC 9562, version 4). */
export class SimulatedIds implements Ids {
  constructor(private readonly random: Random) {}

  uuid(): string {
    const digits = Array.from({ length: 31 }, () => Math.floor(this.random.next() * 16).toString(16)).join('');
    const variant = '89ab'.charAt(Math.floor(this.random.next() * 4));
    return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-4${digits.slice(12, 15)}-${variant}${digits.slice(15, 18)}-${digits.slice(18, 30)}`;
  }
}

interface Sleeper {
  readonly due: number;
  readonly by: Clock | null;
  readonly wake: () => void;
}

/** Time that stands still until somebody moves it. */
export class SimulatedTime {
  private elapsed = 0;
  private readonly sleepers = new Set<Sleeper>();

  /** @param start wall-clock time at the beginning, in milliseconds since 1970 */
  constructor(private readonly start: number) {}

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.elapsed;
  }

  /** When the next sleeper is due, in milliseconds since the beginning; null where nobody sleeps. */
  get nextDue(): number | null {
    let next: number | null = null;
    for (const { due } of this.sleepers) if (next === null || due < next) next = due;
    return next;
  }

  /** Moves time on. Nobody is woken by that alone: a timer is never early, and may be late. */
  pass(ms: number): void {
    this.elapsed += ms;
  }

  /** Takes those who are due out of their sleep, in the order in which they are. @returns how to wake each */
  due(): (() => void)[] {
    const due = [...this.sleepers].filter((sleeper) => sleeper.due <= this.elapsed).sort((a, b) => a.due - b.due);
    for (const sleeper of due) this.sleepers.delete(sleeper);
    return due.map(({ wake }) => wake);
  }

  /** Calls back when `ms` are over, unless the clock by which it does is stopped. @returns how to stop that */
  after(ms: number, wake: () => void, by: Clock | null = null): () => void {
    const sleeper = { due: this.elapsed + Math.max(0, ms), by, wake };
    this.sleepers.add(sleeper);
    return () => this.sleepers.delete(sleeper);
  }

  /** Whoever sleeps by this clock never wakes, as when its process is killed. */
  stop(clock: Clock): void {
    for (const sleeper of this.sleepers) if (sleeper.by === clock) this.sleepers.delete(sleeper);
  }

  /** A process's clock on this time. @param skewMs by how much its wall clock is off */
  clock(skewMs = 0): Clock {
    const clock: Clock = {
      now: () => new Date(this.start + this.elapsed + skewMs),
      monotonic: () => this.elapsed,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted === true) {
            reject(reasonOf(signal));
            return;
          }
          const stopped = (): void => {
            stop();
            if (signal !== undefined) reject(reasonOf(signal));
          };
          const awake = (): void => {
            signal?.removeEventListener('abort', stopped);
            resolve();
          };
          const stop = this.after(ms, awake, clock);
          signal?.addEventListener('abort', stopped, { once: true });
        }),
    };
    return clock;
  }
}

const reasonOf = (signal: AbortSignal): Error =>
  signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason });
