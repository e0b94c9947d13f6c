import { AUDIT } from './openapi.audit.js';
import { DATASETS, FILES, plainRoutes, STORAGES } from './openapi.registries.js';
import { ACCEPTED, BODY, CHANGE, COMMAND, COMMANDED, JSON_ONLY, LISTED, WRITE, type Route } from './openapi.route.js';

/*
 * Every route that the document knows.
 */

const EVERY_RECORD: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/{registry}/{uid}/restore',
    id: 'restoreRecord',
    tag: 'Every record',
    summary: 'Take a record out of the trash',
    description:
      'It gets back the visibility that it had before, 1 or 0. One that is not in the trash is left as it is.',
    needs: ['write', 'admin'],
    parameters: COMMAND,
    body: { required: false, content: { [JSON_ONLY]: 'Nothing' } },
    answers: { 200: { description: '`restored` or `unchanged`.', schema: 'Written', headers: COMMANDED } },
    problems: [...CHANGE, ...BODY],
  },
  {
    method: 'put',
    path: '/v1/{registry}/{uid}/hold',
    id: 'holdRecord',
    tag: 'Every record',
    summary: 'Hold a record against purging',
    description:
      'A held record can be trashed and restored, but nobody can purge it, nor can retention: 409 `on-hold`.',
    needs: ['write', 'admin'],
    parameters: COMMAND,
    body: { required: false, content: { [JSON_ONLY]: 'Hold' }, example: { reason: 'Audit of 2026' } },
    answers: { 200: { description: '`held` or `unchanged`.', schema: 'Written', headers: COMMANDED } },
    problems: [...CHANGE, ...BODY],
  },
  {
    method: 'delete',
    path: '/v1/{registry}/{uid}/hold',
    id: 'releaseRecord',
    tag: 'Every record',
    summary: 'Release the hold on a record',
    needs: ['purge', 'admin'],
    parameters: COMMAND,
    answers: { 200: { description: '`released` or `unchanged`.', schema: 'Written', headers: COMMANDED } },
    problems: [...CHANGE, 'malformed'],
  },
  {
    method: 'get',
    path: '/v1/{registry}/{uid}/history',
    id: 'getHistory',
    tag: 'Every record',
    summary: "List a record's events",
    description: 'The oldest first: who did what, when and why. It stays after a purge.',
    list: 'paged',
    answers: { 200: { description: 'A page.', schema: 'EventList', headers: LISTED } },
    problems: ['not-found'],
  },
];

const CONTENT: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/files/{uid}/content',
    id: 'getContent',
    tag: 'Files',
    summary: "Read a file's bytes",
    description: 'As an attachment. Of a folder, `path` names one file in it.',
    parameters: ['anyVisibility', 'innerPath', 'range', 'ifRange', 'ifNoneMatch'],
    answers: {
      200: {
        description: 'All of them.',
        schema: 'bytes',
        headers: ['ETag.content', 'Accept-Ranges', 'Content-Disposition', 'X-Content-Type-Options', 'Cache-Control'],
      },
      206: {
        description: 'The range that was asked for.',
        schema: 'bytes',
        headers: [
          'ETag.content',
          'Accept-Ranges',
          'Content-Range',
          'Content-Disposition',
          'X-Content-Type-Options',
          'Cache-Control',
        ],
      },
      304: { description: 'They are still those of If-None-Match.', headers: ['ETag.content', 'Cache-Control'] },
    },
    problems: ['not-found', 'object-missing', 'trashed', 'purged', 'range'],
  },
  {
    method: 'get',
    path: '/v1/files/{uid}/objects',
    id: 'listObjects',
    tag: 'Files',
    summary: 'List the objects behind a file record',
    parameters: ['limit', 'cursor'],
    answers: { 200: { description: 'A page.', schema: 'ObjectRowList', headers: ['Cache-Control'] } },
    problems: ['not-found', 'purged'],
  },
];

const TRASH: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/trash',
    id: 'listTrash',
    tag: 'Trash',
    summary: 'List what is in the trash',
    description: 'The last trashed first, with totals of every page together.',
    parameters: ['trashRegistry'],
    list: 'paged',
    answers: { 200: { description: 'A page.', schema: 'Trash', headers: LISTED } },
  },
  {
    method: 'delete',
    path: '/v1/trash',
    id: 'emptyTrash',
    tag: 'Trash',
    summary: 'Empty the trash',
    description:
      'Purges what is in the trash now and meets the criteria. What is held, referenced or restored meanwhile is skipped. There is no body.',
    needs: ['purge'],
    parameters: ['idempotencyKey', 'actor', 'reason', 'permanently', 'olderThan', 'trashRegistry', 'dryRun'],
    answers: {
      200: { description: 'With `dryRun=true`: what would go.', schema: 'TrashPreview' },
      202: {
        description: 'The operation that does it, at Location.',
        schema: 'Operation',
        headers: ['Location', 'Retry-After', 'X-Position', 'Idempotent-Replayed'],
      },
    },
    problems: ['malformed', 'confirmation-required', 'idempotency-mismatch', 'storage-full'],
  },
];

