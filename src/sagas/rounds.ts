import type { Clock, Log } from '../ports.js';

export interface RoundsPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Calls the listener whenever work stands differently in the model; answers how to stop that. */
  readonly onWork: (listener: () => void) => () => void;
  /** How many milliseconds the work is another process's before it is this one's; 0: now. */
  readonly patienceMs: () => number;
}

/** Looks for work again and again: at once where there may be some, and else after a while. */
export class Rounds {
  private wakeUp: () => void = () => undefined;

  constructor(private readonly ports: RoundsPorts) {}

  /** There may be work: the next round comes at once, or right after the one that is under way. */
  wake(): void {
    this.wakeUp();
  }

  /**
   * Runs until the signal aborts. A round that fails is logged and comes again.
   * @param round answers how many milliseconds later there is something to do, if nothing wakes it sooner
   * @param idleMs how long to wait after a round that failed
   */
  async run(signal: AbortSignal, idleMs: number, failure: string, round: () => Promise<number>): Promise<void> {
    const { clock, log, onWork, patienceMs } = this.ports;
    const stop = onWork(() => {
      this.wake();
    });
    signal.addEventListener('abort', () => this.wake(), { once: true });
    while (!signal.aborted) {
      // Armed before the round: what comes while it is under way is not missed.
      const woken = new Promise<void>((resolve) => {
        this.wakeUp = resolve;
      });
      let wait = idleMs;
      try {
        const patience = patienceMs();
        wait = patience > 0 ? patience : await round();
      } catch (error) {
        log.error({ error: error instanceof Error ? error.message : String(error) }, failure);
      }
      const timer = new AbortController();
      if (!signal.aborted) await Promise.race([woken, clock.sleep(wait, timer.signal).catch(() => undefined)]);
      timer.abort();
    }
    stop();
  }
}
