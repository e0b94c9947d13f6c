import type {
  CommandAnswer,
  DatasetAnswer,
  DatasetPatch,
  FileAnswer,
  FilePatch,
  HistoryAnswer,
  ObjectRow,
  PlainAnswer,
  PlainPatch,
  PreviewAnswer,
  PurgeAnswer,
  ReceiptAnswer,
  RecordAnswer,
  Ref,
  Warning,
} from './answers.js';
import type { AsOf, Changing, Client, Deleting, Range } from './client.js';
import { notFound } from './errors.js';
import { endOf, WAIT_SECONDS } from './purges.js';
import type { Aborting } from './requests.js';
import { CountedRows, Rows } from './rows.js';
import { isDataset, isFile } from './shapes.js';

/** What became of a deletion. */
export interface Deletion {
  /** `trashed`, `unchanged` or `purged`; with `wait: false` also `purging`. */
  readonly outcome: CommandAnswer['outcome'];
  /** True: nothing was done, and this is what it would have come to. */
  readonly dryRun: boolean;
  readonly preview: PreviewAnswer | null;
  /** Of a purge that ended. */
  readonly receipt: ReceiptAnswer | null;
  /** Of a purge that was not waited for. */
  readonly purge: PurgeAnswer | null;
  readonly warnings: readonly Warning[];
}

export interface DeletingRecord extends Omit<Deleting, 'wait'> {
  /** False: a purge is asked for, and its end is not waited for. */
  readonly wait?: boolean | undefined;
}

/** A time of the past: a revision of the record, a time, or a position of the log. */
export type When = { readonly revision: number } | { readonly at: Date | string } | { readonly position: string };

/** How the record of one registry is made of what the service answers. */
export type Reading<A> = (answer: RecordAnswer) => Promise<A>;

/**
 * What can be done with a record. Its fields are those of the last answer that was about it: a command that succeeds brings them up to
 * date, and so does `reload`.
 */
export class RecordMethods<A extends object, Patch extends object> {
  readonly #client: Client;
  readonly #ref: Ref;
  readonly #read: Reading<A>;
  #outcome: CommandAnswer['outcome'] | null = null;
  #warnings: readonly Warning[] = [];

  constructor(client: Client, ref: Ref, read: Reading<A>) {
    this.#client = client;
    this.#ref = ref;
    this.#read = read;
  }

  /** What the last command on this object came to: `created`, `existing`, `updated`, … Null before the first one. */
  get outcome(): CommandAnswer['outcome'] | null {
    return this.#outcome;
  }

  /** What the last command did not do as one might expect. */
  get warnings(): readonly Warning[] {
    return this.#warnings;
  }

