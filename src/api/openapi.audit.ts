import { LISTED, type Route } from './openapi.route.js';

/* The routes that show all events together, and the whole in numbers. */

const FILTERS = [
  'auditActor',
  'auditType',
  'auditRegistry',
  'auditUid',
  'auditFrom',
  'auditTo',
  'auditCorrelation',
] as const;

export const AUDIT: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/audit',
    id: 'listEvents',
    tag: 'Audit',
    summary: 'List every event',
    description:
      'The newest first. With `Accept: application/x-ndjson` or `text/csv` all of them come as an attachment, up to the X-Position that it begins with.',
    parameters: [...FILTERS, 'order'],
    list: 'paged',
    answers: {
      200: {
        description: 'A page, or all of them.',
        schema: 'EventList',
        texts: ['application/x-ndjson', 'text/csv'],
        headers: [...LISTED, 'Content-Disposition', 'X-Content-Type-Options'],
      },
    },
    problems: ['not-acceptable'],
  },
  {
    method: 'get',
    path: '/v1/events',
    id: 'followEvents',
    tag: 'Audit',
    summary: 'Follow events as they happen',
    description:
      'Server-Sent Events: `id` is the position, `event` the type, `data` the same row as elsewhere. A comment comes every 15 s. There is no HEAD.',
    parameters: [...FILTERS, 'after', 'lastEventId'],
    answers: {
      200: {
        description: 'They come until one of the two leaves.',
        texts: ['text/event-stream'],
        headers: ['X-Position', 'Cache-Control'],
      },
    },
    problems: ['not-acceptable', 'method-not-allowed'],
  },
  {
    method: 'get',
    path: '/v1/stats',
    id: 'getStats',
    tag: 'Service',
    summary: 'Count records and bytes',
    description: 'By registry, suffix and visibility; with how far the projection is behind the log, and the purges.',
    answers: { 200: { description: 'The numbers.', schema: 'Stats', headers: ['X-Position', 'Cache-Control'] } },
  },
  {
    method: 'get',
    path: '/metrics',
    id: 'getMetrics',
    tag: 'Service',
    summary: 'Measure the service, for Prometheus',
    answers: { 200: { description: 'The text format.', texts: ['text/plain'], headers: ['Cache-Control'] } },
  },
];
