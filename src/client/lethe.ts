import type {
  Bulk,
  BulkResult,
  EmptyingPreview,
  HistoryAnswer,
  OperationAnswer,
  PurgeAnswer,
  Readiness,
  Ref,
  Registry as RegistryAnswer,
  StorageRegistration,
  Stats,
  Totals,
} from './answers.js';
import { Client, type Commanding, type Deleting, type Emptying } from './client.js';
import { errorOf, type LetheError } from './errors.js';
import { parametersOf } from './filters.js';
import { endOf, followOperation, WAIT_SECONDS, type Ended } from './purges.js';
import { refOf, trashableRecord, type TrashableRecord } from './records.js';
import {
  checkedRegistry,
  Datasets,
  Files,
  trustedRegistry,
  type Platform,
  type PlainRegistry,
  type Storages,
} from './registries.js';
import type { Aborting, ClientOptions } from './requests.js';
import { CountedRows, mapped, withParameters } from './rows.js';
import type { DataSchema } from './schema.js';

/** Where a service answers, and how it is spoken to. @interface */
export type Address = Omit<ClientOptions, 'signal'>;

/** Which events: all of these must hold. */
export interface EventFilter {
  readonly actor?: string | undefined;
  /** Such as `RecordTrashed`. */
  readonly type?: string | undefined;
  readonly registry?: string | undefined;
  readonly uid?: string | undefined;
  /** From then on. */
  readonly from?: Date | string | undefined;
  /** Before then. */
  readonly to?: Date | string | undefined;
  readonly correlationId?: string | undefined;
}

/** What became of one record of many. */
export interface BulkOutcome extends Omit<BulkResult, 'error'> {
  /** Why it was refused; null where it was not. */
  readonly error: LetheError | null;
}

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** A service. Whatever it refuses is thrown as the error of its code; whatever takes long takes an AbortSignal. */
export class Lethe implements AsyncDisposable {
  readonly files: Files;
  readonly datasets: Datasets;
  readonly storages: Storages;
  readonly users: PlainRegistry<Json>;
  readonly transforms: PlainRegistry<Json>;
  readonly runs: PlainRegistry<Json>;
  readonly labels: PlainRegistry<Json>;
  readonly trash: Trash;
  readonly purges: Purges;
  readonly operations: Operations;
  /** The routes one by one, with their bare answers. */
  readonly client: Client;
  readonly #closing = new AbortController();
  readonly #closed: () => Promise<void>;

