import { z } from 'zod';
import { jsonSchema, refSchema } from '../events/vocabulary.js';

/*
 * What answers say: the contract's shapes. The OpenAPI document is written from them, and the client takes its types from here.
 */

const nullableText = z.string().nullable();
const position = z.string();

const trashableAnswer = {
  visibility: z.union([z.literal(1), z.literal(0), z.literal(-1)]),
  hold: z.object({ reason: nullableText, by: z.string(), at: z.string() }).nullable(),
  createdBy: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
  trashedAt: nullableText,
  trashedBy: nullableText,
  reason: nullableText,
  purgeAfter: nullableText,
  revision: z.number(),
};

export const fileAnswer = z.object({
  registry: z.literal('files'),
  uid: z.string(),
  key: nullableText,
  keyIsVirtual: z.boolean(),
  path: z.string(),
  suffix: nullableText,
  accessor: nullableText,
  description: nullableText,
  version: nullableText,
  initialVersion: nullableText,
  isLatest: z.boolean(),
  size: z.number(),
  hash: z.string(),
  hashType: z.enum(['md5', 'md5-d']),
  objects: z.number(),
  storage: z.string(),
  transform: nullableText,
  run: nullableText,
  labels: z.array(z.string()),
  ...trashableAnswer,
});

export const datasetAnswer = z.object({
  registry: z.literal('datasets'),
  uid: z.string(),
  name: nullableText,
  description: nullableText,
  version: nullableText,
  initialVersion: nullableText,
  isLatest: z.boolean(),
  files: z.array(z.string()),
  transform: nullableText,
  run: nullableText,
  labels: z.array(z.string()),
  ...trashableAnswer,
});

export const plainAnswer = z.object({
  registry: z.string(),
  uid: z.string(),
  name: nullableText,
  description: nullableText,
  data: jsonSchema,
  createdAt: z.string(),
  updatedAt: z.string(),
  revision: z.number(),
});

const recordAnswer = z.union([fileAnswer, datasetAnswer, plainAnswer]);
/** A file. @interface */
export type FileAnswer = z.infer<typeof fileAnswer>;
/** A dataset. @interface */
export type DatasetAnswer = z.infer<typeof datasetAnswer>;
/** A record of a plain registry. @interface */
export type PlainAnswer = z.infer<typeof plainAnswer>;
export type RecordAnswer = FileAnswer | DatasetAnswer | PlainAnswer;

export const warningAnswer = z.object({ code: z.string(), message: z.string(), by: z.array(refSchema).optional() });

const why = z.enum(['virtual-key', 'asked', 'semantic-key', 'shared', 'foreign-storage']);
const objectAnswer = z.object({
  storage: z.string(),
  path: z.string(),
  why,
  objects: z.number(),
  bytes: z.number(),
  sharedWith: z.array(refSchema),
});

export const previewAnswer = z.object({
  registry: z.string(),
  uid: z.string(),
  revision: z.number(),
  object: objectAnswer.extend({ fate: z.enum(['delete', 'keep']) }).nullable(),
});
/** What a purge would do. @interface */
export type PreviewAnswer = z.infer<typeof previewAnswer>;

export const receiptAnswer = z.object({
  registry: z.string(),
  uid: z.string(),
  requestedAt: z.string(),
  purgedAt: z.string(),
  purgedBy: z.string(),
  reason: nullableText,
  object: objectAnswer.extend({ fate: z.enum(['deleted', 'kept']) }).nullable(),
  commandId: z.string(),
  position,
  warnings: z.array(warningAnswer),
});
/** What a purge did. @interface */
export type ReceiptAnswer = z.infer<typeof receiptAnswer>;

export const purgeAnswer = z.object({
  registry: z.string(),
  uid: z.string(),
  state: z.enum(['pending', 'failed', 'parked', 'done', 'cancelled']),
  requestedAt: z.string(),
  requestedBy: z.string(),
  reason: nullableText,
  storage: z.enum(['keep', 'delete']).nullable(),
  attempts: z.number(),
  error: nullableText,
  nextTryAt: nullableText,
  by: z.array(refSchema),
  operation: nullableText,
  receipt: receiptAnswer.nullable(),
});
/** How far a purge is. @interface */
export type PurgeAnswer = z.infer<typeof purgeAnswer>;

