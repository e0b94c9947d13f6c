import {
  ConfirmationRequired,
  Duplicate,
  Invalid,
  Purged,
  Referenced,
  Refusal,
  type Fault,
} from '../commands/refusals.js';

/** Each code of the contract with its status and title. */
export const PROBLEMS = {
  invalid: [422, 'Invalid input'],
  malformed: [400, 'Malformed request'],
  unauthenticated: [401, 'Not authenticated'],
  forbidden: [403, 'Forbidden'],
  'not-found': [404, 'Not found'],
  'object-missing': [404, 'Object missing'],
  'method-not-allowed': [405, 'Method not allowed'],
  'not-acceptable': [406, 'Not acceptable'],
  purged: [410, 'Purged'],
  'confirmation-required': [409, 'Confirmation required'],
  referenced: [409, 'Referenced'],
  'on-hold': [409, 'On hold'],
  'foreign-storage': [409, 'Foreign storage'],
  duplicate: [409, 'Duplicate'],
  trashed: [409, 'In the trash'],
  conflict: [409, 'Conflict'],
  'revision-changed': [412, 'Revision changed'],
  'too-large': [413, 'Too large'],
  'unsupported-media': [415, 'Unsupported media type'],
  range: [416, 'Range not satisfiable'],
  'not-trashable': [422, 'Not trashable'],
  'idempotency-mismatch': [422, 'Idempotency key used before'],
  'rate-limited': [429, 'Too many requests'],
  internal: [500, 'Internal error'],
  overloaded: [503, 'Overloaded'],
  'projection-behind': [503, 'Projection behind'],
  'store-unavailable': [503, 'Store unavailable'],
  'storage-full': [507, 'Storage full'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof PROBLEMS;

/** A refusal of the HTTP layer itself, or any other with what belongs into its answer. */
export class Problem extends Error {
  override readonly name = 'Problem';
  constructor(
    readonly code: ProblemCode,
    detail: string,
    readonly extra: Readonly<Record<string, unknown>> = {},
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
  }
}

/** A caller in this process has given a request up: what a connection that breaks is to one with a port. */
export class CallerGone extends Error {
  override readonly name = 'CallerGone';
  constructor() {
    super('The caller left before the end.');
  }
}

export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly correlationId: string;
  readonly errors?: readonly Fault[];
}

/** RFC 9457, with the contract's members. */
export const problemBody = (problem: Problem, correlationId: string): ProblemBody => {
  const [status, title] = PROBLEMS[problem.code];
  return {
    type: `urn:lethe:${problem.code}`,
    title,
    status,
    detail: problem.message,
    code: problem.code,
    correlationId,
    ...problem.extra,
  };
};

const RETRY = { 'Retry-After': '1' };

/** Whatever was thrown, as a problem. What nobody expected becomes `internal`, and says nothing of the inside. */
export const asProblem = (error: unknown): Problem => {
  if (error instanceof Problem) return error;
  if (error instanceof Refusal) return refused(error);
  // Nobody hears it, and nothing went wrong here. A stream that is aborted has why as its cause.
  if (error instanceof Error && error.cause instanceof CallerGone) return new Problem('malformed', error.cause.message);
  const name = error instanceof Error ? error.name : '';
  const message = error instanceof Error ? error.message : '';
  switch (name) {
    case 'Unavailable':
    case 'OutcomeUnknown':
    case 'Unreadable':
      return new Problem('store-unavailable', message, {}, RETRY);
    case 'Full':
      return new Problem('storage-full', message);
    case 'ProjectionBehind':
      return new Problem('projection-behind', message, {}, RETRY);
    case 'InvalidPath':
      return new Problem('invalid', message, { errors: [{ path: '/path', message }] });
    default:
      return (
        fromFastify(error) ??
        new Problem('internal', 'Something went wrong here. The correlation id finds it in the log.')
      );
  }
};

const refused = (error: Refusal): Problem => {
  const code = isCode(error.code) ? error.code : 'internal';
  if (error instanceof Invalid) return new Problem(code, error.message, { errors: error.errors });
  if (error instanceof Referenced) return new Problem(code, error.message, { by: error.by, count: error.count });
  if (error instanceof Duplicate) return new Problem(code, error.message, { by: error.by });
  if (error instanceof Purged)
    return new Problem(code, error.message, { tombstone: null }, { 'Cache-Control': 'no-store' });
  if (error instanceof ConfirmationRequired) return new Problem(code, error.message, { preview: null });
  return new Problem(code, error.message, {}, code === 'store-unavailable' ? RETRY : {});
};

const isCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code);

/** The HTTP server's own refusals carry a status; their shape is not ours, and some of their sentences help nobody. */
const fromFastify = (error: unknown): Problem | null => {
  if (typeof error !== 'object' || error === null) return null;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 0;
  const message = 'message' in error && typeof error.message === 'string' ? error.message : '';
  if (status === 413)
    return new Problem(
      'too-large',
      'The body is larger than this route takes (256 KiB; bytes go as multipart/form-data).',
    );
  if (status === 415 || code === 'FST_INVALID_MULTIPART_CONTENT_TYPE') return unsupported();
  // An id or a name of hundreds of characters is nobody's.
  if (status === 404 || code === 'FST_ERR_MAX_PARAM_LENGTH')
    return new Problem('not-found', 'There is nothing at this address.');
  if (status >= 400 && status < 500)
    return new Problem(
      'malformed',
      message === '' ? 'The request cannot be read.' : `The request cannot be read: ${message}`,
    );
  return null;
};

export const unsupported = (): Problem =>
  new Problem(
    'unsupported-media',
    'Send application/json (PATCH: also application/merge-patch+json; uploads: multipart/form-data).',
  );
