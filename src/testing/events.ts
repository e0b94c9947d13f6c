import type {
  DatasetFields,
  EventOf,
  EventType,
  FileFields,
  LetheEvent,
  Metadata,
  PlainFields,
} from '../events/events.js';
import type { Ref } from '../events/vocabulary.js';

/*
 * One builder an event, with defaults for all that a test does not care about: `registered()`, `trashed({ from: 0 })`,
 * `trashed({}, { actor: 'bob', reason: 'audit' })`. The first argument holds the event's own fields, the second what is said about it.
 */

/** Who, when and why. Left out: `alice`, a second after the event before, for no reason. */
export type Said = Partial<Omit<Metadata, 'version' | 'previous'>>;

/** An event as a test speaks of it. It becomes one once it stands in a log, which knows which purge request is open. */
export interface Happening<E extends LetheEvent = LetheEvent> {
  /** @param request the revision of the stream's last RecordPurgeRequested, which a saga's event belongs to; -1 before there is one */
  readonly event: (request: number) => E;
  readonly said: Said;
}

type Own<T extends EventType> = Partial<Omit<EventOf<T>, 'type'>>;

/** A uid that shows a name: `uidFor('report')` is `report00000000000000`. */
export const uidFor = (name: string): string => {
  if (!/^[0-9A-Za-z]{1,20}$/.test(name)) throw new RangeError(`'${name}' is not 1 to 20 base62 characters`);
  return name.padEnd(20, '0');
};

/** The records that happenings and commands are about where a test names none. */
export const FILE: Ref = { registry: 'files', uid: uidFor('file') };
export const DATASET: Ref = { registry: 'datasets', uid: uidFor('dataset') };
export const STORAGE: Ref = { registry: 'storages', uid: uidFor('storage') };
export const LABEL: Ref = { registry: 'labels', uid: uidFor('label') };

/**
 * A file of 12 bytes with a virtual key, in the storage `STORAGE`. With `keyIsVirtual: false` its path is its key. Two files without a
 * path of their own lie on one object.
 */
export const file = (fields: Partial<Omit<FileFields, 'kind'>> = {}): FileFields => {
  const { key = 'report.csv', keyIsVirtual = true, size = 12 } = fields;
  return {
    kind: 'file',
    key,
    keyIsVirtual,
    storage: STORAGE.uid,
    path: keyIsVirtual || key === null ? `.lethe/${FILE.uid}-1a2B3c.csv` : key,
    suffix: '.csv',
    accessor: null,
    description: null,
    version: null,
    initialVersion: null,
    size,
    hash: 'XUFAKrxLKna5cZ2REBfFkg',
    hashType: 'md5',
    objects: 1,
    run: null,
    transform: null,
    labels: [],
    own: keyIsVirtual,
    seen: { kind: 'file', etag: '1-12', size, modifiedAt: '2026-01-01T00:00:00.000Z', versions: null },
    ...fields,
  };
};

/** A dataset without files. */
export const dataset = (fields: Partial<Omit<DatasetFields, 'kind'>> = {}): DatasetFields => ({
  kind: 'dataset',
  name: 'sales',
  description: null,
  version: null,
  initialVersion: null,
  files: [],
  run: null,
  transform: null,
  labels: [],
  ...fields,
});

/** A record of a plain registry. */
export const plain = (fields: Partial<Omit<PlainFields, 'kind'>> = {}): PlainFields => ({
  kind: 'plain',
  name: 'raw',
  description: null,
  data: null,
  place: null,
  ...fields,
});

/** A storage at `root`, a URL that ends in `/`; managed, if nothing else is said. */
export const storage = (
  name = 'default',
  { root = 'file:/data/', managed = true }: { root?: string; managed?: boolean } = {},
): PlainFields => plain({ name, data: { root, managed }, place: root });

export const registered = (
  own: Own<'RecordRegistered'> = {},
  said: Said = {},
): Happening<EventOf<'RecordRegistered'>> => {
  const { fields = file() } = own;
  const seenAt = fields.kind === 'file' ? '0' : null;
  return always({ type: 'RecordRegistered', visibility: 1, fields, seenAt, ...own }, said);
};

/** By default a description that was none. */
export const updated = (own: Own<'RecordUpdated'> = {}, said: Said = {}): Happening<EventOf<'RecordUpdated'>> => {
  const changes = { description: { from: null, to: 'as it was delivered' } };
  return always({ type: 'RecordUpdated', changes, withdraws: null, ...own }, said);
};

/** By default from visible, with retention off. */
export const trashed = (own: Own<'RecordTrashed'> = {}, said: Said = {}): Happening<EventOf<'RecordTrashed'>> =>
  always({ type: 'RecordTrashed', from: 1, purgeAfter: null, ...own }, said);

