import type { StorageWish } from '../events/events.js';
import type { Ref } from '../events/vocabulary.js';
import type { AsOf } from './as-of.js';
import type { Collection, Condition, Find } from '../storage/read-model/port.js';

/** One record's row, and its purge's if it has one, once the model has reached a position that the caller knows of. */
export class GetRecord {
  constructor(
    readonly ref: Ref,
    readonly position = 0,
  ) {}
}

/** Rows of one collection; `count` asks for the number of all that match as well. */
export class ListRows<C extends Collection = Collection> {
  constructor(
    readonly collection: C,
    readonly find: Find,
    readonly count: boolean,
  ) {}
}

/** One record as it was at a moment. */
export class GetRecordAsOf {
  constructor(
    readonly ref: Ref,
    readonly asOf: AsOf,
  ) {}
}

/** Records as they were at a time, in UTC with milliseconds. */
export class ListRecordsAsOf {
  constructor(
    readonly find: Find,
    readonly count: boolean,
    readonly at: string,
  ) {}
}

export class GetOperation {
  constructor(
    readonly id: string,
    /** Of its start, where the caller knows it: another process may have appended it. */
    readonly position = 0n,
  ) {}
}

/** What a purge of this record would do now. */
export class PreviewPurge {
  constructor(
    readonly ref: Ref,
    readonly storage: StorageWish,
  ) {}
}

/**
 * A purge of a record, once it has ended, is parked or was called off, or when `waitMs` are over. One that was called off is told so,
 * whatever was asked for since.
 */
export class AwaitPurge {
  constructor(
    readonly ref: Ref,
    readonly waitMs: number,
    /** Of the request, where the caller knows it: another process, or this one a moment ago, may have appended it. */
    readonly position = 0,
    /** The revision of the request; null: that of the latest. */
    readonly request: number | null = null,
  ) {}
}

/** What purging all that these conditions name in the trash would free now. */
export class TrashTotals {
  constructor(readonly where: readonly Condition[]) {}
}

/** Records and bytes by group, how far the projection is, and what purges wait. */
export class GetStats {}

/** Live records by registry, with the visibility 1. */
export class CountVisible {}

/** Whether a record is its line's latest version. Alone in its line it always is, and then nothing is waited for. */
export class IsLatest {
  constructor(
    readonly ref: Ref,
    /** Where the caller saw it. */
    readonly position: number,
    /** It names an initial version. */
    readonly inLine: boolean,
    /** Whether it was so where the caller saw it, and not whether it is now. */
    readonly then = false,
  ) {}
}
