import type { Clock } from '../../src/ports.js';

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

/** Time that passes when a test says so. Its two clocks are apart, as a machine's are: the wall's can be set. */
export class ManualClock implements Clock {
  private passed = 0;
  private sleepers: Sleeper[] = [];

  constructor(private wall = Date.parse('2026-01-01T00:00:00.000Z')) {}

  now(): Date {
    return new Date(this.wall);
  }

  monotonic(): number {
    return this.passed;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((wake, reject) => {
      const sleeper = { until: this.passed + ms, wake };
      this.sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.sleepers = this.sleepers.filter((other) => other !== sleeper);
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      });
    });
  }

  /** Both clocks go on. */
  pass(ms: number): void {
    this.passed += ms;
    this.wall += ms;
    const due = this.sleepers.filter(({ until }) => until <= this.passed);
    this.sleepers = this.sleepers.filter(({ until }) => until > this.passed);
    for (const { wake } of due) wake();
  }

  /** Somebody sets the wall clock. */
  leap(ms: number): void {
    this.wall += ms;
  }
}
