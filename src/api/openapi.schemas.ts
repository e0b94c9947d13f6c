import { z } from 'zod';
import { jsonSchema, refSchema, uidSchema } from '../events/vocabulary.js';
import {
  bulkAnswer,
  bulkResultAnswer,
  commandAnswer,
  datasetAnswer,
  fileAnswer,
  historyAnswer,
  listAnswer,
  objectRowAnswer,
  operationAnswer,
  plainAnswer,
  previewAnswer,
  problemAnswer,
  purgeAnswer,
  receiptAnswer,
  registryAnswer,
  statsAnswer,
  tombstoneAnswer,
  trashAnswer,
  warningAnswer,
} from './answers.js';
import { WORDS } from './openapi.words.js';
import { PROBLEMS } from './problem.js';
import {
  bulkSchema,
  holdSchema,
  nothingSchema,
  patchDatasetSchema,
  patchFileSchema,
  patchPlainSchema,
  patchStorageSchema,
  registerDatasetSchema,
  registerFileSchema,
  registerPlainSchema,
  registerStorageSchema,
  retrySchema,
  uploadSchema,
} from './schemas.js';

/*
 * components/schemas, from the zod schemas that requests are validated with and that answers are typed by. Each is written once, under its
 * name here, and referred to wherever it occurs in another.
 */

export type Schema = z.core.JSONSchema.BaseSchema;

const REQUESTS = {
  UploadMetadata: uploadSchema,
  RegisterFile: registerFileSchema,
  RegisterDataset: registerDatasetSchema,
  RegisterStorage: registerStorageSchema,
  RegisterPlain: registerPlainSchema,
  PatchFile: patchFileSchema,
  PatchDataset: patchDatasetSchema,
  PatchStorage: patchStorageSchema,
  PatchPlain: patchPlainSchema,
  Bulk: bulkSchema,
  Hold: holdSchema,
  Retry: retrySchema,
  Nothing: nothingSchema,
} as const;

const wrongField = z.object({ path: z.string(), message: z.string() });
const totals = z.object({ records: z.number(), bytes: z.number() });
const problem = problemAnswer.extend({
  code: z.literal(keysOf(PROBLEMS)),
  errors: z.array(wrongField).optional(),
  by: z.array(refSchema).optional(),
  count: z.number().optional(),
  preview: previewAnswer.nullable().optional(),
  tombstone: tombstoneAnswer.nullable().optional(),
  totals: totals.optional(),
});

const written = commandAnswer.pick({ outcome: true, record: true, warnings: true });

const bulkResult = bulkResultAnswer.extend({ error: problem.optional() });

const ANSWERS = {
  Registry: registryAnswer,
  RegistryList: listAnswer(registryAnswer),
  File: fileAnswer,
  FileList: listAnswer(fileAnswer),
  FileWritten: written.extend({ record: fileAnswer }),
  Dataset: datasetAnswer,
  DatasetList: listAnswer(datasetAnswer),
  DatasetWritten: written.extend({ record: datasetAnswer }),
  PlainRecord: plainAnswer,
  PlainRecordList: listAnswer(plainAnswer),
  PlainRecordWritten: written.extend({ record: plainAnswer }),
  Written: written,
  Deletion: commandAnswer,
  Event: historyAnswer,
  EventList: listAnswer(historyAnswer),
  ObjectRow: objectRowAnswer,
  ObjectRowList: listAnswer(objectRowAnswer),
  Trash: trashAnswer,
  TrashPreview: z.object({ outcome: z.literal('purging'), dryRun: z.literal(true), totals }),
  Purge: purgeAnswer,
  PurgeList: listAnswer(purgeAnswer),
  PurgePreview: previewAnswer,
  Receipt: receiptAnswer,
  Tombstone: tombstoneAnswer,
  BulkResult: bulkResult,
  BulkResults: bulkAnswer.extend({ results: z.array(bulkResult) }),
  Operation: operationAnswer,
  OperationList: listAnswer(operationAnswer),
  Stats: statsAnswer,
  Warning: warningAnswer,
  WrongField: wrongField,
  Problem: problem,
  Live: z.object({ status: z.literal('ok') }),
  Ready: z.object({ status: z.enum(['ok', 'not-ready']), notReady: z.record(z.string(), z.string()) }),
} as const;

