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

export type Upload = Input<typeof uploadSchema>;
export type FileRegistration = Input<typeof registerFileSchema>;
export type DatasetRegistration = Input<typeof registerDatasetSchema>;
export type PlainRegistration = Input<typeof registerPlainSchema>;
export type StorageRegistration = Input<typeof registerStorageSchema>;
export type FilePatch = Input<typeof patchFileSchema>;
export type DatasetPatch = Input<typeof patchDatasetSchema>;
export type PlainPatch = Input<typeof patchPlainSchema>;
export type Bulk = Input<typeof bulkSchema>;
export type BulkResult = Output<typeof bulkResultAnswer>;

export type Warning = Output<typeof warningAnswer>;
export type Registry = Output<typeof registryAnswer>;
export type Tombstone = Output<typeof tombstoneAnswer>;
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
