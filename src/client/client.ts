import type {
  Bulk,
  BulkAnswer,
  CommandAnswer,
  EmptyingPreview,
  HistoryAnswer,
  List,
  ObjectRow,
  OperationAnswer,
  PurgeAnswer,
  Readiness,
  RecordAnswer,
  Ref,
  Registry,
  Stats,
  TrashList,
} from './answers.js';
import { payloadOf, type Source, type UploadProgress } from './content.js';
import { notFound } from './errors.js';
import { followEvents } from './following.js';
import { Requests, type Aborting, type ClientOptions, type Query, type RequestOptions } from './requests.js';
import {
  isBulk,
  isCommand,
  isEmptyingPreview,
  isHistory,
  isListOf,
  isObjectRow,
  isOperation,
  isPurge,
  isReadiness,
  isRecord,
  isRegistry,
  isStats,
  isTrashList,
} from './shapes.js';

export interface Commanding extends Aborting {
  /** Why; it stays in the history. */
  readonly reason?: string | undefined;
  /** A random one by default: whoever sends a command again, later or from elsewhere, says the same. */
  readonly idempotencyKey?: string | undefined;
  /** Hears that the answer is an earlier command's, which had the same key. */
  readonly onReplay?: (() => void) | undefined;
}

export interface Changing extends Commanding {
  /** The revision that one saw: another one is refused (RevisionChanged). */
  readonly ifRevision?: number | undefined;
}

export interface Deleting extends Changing {
  /** True: purge. False: never purge. */
  readonly permanent?: boolean | undefined;
  /** What becomes of the object when the record is purged. */
  readonly storage?: 'keep' | 'delete' | undefined;
  /** Says what would happen, and does nothing. */
  readonly dryRun?: boolean | undefined;
  /** Seconds that the answer may wait for the purge, at most 30. */
  readonly wait?: number | undefined;
}

export interface Emptying extends Commanding {
  /** An ISO 8601 duration, such as P30D. */
  readonly olderThan?: string | undefined;
  readonly registry?: string | undefined;
}

/** One of these says of when. */
export interface AsOf {
  readonly revision?: number | undefined;
  /** RFC 3339. */
  readonly at?: string | undefined;
  readonly position?: string | undefined;
}

/** Bytes from `start` on, up to and with `end`. */
export interface Range {
  readonly start: number;
  readonly end?: number | undefined;
}

export interface Uploading extends Commanding {
  /** Gives the suffix where the metadata give none. */
  readonly filename?: string | undefined;
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
  /** Whether the platform sends a body while it is being made, as Node does and browsers do not. */
  readonly streams: boolean;
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

  /** @param asOf one of them: the record as it was */
  async get(ref: Ref, options?: Aborting, { revision, at, position }: AsOf = {}): Promise<RecordAnswer> {
    return this.requests.json('GET', pathOf(ref), isRecord, { ...options, query: { revision, at, position } });
  }

  /** Registers a record from JSON. */
  async register(registry: string, body: unknown, options: Commanding = {}): Promise<CommandAnswer> {
    return this.requests.json('POST', `v1/${segment(registry)}`, isCommand, { body, ...commanding(options) });
  }

  /** Uploads a blob. It streams where the platform's `fetch` streams blobs. */
  async upload(metadata: object, content: Blob, filename: string, options: Commanding = {}): Promise<CommandAnswer> {
    return this.uploadFrom(metadata, content, { ...options, filename, streams: false });
  }

