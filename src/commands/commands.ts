import type { Fields, KeptWhy, Seen, StorageWish } from '../events/events.js';
import type { Json, Ref, Shown } from '../events/vocabulary.js';

/** What comes with every command, whoever sends it. */
export interface Envelope {
  /** From the caller's idempotency key, or new. */
  readonly commandId: string;
  /** Another call may carry the same command: its id follows from a key or a rule, and is not this call's own. */
  readonly repeatable: boolean;
  /** SHA-256 over the whole command, content included. */
  readonly hash: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly correlationId: string;
  /** The revision that the caller saw; null: whatever it is. */
  readonly ifMatch: number | null;
}

/** Registers a record at `ref`, which follows from the command's id (or, for a unique name, from the name). */
export class RegisterRecord {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly fields: Fields,
    readonly visibility: Shown,
    readonly seenAt: string | null,
  ) {}
}

/** `patch` holds the fields' new values, `data` of a plain record as an RFC 7396 merge patch. */
export class UpdateRecord {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly patch: Readonly<Record<string, Json>>,
  ) {}
}

/** DELETE without `permanent=true`. On a record in the trash, `permanent=false` does nothing and its absence asks for a confirmation. */
export class TrashRecord {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly permanent: false | null,
    readonly storage: StorageWish,
    readonly dryRun: boolean,
  ) {}
}

export class RestoreRecord {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly dryRun = false,
  ) {}
}

export class HoldRecord {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
  ) {}
}

export class ReleaseHold {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
  ) {}
}

/** DELETE with `permanent=true`, and every DELETE of a plain record. */
export class PurgeRecord {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly storage: StorageWish,
    readonly dryRun: boolean,
    /** A step of an operation: only if the record is still in the trash by the trashing at this revision. */
    readonly step: { readonly operation: string; readonly trashing: number } | null = null,
  ) {}
}

/** Asks whether a call that is carried out as many commands, all with its one command id, came before with another content. */
export class RecogniseRepeat {
  constructor(
    readonly commandId: string,
    /** All that the call names. */
    readonly named: readonly Ref[],
    /** Those of them that can be records. */
    readonly steps: readonly { readonly ref: Ref; readonly envelope: Envelope }[],
  ) {}
}

export class RetryPurge {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly storage: 'keep' | null,
  ) {}
}

/** Takes back the event at this revision of the record, which came to point at what was going already: at `targets`. */
export class WithdrawEvent {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly revision: number,
    readonly targets: readonly Ref[],
  ) {}
}

/** What the purge saga reports of a step, for the request that it acted on. */
export type PurgeStep =
  | { readonly step: 'cancel'; readonly by: readonly Ref[] }
  | { readonly step: 'keep'; readonly why: KeptWhy; readonly by: readonly Ref[] }
  | { readonly step: 'start'; readonly seen: Seen | null }
  | { readonly step: 'fail'; readonly attempt: number; readonly error: string; readonly waitMs: number | null }
  | { readonly step: 'deleted'; readonly objects: number; readonly bytes: number; readonly changed: boolean }
  | { readonly step: 'end' };

export class ReportPurgeStep {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly request: number,
    readonly report: PurgeStep,
  ) {}
}
