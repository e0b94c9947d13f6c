import type { Lethe } from '../client/lethe.js';

/** What Terminus, from 11 on, takes of an indicator. */
export interface LetheHealth {
  readonly status: 'up' | 'down';
  /** Why it is down. */
  readonly message?: string;
  /** What the service names that keeps it from its work, each with a sentence. */
  readonly notReady?: Readonly<Record<string, string>>;
}

export interface Pinging {
  /** Milliseconds in which the answer must be there. The service itself waits up to 2 s for its stores. */
  readonly timeout?: number | undefined;
}

const TIMEOUT_MS = 3_000;

/**
 * Whether the service behind a client can do its work: `health.check([() => lethe.pingCheck('lethe')])` with Terminus, or without it, since
 * a result is a plain object.
 */
export class LetheHealthIndicator {
  constructor(private readonly lethe: Lethe) {}

  /** Asks once. It never throws: where no answer comes, that is the result. @param key names the result */
  async pingCheck(key: string, { timeout = TIMEOUT_MS }: Pinging = {}): Promise<Record<string, LetheHealth>> {
    const late = AbortSignal.timeout(timeout);
    try {
      const { status, notReady } = await this.lethe.ready({ signal: late });
      if (status === 'ok') return { [key]: { status: 'up' } };
      return { [key]: { status: 'down', message: `not ready: ${Object.keys(notReady).join(', ')}`, notReady } };
    } catch (error) {
      if (late.aborted) return { [key]: { status: 'down', message: `no answer within ${timeout} ms` } };
      return { [key]: { status: 'down', message: error instanceof Error ? error.message : String(error) } };
    }
  }
}
