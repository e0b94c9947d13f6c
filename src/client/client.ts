import type {
  CommandAnswer,
  EmptyingPreview,
  HistoryAnswer,
  List,
  ObjectRow,
  OperationAnswer,
  PurgeAnswer,
  RecordAnswer,
  Ref,
  Registry,
  TrashList,
} from './answers.js';
import { notFound } from './errors.js';
import { Requests, type Aborting, type ClientOptions, type Query } from './requests.js';
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
} from './shapes.js';

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

/** Speaks Lethe's HTTP API, a method for each thing that it does. Methods throw LetheError, in the class of its code. */
export class Client {
  private readonly requests: Requests;

  constructor(options: ClientOptions) {
    this.requests = new Requests(options);
  }

  registries(options?: Aborting): AsyncGenerator<List<Registry>> {
    return this.requests.pages('v1', isListOf(isRegistry), {}, options);
  }

  list(registry: string, query: Query, options?: Aborting): AsyncGenerator<List<RecordAnswer>> {
    return this.requests.pages(`v1/${segment(registry)}`, isListOf(isRecord), query, options);
  }

  async get(ref: Ref, options?: Aborting): Promise<RecordAnswer> {
    return this.requests.json('GET', pathOf(ref), isRecord, options);
  }

  /** Registers a record from JSON. */
  async register(registry: string, body: unknown, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.requests.json('POST', `v1/${segment(registry)}`, isCommand, { body, query: { reason }, signal });
  }

  /** Uploads bytes. They stream where the platform's `fetch` streams the blob. */
  async upload(metadata: object, content: Blob, filename: string, { signal }: Aborting = {}): Promise<CommandAnswer> {
    const body = new FormData();
    body.append('metadata', JSON.stringify(metadata));
    body.append('content', content, filename);
    return this.requests.json('POST', 'v1/files', isCommand, { body, signal });
  }

  /** A JSON merge patch (RFC 7396). */
  async update(ref: Ref, patch: object, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.requests.json('PATCH', pathOf(ref), isCommand, { body: patch, query: { reason }, signal });
  }

  async delete(ref: Ref, options: Deleting = {}): Promise<CommandAnswer> {
    const { permanent, storage, dryRun, reason, ifRevision, wait, signal } = options;
    const headers: Record<string, string> = {};
    if (ifRevision !== undefined) headers['If-Match'] = `"${ifRevision}"`;
    if (wait !== undefined) headers['Prefer'] = `wait=${wait}`;
    return this.requests.json('DELETE', pathOf(ref), isCommand, {
      query: { permanent, storage, dryRun, reason },
      headers,
      signal,
    });
  }

  async restore(ref: Ref, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.requests.json('POST', `${pathOf(ref)}/restore`, isCommand, { query: { reason }, signal });
  }

  async hold(ref: Ref, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.requests.json('PUT', `${pathOf(ref)}/hold`, isCommand, { body: { reason: reason ?? null }, signal });
  }

  async unhold(ref: Ref, { signal, reason }: Commanding = {}): Promise<CommandAnswer> {
    return this.requests.json('DELETE', `${pathOf(ref)}/hold`, isCommand, { query: { reason }, signal });
  }

  history(ref: Ref, query: Query = {}, options?: Aborting): AsyncGenerator<List<HistoryAnswer>> {
    return this.requests.pages(`${pathOf(ref)}/history`, isListOf(isHistory), query, options);
  }

  /** The bytes of a file; `path` names one within a folder. */
  async content(
    uid: string,
    query: { path?: string | undefined; visibility?: string | undefined },
    options?: Aborting,
  ): Promise<Response> {
    return this.requests.request('GET', `v1/files/${segment(uid)}/content`, { query, ...options });
  }

  objects(uid: string, query: Query = {}, options?: Aborting): AsyncGenerator<List<ObjectRow>> {
    return this.requests.pages(`v1/files/${segment(uid)}/objects`, isListOf(isObjectRow), query, options);
  }

  /** Every event, oldest first, one JSON object a line: the answer's body is the caller's to read. */
  async exportEvents(options?: Aborting): Promise<Response> {
    const headers = { Accept: 'application/x-ndjson' };
    return this.requests.request('GET', 'v1/audit', { query: { order: 'asc' }, headers, ...options });
  }

  trash(query: Query, options?: Aborting): AsyncGenerator<TrashList> {
    return this.requests.pages('v1/trash', isTrashList, query, options);
  }

  /** Purges what is in the trash now. @returns the operation that does it */
  async emptyTrash({ olderThan, registry, reason, signal }: Emptying = {}): Promise<OperationAnswer> {
    const query = { olderThan, registry, reason, permanent: true };
    return this.requests.json('DELETE', 'v1/trash', isOperation, { query, signal });
  }

  async previewEmptyTrash({ olderThan, registry, signal }: Emptying = {}): Promise<EmptyingPreview> {
    return this.requests.json('DELETE', 'v1/trash', isEmptyingPreview, {
      query: { olderThan, registry, dryRun: true },
      signal,
    });
  }

  async operation(id: string, options?: Aborting): Promise<OperationAnswer> {
    return this.requests.json('GET', `v1/operations/${segment(id)}`, isOperation, options);
  }

  purges(query: Query, options?: Aborting): AsyncGenerator<List<PurgeAnswer>> {
    return this.requests.pages('v1/purges', isListOf(isPurge), query, options);
  }

  async purge(ref: Ref, options?: Aborting): Promise<PurgeAnswer> {
    return this.requests.json('GET', purgePathOf(ref), isPurge, options);
  }

  /** Tries a failed or parked purge now; with `storage: 'keep'` it ends without deleting the object. */
  async retryPurge(
    ref: Ref,
    options: Pick<Deleting, 'storage' | 'reason' | 'wait' | 'signal'> = {},
  ): Promise<CommandAnswer> {
    const { storage, reason, wait, signal } = options;
    const headers: Record<string, string> = wait === undefined ? {} : { Prefer: `wait=${wait}` };
    const body = storage === undefined ? {} : { storage };
    return this.requests.json('POST', `${purgePathOf(ref)}/retry`, isCommand, {
      body,
      query: { reason },
      headers,
      signal,
    });
  }
}

const pathOf = ({ registry, uid }: Ref): string => `v1/${segment(registry)}/${segment(uid)}`;
const purgePathOf = ({ registry, uid }: Ref): string => `v1/purges/${segment(registry)}/${segment(uid)}`;

/** One part of a path. No record is called so that an address would leave the part out or climb up by it, and a URL does, encoded or not. */
const segment = (name: string): string => {
  if (/^\.{0,2}$/.test(name)) throw notFound(`There is nothing named '${name}'.`);
  return encodeURIComponent(name);
};