  /** @param closed is called when this is closed */
  constructor(address: Address, platform: Platform, closed: () => Promise<void>) {
    this.client = new Client({ ...address, signal: this.#closing.signal });
    this.#closed = closed;
    this.files = new Files(this.client, platform);
    this.datasets = new Datasets(this.client);
    this.storages = trustedRegistry<StorageRegistration['data']>(this.client, 'storages');
    this.users = trustedRegistry<Json>(this.client, 'users');
    this.transforms = trustedRegistry<Json>(this.client, 'transforms');
    this.runs = trustedRegistry<Json>(this.client, 'runs');
    this.labels = trustedRegistry<Json>(this.client, 'labels');
    this.trash = new Trash(this.client);
    this.purges = new Purges(this.client);
    this.operations = new Operations(this.client);
  }

  /** A registry of the configuration. Its data are typed by the caller's word, or checked and typed by a schema such as zod's. */
  registry<T = Json>(name: string): PlainRegistry<T>;
  registry<T, I>(name: string, schema: DataSchema<T, I>): PlainRegistry<T, I>;
  registry(name: string, schema?: DataSchema<unknown>): PlainRegistry<unknown> {
    return schema === undefined
      ? trustedRegistry<unknown>(this.client, name)
      : checkedRegistry(this.client, name, schema);
  }

  /** The registries that there are, with how many records they have. */
  registries({ signal }: Aborting = {}): CountedRows<RegistryAnswer> {
    return new CountedRows((_, options) => this.client.registries(options), signal);
  }

  /** Every event, the newest first. */
  audit(
    { order, ...filter }: EventFilter & { readonly order?: 'asc' | 'desc' | undefined } = {},
    { signal }: Aborting = {},
  ): CountedRows<HistoryAnswer> {
    const query = withParameters(parametersOf(filter), { order });
    return new CountedRows((paging, options) => this.client.audit(withParameters(query, paging), options), signal);
  }

  /**
   * Events as they happen, from now on or after a position; where the connection is lost it goes on after the last one that was seen. It ends
   * where one stops reading, where the signal aborts (it throws its reason), and where this is closed.
   */
  events(
    { after, ...filter }: EventFilter & { readonly after?: string | undefined } = {},
    options: Aborting = {},
  ): AsyncIterable<HistoryAnswer> {
    return this.client.events(withParameters(parametersOf(filter), { after }), options);
  }

  /** Trashes, restores or purges up to 1,000 records, in the order in which they come. Each is carried out or refused by itself. */
  async bulk(
    { records, ...what }: Omit<Bulk, 'records'> & { readonly records: readonly Ref[] },
    options: Pick<Commanding, 'signal' | 'idempotencyKey'> = {},
  ): Promise<BulkOutcome[]> {
    const { results } = await this.client.bulk({ ...what, records: records.map(refOf) }, options);
    return results.map(({ error, ...result }) => ({ ...result, error: error === undefined ? null : errorOf(error) }));
  }

  /** Counts and bytes, how far the projection is behind, and how many purges there are to do. */
  async stats(options: Aborting = {}): Promise<Stats> {
    return this.client.stats(options);
  }

  /** Whether it can do its work, and what keeps it from it. It is asked once. @throws Unreachable, NotLethe */
  async ready(options: Aborting = {}): Promise<Readiness> {
    return this.client.ready(options);
  }

  /** Ends whatever is under way here; a service in this process is closed with it. Safe to repeat. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new Closed());
    await this.#closed();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What was under way when `close` was called, or is begun after it. */
export class Closed extends Error {
  override readonly name = 'Closed';
  constructor() {
    super('the connection was closed: connect() again');
  }
}

export interface EmptyingTrash extends Emptying {
  /** Must be true: it cannot be undone. */
  readonly permanent?: boolean | undefined;
  /** Hears how far it is. */
  readonly onProgress?: ((operation: OperationAnswer) => void) | undefined;
}

/** What is in the trash, the last trashed first. */
export class Trash extends CountedRows<TrashableRecord> {
  constructor(
    private readonly client: Client,
    private readonly registry?: 'files' | 'datasets',
  ) {
    super((paging, options) =>
      mapped(client.trash({ ...paging, registry }, options), (answer) => trashableRecord(client, answer)),
    );
  }

  /** Of one registry alone. */
  of(registry: 'files' | 'datasets'): Trash {
    return new Trash(this.client, registry);
  }

  /** How much is in it; bytes are what purging it now would free. */
  async totals(options: Aborting = {}): Promise<Totals> {
    for await (const { totals } of this.client.trash({ limit: 1, registry: this.registry }, options)) return totals;
    return { records: 0, bytes: 0 };
  }

  /** What emptying it would do. */
  async preview(options: Emptying = {}): Promise<EmptyingPreview> {
    return this.client.previewEmptyTrash({ registry: this.registry, ...options });
  }

  /** Purges what is in it now, and resolves when that has ended. @throws ConfirmationRequired, with `totals`, unless `permanent: true` is said */
  async empty({ permanent = false, onProgress, ...options }: EmptyingTrash = {}): Promise<OperationAnswer> {
    const begun = await this.client.emptyTrash({ registry: this.registry, ...options }, permanent);
    return followOperation(this.client, begun, { signal: options.signal, onProgress });
  }
}

export interface Retrying extends Omit<Deleting, 'storage' | 'wait' | 'dryRun' | 'permanent'> {
  /** `keep`: ends the purge and lets the object lie. */
  readonly storage?: 'keep' | undefined;
}

/** The purges, the last asked for first. */
export class Purges extends CountedRows<PurgeAnswer> {
  constructor(
    private readonly client: Client,
    state?: readonly PurgeAnswer['state'][],
  ) {
    super((paging, options) => client.purges({ ...paging, state: state?.join(',') }, options));
  }

  filter({ state }: { readonly state: PurgeAnswer['state'] | readonly PurgeAnswer['state'][] }): Purges {
    return new Purges(this.client, [state].flat());
  }

  async get(ref: Ref, options: Aborting = {}): Promise<PurgeAnswer> {
    return this.client.purge(ref, options);
  }

  /** Waits for one to end. @throws StoreUnavailable where it is parked; Referenced where it is called off */
  async end(ref: Ref, options: Aborting = {}): Promise<Ended | null> {
    const purge = await this.client.purge(ref, options);
    return endOf(this.client, ref, { outcome: 'purging', record: null, warnings: [], purge }, options);
  }

  /** Tries a failed or parked one now, and waits for its end. @throws as `end`; Conflict where there is nothing to try */
  async retry(ref: Ref, options: Retrying = {}): Promise<PurgeAnswer> {
    const answer = await this.client.retryPurge(ref, { ...options, wait: WAIT_SECONDS });
    return (await endOf(this.client, ref, answer, options)) ?? this.client.purge(ref, options);
  }
}

/** Long work, the last begun first. */
export class Operations extends CountedRows<OperationAnswer> {
  constructor(private readonly client: Client) {
    super((paging, options) => client.operations(paging, options));
  }

  async get(id: string, options: Aborting = {}): Promise<OperationAnswer> {
    return this.client.operation(id, options);
  }
}
