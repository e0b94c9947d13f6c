/*
 * What `import … from 'lethe'` gives beside `connect`, in Node and in browsers alike.
 */

export type * from './answers.js';
export type { AsOf, Changing, Client, Commanding, Deleting, Emptying, Range, Uploading } from './client.js';
export type { ByteStream, Source, UploadProgress } from './content.js';
export {
  Conflict,
  ConfirmationRequired,
  Duplicate,
  Forbidden,
  ForeignStorage,
  IdempotencyMismatch,
  Internal,
  Invalid,
  LetheError,
  Malformed,
  MethodNotAllowed,
  NotAcceptable,
  NotFound,
  NotLethe,
  NotTrashable,
  ObjectMissing,
  OnHold,
  Overloaded,
  ProjectionBehind,
  Purged,
  RangeNotSatisfiable,
  RateLimited,
  Referenced,
  RevisionChanged,
  StorageFull,
  StoreUnavailable,
  TooLarge,
  Trashed,
  Unauthenticated,
  UnexpectedData,
  Unreachable,
  UnsupportedMedia,
} from './errors.js';
export type { Filter, Sort, Visibility } from './filters.js';
export { Closed } from './lethe.js';
export type {
  Address,
  BulkOutcome,
  EmptyingTrash,
  EventFilter,
  Json,
  Lethe,
  Operations,
  Purges,
  Retrying,
  Trash,
} from './lethe.js';
export type {
  DatasetRecord,
  Deletion,
  DeletingRecord,
  FileMethods,
  FileRecord,
  PlainFields,
  PlainPatchOf,
  PlainRecord,
  Reach,
  RecordMethods,
  TrashableRecord,
  When,
} from './records.js';
export type { AddingFile, Datasets, Files, Listing, PlainInput, PlainRegistry, Storages } from './registries.js';
export type { Ended } from './purges.js';
export type { Aborting, Query } from './requests.js';
export type { CountedRows, Rows } from './rows.js';
export type { DataSchema } from './schema.js';
export type { Fetch } from './transport.js';
