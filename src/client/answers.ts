import type {
  DatasetAnswer,
  FileAnswer,
  List,
  objectRowAnswer,
  registryAnswer,
  tombstoneAnswer,
  warningAnswer,
} from '../api/answers.js';

/* What the API answers, as types: they follow from its own schemas, and nothing of those runs here. */

export type {
  CommandAnswer,
  HistoryAnswer,
  List,
  OperationAnswer,
  PreviewAnswer,
  ProblemAnswer,
  PurgeAnswer,
  ReceiptAnswer,
  RecordAnswer,
} from '../api/answers.js';

interface Schema {
  readonly _zod: { readonly output: unknown };
}
type Output<S extends Schema> = S['_zod']['output'];

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

/** Names one record. */
export interface Ref {
  readonly registry: string;
  readonly uid: string;
}
