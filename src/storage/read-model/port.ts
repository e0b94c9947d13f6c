import type { KeptWhy } from '../../events/events.js';
import type { Purge, RecordState } from '../../events/record.js';
import type { Json, Ref } from '../../events/vocabulary.js';
import type { Position } from '../event-store/port.js';

/**
 * What is visible now: collections of documents that follow from the log, with the position up to which they do. It can be thrown
 * away and built again. Documents are JSON; each has a key of its own. What reads, reads one moment of it.
 */
export interface ReadModel {
  /** The position up to which every event is in; `0n` when none is. */
  checkpoint(): Promise<Position>;

  /**
   * Writes the rows (each takes the place of the one with its key) and moves the checkpoint from `from` to `to`: all of it or nothing,
   * and only if the checkpoint is still `from`. What a projector read while the checkpoint was `from` is therefore what it writes upon.
   *
   * @throws CheckpointMoved: another projector was here, or this is a repeat; nothing was written. Full, Unavailable: nothing was written.
   * OutcomeUnknown: all of it may be in, or nothing; the checkpoint says which.
   */
  apply(changes: Changes, from: Position, to: Position): Promise<void>;

  /** The rows with these keys, in no order; those that do not exist are left out. */
  get<C extends Collection>(collection: C, keys: readonly Key[]): Promise<Rows[C][]>;

  /** The rows that meet every condition, sorted, from the first one after `after`, at most `limit` (1 to 1,001). */
  find<C extends Collection>(collection: C, query: Find): Promise<Rows[C][]>;

  /** How many rows meet every condition, and the sum of their numbers at `sum` (absent ones count as 0). */
  total(collection: Collection, where: readonly Condition[], sum?: string): Promise<{ rows: number; sum: number }>;

  /**
   * Says that very many batches follow: indexes that only callers' queries need may be missing until `endLoad` has made them again.
   * Until then the last batches may not be seen by other connections, and a crash or a failed batch may take them back with it: the
   * checkpoint says how far. A process that dies in between leaves nothing to be mended by hand.
   *
   * `endLoad` also says that all of the log is in, as it was a moment ago: a model that is built beside another takes its place then.
   */
  beginLoad(): Promise<void>;
  endLoad(): Promise<void>;

  /**
   * Every row of a collection by key, and all of one moment, for comparing two models byte by byte.
   * @param begins told before the first row where the model stood at that moment
   */
  dump(collection: Collection, begins?: (checkpoint: Position) => void): AsyncIterable<{ key: Key; row: Json }>;

  close(): Promise<void>;
}

/** A model that is built anew beside the live one, which others read meanwhile. Fill `model`, end its load, and `replace`; `close` whatever happened. */
export interface Rebuild {
  readonly model: ReadModel;
  /**
   * From here on whoever reads sees the new model. Where it throws, the next start builds one from the log.
   * @returns false where others read more than it holds: carry on what came meanwhile, and ask again
   */
  replace(): Promise<boolean>;
  /** Lets go of it. What did not take the live one's place is thrown away. */
  close(): Promise<void>;
}

/** `registry/uid`, or a history row's position. */
export type Key = string | number;

export interface Rows {
  catalogue: CatalogueRow;
  versions: VersionRow;
  history: HistoryRow;
  purges: PurgeRow;
  withdrawals: WithdrawalRow;
  operations: OperationRow;
  stats: StatsRow;
}
export type Collection = keyof Rows;
export const COLLECTIONS: readonly Collection[] = [
  'catalogue',
  'versions',
  'history',
  'purges',
  'withdrawals',
  'operations',
  'stats',
];
export type Changes = { readonly [C in Collection]?: readonly Rows[C][] };

/** A record, purged ones too. `live` is false from its purge request on, unless that is called off, and where its registration came too late. */
export interface CatalogueRow {
  readonly registry: string;
  readonly uid: string;
  readonly live: boolean;
  readonly isLatest: boolean;
  /** Others name this one as their initial version. */
  readonly startsLine: boolean;
  /** `registry/uid` of each record that this one points to, and protects: not of those that it came to point at too late. */
  readonly pointsTo: readonly string[];
  /** What is to be taken back of it, and has not been. */
  readonly due: readonly Due[];
  readonly record: RecordState;
  /** The event since which a reader sees it so: its own, or another's that elected anew. */
  readonly since: Moment;
}

/**
 * A place in the log's order, and in time. Clocks differ from stream to stream: a record's change counts from its event's time, yet never from
 * before the change of that record which stands before it in the log. Such an interval may be empty, and is never negative.
 */
export interface Moment {
  readonly position: number;
  readonly at: string;
}

/** A record as it was from `since` on, until before `until`, where the row after it begins. Rows are added and never change. */
export interface VersionRow extends CatalogueRow {
  readonly until: Moment;
}

/** An event that came to point at something that was going already, and so does not stand (design, section 4). */
export interface Due {
  readonly kind: 'registration' | 'update';
  readonly revision: number;
  readonly position: number;
  /** What was going: records that it points to, or those for whose purge its object was being deleted. */
  readonly targets: readonly Ref[];
}

/** A withdrawal: the work-list of what is to be taken back, and the answer to whoever asks whether an event stands. Rows stay. */
export interface WithdrawalRow extends Due {
  readonly registry: string;
  readonly uid: string;
  /** It has not been taken back, and nothing else is about to take it away. */
  readonly open: boolean;
}

