import { DURATION_PATTERN } from './duration.js';
import { EVENTS } from '../events/events.js';
import type { Schema } from './openapi.schemas.js';
import { WORDS } from './openapi.words.js';
import { DEFAULT_LIMIT, fieldsOf, MAX_LIMIT, OPERATORS, type Field } from './query-language.js';

/*
 * components/parameters and components/headers. The filters of lists are written from the table that the query language reads.
 */

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly description: string;
  readonly schema: Schema;
  readonly required?: true;
  readonly style?: 'form';
  readonly explode?: boolean;
}

const query = (name: string, description: string, schema: Schema): Parameter => ({
  name,
  in: 'query',
  description,
  schema,
});
const header = (name: string, description: string, schema: Schema): Parameter => ({
  name,
  in: 'header',
  description,
  schema,
});

const BOOLEAN: Schema = { type: 'boolean' };
const PRINTABLE: Schema = { type: 'string', pattern: '^[\\x20-\\x7e]{1,255}$' };

/** By the name that routes use. Those of the path are required, and stand in `pathParameters`. */
const PARAMETERS = {
  idempotencyKey: header(
    'Idempotency-Key',
    'Names this request among those of the same actor, method and path, for as long as the log lasts. ' +
      'A repeat is not carried out again: it answers what the first one did, with `Idempotent-Replayed: true`.',
    PRINTABLE,
  ),
  ifMatch: header(
    'If-Match',
    'A revision in quotes, as ETag gives it: the command is refused (412) where the record is at another.',
    { type: 'string', pattern: '^("[0-9]{1,15}"|\\*)$', examples: ['"3"'] },
  ),
  prefer: header(
    'Prefer',
    '`wait=<seconds>`, at most 30: waits so long for the purge to end before it answers 202. Other preferences are ignored.',
    { type: 'string', examples: ['wait=10'] },
  ),
  actor: header('X-Actor', 'Who does this. Without it, `anonymous`. Ignored where callers need an API key.', PRINTABLE),
  asOfRevision: query('revision', 'The record as it was after this event of its history.', {
    type: 'integer',
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
  }),
  asOfPosition: query('position', 'The record as it was at this place of the log.', {
    type: 'string',
    pattern: '^[0-9]{1,19}$',
  }),
  asOfTime: query('at', 'The record as it was at this time (RFC 3339): what counts from this very millisecond is in.', {
    type: 'string',
    format: 'date-time',
  }),
  listAsOf: query(
    'at',
    'What was so at this time (RFC 3339), visible or not, filtered and sorted by what was so then.',
    {
      type: 'string',
      format: 'date-time',
    },
  ),
  correlationId: header(
    'X-Correlation-Id',
    'Goes into the log, the history and the answer. Without it the service gives one.',
    PRINTABLE,
  ),
  minPosition: header(
    'X-Min-Position',
    "Another answer's X-Position: waits until the projection has reached it, at most some seconds (then 503 `projection-behind`).",
    { type: 'string', pattern: '^[0-9]{1,19}$' },
  ),
  range: header('Range', 'One range of bytes; anything else is answered with the whole content.', {
    type: 'string',
    examples: ['bytes=0-1023'],
  }),
  ifRange: header('If-Range', 'The ETag for which the range holds; for another the whole content comes.', {
    type: 'string',
  }),
  ifNoneMatch: header('If-None-Match', 'An ETag that the caller has: 304 where the content is still that.', {
    type: 'string',
  }),
  reason: query('reason', 'Why; goes into the log and the history.', {
    type: 'string',
    minLength: 1,
    maxLength: 1_000,
  }),
  permanent: query(
    'permanent',
    'true: purge. false: never purge, and so only the trash. Left out, a record in the trash needs a yes (409).',
    BOOLEAN,
  ),
  permanently: query(
    'permanent',
    'true: empty it, which cannot be undone. Otherwise nothing is purged, and the answer says what would be: 409, or 200 of a dry run.',
    BOOLEAN,
  ),
  wish: query(
    'storage',
    'What becomes of the object when the record is purged. Left out: a semantic key keeps its object, a virtual one does not.',
    { type: 'string', enum: ['keep', 'delete'] },
  ),
  dryRun: query('dryRun', 'true: nothing is written; the answer is what it would come to.', BOOLEAN),
  olderThan: query('olderThan', 'Only what was trashed longer ago: an ISO 8601 duration of weeks, days or less.', {
    type: 'string',
    pattern: DURATION_PATTERN,
    examples: ['P30D'],
  }),
  trashRegistry: query('registry', 'Only the records of this one.', { type: 'string', enum: ['files', 'datasets'] }),
  purgeState: {
    ...query('state', 'One or several, with commas.', {
      type: 'array',
      minItems: 1,
      items: { type: 'string', enum: ['pending', 'failed', 'parked', 'done', 'cancelled'] },
    }),
    style: 'form',
    explode: false,
  },
  anyVisibility: query('visibility', '`any`: also where the file is in the trash.', { type: 'string', const: 'any' }),
  innerPath: query('path', 'Of a folder: the path of one file in it.', { type: 'string', minLength: 1 }),
  auditActor: query('actor', 'Only what this one did.', { type: 'string' }),
  auditType: query('type', 'Only events of this type.', { type: 'string', enum: Object.keys(EVENTS) }),
  auditRegistry: query('registry', 'Only of the records of this registry.', { type: 'string' }),
  auditUid: query('uid', 'Only of the records with this uid.', { type: 'string' }),
  auditFrom: query('from', 'Only what happened then or later.', { type: 'string', format: 'date-time' }),
  auditTo: query('to', 'Only what happened before.', { type: 'string', format: 'date-time' }),
  auditCorrelation: query('correlationId', 'Only what came of this request.', { type: 'string' }),
  order: query('order', '`asc`: the oldest first.', { type: 'string', enum: ['asc', 'desc'], default: 'desc' }),
  after: query('after', 'A position: begins right behind it. Without it, with what happens next.', {
    type: 'string',
    pattern: '^[0-9]{1,18}$',
  }),
  lastEventId: header('Last-Event-ID', 'As `after`, and before it: browsers send it when they come back.', {
    type: 'string',
    pattern: '^[0-9]{1,18}$',
  }),
  limit: query('limit', 'How many on a page.', {
    type: 'integer',
    minimum: 1,
    maximum: MAX_LIMIT,
    default: DEFAULT_LIMIT,
  }),
  cursor: query('cursor', "`next` of this query's last page.", { type: 'string' }),
  count: query('count', 'true: the answer also says how many there are in all.', { type: 'boolean', default: false }),
  visibility: query(
    'visibility',
    '1 visible, 0 hidden, -1 in the trash; several with commas, or `any`. Visible ones by default, also where a uid is asked for.',
    { type: 'string', pattern: '^(any|(1|0|-1)(,(1|0|-1))*)$', default: '1' },
  ),
} as const satisfies Readonly<Record<string, Parameter>>;

