import autocannon from 'autocannon';
import { performance } from 'node:perf_hooks';
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
  let answered = 0;
  let position = 0;
  let endedAt = 0;
  let wrong: string | null = null;
  const calls = new WeakMap<object, Call>();

  const startedAt = performance.now();
  const cannon = autocannon({
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
          if (code !== status) wrong ??= `${code} instead of ${status} from ${url}: ${body.slice(0, 500)}`;
          else calls.get(context)?.answered?.();
          const at = Number(headers?.['x-position'] ?? 0);
          if (at > position) position = at;
        },
      },
    ],
  });
  cannon.on('response', (_client, _status, _bytes, ms) => {
    latencies[answered] = ms;
    answered += 1;
    endedAt = performance.now();
  });
  let failed: unknown = null;
  cannon.on('reqError', (error) => {
    failed ??= error;
  });
  await cannon;
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
