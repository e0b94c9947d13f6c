import { z } from 'zod';
import { instantSchema, jsonSchema, positionSchema, refSchema, uidSchema } from './vocabulary.js';

/*
 * The storage format: these names and fields lie on disks for years. A field is never renamed, retyped or given another
 * meaning; a change is a new version of the event, with an upcaster in `codec.ts` and a golden file under `test/golden/events`.
 */

const shown = z.union([z.literal(1), z.literal(0)]);
const text = z.string();
const count = z.int().nonnegative();

/** What lay at a place when somebody looked: the fence of a deletion. A folder's listing is named by its digest. */
export const seenSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('file'),
    etag: text,
    size: count,
    modifiedAt: instantSchema,
    versions: z.array(text).nullable(),
  }),
  z.strictObject({
    kind: z.literal('folder'),
    digest: text,
    objects: count,
    bytes: count,
    /** Where in the storage the listing lies, object by object; null where none was needed. */
    manifest: text.nullable(),
  }),
]);
export type Seen = z.infer<typeof seenSchema>;

export const fileFieldsSchema = z.strictObject({
  kind: z.literal('file'),
  key: text.nullable(),
  keyIsVirtual: z.boolean(),
  storage: uidSchema,
  path: text,
  suffix: text.nullable(),
  accessor: text.nullable(),
  description: text.nullable(),
  version: text.nullable(),
  initialVersion: uidSchema.nullable(),
  size: count,
  hash: text,
  hashType: z.enum(['md5', 'md5-d']),
  objects: count,
  run: uidSchema.nullable(),
  transform: uidSchema.nullable(),
  labels: z.array(uidSchema),
  /** Whether this registration wrote the bytes; false where it found them. */
  own: z.boolean(),
  seen: seenSchema.nullable(),
});
export const datasetFieldsSchema = z.strictObject({
  kind: z.literal('dataset'),
  name: text.nullable(),
  description: text.nullable(),
  version: text.nullable(),
  initialVersion: uidSchema.nullable(),
  files: z.array(uidSchema),
  run: uidSchema.nullable(),
  transform: uidSchema.nullable(),
  labels: z.array(uidSchema),
});
export const plainFieldsSchema = z.strictObject({
  kind: z.literal('plain'),
  name: text.nullable(),
  description: text.nullable(),
  data: jsonSchema,
  /** Of a storage: its root with links resolved, ending in `/`, by which objects of nested storages are compared. */
  place: text.nullable(),
});
export const fieldsSchema = z.discriminatedUnion('kind', [fileFieldsSchema, datasetFieldsSchema, plainFieldsSchema]);
export type FileFields = z.infer<typeof fileFieldsSchema>;
export type DatasetFields = z.infer<typeof datasetFieldsSchema>;
export type PlainFields = z.infer<typeof plainFieldsSchema>;
export type Fields = z.infer<typeof fieldsSchema>;

const storageWishSchema = z.enum(['keep', 'delete']).nullable();
export type StorageWish = z.infer<typeof storageWishSchema>;
export const keptWhySchema = z.enum(['foreign-storage', 'asked', 'shared', 'semantic-key']);
export type KeptWhy = z.infer<typeof keptWhySchema>;
/** The revision of the RecordPurgeRequested that a saga's event belongs to. */
const request = count;

const RecordRegistered = z.strictObject({
  type: z.literal('RecordRegistered'),
  visibility: shown,
  fields: fieldsSchema,
  /** The head before this registration's first look at its object, or first byte; null where it has no object. */
  seenAt: positionSchema.nullable(),
});
const RecordUpdated = z.strictObject({
  type: z.literal('RecordUpdated'),
  changes: z.record(text, z.strictObject({ from: jsonSchema, to: jsonSchema })),
  /** The position of the update that this one takes back; null for everything that a caller asked for. */
  withdraws: positionSchema.nullable(),
});
const RecordTrashed = z.strictObject({
  type: z.literal('RecordTrashed'),
  from: shown,
  purgeAfter: instantSchema.nullable(),
});
const RecordRestored = z.strictObject({ type: z.literal('RecordRestored'), to: shown });
const RecordHeld = z.strictObject({ type: z.literal('RecordHeld') });
const RecordHoldReleased = z.strictObject({ type: z.literal('RecordHoldReleased') });
const RecordPurgeRequested = z.strictObject({
  type: z.literal('RecordPurgeRequested'),
  storage: storageWishSchema,
  /** The position of the registration that this purge takes back; null for everything that a caller asked for. */
  withdraws: positionSchema.nullable(),
  /** The operation whose step this is. */
  operation: uidSchema.nullable(),
});
const RecordPurgeCancelled = z.strictObject({
  type: z.literal('RecordPurgeCancelled'),
  request,
  why: z.literal('referenced'),
  by: z.array(refSchema),
});
const ObjectKept = z.strictObject({
  type: z.literal('ObjectKept'),
  request,
  why: keptWhySchema,
  by: z.array(refSchema),
});
const ObjectDeletionStarted = z.strictObject({
  type: z.literal('ObjectDeletionStarted'),
  request,
  /** What lay there, and so what goes; null where nothing did. */
  seen: seenSchema.nullable(),
});
const ObjectDeletionFailed = z.strictObject({
  type: z.literal('ObjectDeletionFailed'),
  request,
  attempt: z.int().positive(),
  error: text,
  /** How long until the next try; null: parked until a person acts. */
  waitMs: count.nullable(),
});
const RecordPurgeRetried = z.strictObject({
  type: z.literal('RecordPurgeRetried'),
  request,
  storage: z.literal('keep').nullable(),
});
const ObjectDeleted = z.strictObject({
  type: z.literal('ObjectDeleted'),
  request,
  objects: count,
  bytes: count,
  /** Something else lay there by then and stayed. */
  changed: z.boolean(),
});
const RecordPurged = z.strictObject({ type: z.literal('RecordPurged'), request });

