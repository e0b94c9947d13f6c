import type { Clock } from '../../src/ports.js';
import { SimulatedTime } from '../../src/testing/simulated.js';

/** Time that passes when a test says so. Its two clocks are apart, as a machine's are: the wall's can be set. */
export class ManualClock implements Clock {
  private readonly time = new SimulatedTime(Date.parse('2026-01-01T00:00:00.000Z'));
  private readonly clock = this.time.clock();
  private leapt = 0;

  now(): Date {
    return new Date(this.clock.now().getTime() + this.leapt);
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.clock.sleep(ms, signal);
  }

  /** Both clocks go on. */
  pass(ms: number): void {
    this.time.pass(ms);
    for (const wake of this.time.due()) wake();
  }

  /** Somebody sets the wall clock. */
  leap(ms: number): void {
    this.leapt += ms;
  }
}
