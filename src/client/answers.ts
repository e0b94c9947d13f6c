import type {
  bulkResultAnswer,
  DatasetAnswer,
  FileAnswer,
  List,
  objectRowAnswer,
  registryAnswer,
  tombstoneAnswer,
  warningAnswer,
} from '../api/answers.js';
import type {
  bulkSchema,
  patchDatasetSchema,
  patchFileSchema,
  patchPlainSchema,
  registerDatasetSchema,
  registerFileSchema,
  registerPlainSchema,
  registerStorageSchema,
  uploadSchema,
} from '../api/schemas.js';

/* What the API answers, as types: they follow from its own schemas, and nothing of those runs here. */

export type {
  BulkAnswer,
  CommandAnswer,
  DatasetAnswer,
  FileAnswer,
  HistoryAnswer,
  List,
  OperationAnswer,
  PlainAnswer,
  PreviewAnswer,
  ProblemAnswer,
  PurgeAnswer,
  ReceiptAnswer,
  RecordAnswer,
  StatsAnswer as Stats,
} from '../api/answers.js';

interface Schema {
  readonly _zod: { readonly output: unknown; readonly input: unknown };
}
type Output<S extends Schema> = S['_zod']['output'];
type Input<S extends Schema> = S['_zod']['input'];

/** What goes with the bytes of a file. @interface */
export type Upload = Input<typeof uploadSchema>;
/** A file that lies in a storage already. @interface */
export type FileRegistration = Input<typeof registerFileSchema>;
/** A dataset to be registered. @interface */
export type DatasetRegistration = Input<typeof registerDatasetSchema>;
/** A plain record to be registered. @interface */
export type PlainRegistration = Input<typeof registerPlainSchema>;
/** A storage to be registered. @interface */
export type StorageRegistration = Input<typeof registerStorageSchema>;
/** Changes of a file. @interface */
export type FilePatch = Input<typeof patchFileSchema>;
/** Changes of a dataset. @interface */
export type DatasetPatch = Input<typeof patchDatasetSchema>;
/** Changes of a plain record. @interface */
export type PlainPatch = Input<typeof patchPlainSchema>;
/** The same for many records. @interface */
export type Bulk = Input<typeof bulkSchema>;
/** What became of one of them. @interface */
export type BulkResult = Output<typeof bulkResultAnswer>;

/** What a command did not do as one might expect. @interface */
export type Warning = Output<typeof warningAnswer>;
/** A registry. @interface */
export type Registry = Output<typeof registryAnswer>;
/** What is left of a purged record. @interface */
export type Tombstone = Output<typeof tombstoneAnswer>;
/** One of the objects behind a file. @interface */
export type ObjectRow = Output<typeof objectRowAnswer>;

export interface Totals {
  readonly records: number;
  readonly bytes: number;
}

export interface TrashList extends List<FileAnswer | DatasetAnswer> {
  readonly totals: Totals;
}

/** What emptying the trash would do. */
export interface EmptyingPreview {
  readonly outcome: 'purging';
  readonly dryRun: true;
  readonly totals: Totals;
}

/** Whether a service can do its work. */
export interface Readiness {
  readonly status: 'ok' | 'not-ready';
  /** What keeps it from that, by name, each with a sentence. */
  readonly notReady: Readonly<Record<string, string>>;
}

/** Names one record. */
export interface Ref {
  readonly registry: string;
  readonly uid: string;
}