const OperationStarted = z.strictObject({
  type: z.literal('OperationStarted'),
  kind: z.enum(['empty-trash', 'retention']),
  criteria: z.record(text, jsonSchema),
  /** Only what was in the trash at this position is touched. */
  position: positionSchema,
  total: z.strictObject({ records: count, bytes: count }),
});
const OperationCompleted = z.strictObject({
  type: z.literal('OperationCompleted'),
  purged: count,
  skippedCount: count,
  /** The first hundred. */
  skipped: z.array(z.strictObject({ registry: text, uid: text, code: text })),
});
const InstanceCreated = z.strictObject({ type: z.literal('InstanceCreated'), instance: z.uuid() });
const ClockTicked = z.strictObject({ type: z.literal('ClockTicked'), advanceMs: count, logTimeMs: count });

/** Everything that ever happens, by type, with the version in which it is written today. */
export const EVENTS = {
  RecordRegistered: { version: 1, schema: RecordRegistered },
  RecordUpdated: { version: 1, schema: RecordUpdated },
  RecordTrashed: { version: 1, schema: RecordTrashed },
  RecordRestored: { version: 1, schema: RecordRestored },
  RecordHeld: { version: 1, schema: RecordHeld },
  RecordHoldReleased: { version: 1, schema: RecordHoldReleased },
  RecordPurgeRequested: { version: 1, schema: RecordPurgeRequested },
  RecordPurgeCancelled: { version: 1, schema: RecordPurgeCancelled },
  ObjectKept: { version: 1, schema: ObjectKept },
  ObjectDeletionStarted: { version: 1, schema: ObjectDeletionStarted },
  ObjectDeletionFailed: { version: 1, schema: ObjectDeletionFailed },
  RecordPurgeRetried: { version: 1, schema: RecordPurgeRetried },
  ObjectDeleted: { version: 1, schema: ObjectDeleted },
  RecordPurged: { version: 1, schema: RecordPurged },
  OperationStarted: { version: 1, schema: OperationStarted },
  OperationCompleted: { version: 1, schema: OperationCompleted },
  InstanceCreated: { version: 1, schema: InstanceCreated },
  ClockTicked: { version: 1, schema: ClockTicked },
} as const;

export const recordEventSchema = z.discriminatedUnion('type', [
  RecordRegistered,
  RecordUpdated,
  RecordTrashed,
  RecordRestored,
  RecordHeld,
  RecordHoldReleased,
  RecordPurgeRequested,
  RecordPurgeCancelled,
  ObjectKept,
  ObjectDeletionStarted,
  ObjectDeletionFailed,
  RecordPurgeRetried,
  ObjectDeleted,
  RecordPurged,
]);
export const operationEventSchema = z.discriminatedUnion('type', [OperationStarted, OperationCompleted]);
export const logEventSchema = z.discriminatedUnion('type', [InstanceCreated, ClockTicked]);

export type RecordEvent = z.infer<typeof recordEventSchema>;
export type OperationEvent = z.infer<typeof operationEventSchema>;
export type LogEvent = z.infer<typeof logEventSchema>;
export type LetheEvent = RecordEvent | OperationEvent | LogEvent;
export type EventType = keyof typeof EVENTS;
export type EventOf<T extends EventType> = Extract<LetheEvent, { type: T }>;

const RECORD_EVENTS: ReadonlySet<string> = new Set(recordEventSchema.options.map(({ shape }) => shape.type.value));

export const isRecordEvent = (recorded: Recorded): recorded is Recorded<RecordEvent> =>
  RECORD_EVENTS.has(recorded.event.type);

/** What every event carries beside its own fields. */
export const metadataSchema = z.strictObject({
  /** The version of the event's schema. */
  version: z.int().positive(),
  actor: z.string(),
  reason: z.string().nullable(),
  commandId: z.uuid(),
  /** SHA-256 of the whole command, base64url. The event's id derives from it. Null for what came from elsewhere. */
  commandHash: z.string().nullable(),
  correlationId: z.string(),
  /** Never before that of the stream's previous event. */
  at: instantSchema,
  /** SHA-256 of the stream's previous event, base64url; null for the first. */
  previous: z.string().nullable(),
});
export type Metadata = z.infer<typeof metadataSchema>;

/** An event with all that is known of it once it is in the log. */
export interface Recorded<E extends LetheEvent = LetheEvent> {
  readonly event: E;
  readonly meta: Metadata;
  readonly id: string;
  readonly registry: string;
  readonly uid: string;
  readonly revision: number;
  /** As a number: positions stay far below 2^53. */
  readonly position: number;
}