/** One event, as history, audit, exports and the event stream show it. */
export interface HistoryRow {
  readonly position: string;
  readonly registry: string;
  readonly uid: string;
  readonly revision: number;
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly type: string;
  readonly version: number;
  readonly reason: string | null;
  readonly data: Json;
  readonly commandId: string;
  readonly correlationId: string;
  readonly previous: string | null;
}

/** What the log's order says of a purge: judged once, when its request is applied. */
export type Verdict =
  | { readonly fate: 'called-off'; readonly by: readonly Ref[] }
  | { readonly fate: 'keep'; readonly why: KeptWhy; readonly by: readonly Ref[] }
  | { readonly fate: 'delete' }
  | { readonly fate: 'no-object' };

export type PurgeState = 'pending' | 'failed' | 'parked' | 'done' | 'cancelled';

/** The latest purge of a record: the saga's work-list, and what callers see of it. */
export interface PurgeRow {
  readonly registry: string;
  readonly uid: string;
  readonly state: PurgeState;
  /** Not yet done and not called off: the saga has to look at it. */
  readonly open: boolean;
  readonly verdict: Verdict;
  readonly purge: Purge;
  /** Its object as it was registered; null where it has none. */
  readonly object: {
    readonly storage: string;
    readonly path: string;
    readonly keyIsVirtual: boolean;
    readonly objects: number;
    readonly bytes: number;
  } | null;
  /** A deletion stands at that place: judged so, and not yet ended. */
  readonly deleting: boolean;
  /** The position at which the deletion that stood there ended; null while it stands, and where none was judged. */
  readonly stoodUntil: number | null;
  /** Whether it stands for an hour of the log's time after that. */
  readonly lingers: boolean;
}

export interface OperationRow {
  readonly id: string;
  readonly kind: 'empty-trash' | 'retention';
  readonly state: 'running' | 'done';
  readonly criteria: { readonly [name: string]: Json };
  readonly position: string;
  readonly total: { readonly records: number; readonly bytes: number };
  readonly purged: number;
  readonly skippedCount: number;
  readonly skipped: readonly { readonly registry: string; readonly uid: string; readonly code: string }[];
  readonly startedBy: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly reason: string | null;
  readonly correlationId: string;
  readonly revision: number;
}

/** Live records and their bytes, by registry, suffix and visibility. */
export interface StatsRow {
  readonly registry: string;
  readonly suffix: string | null;
  readonly visibility: number;
  readonly records: number;
  readonly bytes: number;
}

export type Scalar = string | number | boolean | null;

/** A place in a document: names joined by dots, such as `record.fields.key`. */
export type Path = string;

/**
 * One condition on the value at a path. Absent values are null. `ne` is met by null, the other operators never are; text compares by
 * code point. `has` asks an array for a member. A position (`holdsPosition` in `indexes.ts`) compares as a number, given as text or not.
 */
export type Condition =
  | {
      readonly path: Path;
      readonly op: 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte';
      readonly value: Exclude<Scalar, null>;
    }
  | { readonly path: Path; readonly op: 'in'; readonly value: readonly Exclude<Scalar, null>[] }
  | { readonly path: Path; readonly op: 'startsWith' | 'contains' | 'has'; readonly value: string }
  | { readonly path: Path; readonly op: 'null'; readonly value: boolean };

export interface Sort {
  readonly path: Path;
  readonly descending: boolean;
}

export interface Find {
  readonly where: readonly Condition[];
  /** The last path is unique within the collection, so that the order is total; only who asks whether there is any row needs none. Null sorts lowest. */
  readonly sort: readonly Sort[];
  /** The sorted values of the last row that the caller has; null from the start. */
  readonly after: readonly Scalar[] | null;
  readonly limit: number;
}

/** The key of each collection's rows: unique, and never changing. */
export const KEYS: { readonly [C in Collection]: (row: Rows[C]) => Key } = {
  catalogue: (row) => `${row.registry}/${row.uid}`,
  versions: (row) => `${row.registry}/${row.uid}@${row.since.position}`,
  history: (row) => Number(row.position),
  purges: (row) => `${row.registry}/${row.uid}`,
  withdrawals: (row) => withdrawalKey(row, row.revision),
  operations: (row) => row.id,
  stats: (row) => JSON.stringify([row.registry, row.suffix, row.visibility]),
};

/** The key of the withdrawal of a record's event. */
export const withdrawalKey = ({ registry, uid }: Ref, revision: number): string => `${registry}/${uid}@${revision}`;

/** What every row of a collection has. Only this is looked at: a model is Lethe's own, and each answer is read on the event loop. */
const NAMES: { readonly [C in Collection]: readonly string[] } = {
  catalogue: ['registry', 'uid', 'live', 'record', 'since'],
  versions: ['registry', 'uid', 'live', 'record', 'since', 'until'],
  history: ['position', 'registry', 'uid', 'data'],
  purges: ['registry', 'uid', 'state', 'verdict', 'purge'],
  withdrawals: ['registry', 'uid', 'kind', 'targets'],
  operations: ['id', 'state', 'criteria'],
  stats: ['registry', 'records', 'bytes'],
};

/** Whether what an adapter read back is a row of this collection. */
export const isRow = <C extends Collection>(collection: C, value: unknown): value is Rows[C] =>
  typeof value === 'object' && value !== null && NAMES[collection].every((name) => name in value);
