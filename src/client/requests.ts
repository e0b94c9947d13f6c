import type { List } from './answers.js';
import { NotLethe, Unreachable } from './errors.js';
import type { Guard } from './shapes.js';
import { ask, jsonOf, platformFetch, send, type Fetch } from './transport.js';

/** Query parameters; `undefined` leaves one out. */
export type Query = URLSearchParams | Readonly<Record<string, string | number | boolean | undefined>>;
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Aborting {
  readonly signal?: AbortSignal | undefined;
}

/** A body that is no JSON. */
export interface Payload {
  /** Null where the platform knows it. */
  readonly contentType: string | null;
  /** For each attempt anew. */
  readonly open: () => FormData | ReadableStream<Uint8Array>;
  /** Whether it can be opened a single time. */
  readonly once: boolean;
}

export interface RequestOptions extends Aborting {
  readonly query?: Query;
  /** JSON. */
  readonly body?: unknown;
  /** Instead of JSON. */
  readonly payload?: Payload;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of a command; a random one by default. */
  readonly idempotencyKey?: string | undefined;
  readonly onReplay?: (() => void) | undefined;
}

export interface ClientOptions {
  /** Where the service answers, such as http://127.0.0.1:4270. */
  readonly url: string;
  /** Where the service asks for one. It is sent to this URL alone. */
  readonly apiKey?: string | undefined;
  /** Who sends commands; ignored where callers need an API key. */
  readonly actor?: string | undefined;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How requests are sent; the platform's `fetch` by default. */
  readonly fetch?: Fetch;
  /** Ends whatever is under way. */
  readonly signal?: AbortSignal;
}

/**
 * Requests of one caller. Every command goes with an idempotency key, what is safe to try again is tried again, and each request asks
 * for at least the position of the answers before it: a caller reads what it wrote. Whatever fails is a LetheError.
 */
export class Requests {
  private readonly base: URL;
  private readonly fetch: Fetch;
  private readonly headers: Readonly<Record<string, string>>;
  private readonly actor: string | undefined;
  private readonly closing: AbortSignal | null;
  private readonly running = new Set<AbortController>();
  private position = 0n;

  /** @throws TypeError for an API key that no header can carry */
  constructor(options: ClientOptions) {
    this.base = new URL(options.url.endsWith('/') ? options.url : `${options.url}/`);
    this.fetch = options.fetch ?? platformFetch;
    this.actor = options.actor;
    const closing = options.signal ?? null;
    this.closing = closing;
    closing?.addEventListener('abort', () => {
      for (const request of this.running) request.abort(closing.reason);
    });
    this.headers = { ...options.headers, ...(options.apiKey !== undefined && authorization(options.apiKey)) };
  }

  /** Any request of the API, below 400; its body is the caller's to read. */
  async request(method: Method, path: string, options: RequestOptions = {}): Promise<Response> {
    return this.sent(method, path, options, this.either(options.signal));
  }

  private async sent(
    method: Method,
    path: string,
    { query, body, payload, headers, idempotencyKey, onReplay }: RequestOptions,
    signal: AbortSignal | null,
  ): Promise<Response> {
    const url = new URL(path, this.base);
    url.search = searchOf(query ?? {});
    const sent = new Headers({ ...this.headers, ...headers });
    if (method !== 'GET') {
      sent.set('Idempotency-Key', idempotencyKey ?? randomKey());
      if (this.actor !== undefined) sent.set('X-Actor', this.actor);
    }
    const contentType = payload === undefined ? 'application/json' : payload.contentType;
    if ((payload !== undefined || body !== undefined) && contentType !== null) sent.set('Content-Type', contentType);
    if (this.position > 0n) sent.set('X-Min-Position', String(this.position));
    const json = body === undefined ? null : JSON.stringify(body);
    const build = (): Request =>
      new Request(url, { method, headers: sent, body: payload?.open() ?? json, signal, duplex: 'half' });
    const answer = await send(this.fetch, build, { signal, once: payload?.once ?? false });
    this.saw(answer.headers.get('X-Position'));
    if (answer.headers.get('Idempotent-Replayed') === 'true') onReplay?.();
    return answer;
  }

  /** A request whose answer is JSON of a known shape. */
  async json<T>(method: Method, path: string, is: Guard<T>, options: RequestOptions = {}): Promise<T> {
    return this.withItsOwnSignal(options.signal, async (signal) => {
      const answer = await this.sent(method, path, options, signal);
      const body = await this.bodyOf(answer, signal);
      if (is(body)) return body;
      throw new NotLethe(this.base.origin, answer.status);
    });
  }

  /** Asked once, and answered with JSON of a known shape under whatever status: a service that is not ready says so by one of its own. */
  async once<T>(path: string, is: Guard<T>, options: Aborting = {}): Promise<T> {
    return this.withItsOwnSignal(options.signal, async (signal) => {
      const request = new Request(new URL(path, this.base), { headers: this.headers, signal });
      const answer = await ask(this.fetch, request, signal);
      const body = await this.bodyOf(answer, signal);
      if (is(body)) return body;
      throw new NotLethe(this.base.origin, answer.status);
    });
  }

  /** Page by page, as many as are asked for. */
  async *pages<T extends List<unknown>>(
    path: string,
    is: Guard<T>,
    query: Query,
    options?: Aborting,
  ): AsyncGenerator<T> {
    const parameters = new URLSearchParams(searchOf(query));
    for (;;) {
      const page = await this.json('GET', path, is, { ...options, query: parameters });
      yield page;
      if (page.next === null) return;
      parameters.set('cursor', page.next);
    }
  }

  /**
   * Runs a request with a signal of its own, aborted where the caller's is and at the end of all. The end of all outlives it, and a `Request`
   * listens to what it was given until it is collected: at 1,500 of them Node warns of a leak, and again at each further one.
   */
  private async withItsOwnSignal<T>(
    signal: AbortSignal | undefined,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.closing?.throwIfAborted();
    const own = new AbortController();
    this.running.add(own);
    try {
      return await run(signal === undefined ? own.signal : AbortSignal.any([signal, own.signal]));
    } finally {
      this.running.delete(own);
    }
  }

  private async bodyOf(answer: Response, signal: AbortSignal): Promise<unknown> {
    try {
      return await jsonOf(answer);
    } catch (error) {
      signal.throwIfAborted();
      throw new Unreachable(this.base.origin, error);
    }
  }

  /** A signal for what a caller may end, and the end of all. */
  either(signal: AbortSignal | undefined): AbortSignal | null {
    if (signal === undefined || this.closing === null) return signal ?? this.closing;
    return AbortSignal.any([signal, this.closing]);
  }

  /** From now on nothing is read that is older. */
  saw(position: string | null): void {
    if (position === null || !/^\d{1,19}$/.test(position)) return;
    const seen = BigInt(position);
    if (seen > this.position) this.position = seen;
  }
}

/** Checked here: `Headers` would quote the key in its error. */
const authorization = (apiKey: string): { readonly Authorization: string } => {
  if (!/^[\x21-\x7e]+$/.test(apiKey))
    throw new TypeError(
      'The API key is empty, or has spaces, line breaks or other characters that no header can carry.',
    );
  return { Authorization: `Bearer ${apiKey}` };
};

/** `crypto.randomUUID` is not there for pages that came by plain HTTP. */
const randomKey = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

const searchOf = (query: Query): string => {
  if (query instanceof URLSearchParams) return query.toString();
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.append(name, String(value));
  }
  return parameters.toString();
};
