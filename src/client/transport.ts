import { errorOf, NotLethe, Unreachable } from './errors.js';
import { isProblem } from './shapes.js';

/*
 * One request, tried again where that is safe: a query changes nothing, and a command carries its idempotency key, so that a second
 * one is the first.
 */

export type Fetch = (request: Request) => Promise<Response>;

/**
 * The platform's own. Undici (Node's `fetch`) keeps a second copy of the whole body, for a redirect or a login dialog, unless neither
 * can happen: no window and no redirects. The API has none of them.
 */
export const platformFetch: Fetch = (request) => fetch(request, { window: null, redirect: 'error' });

const ATTEMPTS = 4;
const FIRST_WAIT_MS = 150;
const MAX_WAIT_MS = 10_000;

/** What passes by itself: too many at once, and a service or a proxy before it that is not ready. */
const PASSING: readonly number[] = [429, 502, 503, 504];

interface Sending {
  readonly signal: AbortSignal | null;
  /** The body can be read once, so there is one attempt, and its error says so. */
  readonly once: boolean;
}

/**
 * @param build makes the request anew for each attempt: a body is read once
 * @returns an answer below 400
 * @throws LetheError, of the problem's code; Unreachable where no attempt was answered; the signal's reason
 */
export const send = async (fetch: Fetch, build: () => Request, { signal, once }: Sending): Promise<Response> => {
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    const request = build();
    const answer = await attempted(fetch, request, signal);
    const last = once || attempt === ATTEMPTS;
    if (answer instanceof Response) {
      if (answer.status < 400) return answer;
      const passes = PASSING.includes(answer.status);
      if (!passes || last) throw await problemOf(request, answer, passes && once);
      const wait = retryAfter(answer) ?? backoff(attempt);
      await answer.body?.cancel();
      await pause(wait, signal);
    } else {
      if (last) throw new Unreachable(new URL(request.url).origin, answer.cause, once ? ONCE : '');
      await pause(backoff(attempt), signal);
    }
  }
};

/**
 * Asks once, whatever the status of the answer.
 * @throws Unreachable where there is none; the signal's reason
 */
export const ask = async (fetch: Fetch, request: Request, signal: AbortSignal | null): Promise<Response> => {
  signal?.throwIfAborted();
  const answer = await attempted(fetch, request, signal);
  if (answer instanceof Response) return answer;
  throw new Unreachable(new URL(request.url).origin, answer.cause);
};

const ONCE =
  ' It was not tried again, since a stream can be read only once: hand over a function that opens it, or the bytes.';

interface Lost {
  readonly cause: unknown;
}

const attempted = async (fetch: Fetch, request: Request, signal: AbortSignal | null): Promise<Response | Lost> => {
  try {
    return await fetch(request);
  } catch (error) {
    signal?.throwIfAborted();
    return { cause: error };
  }
};

const problemOf = async (request: Request, answer: Response, once: boolean): Promise<Error> => {
  const body = await jsonOf(answer);
  if (!isProblem(body)) return new NotLethe(new URL(request.url).origin, answer.status);
  return errorOf(once ? { ...body, detail: body.detail + ONCE } : body);
};

/** The body as JSON; undefined where it is none. */
export const jsonOf = async (answer: Response): Promise<unknown> => parsed(await answer.text());

/** Text as JSON; undefined where it is none. */
export const parsed = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined; // whoever asked looks at the shape, and says what it should have been
  }
};

/** Growing, and jittered: callers that failed together do not come back together. */
export const backoff = (attempt: number): number => FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.5 + Math.random());

/** Milliseconds that the service asks for, with a little jitter. */
const retryAfter = (answer: Response): number | null => {
  const header = answer.headers.get('Retry-After') ?? '';
  if (!/^\d{1,6}$/.test(header)) return null;
  return Math.min(Number(header) * 1_000, MAX_WAIT_MS) * (1 + Math.random() / 4);
};

/** @throws the signal's reason as soon as it aborts */
export const pause = (ms: number, signal: AbortSignal | null): Promise<void> =>
  new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
