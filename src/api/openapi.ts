import { readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { BUILT_IN_PLAIN, TRASHABLE } from '../events/vocabulary.js';
import { ACCESS_WORDS, secured, SECURITY_SCHEMES, securityOf } from './openapi.access.js';
import {
  filtersOf,
  headerRef,
  HEADERS,
  parameterRef,
  parameters,
  type HeaderName,
  type Parameter,
  type ParameterName,
} from './openapi.parameters.js';
import { TAGS, type Answer, type Body, type Route } from './openapi.route.js';
import { routes } from './openapi.routes.js';
import { dataComponent, schemaRef, schemas, type Schema } from './openapi.schemas.js';
import { PROBLEM_WORDS } from './openapi.words.js';
import { PROBLEMS, type ProblemCode } from './problem.js';

type Configured = Readonly<Record<string, { readonly schema?: Schema | undefined }>>;

/**
 * Serves the OpenAPI document at `/openapi.json`, open to all. It is written when it is first asked for.
 * @param hasKeys whether callers need an API key
 */
export const installOpenApi = (server: FastifyInstance, registries: Configured, hasKeys: boolean): void => {
  let written: string | null = null;
  server.get('/openapi.json', { config: { needs: 'nothing' } }, async (_, reply) => {
    written ??= JSON.stringify(openApiDocument(registries, hasKeys));
    return reply.type('application/json; charset=utf-8').send(written);
  });
};

/**
 * @param registries as the configuration names them
 * @param hasKeys whether callers need an API key
 */
const openApiDocument = (registries: Configured, hasKeys: boolean): object => {
  const withSchema: Record<string, Schema> = {};
  for (const [name, { schema }] of Object.entries(registries)) if (schema !== undefined) withSchema[name] = schema;
  const all = routes(Object.keys(withSchema)).map((route) => (hasKeys ? secured(route) : route));
  return {
    openapi: '3.1.0',
    info: {
      title: 'Lethe',
      version: version(),
      license: { name: 'Apache-2.0' },
      description: hasKeys ? INTRODUCTION + ACCESS_WORDS : INTRODUCTION,
    },
    servers: [{ url: '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: paths(all, hasKeys),
    components: {
      ...(hasKeys && { securitySchemes: SECURITY_SCHEMES }),
      schemas: schemas(withSchema),
      parameters: { ...parameters(), ...pathParameters(Object.keys(registries), Object.keys(withSchema)) },
      headers: HEADERS,
      responses: Object.fromEntries(all.flatMap(problemsOf).map((codes) => [problemName(codes), problem(codes)])),
    },
  };
};

const version = (): string => {
  const file = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(file)).version;
};

const INTRODUCTION = `
An event-sourced registry service for data files: trash first, purge on purpose, and a file with a semantic key outlives its record.

**Commands** answer \`{outcome, record, warnings}\` with \`ETag: "<revision>"\` and \`X-Position\`. Each takes \`Idempotency-Key\`,
\`reason\`, \`X-Correlation-Id\` and \`X-Min-Position\`, one on one record also \`If-Match\`. Without keys for callers the actor is \`X-Actor\`, or \`anonymous\`.

**Lists** answer \`{items, next, position}\`, with \`count=true\` also \`total\`. \`next\` is the \`cursor\` of the next page. Times are
RFC 3339, written in UTC with milliseconds, read with any offset.

**Errors** are \`application/problem+json\` (RFC 9457), every one. \`code\` is what programs compare:

| code | status | meaning |
| --- | --- | --- |
${Object.entries(PROBLEM_WORDS)
  .map(
    ([code, meaning]) =>
      `| \`${code}\` | ${Object.entries(PROBLEMS).find(([known]) => known === code)?.[1][0] ?? ''} | ${meaning} |`,
  )
  .join('\n')}

\`HEAD\` works wherever \`GET\` does. A path's other methods are 405, with \`Allow\`.`.trim();

const paths = (all: readonly Route[], hasKeys: boolean): Record<string, Record<string, object>> => {
  const found: Record<string, Record<string, object>> = {};
  for (const route of all) found[route.path] = { ...found[route.path], [route.method]: operation(route, hasKeys) };
  return found;
};

const operation = (route: Route, hasKeys: boolean): object => ({
  operationId: route.id,
  tags: [route.tag],
  summary: route.summary,
  ...(route.description !== undefined && { description: route.description }),
  ...(hasKeys && { security: securityOf(route) }),
  parameters: parametersOf(route).map(parameterRef),
  ...(route.body !== undefined && { requestBody: requestBody(route.body) }),
  responses: responses(route),
});

/** Whether a route asks for records: what does not needs no right either, and has nothing to wait for. */
const asksForRecords = ({ needs }: Route): boolean => needs?.length !== 0;

/** What every request may say. */
const everywhere = (route: Route): readonly ParameterName[] =>
  asksForRecords(route) ? ['correlationId', 'minPosition'] : ['correlationId'];
const PAGES: readonly ParameterName[] = ['limit', 'cursor', 'count'];

const parametersOf = (route: Route): string[] => {
  const { path, parameters = [], list } = route;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) =>
    // A plain registry's own routes; those of the others stand by themselves.
    name === 'registry' && /^\/v1\/\{registry\}(\/\{uid\})?$/.test(path) ? 'path.plain' : `path.${name}`,
  );
  const filters = list === undefined || list === 'paged' ? [] : filtersOf(list);
  const trashable = list === 'files' || list === 'datasets';
  const paging = list === undefined ? [] : PAGES;
  return [...inPath, ...parameters, ...paging, ...(trashable ? ['visibility'] : []), ...filters, ...everywhere(route)];
};

