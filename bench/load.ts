import autocannon from 'autocannon';
import { quantile } from './statistics.js';

/** One request, as the load sends it. */
export interface Call {
  readonly method: 'DELETE' | 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  /** Told once it was answered as expected. */
  readonly answered?: () => void;
}

export interface Wanted {
  readonly url: string;
  readonly connections: number;
  readonly amount: number;
  /** The status of every answer; one other fails the run. */
  readonly status: number;
  next(): Call;
}

export interface Load {
  readonly perSecond: number;
  /** Milliseconds from the request's first byte out to the answer's last byte in, of every request. */
  readonly latencies: Float64Array;
  readonly p50: number;
  readonly p99: number;
  /** The highest `X-Position` of an answer; 0 where none had it. */
  readonly position: number;
  /** When the last answer came, on `performance.now()`'s clock. */
  readonly endedAt: number;
}

/**
 * Sends `amount` requests over keep-alive connections, one at a time on each, as fast as they are answered.
 * The times are autocannon's, taken one by one: its own histogram knows whole milliseconds only.
 */
export const load = async (wanted: Wanted): Promise<Load> => {
  const { url, connections, amount, status, next } = wanted;
  const latencies = new Float64Array(amount);
  const calls = new WeakMap<object, Call>();
  const seen: { answered: number; position: number; endedAt: number; wrong: string | null; failed: unknown } = {
    answered: 0,
    position: 0,
    endedAt: 0,
    wrong: null,
    failed: null,
  };

  const startedAt = performance.now();
  await new Promise<void>((resolve, reject) => {
    const cannon = autocannon(
      {
        url,
        connections: Math.min(connections, amount),
        amount,
        timeout: 30,
        sampleInt: 100,
        bailout: 1,
        requests: [
          {
            // autocannon hands `onResponse` the context of the very request: there is one at a time on a connection.
            setupRequest: (request, context) => {
              const call = next();
              calls.set(context, call);
              const { method, path, body } = call;
              if (body === undefined) return { ...request, method, path };
              return { ...request, method, path, body, headers: { 'content-type': 'application/json' } };
            },
            onResponse: (code, body, context, headers) => {
              if (code === status) calls.get(context)?.answered?.();
              else seen.wrong ??= `${code} instead of ${status} from ${url}: ${body.slice(0, 500)}`;
              seen.position = Math.max(seen.position, Number(headers?.['x-position'] ?? 0));
            },
          },
        ],
      },
      (error: unknown) => {
        if (error === null || error === undefined) resolve();
        else reject(toError(error));
      },
    );
    cannon.on('response', (_client, _status, _bytes, ms) => {
      latencies[seen.answered] = ms;
      seen.answered += 1;
      seen.endedAt = performance.now();
    });
    cannon.on('reqError', (error: unknown) => {
      seen.failed ??= error;
    });
  });
  const { answered, position, endedAt, wrong, failed } = seen;
  if (failed !== null) throw new Error(`a request to ${url} failed`, { cause: failed });
  if (wrong !== null) throw new Error(wrong);
  if (answered !== amount) throw new Error(`${answered} of ${amount} requests to ${url} were answered`);
  return {
    perSecond: (amount / (endedAt - startedAt)) * 1_000,
    latencies,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    position,
    endedAt,
  };
};

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
