import type { PreviewAnswer, ProblemAnswer, PurgeAnswer, Ref, Tombstone, Totals } from './answers.js';
import { isPreview, isPurge, isRefs, isTombstone, isTotals } from './shapes.js';

/** A refusal or failure, as the service said it: `detail` is a sentence that says what to do, and `message` has all that is wrong. One class for each code. */
export class LetheError extends Error {
  constructor(
    /** The whole answer (RFC 9457). */
    readonly problem: ProblemAnswer,
    options?: ErrorOptions,
  ) {
    super(sentenceOf(problem), options);
  }

  /** The name of the code's class, spelt from the code: a bundler may have renamed the class. */
  override get name(): string {
    return this.code.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  }
  get code(): string {
    return this.problem.code;
  }
  /** The HTTP status; 0 where there was no answer. */
  get status(): number {
    return this.problem.status;
  }
  get detail(): string {
    return this.problem.detail;
  }
  /** Finds the request in the service's log. */
  get correlationId(): string {
    return this.problem.correlationId;
  }
  /** For bad input: what is wrong where. */
  get errors(): readonly { readonly path: string; readonly message: string }[] {
    return this.problem.errors ?? [];
  }
}

/** The detail, and for bad input what is wrong where: an error that ends a program is seen by its message alone. */
const sentenceOf = ({ detail, errors = [] }: ProblemAnswer): string =>
  [detail, ...errors.map(({ path, message }) => `${path}: ${message}`)].join('\n  ');

/** An error about records that are in the way. */
class WithRecords extends LetheError {
  /** The first hundred. */
  get by(): readonly Ref[] {
    const by = this.problem['by'];
    return isRefs(by) ? by : [];
  }
}

/** @public */ export class Invalid extends LetheError {}
/** @public */ export class Malformed extends LetheError {}
/** @public */ export class Unauthenticated extends LetheError {}
/** @public */ export class Forbidden extends LetheError {}
export class NotFound extends LetheError {}
/** @public */ export class ObjectMissing extends LetheError {}
/** @public */ export class MethodNotAllowed extends LetheError {}
/** @public */ export class NotAcceptable extends LetheError {}
/** @public */ export class OnHold extends LetheError {}
/** @public */ export class ForeignStorage extends LetheError {}
/** @public */ export class Trashed extends LetheError {}
/** @public */ export class Conflict extends LetheError {}
/** @public */ export class RevisionChanged extends LetheError {}
/** @public */ export class TooLarge extends LetheError {}
/** @public */ export class UnsupportedMedia extends LetheError {}
/** @public */ export class RangeNotSatisfiable extends LetheError {
  override get name(): string {
    return 'RangeNotSatisfiable';
  }
}
/** @public */ export class NotTrashable extends LetheError {}
/** @public */ export class IdempotencyMismatch extends LetheError {}
/** @public */ export class RateLimited extends LetheError {}
/** @public */ export class Internal extends LetheError {}
/** @public */ export class Overloaded extends LetheError {}
/** @public */ export class ProjectionBehind extends LetheError {}
/** @public */ export class StorageFull extends LetheError {}

/** A store is down; or a purge is parked for a person. */
export class StoreUnavailable extends LetheError {
  /** The parked purge; null where it is about none. */
  get purge(): PurgeAnswer | null {
    return purgeIn(this.problem);
  }
}

/** Other records point to it. */
export class Referenced extends WithRecords {
  /** The purge that was called off; null where the call itself was refused. */
  get purge(): PurgeAnswer | null {
    return purgeIn(this.problem);
  }
}

const purgeIn = ({ purge }: ProblemAnswer): PurgeAnswer | null => (isPurge(purge) ? purge : null);

/** @public */ export class Duplicate extends WithRecords {}

/** A purge that needs a yes. */
export class ConfirmationRequired extends LetheError {
  /** What would be purged, of one record. */
  get preview(): PreviewAnswer | null {
    const preview = this.problem['preview'];
    return isPreview(preview) ? preview : null;
  }
  /** How much would be purged, of the trash. */
  get totals(): Totals | null {
    const totals = this.problem['totals'];
    return isTotals(totals) ? totals : null;
  }
}

/** Purged, or about to be. */
export class Purged extends LetheError {
  get tombstone(): Tombstone | null {
    const tombstone = this.problem['tombstone'];
    return isTombstone(tombstone) ? tombstone : null;
  }
}