  /**
   * Moves it to the trash; with `permanent: true` purges it, and resolves when its object is gone or kept for good.
   * @throws ConfirmationRequired, with `preview`, where it lies in the trash already; StoreUnavailable where the purge is parked;
   *   Referenced where it is refused or called off
   */
  async delete({ wait = true, ...options }: DeletingRecord = {}): Promise<Deletion> {
    const answer = await this.#client.delete(this.#ref, { ...options, wait: wait ? WAIT_SECONDS : undefined });
    if (answer.dryRun !== true) await this.take(answer);
    const { outcome, dryRun = false, preview = null, warnings } = answer;
    const ended =
      wait && outcome === 'purging' && !dryRun ? await endOf(this.#client, this.#ref, answer, options) : null;
    if (ended === null)
      return { outcome, dryRun, preview, receipt: answer.receipt ?? null, purge: answer.purge ?? null, warnings };
    this.#outcome = 'purged';
    return { outcome: 'purged', dryRun, preview, receipt: ended.receipt, purge: null, warnings };
  }

  /** Takes it out of the trash, to the visibility that it had before. */
  async restore(options: Changing = {}): Promise<this> {
    return this.take(await this.#client.restore(this.#ref, options));
  }

  /** Changes what the patch names; null takes a value away (RFC 7396). */
  async update(patch: Patch, options: Changing = {}): Promise<this> {
    return this.take(await this.#client.update(this.#ref, patch, options));
  }

  /** Holds it against purging, by anyone and by retention. */
  async putOnHold(options: Changing = {}): Promise<this> {
    return this.take(await this.#client.hold(this.#ref, options));
  }

  async releaseHold(options: Changing = {}): Promise<this> {
    return this.take(await this.#client.unhold(this.#ref, options));
  }

  /** Its events, the oldest first. They stay after a purge. */
  history(options: Aborting = {}): CountedRows<HistoryAnswer> {
    return historyOf(this.#client, this.#ref, options);
  }

  /** Brings the fields up to date. @throws Purged */
  async reload(options: Aborting = {}): Promise<this> {
    return Object.assign(this, await this.#read(await this.#client.get(this.#ref, options)));
  }

  /** Its fields as they were then. @throws Purged at or past a purge; NotFound before it was registered; Invalid for the future */
  async at(when: When, options: Aborting = {}): Promise<Readonly<A>> {
    return this.#read(await this.#client.get(this.#ref, options, asOf(when)));
  }

  /** Takes over what a command answered. */
  async take(answer: CommandAnswer): Promise<this> {
    this.#outcome = answer.outcome;
    this.#warnings = answer.warnings;
    return answer.record === null ? this : Object.assign(this, await this.#read(answer.record));
  }
}

const asOf = (when: When): AsOf => ('at' in when ? { at: instantOf(when.at) } : when);

export const instantOf = (time: Date | string): string => (time instanceof Date ? time.toISOString() : time);

/** A record's events. */
export const historyOf = (client: Client, ref: Ref, { signal }: Aborting): CountedRows<HistoryAnswer> =>
  new CountedRows((paging, options) => client.history(ref, paging, options), signal);

export interface Reach extends Aborting {
  /** Of a folder: the one file in it. */
  readonly path?: string | undefined;
  /** True: also where the file lies in the trash. */
  readonly trashed?: boolean | undefined;
  readonly range?: Range | undefined;
}

export class FileMethods extends RecordMethods<FileAnswer, FilePatch> {
  readonly #client: Client;
  readonly #file: Ref;

  constructor(client: Client, ref: Ref) {
    super(client, ref, readFile);
    this.#client = client;
    this.#file = ref;
  }

  /** Its bytes, as a `Response` to stream or to read whole: `(await file.content()).arrayBuffer()`. */
  async content({ path, trashed, range, signal }: Reach = {}): Promise<Response> {
    const visibility = trashed === true ? 'any' : undefined;
    return this.#client.content(this.#file.uid, { path, visibility }, { signal, range });
  }

  /** The objects behind it. */
  listObjects({ signal }: Aborting = {}): Rows<ObjectRow> {
    return new Rows((paging, options) => this.#client.objects(this.#file.uid, paging, options), signal);
  }
}

/** A file's record. */
export type FileRecord = Readonly<FileAnswer> & FileMethods;
/** A dataset's record. */
export type DatasetRecord = Readonly<DatasetAnswer> & RecordMethods<DatasetAnswer, DatasetPatch>;
/** A plain record's fields, with data of a known type. */
export type PlainFields<T> = Omit<PlainAnswer, 'data'> & { data: T };
export type PlainPatchOf<I> = Omit<PlainPatch, 'data'> & { readonly data?: Partial<I> | null };
/** A plain record. */
export type PlainRecord<T, I = T> = Readonly<PlainFields<T>> & RecordMethods<PlainFields<T>, PlainPatchOf<I>>;
/** A record that can be in the trash. */
export type TrashableRecord = FileRecord | DatasetRecord;

const readFile: Reading<FileAnswer> = async (answer) => {
  if (isFile(answer)) return answer;
  throw wrong(answer, 'file');
};
const readDataset: Reading<DatasetAnswer> = async (answer) => {
  if (isDataset(answer)) return answer;
  throw wrong(answer, 'dataset');
};
const wrong = ({ registry, uid }: Ref, kind: string): Error => notFound(`${registry}/${uid} is no ${kind}.`);

export const fileRecord = async (client: Client, answer: RecordAnswer): Promise<FileRecord> =>
  Object.assign(new FileMethods(client, refOf(answer)), await readFile(answer));
export const datasetRecord = async (client: Client, answer: RecordAnswer): Promise<DatasetRecord> =>
  Object.assign(
    new RecordMethods<DatasetAnswer, DatasetPatch>(client, refOf(answer), readDataset),
    await readDataset(answer),
  );
export const plainRecord = async <T, I>(
  client: Client,
  answer: RecordAnswer,
  read: Reading<PlainFields<T>>,
): Promise<PlainRecord<T, I>> =>
  Object.assign(new RecordMethods<PlainFields<T>, PlainPatchOf<I>>(client, refOf(answer), read), await read(answer));
export const trashableRecord = async (client: Client, answer: RecordAnswer): Promise<TrashableRecord> =>
  isFile(answer) ? fileRecord(client, answer) : datasetRecord(client, answer);

export const refOf = ({ registry, uid }: Ref): Ref => ({ registry, uid });
