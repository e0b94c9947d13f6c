import type {
  CommandAnswer,
  DatasetAnswer,
  DatasetRegistration,
  FileAnswer,
  FileRegistration,
  HistoryAnswer,
  List,
  PlainRegistration,
  RecordAnswer,
  StorageRegistration,
  Upload,
} from './answers.js';
import type { Client, Commanding, Uploading } from './client.js';
import type { Source } from './content.js';
import { parametersOf, type Filter, type Sort } from './filters.js';
import {
  datasetRecord,
  fileRecord,
  historyOf,
  instantOf,
  plainRecord,
  type DatasetRecord,
  type FileRecord,
  type PlainFields,
  type PlainRecord,
} from './records.js';
import type { Aborting } from './requests.js';
import { CountedRows, mapped, withParameters } from './rows.js';
import { checkData, readData, type DataSchema } from './schema.js';
import { isPlain } from './shapes.js';

export interface Listing<A> extends Aborting {
  /** By default the newest first. `uid` is always the last. */
  readonly sort?: Sort<A> | readonly Sort<A>[] | undefined;
  /** What was visible then. */
  readonly at?: Date | string | undefined;
}

interface RecordWithOutcome {
  take(answer: CommandAnswer): Promise<unknown>;
}

/** The records of one registry. @typeParam A the fields of one @typeParam R a record */
abstract class Registry<A, R extends RecordWithOutcome> {
  constructor(
    protected readonly client: Client,
    readonly name: string,
  ) {}

  /** The records that meet the conditions; without any all that are visible. Nothing is asked until they are read. */
  filter(conditions: Filter<A> = EVERY, { sort, at, signal }: Listing<A> = {}): CountedRows<R> {
    const query = withParameters(parametersOf(conditions), {
      sort: sort === undefined ? undefined : [sort].flat().join(','),
      at: at === undefined ? undefined : instantOf(at),
    });
    const pages = (paging: Parameters<typeof withParameters>[1], options: Aborting): AsyncGenerator<List<R>> =>
      mapped(this.client.list(this.name, withParameters(query, paging), options), (answer) => this.recordOf(answer));
    return new CountedRows(pages, signal);
  }

  /** One record, also where it is in the trash. @throws NotFound, Purged */
  async get(uid: string, options: Aborting = {}): Promise<R> {
    return this.recordOf(await this.client.get({ registry: this.name, uid }, options));
  }

  /** A record's events, the oldest first, also where it was purged. */
  history(uid: string, options: Aborting = {}): CountedRows<HistoryAnswer> {
    return historyOf(this.client, { registry: this.name, uid }, options);
  }

  protected abstract recordOf(answer: RecordAnswer): Promise<R>;

  /** The record of an answer that has one, with what the command came to. */
  protected async written(answer: CommandAnswer): Promise<R> {
    if (answer.record === null) throw new TypeError('the service answered without the record that it made');
    const record = await this.recordOf(answer.record);
    await record.take(answer);
    return record;
  }
}

const EVERY = {};

export interface AddingFile extends Upload, Omit<Uploading, 'streams'> {}

/** How this platform reads files and sends bodies. */
export interface Platform {
  /** Whether a body can be sent while it is being made. */
  readonly streams: boolean;
  /** The file at a path. @throws where there is none, or none for this platform */
  readonly open: (path: string | URL) => Promise<{ readonly content: Blob; readonly filename: string }>;
}

export class Files extends Registry<FileAnswer, FileRecord> {
  constructor(
    client: Client,
    private readonly platform: Platform,
  ) {
    super(client, 'files');
  }

