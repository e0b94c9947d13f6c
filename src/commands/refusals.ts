import type { RecordState } from '../events/record.js';
import type { Ref } from '../events/vocabulary.js';

/**
 * Why a command was not carried out. `code` is the contract's word; the HTTP layer alone knows which status goes with it.
 * Where several reasons hold, they come in the contract's order (section 2).
 */
export abstract class Refusal extends Error {
  abstract readonly code: string;
  override get name(): string {
    return this.constructor.name;
  }
}

export interface Fault {
  /** A JSON Pointer into the body, or the query parameter's name after `?`. */
  readonly path: string;
  readonly message: string;
}

export class Invalid extends Refusal {
  readonly code = 'invalid';
  constructor(readonly errors: readonly Fault[]) {
    super(`${errors.length === 1 ? '1 field is' : `${errors.length} fields are`} wrong; nothing was written.`);
  }
}

export class NotFound extends Refusal {
  readonly code: 'not-found' | 'object-missing';
  constructor(what: string, code: 'not-found' | 'object-missing' = 'not-found') {
    super(what);
    this.code = code;
  }
}

/** Purged, or about to be: the record answers with its tombstone. */
export class Purged extends Refusal {
  readonly code = 'purged';
  constructor(readonly record: RecordState) {
    super(
      `This record ${record.purge?.ended ? 'was purged' : 'is being purged'}. Its history stays at /v1/${record.registry}/${record.uid}/history.`,
    );
  }
}

export class RevisionChanged extends Refusal {
  readonly code = 'revision-changed';
  constructor(
    readonly expected: number,
    readonly actual: number,
  ) {
    super(`The record is at revision ${actual}, not ${expected}. Read it again and decide anew.`);
  }
}

export class OnHold extends Refusal {
  readonly code = 'on-hold';
  constructor(hold: NonNullable<RecordState['hold']>) {
    super(
      `The record is on hold since ${hold.at} by ${hold.by}${hold.reason === null ? '' : ` (${hold.reason})`}. Release the hold before purging it.`,
    );
  }
}

export class Referenced extends Refusal {
  readonly code = 'referenced';
  constructor(
    /** The first hundred. */
    readonly by: readonly Ref[],
    readonly count: number,
  ) {
    super(
      `${count === 1 ? 'A live record points' : `${count} live records point`} to this one. Purge or change them first.`,
    );
  }
}

export class ForeignStorage extends Refusal {
  readonly code = 'foreign-storage';
  constructor(storage: string) {
    super(
      `The storage ${storage} is not managed by this service: it reads what lies there, and never writes or deletes it.`,
    );
  }
}

/** A purge that needs a yes. The HTTP layer adds what it would do. */
export class ConfirmationRequired extends Refusal {
  readonly code = 'confirmation-required';
}

export class NotTrashable extends Refusal {
  readonly code = 'not-trashable';
  constructor(registry: string) {
    super(`Records of ${registry} have no trash: DELETE purges them. Leave out permanent=false.`);
  }
}

export class InTrash extends Refusal {
  readonly code = 'trashed';
  constructor(what: string) {
    super(`The record is in the trash. Restore it before you ${what}.`);
  }
}

export class Conflict extends Refusal {
  readonly code = 'conflict';
}

export class Duplicate extends Refusal {
  readonly code = 'duplicate';
  constructor(
    message: string,
    readonly by: readonly Ref[],
  ) {
    super(message);
  }
}

export class Forbidden extends Refusal {
  readonly code = 'forbidden';
}

export class IdempotencyMismatch extends Refusal {
  readonly code = 'idempotency-mismatch';
  constructor() {
    super('This Idempotency-Key was used for another request. Use a new key for a new request.');
  }
}

/** A store that the command needs cannot be used now. Nothing was written. */
export class StoreUnavailable extends Refusal {
  readonly code = 'store-unavailable';
}
