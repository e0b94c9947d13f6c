import type { Collection, Path } from './port.js';

/** An index that an adapter keeps: the paths in their order. `loading`: projections ask by it, so it stands during a rebuild too. */
export interface Index {
  readonly name: string;
  readonly paths: readonly Path[];
  readonly loading?: true;
  /** Only rows that have a value at this path. */
  readonly sparse?: Path;
  /** Asked for a stretch of it, never for one value. */
  readonly stretches?: true;
}

/**
 * A path whose last name is, or ends in, `position`: where the document holds a decimal text there, adapters store, compare and sort it
 * as the number that it is.
 */
export const holdsPosition = (path: Path): boolean => /(^|\.)(position|[A-Za-z]+Position)$/.test(path);

/** Array paths that `has` can ask for. */
export const MEMBERS: { readonly [C in Collection]: readonly Path[] } = {
  catalogue: ['pointsTo'],
  versions: ['pointsTo'],
  history: [],
  purges: [],
  withdrawals: [],
  operations: [],
  stats: [],
};

/** Lists are asked for one registry, of live records, with one or more visibilities; then sorted. */
const listed = ['registry', 'live', 'record.visibility'];
const counted = ['record.hold.at', 'record.fields.keyIsVirtual', 'record.fields.storage', 'record.fields.size'];

export const INDEXES: { readonly [C in Collection]: readonly Index[] } = {
  catalogue: [
    { name: 'by_created', paths: [...listed, 'record.createdAt', 'uid'] },
    { name: 'by_updated', paths: [...listed, 'record.updatedAt', 'uid'] },
    { name: 'by_key', paths: [...listed, 'record.fields.key', 'uid'] },
    // Purged records keep their trashing, so `live` comes first. The rest is what the trash is counted by: no document is read for it.
    {
      name: 'by_trashing',
      paths: ['live', 'record.trashing.at', 'uid', 'registry', 'record.visibility', ...counted],
      sparse: 'record.trashing.at',
    },
    {
      name: 'by_object',
      paths: ['record.fields.storage', 'record.fields.path'],
      sparse: 'record.fields.storage',
      loading: true,
    },
    { name: 'by_hash', paths: ['record.fields.hash'], sparse: 'record.fields.hash' },
    // Only storages have a place: a question about all of them names it, since no other index stands while loading.
    { name: 'by_place', paths: ['record.fields.place'], sparse: 'record.fields.place', loading: true },
    { name: 'by_line', paths: ['record.fields.initialVersion'], sparse: 'record.fields.initialVersion', loading: true },
  ],
  versions: [
    { name: 'by_record', paths: ['uid', 'registry', 'since.position'] },
    // What was so at a time has changed since: the nearer the time, the fewer rows are looked at.
    { name: 'by_until', paths: [...listed, 'until.at', 'since.at'] },
  ],
  // The uid first: a question for a whole registry, newest first, is to walk the log from its end and not to sort all of it.
  history: [
    { name: 'by_record', paths: ['uid', 'registry', 'revision'] },
    // Positions rise, so these grow at the end of a few stretches each: the cheapest kind to keep.
    { name: 'by_actor', paths: ['actor', 'position'] },
    { name: 'by_type', paths: ['type', 'position'] },
    // As dear as by_record, and the only way from a problem's id to what it was about.
    { name: 'by_correlation', paths: ['correlationId', 'position'] },
    // The only way from an idempotency key to what a call on many records did.
    { name: 'by_command', paths: ['commandId', 'position'] },
    // For what is asked of the whole log, by time or registry: all of them are looked through, but no document is.
    { name: 'by_position', paths: ['position', 'at', 'registry'] },
    // The ticks: no other event has a log time.
    {
      name: 'by_tick',
      paths: ['position', 'data.logTimeMs'],
      sparse: 'data.logTimeMs',
      loading: true,
      stretches: true,
    },
  ],
  purges: [
    { name: 'by_open', paths: ['open', 'purge.position'], loading: true },
    { name: 'by_deleting', paths: ['deleting', 'object.storage', 'object.path'], loading: true },
    { name: 'by_ended', paths: ['stoodUntil'], sparse: 'stoodUntil', loading: true, stretches: true },
    {
      name: 'by_deleted',
      paths: ['object.storage', 'object.path', 'stoodUntil'],
      sparse: 'stoodUntil',
      loading: true,
    },
    // Few: only stores that cannot tell the same bytes put twice apart have such.
    { name: 'by_lingering', paths: ['lingers', 'stoodUntil'], loading: true },
    { name: 'by_requested', paths: ['purge.at', 'uid'] },
    { name: 'by_operation', paths: ['purge.operation', 'state'], sparse: 'purge.operation' },
  ],
  withdrawals: [{ name: 'by_open', paths: ['open', 'position'], loading: true }],
  operations: [{ name: 'by_started', paths: ['startedAt', 'id'] }],
  stats: [],
};