export const restored = (own: Own<'RecordRestored'> = {}, said: Said = {}): Happening<EventOf<'RecordRestored'>> =>
  always({ type: 'RecordRestored', to: 1, ...own }, said);

/** It has no fields of its own: the reason of the hold is what is said about it, as in `held({ reason: 'audit' })`. */
export const held = (said: Said = {}): Happening<EventOf<'RecordHeld'>> => always({ type: 'RecordHeld' }, said);

export const holdReleased = (said: Said = {}): Happening<EventOf<'RecordHoldReleased'>> =>
  always({ type: 'RecordHoldReleased' }, said);

/** By default without `storage=`. */
export const purgeRequested = (
  own: Own<'RecordPurgeRequested'> = {},
  said: Said = {},
): Happening<EventOf<'RecordPurgeRequested'>> =>
  always({ type: 'RecordPurgeRequested', storage: null, withdraws: null, operation: null, ...own }, said);

/** By default because `DATASET` points here. */
export const purgeCancelled = (
  own: Own<'RecordPurgeCancelled'> = {},
  said: Said = {},
): Happening<EventOf<'RecordPurgeCancelled'>> =>
  ofRequest((request) => ({ type: 'RecordPurgeCancelled', request, why: 'referenced', by: [DATASET], ...own }), said);

/** By default because it was asked for. */
export const objectKept = (own: Own<'ObjectKept'> = {}, said: Said = {}): Happening<EventOf<'ObjectKept'>> =>
  ofRequest((request) => ({ type: 'ObjectKept', request, why: 'asked', by: [], ...own }), said);

/** By default of the object that `file()` describes. */
export const deletionStarted = (
  own: Own<'ObjectDeletionStarted'> = {},
  said: Said = {},
): Happening<EventOf<'ObjectDeletionStarted'>> =>
  ofRequest((request) => ({ type: 'ObjectDeletionStarted', request, seen: file().seen, ...own }), said);

/** By default the first try, to be repeated after a second. `waitMs: null` parks the purge. */
export const deletionFailed = (
  own: Own<'ObjectDeletionFailed'> = {},
  said: Said = {},
): Happening<EventOf<'ObjectDeletionFailed'>> => {
  const failure = { attempt: 1, error: 'the disk does not answer', waitMs: 1_000 };
  return ofRequest((request) => ({ type: 'ObjectDeletionFailed', request, ...failure, ...own }), said);
};

export const purgeRetried = (
  own: Own<'RecordPurgeRetried'> = {},
  said: Said = {},
): Happening<EventOf<'RecordPurgeRetried'>> =>
  ofRequest((request) => ({ type: 'RecordPurgeRetried', request, storage: null, ...own }), said);

/** By default the one object of `file()`. */
export const objectDeleted = (own: Own<'ObjectDeleted'> = {}, said: Said = {}): Happening<EventOf<'ObjectDeleted'>> =>
  ofRequest((request) => ({ type: 'ObjectDeleted', request, objects: 1, bytes: 12, changed: false, ...own }), said);

export const purged = (own: Own<'RecordPurged'> = {}, said: Said = {}): Happening<EventOf<'RecordPurged'>> =>
  ofRequest((request) => ({ type: 'RecordPurged', request, ...own }), said);

/** By default of emptying a trash that held nothing. */
export const operationStarted = (
  own: Own<'OperationStarted'> = {},
  said: Said = {},
): Happening<EventOf<'OperationStarted'>> => {
  const total = { records: 0, bytes: 0 };
  return always({ type: 'OperationStarted', kind: 'empty-trash', criteria: {}, position: '0', total, ...own }, said);
};

export const operationCompleted = (
  own: Own<'OperationCompleted'> = {},
  said: Said = {},
): Happening<EventOf<'OperationCompleted'>> =>
  always({ type: 'OperationCompleted', purged: 0, skippedCount: 0, skipped: [], ...own }, said);

export const instanceCreated = (
  own: Own<'InstanceCreated'> = {},
  said: Said = {},
): Happening<EventOf<'InstanceCreated'>> =>
  always({ type: 'InstanceCreated', instance: '3f1f0a52-5c47-4f0e-9f6c-0d3c9c0f7a11', ...own }, said);

/** By default the first hour. */
export const clockTicked = (own: Own<'ClockTicked'> = {}, said: Said = {}): Happening<EventOf<'ClockTicked'>> =>
  always({ type: 'ClockTicked', advanceMs: 3_600_000, logTimeMs: 3_600_000, ...own }, said);

const always = <E extends LetheEvent>(event: E, said: Said): Happening<E> => ({ event: () => event, said });
const ofRequest = <E extends LetheEvent>(event: (request: number) => E, said: Said): Happening<E> => ({ event, said });
