import type { Right } from './keys.js';
import type { HeaderName, Kind, ParameterName } from './openapi.parameters.js';
import type { SchemaName } from './openapi.schemas.js';
import type { ProblemCode } from './problem.js';

/*
 * What the document says of one route, in plain data. What holds for all of them (the correlation id, problems that can always come) is
 * added where the document is put together.
 */

export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  readonly path: string;
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly description?: string;
  /** The rights that it may take. Left out: `read` to GET, `write` for the others. */
  readonly needs?: readonly Right[];
  readonly parameters?: readonly ParameterName[];
  /** A list: paging, and the filters of these fields. */
  readonly list?: 'paged' | Kind;
  readonly body?: Body;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Beside those of every route. */
  readonly problems?: readonly ProblemCode[];
}

export interface Body {
  readonly required: boolean;
  readonly content: Readonly<Record<string, SchemaName>>;
  readonly example?: unknown;
  /** The registry whose JSON Schema the member `data` must meet. */
  readonly dataOf?: string;
}

export interface Answer {
  readonly description: string;
  /** `bytes`: application/octet-stream. Left out: no body. */
  readonly schema?: SchemaName | 'bytes';
  /** Other media types that the same comes as, if the caller asks for them: text each. */
  readonly texts?: readonly string[];
  readonly headers?: readonly HeaderName[];
}

export const TAGS = {
  Registries: 'Named sets of records. `files` and `datasets` have a trash; the others are plain.',
  Files: 'A record for a file, or for a folder of them, and the bytes behind it.',
  Datasets: 'Named sets of files.',
  Storages: 'Where objects lie.',
  Records: 'Plain records: users, transforms, runs, labels, and the registries that the configuration adds.',
  'Every record': 'What can be done with a record of any registry.',
  Trash: 'What was put away, and can be brought back until it is purged.',
  Purges: 'How far the purges are.',
  Operations: 'Long work.',
  Audit: 'Every event: who did what, when and why.',
  Service: 'The service itself.',
} as const;

/* What many routes have in common. */
export const JSON_ONLY = 'application/json';
export const COMMAND = ['idempotencyKey', 'ifMatch', 'actor', 'reason'] as const;
export const COMMANDED = ['ETag', 'X-Position', 'Idempotent-Replayed'] as const;
export const REGISTERED = [...COMMANDED, 'Location'] as const;
export const ACCEPTED = [...COMMANDED, 'Location', 'Retry-After', 'Preference-Applied'] as const;
export const LISTED = ['X-Position', 'Cache-Control', 'Link'] as const;

export const BODY: readonly ProblemCode[] = ['malformed', 'too-large', 'unsupported-media'];
export const WRITE: readonly ProblemCode[] = ['conflict', 'idempotency-mismatch', 'storage-full'];
export const CHANGE: readonly ProblemCode[] = ['not-found', 'purged', 'revision-changed', ...WRITE];