export const tombstoneAnswer = z.object({
  registry: z.string(),
  uid: z.string(),
  state: z.enum(['purging', 'purged']),
  key: nullableText,
  revision: z.number(),
  receipt: receiptAnswer.nullable(),
});

export const commandAnswer = z.object({
  outcome: z.enum([
    'created',
    'existing',
    'updated',
    'trashed',
    'restored',
    'held',
    'released',
    'unchanged',
    'purging',
    'purged',
  ]),
  record: recordAnswer.nullable(),
  warnings: z.array(warningAnswer),
  dryRun: z.literal(true).optional(),
  preview: previewAnswer.nullable().optional(),
  purge: purgeAnswer.optional(),
  receipt: receiptAnswer.optional(),
});
/** What a command came to. @interface */
export type CommandAnswer = z.infer<typeof commandAnswer>;

export const historyAnswer = z.object({
  position,
  registry: z.string(),
  uid: z.string(),
  revision: z.number(),
  id: z.string(),
  at: z.string(),
  actor: z.string(),
  type: z.string(),
  version: z.number(),
  reason: nullableText,
  data: jsonSchema,
  commandId: z.string(),
  correlationId: z.string(),
  previous: nullableText,
});
/** An event. @interface */
export type HistoryAnswer = z.infer<typeof historyAnswer>;

export const operationAnswer = z.object({
  id: z.string(),
  kind: z.enum(['empty-trash', 'retention']),
  state: z.enum(['running', 'done']),
  criteria: z.record(z.string(), jsonSchema),
  position,
  total: z.object({ records: z.number(), bytes: z.number() }),
  counts: z.object({ purged: z.number(), purging: z.number(), skipped: z.number(), remaining: z.number() }),
  skipped: z.array(z.object({ registry: z.string(), uid: z.string(), code: z.string() })),
  startedBy: z.string(),
  startedAt: z.string(),
  endedAt: nullableText,
});
/** How far long work is. @interface */
export type OperationAnswer = z.infer<typeof operationAnswer>;

export const problemAnswer = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  code: z.string(),
  correlationId: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
/** A refusal or failure (RFC 9457). @interface */
export type ProblemAnswer = z.infer<typeof problemAnswer>;

/** What became of one record of many. Which of the optional members are there follows from the others. */
export const bulkResultAnswer = z.object({
  registry: z.string(),
  uid: z.string(),
  status: z.number(),
  outcome: commandAnswer.shape.outcome.optional(),
  revision: z.number().optional(),
  dryRun: z.literal(true).optional(),
  preview: previewAnswer.nullable().optional(),
  error: problemAnswer.optional(),
});
export const bulkAnswer = z.object({ results: z.array(bulkResultAnswer) });
/** What a bulk call came to. @interface */
export type BulkAnswer = z.infer<typeof bulkAnswer>;

export const objectRowAnswer = z.object({ path: z.string(), size: z.number() });

export const registryAnswer = z.object({
  name: z.string(),
  kind: z.enum(['trashable', 'plain']),
  count: z.number(),
  schema: jsonSchema,
});

export const statsAnswer = z.object({
  groups: z.array(
    z.object({
      registry: z.string(),
      suffix: nullableText,
      visibility: z.number(),
      records: z.number(),
      bytes: z.number(),
    }),
  ),
  projection: z.object({ position, head: position, lagEvents: z.number().nullable(), lagMs: z.number() }),
  purges: z.object({ pending: z.number(), failed: z.number(), parked: z.number() }),
});
/** What `GET /v1/stats` answers. @interface */
export type StatsAnswer = z.infer<typeof statsAnswer>;

export const listAnswer = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: nullableText, position, total: z.number().optional() });

export const trashAnswer = listAnswer(z.union([fileAnswer, datasetAnswer])).extend({
  totals: z.object({ records: z.number(), bytes: z.number() }),
});

export interface List<T> {
  readonly items: readonly T[];
  readonly next: string | null;
  readonly position: string;
  readonly total?: number;
}
