import type { CommandAnswer, HistoryAnswer, List, OperationAnswer, PurgeAnswer, RecordAnswer } from '../api/answers.js';
import type { EmptyingPreview, ObjectRow, Ref, Registry, TrashList } from './answers.js';
import { NotLethe } from './errors.js';
import {
  isCommand,
  isEmptyingPreview,
  isHistory,
  isListOf,
  isObjectRow,
  isOperation,
  isPurge,
  isRecord,
  isRegistry,
  isTrashList,
  type Guard,
} from './shapes.js';
import { jsonOf, send, type Fetch } from './transport.js';

/** Query parameters; `undefined` leaves one out. */
export type Query = URLSearchParams | Readonly<Record<string, string | number | boolean | undefined>>;
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Aborting {
  readonly signal?: AbortSignal | undefined;
}

interface RequestOptions extends Aborting {
  readonly query?: Query;
  /** JSON, or a form for uploads. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Commanding extends Aborting {
  readonly reason?: string | undefined;
}

export interface Deleting extends Commanding {
  readonly permanent?: boolean | undefined;
  readonly storage?: 'keep' | 'delete' | undefined;
  readonly dryRun?: boolean | undefined;
  /** The revision that one saw: another one is refused. */
  readonly ifRevision?: number | undefined;
  /** Seconds that the answer may wait for the purge, at most 30. */
  readonly wait?: number | undefined;
}

export interface Emptying extends Commanding {
  /** An ISO 8601 duration, such as P30D. */
  readonly olderThan?: string | undefined;
  readonly registry?: string | undefined;
}

export interface ClientOptions {
  /** Where the service answers, such as http://127.0.0.1:4270. */
  readonly url: string;
  /** Sent with every request: `X-Actor`, `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How requests are sent; the platform's `fetch` by default. */
  readonly fetch?: Fetch;
}

/**
 * Speaks Lethe's HTTP API. It sends an idempotency key with every command, tries again what is safe to try again, and reads what it
 * wrote: each request asks for at least the position of the answers before it. Methods throw LetheError, by its code.
 */
export class Client {
  private readonly base: URL;
  private readonly fetch: Fetch;
  private position = 0n;

  constructor(private readonly options: ClientOptions) {
    this.base = new URL(options.url.endsWith('/') ? options.url : `${options.url}/`);
    this.fetch = options.fetch ?? ((request) => fetch(request));
  }

  registries(options?: Aborting): AsyncGenerator<List<Registry>> {
    return this.pages('v1', isListOf(isRegistry), {}, options);
  }

  list(registry: string, query: Query, options?: Aborting): AsyncGenerator<List<RecordAnswer>> {
    return this.pages(`v1/${encodeURIComponent(registry)}`, isListOf(isRecord), query, options);
  }

  async get(ref: Ref, options?: Aborting): Promise<RecordAnswer> {
    return this.json('GET', pathOf(ref), isRecord, options);
  }

  /** Registers a record from JSON. */
  async register(registry: string, body: unknown, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.json('POST', `v1/${encodeURIComponent(registry)}`, isCommand, { body, query: { reason }, signal });
  }

  /** Uploads bytes. They stream where the platform's `fetch` streams the blob. */
  async upload(metadata: object, content: Blob, filename: string, { signal }: Aborting = {}): Promise<CommandAnswer> {
    const body = new FormData();
    body.append('metadata', JSON.stringify(metadata));
    body.append('content', content, filename);
    return this.json('POST', 'v1/files', isCommand, { body, signal });
  }

  /** A JSON merge patch (RFC 7396). */
  async update(ref: Ref, patch: object, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.json('PATCH', pathOf(ref), isCommand, { body: patch, query: { reason }, signal });
  }

  async delete(ref: Ref, options: Deleting = {}): Promise<CommandAnswer> {
    const { permanent, storage, dryRun, reason, ifRevision, wait, signal } = options;
    const headers: Record<string, string> = {};
    if (ifRevision !== undefined) headers['If-Match'] = `"${ifRevision}"`;
    if (wait !== undefined) headers['Prefer'] = `wait=${wait}`;
    return this.json('DELETE', pathOf(ref), isCommand, { query: { permanent, storage, dryRun, reason }, headers, signal });
  }

  async restore(ref: Ref, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.json('POST', `${pathOf(ref)}/restore`, isCommand, { query: { reason }, signal });
  }

  async hold(ref: Ref, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.json('PUT', `${pathOf(ref)}/hold`, isCommand, { body: { reason: reason ?? null }, signal });
  }

  async unhold(ref: Ref, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.json('DELETE', `${pathOf(ref)}/hold`, isCommand, { query: { reason }, signal });
  }

  history(ref: Ref, query: Query = {}, options?: Aborting): AsyncGenerator<List<HistoryAnswer>> {
    return this.pages(`${pathOf(ref)}/history`, isListOf(isHistory), query, options);
  }