/** @param withSchema of those that are configured: like the storages they have routes of their own */
const pathParameters = (configured: readonly string[], withSchema: readonly string[]): Record<string, Parameter> => {
  const inPath = (name: string, description: string, schema: Schema): Parameter => ({
    name,
    in: 'path',
    required: true,
    description,
    schema,
  });
  const registries = [...TRASHABLE, ...BUILT_IN_PLAIN, ...configured];
  const apart = [...TRASHABLE, 'storages', ...withSchema];
  const plain = registries.filter((name) => !apart.includes(name));
  return {
    'path.plain': inPath('registry', 'A plain registry.', { type: 'string', enum: plain }),
    'path.registry': inPath('registry', 'A registry.', { type: 'string', enum: registries }),
    'path.uid': inPath('uid', "The record's uid.", schemaRef('Uid')),
    'path.id': inPath('id', "The operation's id.", schemaRef('Uid')),
  };
};

const requestBody = ({ required, content, example, dataOf }: Body): object => ({
  required,
  content: Object.fromEntries(
    Object.entries(content).map(([media, name]) => [
      media,
      media === 'multipart/form-data'
        ? { schema: uploadBody }
        : { schema: withData(schemaRef(name), dataOf), ...(example !== undefined && { example }) },
    ]),
  ),
});

/** A registry's own JSON Schema beside what every plain record takes. */
const withData = (schema: Schema, dataOf: string | undefined): Schema =>
  dataOf === undefined
    ? schema
    : { ...schema, properties: { data: { $ref: `#/components/schemas/${dataComponent(dataOf)}` } } };

const uploadBody: Schema = {
  type: 'object',
  description: 'The parts in this order.',
  required: ['metadata', 'content'],
  properties: {
    metadata: schemaRef('UploadMetadata'),
    content: {
      description: 'The bytes, as a part with a filename or as application/octet-stream.',
      type: 'string',
      format: 'binary',
    },
  },
};

/** What can come wherever one asks. */
const ALWAYS: readonly ProblemCode[] = [
  'malformed',
  'forbidden',
  'invalid',
  // An address and headers above what the server reads, whatever is asked for.
  'too-large',
  'internal',
];
/** What can come as well where one asks for records. */
const OF_RECORDS: readonly ProblemCode[] = ['projection-behind', 'store-unavailable'];

/** The problems of a route, those of one status together. */
const problemsOf = (route: Route): ProblemCode[][] => {
  const byStatus = new Map<number, ProblemCode[]>();
  const ofRecords = asksForRecords(route) ? OF_RECORDS : [];
  for (const code of new Set([...ALWAYS, ...ofRecords, ...(route.problems ?? [])])) {
    const status = PROBLEMS[code][0];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code].sort());
  }
  return [...byStatus.values()];
};

const statusOf = ([code]: readonly ProblemCode[]): number => (code === undefined ? 500 : PROBLEMS[code][0]);

/** The component that says so: routes with the same problems share it. */
const problemName = (codes: readonly ProblemCode[]): string => `${statusOf(codes)}.${codes.join('.')}`;

const OF_STATUS: Readonly<Record<number, readonly HeaderName[]>> = {
  401: ['WWW-Authenticate'],
  410: ['Cache-Control'],
  416: ['Content-Range', 'ETag', 'Cache-Control'],
  503: ['Retry-After'],
};

const problem = (codes: readonly ProblemCode[]): object => ({
  description: codes.map((code) => `\`${code}\`: ${PROBLEM_WORDS[code]}.`).join(' '),
  headers: headers(OF_STATUS[statusOf(codes)] ?? []),
  content: problemContent(codes),
});

const problemContent = (codes: readonly ProblemCode[]): object => ({
  'application/problem+json': { schema: { ...schemaRef('Problem'), properties: { code: { enum: [...codes] } } } },
});

const responses = (route: Route): Record<string, object> => {
  const found: Record<string, object> = {};
  const refused = new Map(problemsOf(route).map((codes) => [statusOf(codes), codes]));
  for (const [status, codes] of refused) found[status] = { $ref: `#/components/responses/${problemName(codes)}` };
  for (const [status, answer] of Object.entries(route.answers)) {
    found[status] = response(answer, refused.get(Number(status)) ?? []);
  }
  return found;
};

/** An answer, and the problems that come with the same status. */
const response = (
  { description, schema, texts = [], headers: named = [] }: Answer,
  codes: readonly ProblemCode[],
): object => ({
  description,
  headers: headers(named),
  ...((schema !== undefined || texts.length > 0) && {
    content: {
      ...(schema !== undefined && content(schema)),
      ...Object.fromEntries(texts.map((media) => [media, { schema: { type: 'string' } }])),
      ...(codes.length > 0 && problemContent(codes)),
    },
  }),
});

const content = (schema: NonNullable<Answer['schema']>): object =>
  schema === 'bytes'
    ? { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } }
    : { 'application/json': { schema: schemaRef(schema) } };

const headers = (named: readonly HeaderName[]): object =>
  Object.fromEntries(
    ['X-Correlation-Id' as const, ...named].map((name) => [name === 'ETag.content' ? 'ETag' : name, headerRef(name)]),
  );
