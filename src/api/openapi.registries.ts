import type { Right } from './keys.js';
import type { Kind } from './openapi.parameters.js';
import {
  ACCEPTED,
  BODY,
  CHANGE,
  COMMAND,
  COMMANDED,
  JSON_ONLY,
  LISTED,
  REGISTERED,
  WRITE,
  type Body,
  type Route,
} from './openapi.route.js';
import type { SchemaName } from './openapi.schemas.js';
import type { ProblemCode } from './problem.js';

/*
 * The routes that each registry has of its own: files, datasets, storages, and plain ones. What their records say differs.
 */

/** One registry: how its records are listed, registered, read, changed and deleted. */
interface Family {
  readonly base: string;
  readonly tag: Route['tag'];
  readonly kind: Kind;
  /** For the ids of its operations: `list` and `…`. */
  readonly one: string;
  readonly many: string;
  readonly noun: string;
  readonly answer: 'File' | 'Dataset' | 'PlainRecord';
  readonly register: Body;
  readonly patch: SchemaName;
  readonly patchExample: unknown;
  readonly about?: string;
  readonly refusals?: readonly ProblemCode[];
  /** The right that its commands take, where that is none of the usual. */
  readonly needs?: Right;
  /** What registering may answer instead of a new record. */
  readonly existing?: Route['answers'];
}

const family = (it: Family): Route[] => [
  {
    method: 'get',
    path: it.base,
    id: `list${it.many}`,
    tag: it.tag,
    summary: `List ${it.noun}s`,
    description:
      'Conditions are joined by AND. Text compares by code point; absent values sort lowest. ' +
      'An unknown field or operator, the same one twice, or a cursor of another query is 422.',
    list: it.kind,
    parameters: ['listAsOf'],
    answers: { 200: { description: 'A page.', schema: `${it.answer}List`, headers: LISTED } },
    problems: ['not-found'],
  },
  {
    method: 'post',
    path: it.base,
    id: `register${it.one}`,
    tag: it.tag,
    summary: `Register a ${it.noun}`,
    ...(it.about !== undefined && { description: it.about }),
    ...(it.needs !== undefined && { needs: [it.needs] }),
    parameters: COMMAND,
    body: it.register,
    answers: {
      ...it.existing,
      201: { description: 'The new record, `created`.', schema: `${it.answer}Written`, headers: REGISTERED },
    },
    problems: ['not-found', ...(it.refusals ?? []), ...BODY, ...WRITE],
  },
  {
    method: 'get',
    path: `${it.base}/{uid}`,
    id: `get${it.one}`,
    tag: it.tag,
    summary: `Read a ${it.noun}`,
    description:
      `${it.kind === 'plain' ? '' : 'Also one in the trash. '}With one of \`revision\`, \`at\` and \`position\`, as it was: ` +
      '404 before its registration, 410 from a purge request on, 422 for what is yet to come.',
    parameters: ['asOfRevision', 'asOfTime', 'asOfPosition'],
    answers: {
      200: {
        description: 'The record itself.',
        schema: it.answer,
        headers: ['ETag', 'X-Position', 'Cache-Control'],
      },
    },
    problems: ['not-found', 'purged'],
  },
  {
    method: 'patch',
    path: `${it.base}/{uid}`,
    id: `update${it.one}`,
    tag: it.tag,
    summary: `Change a ${it.noun}`,
    description:
      'A JSON merge patch (RFC 7396): a member that is left out stays, null takes the value away. Without a change: `unchanged`.' +
      (it.register.dataOf === undefined ? '' : ' What `data` comes to has to meet the schema of the registry.'),
    ...(it.needs !== undefined && { needs: [it.needs] }),
    parameters: COMMAND,
    body: {
      required: true,
      content: { 'application/merge-patch+json': it.patch, [JSON_ONLY]: it.patch },
      example: it.patchExample,
    },
    answers: {
      200: { description: '`updated` or `unchanged`.', schema: `${it.answer}Written`, headers: COMMANDED },
    },
    problems: [...CHANGE, ...BODY, ...(it.kind === 'plain' ? [] : (['trashed'] as const))],
  },
  it.kind === 'plain' ? plainDelete(it) : trashableDelete(it),
];

const DELETE = [...COMMAND, 'permanent', 'wish', 'dryRun', 'prefer'] as const;