/** What both sides say. */
const SHARED = { Uid: uidSchema, Ref: refSchema, Json: jsonSchema } as const;

export type SchemaName = keyof typeof REQUESTS | keyof typeof ANSWERS | keyof typeof SHARED;

const REF = '#/components/schemas/';

export const schemaRef = (name: SchemaName): Schema => ({ $ref: REF + name });

/** The `data` of a configured registry, under its own name; the name of the component has a dot, which none of ours has. */
export const dataComponent = (registry: string): string => `data.${registry}`;

/** @param configured the JSON Schemas that the configuration gives its registries, by the registry's name */
export const schemas = (configured: Readonly<Record<string, Schema>>): Record<string, Schema> => ({
  ...components(ANSWERS, 'output', tidyAnswer),
  ...components(REQUESTS, 'input', tidy),
  Json: { description: 'Any JSON value.' },
  ...Object.fromEntries(
    // A base of its own: what such a schema refers to is in itself.
    Object.entries(configured).map(([name, schema]) => [dataComponent(name), { $id: `urn:lethe:${name}`, ...schema }]),
  ),
});

const components = (
  table: Readonly<Record<string, z.ZodType>>,
  io: 'input' | 'output',
  tidied: (schema: Schema) => Schema,
): Record<string, Schema> => {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries({ ...table, ...SHARED })) registry.add(schema, { id });
  const { schemas: written } = z.toJSONSchema(registry, { io, uri: (id) => REF + id });
  return Object.fromEntries(Object.entries(written).map(([name, schema]) => [name, described(name, tidied(schema))]));
};

/** Without what says nothing here, and with a choice of constants as one enumeration. */
const tidy = ({ $schema: _schema, $id: _id, propertyNames: _names, ...schema }: Schema): Schema => {
  const tidied = within(schema, tidy);
  if (tidied.anyOf === undefined) return tidied;
  const { anyOf, ...rest } = tidied;
  const constants = anyOf.flatMap(({ const: value }) => (value === undefined ? [] : [value]));
  if (constants.length === anyOf.length) return { ...rest, enum: constants };
  return { ...rest, anyOf: anyOf.flatMap((choice) => choice.anyOf ?? [choice]) };
};

/** An answer may have further members one day, and none of its numbers has a fraction. */
const tidyAnswer = (schema: Schema): Schema => {
  const { additionalProperties, ...tidied } = within(tidy(schema), tidyAnswer);
  const says = typeof additionalProperties === 'object' && Object.keys(additionalProperties).length > 0;
  return { ...tidied, ...(tidied.type === 'number' && { type: 'integer' }), ...(says && { additionalProperties }) };
};

/** The schema with `change` made to each that is right below it; members come with their names. */
const within = (schema: Schema, change: (below: Schema, member?: string) => Schema): Schema => {
  const { properties, items, anyOf, additionalProperties } = schema;
  const changed = { ...schema };
  if (properties !== undefined) {
    const members = Object.entries(properties);
    changed.properties = Object.fromEntries(
      members.map(([name, member]) => [name, typeof member === 'object' ? change(member, name) : member]),
    );
  }
  if (typeof items === 'object' && !Array.isArray(items)) changed.items = change(items);
  if (anyOf !== undefined) changed.anyOf = anyOf.map((choice) => change(choice));
  if (typeof additionalProperties === 'object') changed.additionalProperties = change(additionalProperties);
  return changed;
};

const INSTANT = /^(at|[a-z]+At|purgeAfter)$/;

/** With a word for each member, by the path to it or by its name alone. */
const described = (path: string, schema: Schema): Schema =>
  within(schema, (below, member) => {
    if (member === undefined) return described(path, below);
    const description = WORDS[`${path}.${member}`] ?? WORDS[member];
    const deeper = described(`${path}.${member}`, below);
    return {
      ...(description !== undefined && { description }),
      ...deeper,
      ...(INSTANT.test(member) && { format: 'date-time' }),
    };
  });

function keysOf<K extends string>(table: Readonly<Record<K, unknown>>): K[] {
  const isKey = (key: string): key is K => Object.hasOwn(table, key);
  return Object.keys(table).filter(isKey);
}