  /**
   * Uploads a file: by its path (in Node), or as bytes, a Blob, a stream, or a function that opens a stream. A stream cannot be read again, so
   * its upload is not tried again where the connection is lost. Content that is visible already is not made twice: `outcome` is then `existing`.
   */
  async add(
    source: string | URL | Source,
    { signal, reason, idempotencyKey, filename, onProgress, ...metadata }: AddingFile = {},
  ): Promise<FileRecord> {
    const read =
      typeof source === 'string' || source instanceof URL
        ? await this.platform.open(source)
        : { content: source, filename: typeof File === 'function' && source instanceof File ? source.name : undefined };
    const options = {
      signal,
      reason,
      idempotencyKey,
      onProgress,
      filename: filename ?? read.filename,
      streams: this.platform.streams,
    };
    return this.written(await this.client.uploadFrom(metadata, read.content, options));
  }

  /** Registers what lies at `path` of a storage already; a path that ends in `/` is a folder. */
  async register(registration: FileRegistration, options: Commanding = {}): Promise<FileRecord> {
    return this.written(await this.client.register(this.name, registration, options));
  }

  protected recordOf(answer: RecordAnswer): Promise<FileRecord> {
    return fileRecord(this.client, answer);
  }
}

export class Datasets extends Registry<DatasetAnswer, DatasetRecord> {
  constructor(client: Client) {
    super(client, 'datasets');
  }

  async add(registration: DatasetRegistration, options: Commanding = {}): Promise<DatasetRecord> {
    return this.written(await this.client.register(this.name, registration, options));
  }

  protected recordOf(answer: RecordAnswer): Promise<DatasetRecord> {
    return datasetRecord(this.client, answer);
  }
}

/** What a plain record is registered with; `data` may be left out where it may be null. */
export type PlainInput<I> = Omit<PlainRegistration, 'data'> &
  (null extends I ? { readonly data?: I } : { readonly data: I });

/** A plain registry. @typeParam T the type of `data` as it is read @typeParam I as it is sent */
export class PlainRegistry<T, I = T> extends Registry<PlainFields<T>, PlainRecord<T, I>> {
  constructor(
    client: Client,
    name: string,
    private readonly read: (answer: RecordAnswer) => Promise<PlainFields<T>>,
    private readonly check: (data: unknown) => Promise<void> = async () => undefined,
  ) {
    super(client, name);
  }

  /** @throws Invalid where `data` is not as the schema says, before anything is sent */
  async add(registration: PlainInput<I>, options: Commanding = {}): Promise<PlainRecord<T, I>> {
    await this.check(registration.data ?? null);
    return this.written(await this.client.register(this.name, registration, options));
  }

  protected recordOf(answer: RecordAnswer): Promise<PlainRecord<T, I>> {
    return plainRecord<T, I>(this.client, answer, this.read);
  }
}

/** Where objects lie. */
export type Storages = PlainRegistry<StorageRegistration['data'], StorageRegistration['data']>;

/** A registry whose data the caller's schema checks and types. */
export const checkedRegistry = <T, I>(client: Client, name: string, schema: DataSchema<T, I>): PlainRegistry<T, I> =>
  new PlainRegistry<T, I>(
    client,
    name,
    async (answer) => {
      const fields = plainFields(answer);
      return { ...fields, data: await readData(schema, fields.data, answer) };
    },
    (data) => checkData(schema, data),
  );

/** A registry whose data the caller says the type of: the service's own schema, where it has one, is who checks it. */
export const trustedRegistry = <T>(client: Client, name: string): PlainRegistry<T> =>
  new PlainRegistry<T>(client, name, async (answer) => {
    const fields: PlainFields<unknown> | PlainFields<T> = plainFields(answer);
    if (isTrusted<T>(fields)) return fields;
    throw noPlain(answer);
  });

const plainFields = (answer: RecordAnswer): PlainFields<unknown> => {
  if (isPlain(answer)) return answer;
  throw noPlain(answer);
};

const noPlain = ({ registry }: RecordAnswer): TypeError =>
  new TypeError(`${registry} is no plain registry: use lethe.files or lethe.datasets`);

/** The caller's word for it. */
const isTrusted = <T>(fields: PlainFields<unknown> | PlainFields<T>): fields is PlainFields<T> =>
  fields.data !== undefined;