/** No answer came: nothing listens there, or the connection broke. A command may or may not have been carried out. */
export class Unreachable extends LetheError {
  constructor(url: string, cause: unknown, note = '') {
    super(made('unreachable', 'No answer', `${url} does not answer: ${reasonOf(cause)}${note}`), { cause });
  }
}

/** A record's `data` is not what the caller's schema says. */
export class UnexpectedData extends LetheError {
  constructor({ registry, uid }: Ref, messages: readonly string[]) {
    super(
      made(
        'unexpected-data',
        'Unexpected data',
        `The data of ${registry}/${uid} is not as the schema given here says: ${messages.join('; ')}`,
      ),
    );
  }
}

/** An answer that is none of Lethe's. */
export class NotLethe extends LetheError {
  constructor(
    url: string,
    /** The status of that answer. */
    readonly answered: number,
  ) {
    super(
      made(
        'unexpected-answer',
        'Unexpected answer',
        `${url} answered with ${answered}, and not as Lethe does. Is it one?`,
      ),
    );
  }
  override get name(): string {
    return 'NotLethe';
  }
}

const CLASSES: Readonly<Record<string, new (problem: ProblemAnswer) => LetheError>> = {
  invalid: Invalid,
  malformed: Malformed,
  unauthenticated: Unauthenticated,
  forbidden: Forbidden,
  'not-found': NotFound,
  'object-missing': ObjectMissing,
  'method-not-allowed': MethodNotAllowed,
  'not-acceptable': NotAcceptable,
  purged: Purged,
  'confirmation-required': ConfirmationRequired,
  referenced: Referenced,
  'on-hold': OnHold,
  'foreign-storage': ForeignStorage,
  duplicate: Duplicate,
  trashed: Trashed,
  conflict: Conflict,
  'revision-changed': RevisionChanged,
  'too-large': TooLarge,
  'unsupported-media': UnsupportedMedia,
  range: RangeNotSatisfiable,
  'not-trashable': NotTrashable,
  'idempotency-mismatch': IdempotencyMismatch,
  'rate-limited': RateLimited,
  internal: Internal,
  overloaded: Overloaded,
  'projection-behind': ProjectionBehind,
  'store-unavailable': StoreUnavailable,
  'storage-full': StorageFull,
};

/** A problem as the error of its code; a code that this client does not know yet is a plain LetheError. */
export const errorOf = (problem: ProblemAnswer): LetheError => {
  const known = Object.hasOwn(CLASSES, problem.code) ? CLASSES[problem.code] : undefined;
  return known === undefined ? new LetheError(problem) : new known(problem);
};

/** What the service would say, where there is no need to ask it. */
export const notFound = (detail: string): NotFound => new NotFound(made('not-found', 'Not found', detail, 404));

/** Input that cannot be sent as it is. @param faults with JSON Pointers, as the service names them */
export const invalid = (faults: readonly { readonly path: string; readonly message: string }[]): Invalid =>
  new Invalid({
    ...made('invalid', 'Invalid input', 'The data is not as the schema given here says; nothing was sent.', 422),
    errors: [...faults],
  });

/** How a purge ended that did not end as it was asked for. */
export const parked = (purge: PurgeAnswer): StoreUnavailable =>
  new StoreUnavailable({
    ...made(
      'store-unavailable',
      'Store unavailable',
      `The purge of ${purge.registry}/${purge.uid} is parked after ${purge.attempts} attempts: ${purge.error ?? 'unknown'}. Mend that, then retry the purge.`,
      503,
    ),
    purge,
  });

/** As `parked`. */
export const calledOff = (purge: PurgeAnswer): Referenced =>
  new Referenced({
    ...made(
      'referenced',
      'Referenced',
      `The purge of ${purge.registry}/${purge.uid} was called off: another record came to point at it. Change that one first.`,
      409,
    ),
    by: purge.by,
    count: purge.by.length,
    purge,
  });

const made = (code: string, title: string, detail: string, status = 0): ProblemAnswer => ({
  type: `urn:lethe:${code}`,
  title,
  status,
  detail,
  code,
  correlationId: '',
});

/** `fetch` says "fetch failed" and hides why in the cause. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error.cause === undefined ? error.message : reasonOf(error.cause);
};
