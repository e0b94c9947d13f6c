import { z } from 'zod';
import { SUFFIX } from '../commands/suffix.js';
import { isReserved, jsonSchema, refKey, uidSchema } from '../events/vocabulary.js';

/*
 * What requests may say. The same schemas validate and are printed into /openapi.json.
 */

/** Text that every store can hold: well-formed, without NUL. */
const text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !value.includes('\0'), 'must be well-formed text without NUL');

const key = text(1_024).refine((value) => Buffer.byteLength(value) <= 1_024, 'must have at most 1,024 bytes');
const labels = z.array(uidSchema).max(1_000).refine(unique, 'names a label twice').meta({ uniqueItems: true });
const files = z.array(uidSchema).max(5_000).refine(unique, 'names a file twice').meta({ uniqueItems: true });
const visibility = z.union([z.literal(1), z.literal(0)], 'must be 1 or 0; DELETE moves to the trash');
const storageName = text(100);

function unique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

const described = {
  description: text(10_000).nullable().default(null),
  version: text(100).nullable().default(null),
  initialVersion: uidSchema.nullable().default(null),
  labels: labels.default([]),
  run: uidSchema.nullable().default(null),
  transform: uidSchema.nullable().default(null),
  visibility: visibility.default(1),
};

const fileMetadata = {
  storage: storageName.default('default'),
  suffix: z.string().regex(SUFFIX, 'must look like .parquet or .tar.gz').nullable().default(null),
  accessor: text(100).nullable().default(null),
  ...described,
  onDuplicate: z.enum(['return', 'create', 'fail']).default('return'),
};

/** The part `metadata` of an upload. */
export const uploadSchema = z
  .strictObject({ key: key.nullable().default(null), keyIsVirtual: z.boolean().default(true), ...fileMetadata })
  .refine(({ key, keyIsVirtual }) => keyIsVirtual || key !== null, {
    path: ['key'],
    message: 'is needed where keyIsVirtual is false',
  })
  .refine(({ key, keyIsVirtual }) => keyIsVirtual || key === null || !isReserved(key), {
    path: ['key'],
    message: 'a semantic key never lies below a folder .lethe/',
  })
  .refine(({ key, keyIsVirtual }) => keyIsVirtual || key === null || !key.endsWith('/'), {
    path: ['key'],
    message: 'names one file, so it does not end in /',
  });

/** `POST /files` as JSON: what already lies at `path`. */
export const registerFileSchema = z
  .strictObject({ path: key, ...fileMetadata })
  .refine(({ path }) => !isReserved(path), {
    path: ['path'],
    message: 'what lies below a folder .lethe/ belongs to Lethe',
  });

export const registerDatasetSchema = z.strictObject({
  name: text(255).nullable().default(null),
  files: files.default([]),
  ...described,
});

export const registerPlainSchema = z.strictObject({
  name: text(255).nullable().default(null),
  description: text(10_000).nullable().default(null),
  data: jsonSchema.default(null),
});

export const registerStorageSchema = z.strictObject({
  name: text(100),
  description: text(10_000).nullable().default(null),
  data: z.strictObject({ root: text(1_024), managed: z.boolean().default(true) }),
});

const patched = {
  description: text(10_000).nullable(),
  version: text(100).nullable(),
  labels,
  run: uidSchema.nullable(),
  transform: uidSchema.nullable(),
  visibility,
};

export const patchFileSchema = z
  .strictObject({ key: key.nullable(), accessor: text(100).nullable(), ...patched })
  .partial();
export const patchDatasetSchema = z.strictObject({ name: text(255).nullable(), files, ...patched }).partial();
export const patchPlainSchema = z
  .strictObject({ name: text(255).nullable(), description: text(10_000).nullable(), data: jsonSchema })
  .partial();
export const patchStorageSchema = z.strictObject({ description: text(10_000).nullable() }).partial();

export const holdSchema = z.strictObject({ reason: text(1_000).nullable().default(null) });
export const retrySchema = z.strictObject({ storage: z.literal('keep').nullable().default(null) });

/** `POST /bulk`. */
export const bulkSchema = z
  .strictObject({
    action: z.enum(['trash', 'restore', 'purge']),
    records: z
      .array(z.strictObject({ registry: z.string(), uid: z.string() }))
      .min(1)
      .max(1_000),
    reason: text(1_000).nullable().default(null),
    storage: z.enum(['keep', 'delete']).nullable().default(null),
    dryRun: z.boolean().default(false),
  })
  .refine(({ action, storage }) => action === 'purge' || storage === null, {
    path: ['storage'],
    message: 'has a meaning for a purge alone',
  })
  .superRefine(({ records }, context) => {
    const seen = new Set<string>();
    for (const [index, ref] of records.entries()) {
      if (seen.has(refKey(ref)))
        context.addIssue({ code: 'custom', path: ['records', index], message: 'names a record twice' });
      seen.add(refKey(ref));
    }
  });
export type Bulk = z.infer<typeof bulkSchema>;

/** A command that takes nothing: no body, or an empty object. */
export const nothingSchema = z.strictObject({});
