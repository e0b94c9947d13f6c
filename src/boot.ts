import type { Clock, Log, Random } from './ports.js';

/** One thing that has to stand before a request can be answered. */
export interface BootStep {
  /** What is waited for, as whoever operates it calls it: 'the event store'. */
  readonly name: string;
  readonly run: () => Promise<void>;
}

const WAIT_MS = { first: 100, last: 5_000 };
/** What passes by itself: a server that is not there yet, or did not answer. */
const PASSING = ['Unavailable', 'OutcomeUnknown', 'Full', 'StoreUnavailable'];

/** Brings a service up, step by step, and waits for servers that are not there yet. */
export class Boot {
  private waiting: { readonly name: string; readonly why: string } | null = { name: 'nothing', why: 'has only begun' };

  constructor(private readonly ports: { readonly clock: Clock; readonly random: Random; readonly log: Log }) {}

  /** A sentence on what is waited for; null once all stands. */
  get waitsFor(): string | null {
    return this.waiting === null ? null : `waits for ${this.waiting.name}: ${this.waiting.why}`;
  }

  /** @throws whatever no waiting mends; the signal's reason when it aborts */
  async run(steps: readonly BootStep[], signal: AbortSignal): Promise<void> {
    const wait = (name: string, why: string): void => {
      this.waiting = { name, why };
    };
    for (const step of steps) await this.stand(step, signal, wait);
    this.waiting = null;
  }

  /** Waits for what holds nobody up: a request that needs it says itself that it is not there. @throws as `run` does */
  async attend(step: BootStep, signal: AbortSignal): Promise<void> {
    await this.stand(step, signal, () => undefined);
  }

  private async stand(
    { name, run }: BootStep,
    signal: AbortSignal,
    wait: (name: string, why: string) => void,
  ): Promise<void> {
    const { clock, random, log } = this.ports;
    for (let failures = 0; ; failures += 1) {
      try {
        await run();
        if (failures > 0) log.info({ waitedFor: name }, `${name} is there`);
        return;
      } catch (error) {
        if (!(error instanceof Error) || !PASSING.includes(error.name)) throw error;
        wait(name, error.message);
        const waitMs = Math.min(WAIT_MS.first * 2 ** failures, WAIT_MS.last) * (0.5 + random.next() / 2);
        log.warn({ waitsFor: name, error: error.message, waitMs: Math.round(waitMs) }, `waiting for ${name}`);
        await clock.sleep(waitMs, signal);
      }
    }
  }
}