const BULK: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/bulk',
    id: 'changeMany',
    tag: 'Every record',
    summary: 'Trash, restore or purge many records',
    description:
      'Up to 1,000, in the order in which they come. Each is carried out or refused by itself: the answer is 200 and has one result a record, in the same order.',
    needs: ['write', 'purge', 'admin'],
    parameters: ['idempotencyKey', 'actor', 'reason'],
    body: {
      required: true,
      content: { [JSON_ONLY]: 'Bulk' },
      example: { action: 'trash', records: [{ registry: 'files', uid: 'heBmDcUZSbbsRR6dMz2r' }], reason: 'superseded' },
    },
    answers: {
      200: {
        description: 'What became of each.',
        schema: 'BulkResults',
        headers: ['X-Position', 'Idempotent-Replayed'],
      },
    },
    problems: ['idempotency-mismatch', ...BODY],
  },
];

const PURGES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/purges',
    id: 'listPurges',
    tag: 'Purges',
    summary: 'List purges',
    description: 'The last asked for first.',
    parameters: ['purgeState'],
    list: 'paged',
    answers: { 200: { description: 'A page.', schema: 'PurgeList', headers: LISTED } },
  },
  {
    method: 'get',
    path: '/v1/purges/{registry}/{uid}',
    id: 'getPurge',
    tag: 'Purges',
    summary: 'See how far a purge is',
    answers: { 200: { description: 'The purge.', schema: 'Purge', headers: ['Cache-Control'] } },
    problems: ['not-found'],
  },
  {
    method: 'post',
    path: '/v1/purges/{registry}/{uid}/retry',
    id: 'retryPurge',
    tag: 'Purges',
    summary: 'Try a failed or parked purge again',
    description: 'Now; or, with `{"storage": "keep"}`, ends it and lets the object lie.',
    needs: ['purge'],
    parameters: [...COMMAND, 'prefer'],
    body: { required: false, content: { [JSON_ONLY]: 'Retry' }, example: { storage: 'keep' } },
    answers: {
      200: {
        description: '`purged`, with its receipt.',
        schema: 'Deletion',
        headers: [...COMMANDED, 'Preference-Applied'],
      },
      202: { description: '`purging`: under way, at Location.', schema: 'Deletion', headers: ACCEPTED },
    },
    problems: ['not-found', 'revision-changed', 'referenced', ...WRITE, ...BODY],
  },
];

const OPERATIONS: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/operations',
    id: 'listOperations',
    tag: 'Operations',
    summary: 'List operations',
    description: 'The last begun first.',
    list: 'paged',
    answers: { 200: { description: 'A page.', schema: 'OperationList', headers: LISTED } },
  },
  {
    method: 'get',
    path: '/v1/operations/{id}',
    id: 'getOperation',
    tag: 'Operations',
    summary: 'See how far an operation is',
    answers: { 200: { description: 'The operation.', schema: 'Operation', headers: ['Cache-Control'] } },
    problems: ['not-found'],
  },
];

const SERVICE: readonly Route[] = [
  {
    method: 'get',
    path: '/health/live',
    id: 'getLiveness',
    tag: 'Service',
    summary: 'Whether the process runs',
    needs: [],
    answers: { 200: { description: 'It does.', schema: 'Live' } },
  },
  {
    method: 'get',
    path: '/health/ready',
    id: 'getReadiness',
    tag: 'Service',
    summary: 'Whether the service can do its work',
    needs: [],
    answers: {
      200: { description: 'It can.', schema: 'Ready', headers: ['Cache-Control'] },
      503: { description: 'It cannot; what is not ready is named.', schema: 'Ready', headers: ['Cache-Control'] },
    },
  },
  {
    method: 'get',
    path: '/openapi.json',
    id: 'getDocument',
    tag: 'Service',
    summary: 'This document',
    needs: [],
    answers: { 200: { description: 'OpenAPI 3.1.', schema: 'Json' } },
  },
];

const REGISTRIES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1',
    id: 'listRegistries',
    tag: 'Registries',
    summary: 'List the registries',
    answers: { 200: { description: 'All of them.', schema: 'RegistryList', headers: ['X-Position', 'Cache-Control'] } },
  },
];

/** @param withSchema the configured registries whose `data` has a JSON Schema: they get routes of their own */
export const routes = (withSchema: readonly string[]): Route[] => [
  ...REGISTRIES,
  ...FILES,
  ...CONTENT,
  ...DATASETS,
  ...STORAGES,
  ...plainRoutes('/v1/{registry}', 'Record', 'Records'),
  ...withSchema.flatMap((name) => plainRoutes(`/v1/${name}`, `_${name}`, `_${name}`, name)),
  ...EVERY_RECORD,
  ...TRASH,
  ...BULK,
  ...PURGES,
  ...OPERATIONS,
  ...AUDIT,
  ...SERVICE,
];