  /** Uploads bytes from wherever they come. @throws what the source throws, too */
  async uploadFrom(metadata: object, content: Source, options: Uploading): Promise<CommandAnswer> {
    const { filename = 'content', onProgress, streams } = options;
    const failed = new AbortController();
    const onFailure = (error: unknown): void => failed.abort(error);
    const payload = await payloadOf({ metadata, content, filename, onProgress, onFailure, streams });
    const { signal } = options;
    return this.requests.json('POST', 'v1/files', isCommand, {
      ...commanding(options),
      payload,
      signal: signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]),
    });
  }

  /** A JSON merge patch (RFC 7396). */
  async update(ref: Ref, patch: object, options: Changing = {}): Promise<CommandAnswer> {
    return this.requests.json('PATCH', pathOf(ref), isCommand, { body: patch, ...commanding(options) });
  }

  async delete(ref: Ref, options: Deleting = {}): Promise<CommandAnswer> {
    const { permanent, storage, dryRun } = options;
    return this.requests.json('DELETE', pathOf(ref), isCommand, commanding(options, { permanent, storage, dryRun }));
  }

  async restore(ref: Ref, options: Changing = {}): Promise<CommandAnswer> {
    return this.requests.json('POST', `${pathOf(ref)}/restore`, isCommand, commanding(options));
  }

  async hold(ref: Ref, { reason, ...options }: Changing = {}): Promise<CommandAnswer> {
    const body = { reason: reason ?? null };
    return this.requests.json('PUT', `${pathOf(ref)}/hold`, isCommand, { body, ...commanding(options) });
  }

  async unhold(ref: Ref, options: Changing = {}): Promise<CommandAnswer> {
    return this.requests.json('DELETE', `${pathOf(ref)}/hold`, isCommand, commanding(options));
  }

  history(ref: Ref, query: Query = {}, options?: Aborting): AsyncGenerator<List<HistoryAnswer>> {
    return this.requests.pages(`${pathOf(ref)}/history`, isListOf(isHistory), query, options);
  }

  /** The bytes of a file; `path` names one within a folder. */
  async content(
    uid: string,
    query: { path?: string | undefined; visibility?: string | undefined },
    { signal, range }: Aborting & { readonly range?: Range | undefined } = {},
  ): Promise<Response> {
    const headers: Record<string, string> =
      range === undefined ? {} : { Range: `bytes=${range.start}-${range.end ?? ''}` };
    return this.requests.request('GET', `v1/files/${segment(uid)}/content`, { query, headers, signal });
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

  /** Purges what is in the trash now. @returns the operation that does it @throws ConfirmationRequired with the totals, unless it is `permanent` */
  async emptyTrash(options: Emptying = {}, permanent = true): Promise<OperationAnswer> {
    const { olderThan, registry } = options;
    const query = { olderThan, registry, permanent: permanent || undefined };
    return this.requests.json('DELETE', 'v1/trash', isOperation, commanding(options, query));
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

  operations(query: Query, options?: Aborting): AsyncGenerator<List<OperationAnswer>> {
    return this.requests.pages('v1/operations', isListOf(isOperation), query, options);
  }

  /** Trashes, restores or purges up to 1,000 records. Each is refused by itself. */
  async bulk(body: Bulk, options: Commanding = {}): Promise<BulkAnswer> {
    return this.requests.json('POST', 'v1/bulk', isBulk, { body, ...commanding(options) });
  }

  audit(query: Query, options?: Aborting): AsyncGenerator<List<HistoryAnswer>> {
    return this.requests.pages('v1/audit', isListOf(isHistory), query, options);
  }

  /** Events as they happen: see `followEvents`. */
  events(query: URLSearchParams, options?: Aborting): AsyncGenerator<HistoryAnswer, undefined> {
    return followEvents(this.requests, query, options);
  }

  async stats(options?: Aborting): Promise<Stats> {
    return this.requests.json('GET', 'v1/stats', isStats, options);
  }

  /** Asked once: an answer that it is not ready is an answer. */
  async ready(options?: Aborting): Promise<Readiness> {
    return this.requests.once('health/ready', isReadiness, options);
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
    options: Pick<Deleting, 'storage' | 'wait' | keyof Changing> = {},
  ): Promise<CommandAnswer> {
    const { storage } = options;
    const body = storage === undefined ? {} : { storage };
    return this.requests.json('POST', `${purgePathOf(ref)}/retry`, isCommand, { body, ...commanding(options) });
  }
}

/** What every command takes, as query parameters and headers. */
const commanding = (
  { reason, idempotencyKey, onReplay, signal, ifRevision, wait }: Deleting,
  query: Exclude<Query, URLSearchParams> = {},
): RequestOptions => {
  const headers: Record<string, string> = {};
  if (ifRevision !== undefined) headers['If-Match'] = `"${ifRevision}"`;
  if (wait !== undefined) headers['Prefer'] = `wait=${wait}`;
  return { query: { ...query, reason }, headers, idempotencyKey, onReplay, signal };
};

const pathOf = ({ registry, uid }: Ref): string => `v1/${segment(registry)}/${segment(uid)}`;
const purgePathOf = ({ registry, uid }: Ref): string => `v1/purges/${segment(registry)}/${segment(uid)}`;

/** One part of a path. No record is called so that an address would leave the part out or climb up by it, and a URL does, encoded or not. */
const segment = (name: string): string => {
  if (/^\.{0,2}$/.test(name)) throw notFound(`There is nothing named '${name}'.`);
  return encodeURIComponent(name);
};