export type ParameterName = keyof typeof PARAMETERS;

export const parameterRef = (name: string): { $ref: string } => ({ $ref: `#/components/parameters/${name}` });

/** The registries whose records can be asked for in different ways. */
export type Kind = 'files' | 'datasets' | 'plain';
const KINDS: readonly Kind[] = ['files', 'datasets', 'plain'];

/** The names of a list's parameters on its fields. */
export const filtersOf = (kind: Kind): string[] => [`sort.${kind}`, ...filters(kind).map(([name]) => name)];

export const parameters = (): Record<string, Parameter> => ({
  ...PARAMETERS,
  ...Object.fromEntries(KINDS.map((kind) => [`sort.${kind}`, sort(kind)])),
  ...Object.fromEntries(KINDS.flatMap(filters)),
});

const sort = (kind: Kind): Parameter => {
  const names = Object.entries(fieldsOf(kind)).flatMap(([name, { kind: of }]) => (of === 'member' ? [] : [name]));
  return {
    ...query('sort', 'Fields, each with a `-` before it to turn its order. `uid` is always the last.', {
      type: 'array',
      items: { type: 'string', enum: names.flatMap((name) => [name, `-${name}`]) },
      uniqueItems: true,
      default: ['-createdAt'],
    }),
    style: 'form',
    explode: false,
  };
};

/** `size` and `size[gte]` as `filter.size` and `filter.size.gte`. */
const filters = (kind: Kind): [string, Parameter][] =>
  Object.entries(fieldsOf(kind)).flatMap(([name, field]) => {
    const found: [string, Parameter][] = OPERATORS[field.kind].map((operator) => [
      `filter.${name}.${operator}`,
      filter(name, field, operator),
    ]);
    // Of what has no value of its own one can only ask whether it is there.
    return field.kind === 'presence' ? found : [[`filter.${name}`, filter(name, field, null)], ...found];
  });