const trashableDelete = ({ base, one, tag, noun }: Family): Route => ({
  method: 'delete',
  path: `${base}/{uid}`,
  id: `delete${one}`,
  tag,
  summary: `Trash or purge a ${noun}`,
  description: `
| the record is | call | what happens | answer |
| --- | --- | --- | --- |
| visible or hidden | \`DELETE\` | into the trash; the object stays | 200 \`trashed\` |
| in the trash | \`DELETE\` | nothing: it needs a yes | 409 \`confirmation-required\`, with \`preview\` |
| in the trash | \`?permanent=false\` | nothing | 200 \`unchanged\` |
| not yet purged | \`?permanent=true\` | purged: gone from every query at or past X-Position | 202 \`purging\`, or 200 \`purged\` under \`Prefer: wait=\` |
| purging or purged | any | nothing | 202 or 200, as it stands |

To purge just what you saw, send the preview's \`revision\` as If-Match. There is no body.`.trim(),
  needs: ['write', 'purge'],
  parameters: DELETE,
  answers: {
    200: {
      description:
        '`trashed` and `unchanged` with the record, `purged` with its receipt; with `dryRun=true` what it would be, with `preview`.',
      schema: 'Deletion',
      headers: [...COMMANDED, 'Preference-Applied'],
    },
    202: { description: '`purging`: under way, at Location.', schema: 'Deletion', headers: ACCEPTED },
  },
  problems: [
    'malformed',
    'not-found',
    'revision-changed',
    'on-hold',
    'referenced',
    'foreign-storage',
    'confirmation-required',
    ...WRITE,
  ],
});

const plainDelete = ({ base, one, tag, noun, needs = 'purge' }: Family): Route => ({
  method: 'delete',
  path: `${base}/{uid}`,
  id: `delete${one}`,
  tag,
  summary: `Purge a ${noun}`,
  description:
    'Plain records have no trash: they are purged, with or without `permanent=true`. The call waits for it, at most 5 s. There is no body.',
  needs: [needs],
  parameters: DELETE,
  answers: {
    200: {
      description: '`purged` with its receipt; with `dryRun=true` what it would be.',
      schema: 'Deletion',
      headers: [...COMMANDED, 'Preference-Applied'],
    },
    202: { description: '`purging`: still under way, at Location.', schema: 'Deletion', headers: ACCEPTED },
  },
  problems: ['malformed', 'not-found', 'revision-changed', 'on-hold', 'referenced', 'not-trashable', ...WRITE],
});

export const FILES = family({
  base: '/v1/files',
  tag: 'Files',
  kind: 'files',
  one: 'File',
  many: 'Files',
  noun: 'file',
  answer: 'File',
  register: {
    required: true,
    content: { [JSON_ONLY]: 'RegisterFile', 'multipart/form-data': 'UploadMetadata' },
    example: { path: 'sales/2026.parquet', description: 'Sales of 2026' },
  },
  patch: 'PatchFile',
  patchExample: { description: 'Sales of 2026, corrected', visibility: 0 },
  about:
    'As JSON: registers what already lies at `path` of a storage; its key is semantic. As multipart/form-data: uploads bytes, ' +
    'the part `metadata` (JSON) first and then the part `content`, which is streamed. An upload never overwrites.',
  refusals: ['duplicate', 'foreign-storage'],
  existing: {
    200: {
      description: 'A visible record with the same content in that storage, `existing`.',
      schema: 'FileWritten',
      headers: COMMANDED,
    },
  },
});

export const DATASETS = family({
  base: '/v1/datasets',
  tag: 'Datasets',
  kind: 'datasets',
  one: 'Dataset',
  many: 'Datasets',
  noun: 'dataset',
  answer: 'Dataset',
  register: {
    required: true,
    content: { [JSON_ONLY]: 'RegisterDataset' },
    example: { name: 'Sales', files: ['heBmDcUZSbbsRR6dMz2r'] },
  },
  patch: 'PatchDataset',
  patchExample: { name: 'Sales, all years' },
});

export const STORAGES = family({
  base: '/v1/storages',
  tag: 'Storages',
  kind: 'plain',
  one: 'Storage',
  many: 'Storages',
  noun: 'storage',
  answer: 'PlainRecord',
  register: {
    required: true,
    content: { [JSON_ONLY]: 'RegisterStorage' },
    example: { name: 'lab-2026', data: { root: 'file:/srv/lab/2026' } },
  },
  patch: 'PatchStorage',
  patchExample: { description: 'The lab of 2026' },
  about:
    'Its root must lie at or below one that the configuration names (403); below one that is not managed, it is not managed whatever it says.',
  refusals: ['forbidden', 'duplicate'],
  needs: 'admin',
});

export const plainRoutes = (base: string, one: string, many: string, dataOf?: string): Route[] =>
  family({
    base,
    tag: 'Records',
    kind: 'plain',
    one,
    many,
    noun: 'record',
    answer: 'PlainRecord',
    register: {
      required: true,
      content: { [JSON_ONLY]: 'RegisterPlain' },
      ...(dataOf === undefined ? { example: { name: 'rna-seq', description: 'RNA sequencing' } } : { dataOf }),
    },
    patch: 'PatchPlain',
    patchExample: { description: 'RNA sequencing, bulk' },
  });