  /** The bytes of a file; `path` names one within a folder. */
  async content(uid: string, query: { path?: string | undefined; visibility?: string | undefined }, options?: Aborting): Promise<Response> {
    return this.request('GET', `v1/files/${encodeURIComponent(uid)}/content`, { query, ...options });
  }

  objects(uid: string, query: Query = {}, options?: Aborting): AsyncGenerator<List<ObjectRow>> {
    return this.pages(`v1/files/${encodeURIComponent(uid)}/objects`, isListOf(isObjectRow), query, options);
  }

  trash(query: Query, options?: Aborting): AsyncGenerator<TrashList> {
    return this.pages('v1/trash', isTrashList, query, options);
  }

  /** Purges what is in the trash now. @returns the operation that does it */
  async emptyTrash({ olderThan, registry, reason, signal }: Emptying = {}): Promise<OperationAnswer> {
    const query = { olderThan, registry, reason, permanent: true };
    return this.json('DELETE', 'v1/trash', isOperation, { query, signal });
  }

  async previewEmptyTrash({ olderThan, registry, signal }: Emptying = {}): Promise<EmptyingPreview> {
    return this.json('DELETE', 'v1/trash', isEmptyingPreview, { query: { olderThan, registry, dryRun: true }, signal });
  }

  async operation(id: string, options?: Aborting): Promise<OperationAnswer> {
    return this.json('GET', `v1/operations/${encodeURIComponent(id)}`, isOperation, options);
  }

  purges(query: Query, options?: Aborting): AsyncGenerator<List<PurgeAnswer>> {
    return this.pages('v1/purges', isListOf(isPurge), query, options);
  }

  async purge(ref: Ref, options?: Aborting): Promise<PurgeAnswer> {
    return this.json('GET', purgePathOf(ref), isPurge, options);
  }

  /** Tries a failed or parked purge now; with `storage: 'keep'` it ends without deleting the object. */
  async retryPurge(ref: Ref, options: Pick<Deleting, 'storage' | 'reason' | 'wait' | 'signal'> = {}): Promise<CommandAnswer> {
    const { storage, reason, wait, signal } = options;
    const headers: Record<string, string> = wait === undefined ? {} : { Prefer: `wait=${wait}` };
    const body = storage === undefined ? {} : { storage };
    return this.json('POST', `${purgePathOf(ref)}/retry`, isCommand, { body, query: { reason }, headers, signal });
  }

  /** Any request of the API, below 400; its body is the caller's to read. */
  async request(method: Method, path: string, { query, body, headers, signal }: RequestOptions = {}): Promise<Response> {
    const url = new URL(path, this.base);
    url.search = searchOf(query ?? {});
    const sent = new Headers({ ...this.options.headers, ...headers });
    if (method !== 'GET') sent.set('Idempotency-Key', crypto.randomUUID());
    if (body !== undefined && !(body instanceof FormData)) sent.set('Content-Type', 'application/json');
    const payload = body === undefined || body instanceof FormData ? (body ?? null) : JSON.stringify(body);
    if (this.position > 0n) sent.set('X-Min-Position', String(this.position));
    const build = (): Request => new Request(url, { method, headers: sent, body: payload, signal: signal ?? null });
    const answer = await send(this.fetch, build, signal ?? null);
    this.saw(answer.headers.get('X-Position'));
    return answer;
  }

  private async json<T>(method: Method, path: string, is: Guard<T>, options?: RequestOptions): Promise<T> {
    const answer = await this.request(method, path, options);
    const body = await jsonOf(answer);
    if (is(body)) return body;
    throw new NotLethe(this.base.origin, answer.status);
  }

  /** Page by page, as many as are asked for. */
  private async *pages<T extends List<unknown>>(path: string, is: Guard<T>, query: Query, options?: Aborting): AsyncGenerator<T> {
    const parameters = new URLSearchParams(searchOf(query));
    for (;;) {
      const page = await this.json('GET', path, is, { ...options, query: parameters });
      yield page;
      if (page.next === null) return;
      parameters.set('cursor', page.next);
    }
  }

  private saw(position: string | null): void {
    if (position === null || !/^\d{1,19}$/.test(position)) return;
    const seen = BigInt(position);
    if (seen > this.position) this.position = seen;
  }
}

const pathOf = ({ registry, uid }: Ref): string => `v1/${encodeURIComponent(registry)}/${encodeURIComponent(uid)}`;
const purgePathOf = ({ registry, uid }: Ref): string => `v1/purges/${encodeURIComponent(registry)}/${encodeURIComponent(uid)}`;

const searchOf = (query: Query): string => {
  if (query instanceof URLSearchParams) return query.toString();
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.append(name, String(value));
  }
  return parameters.toString();
};