const filter = (name: string, field: Field, operator: string | null): Parameter => {
  const one = valueSchema(field);
  const full = operator === null ? name : `${name}[${operator}]`;
  if (operator === 'in') {
    const many: Schema = { type: 'array', items: one, minItems: 1, maxItems: 1_000 };
    return { ...query(full, says(name, field, operator), many), style: 'form', explode: false };
  }
  return query(full, says(name, field, operator), operator === 'null' ? BOOLEAN : one);
};

const valueSchema = ({ kind }: Field): Schema => {
  switch (kind) {
    case 'number':
      return { type: 'integer', minimum: -999_999_999_999_999, maximum: 999_999_999_999_999 };
    case 'boolean':
      return BOOLEAN;
    case 'instant':
      return { type: 'string', format: 'date-time' };
    case 'text':
    case 'member':
    case 'presence':
      return { type: 'string' };
  }
};

const OPERATOR_WORDS: Readonly<Record<string, string>> = {
  ne: 'is not this, or is absent',
  gt: 'is greater',
  gte: 'is this or greater',
  lt: 'is less',
  lte: 'is this or less',
  in: 'is one of these; `\\,` is a comma within a value',
  startsWith: 'begins with this',
  contains: 'has this in it',
  null: 'true: is absent; false: is there',
};

const says = (name: string, { kind }: Field, operator: string | null): string => {
  if (kind === 'member') return `\`${name}\` has this uid among them.`;
  if (operator !== null) return `\`${name}\` ${OPERATOR_WORDS[operator] ?? operator}.`;
  const word = WORDS[name];
  return word === undefined ? `\`${name}\` is this.` : `\`${name}\` is this. ${word}`;
};

interface Header {
  readonly description: string;
  readonly schema: Schema;
}

export type HeaderName =
  | 'X-Correlation-Id'
  | 'X-Position'
  | 'ETag'
  | 'ETag.content'
  | 'Location'
  | 'Retry-After'
  | 'Idempotent-Replayed'
  | 'Preference-Applied'
  | 'Cache-Control'
  | 'Link'
  | 'Accept-Ranges'
  | 'Content-Range'
  | 'Content-Disposition'
  | 'X-Content-Type-Options'
  | 'WWW-Authenticate';

const TEXT: Schema = { type: 'string' };

export const HEADERS: Readonly<Record<HeaderName, Header>> = {
  'X-Correlation-Id': { description: "The request's own, or what the service gave it.", schema: TEXT },
  'X-Position': {
    description: 'The place in the log that this answer is of. Send it as X-Min-Position to read no older state.',
    schema: { type: 'string', pattern: '^[0-9]{1,19}$' },
  },
  ETag: { description: "The record's revision, in quotes.", schema: { type: 'string', pattern: '^"[0-9]+"$' } },
  'ETag.content': { description: 'Of the bytes: their hash, in quotes.', schema: TEXT },
  Location: { description: 'The path of what came of it.', schema: { type: 'string', format: 'uri-reference' } },
  'Retry-After': { description: 'In so many seconds.', schema: { type: 'string', pattern: '^[0-9]+$' } },
  'Idempotent-Replayed': {
    description: 'true: this was carried out before, and the answer is of then.',
    schema: { type: 'string', const: 'true' },
  },
  'Preference-Applied': { description: 'How long it was ready to wait.', schema: TEXT },
  'Cache-Control': { description: '`no-cache`, and `no-store` where a record is gone.', schema: TEXT },
  Link: { description: 'The next page, as `rel="next"`; absent on the last.', schema: TEXT },
  'Accept-Ranges': { description: '`bytes`.', schema: TEXT },
  'Content-Range': { description: 'Which bytes of how many.', schema: TEXT },
  'Content-Disposition': { description: 'An attachment, with its name.', schema: TEXT },
  'X-Content-Type-Options': { description: '`nosniff`.', schema: TEXT },
  'WWW-Authenticate': { description: '`Bearer`, with an `error` where a key was sent.', schema: TEXT },
};

export const headerRef = (name: HeaderName): { $ref: string } => ({ $ref: `#/components/headers/${name}` });
