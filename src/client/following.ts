import type { HistoryAnswer } from './answers.js';
import { LetheError, NotLethe, Unreachable } from './errors.js';
import { messagesOf } from './event-stream.js';
import type { Aborting, Requests } from './requests.js';
import { isHistory } from './shapes.js';
import { backoff, parsed, pause } from './transport.js';

/** The longest wait before the next attempt is about 2 ** (this - 1) times the first. */
const MOST_FAILURES = 6;

/**
 * Events as they happen, without a gap and without a repeat: where the connection is lost, the next one goes on after the last event that
 * was seen, for as long as it takes. It ends where the caller stops reading, or the signal aborts.
 *
 * @param query the filters, and `after`: the position to begin behind; by default what comes from now on
 * @throws LetheError where the first connection fails, or a later one for good; the signal's reason
 */
export async function* followEvents(
  requests: Requests,
  query: URLSearchParams,
  options: Aborting = {},
): AsyncGenerator<HistoryAnswer, undefined> {
  const signal = requests.either(options.signal);
  const parameters = new URLSearchParams(query);
  let failures = 0;
  for (let connected = false; ;) {
    // Of its own, so that whoever runs the service in this process hears that this one connection is over.
    const connection = new AbortController();
    try {
      const answer = await requests.request('GET', 'v1/events', {
        query: parameters,
        headers: { Accept: 'text/event-stream' },
        signal: signal === null ? connection.signal : AbortSignal.any([signal, connection.signal]),
      });
      if (answer.body === null || answer.headers.get('Content-Type')?.startsWith('text/event-stream') !== true)
        throw new NotLethe(answer.url, answer.status);
      const begins = answer.headers.get('X-Position');
      if (!parameters.has('after') && begins !== null) parameters.set('after', begins);
      connected = true;
      for await (const { id, data } of messagesOf(answer.body)) {
        failures = 0;
        parameters.set('after', id);
        requests.saw(id);
        yield rowOf(data, answer);
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!connected || !passes(error)) throw error;
    } finally {
      connection.abort();
    }
    failures = Math.min(failures + 1, MOST_FAILURES);
    await pause(backoff(failures), signal);
  }
}

/** Whether the next attempt may fare better: the connection broke, or the service is not ready. */
const passes = (error: unknown): boolean => {
  if (!(error instanceof LetheError) || error instanceof Unreachable) return true;
  const status = error instanceof NotLethe ? error.answered : error.status;
  return status >= 500 || status === 429;
};

const rowOf = (data: string, answer: Response): HistoryAnswer => {
  const row = parsed(data);
  if (isHistory(row)) return row;
  throw new NotLethe(answer.url, answer.status);
};
