import type { Purge, RecordState } from '../events/record.js';
import type { Previewed, SeenOperation } from '../projections/query.handlers.js';
import type { Stats } from '../projections/stats.handlers.js';
import type { CatalogueRow, HistoryRow, PurgeRow } from '../storage/read-model/port.js';
import type { Warning } from '../commands/result.js';
import type {
  CommandAnswer,
  HistoryAnswer,
  OperationAnswer,
  PreviewAnswer,
  PurgeAnswer,
  ReceiptAnswer,
  RecordAnswer,
  StatsAnswer,
} from './answers.js';

/* From rows to the contract's shapes. Absent values are null; members come in the contract's order. */

export const recordWire = (record: RecordState, isLatest: boolean): RecordAnswer => {
  const { registry, uid, fields, createdBy, createdAt, updatedAt, revision } = record;
  if (fields.kind === 'plain') {
    const { name, description, data } = fields;
    return { registry, uid, name, description, data, createdAt, updatedAt, revision };
  }
  const { trashing } = record;
  const tail = {
    visibility: record.visibility,
    hold: record.hold === null ? null : { ...record.hold },
    createdBy,
    createdAt,
    updatedAt,
    trashedAt: trashing?.at ?? null,
    trashedBy: trashing?.by ?? null,
    reason: trashing?.reason ?? null,
    purgeAfter: trashing?.purgeAfter ?? null,
    revision,
  };
  const { description, version, initialVersion, transform, run, labels } = fields;
  if (fields.kind === 'dataset') {
    const { name, files } = fields;
    return {
      registry: 'datasets',
      uid,
      name,
      description,
      version,
      initialVersion,
      isLatest,
      files,
      transform,
      run,
      labels,
      ...tail,
    };
  }
  const { key, keyIsVirtual, path, suffix, accessor, size, hash, hashType, objects, storage } = fields;
  return {
    registry: 'files',
    uid,
    key,
    keyIsVirtual,
    path,
    suffix,
    accessor,
    description,
    version,
    initialVersion,
    isLatest,
    size,
    hash,
    hashType,
    objects,
    storage,
    transform,
    run,
    labels,
    ...tail,
  };
};

export const previewWire = ({ row, fate, sharedWith }: Previewed): PreviewAnswer => {
  const { registry, uid, record } = row;
  const { fields, revision } = record;
  if (fate === null || fields.kind !== 'file') return { registry, uid, revision, object: null };
  const { storage, path, objects, size } = fields;
  return {
    registry,
    uid,
    revision,
    object: { storage, path, ...fate, objects, bytes: size, sharedWith: [...sharedWith] },
  };
};

export const purgeWire = (row: PurgeRow): PurgeAnswer => {
  const { registry, uid, state, purge, verdict } = row;
  const { failure } = purge;
  const retry = state === 'failed' && failure !== null && failure.waitMs !== null;
  return {
    registry,
    uid,
    state,
    requestedAt: purge.at,
    requestedBy: purge.by,
    reason: purge.reason,
    storage: purge.storage,
    attempts: purge.attempts,
    error: failure?.error ?? null,
    nextTryAt: retry ? new Date(Date.parse(failure.at) + (failure.waitMs ?? 0)).toISOString() : null,
    by: verdict.fate === 'called-off' ? [...verdict.by] : [],
    operation: purge.operation,
    receipt: receiptWire(row),
  };
};

/** What a purge came to; null until it has ended. */
export const receiptWire = (row: PurgeRow): ReceiptAnswer | null => {
  const { registry, uid, purge } = row;
  if (purge.ended === null) return null;
  return {
    registry,
    uid,
    requestedAt: purge.at,
    purgedAt: purge.ended.at,
    purgedBy: purge.by,
    reason: purge.reason,
    object: fateWire(row),
    commandId: purge.commandId,
    position: String(purge.ended.position),
    warnings: warningsWire(receiptWarnings(purge)),
  };
};

const fateWire = ({ object, purge: { outcome } }: PurgeRow): ReceiptAnswer['object'] => {
  if (object === null || outcome === null) return null;
  const { storage, path, objects, bytes, keyIsVirtual } = object;
  if (outcome.fate === 'kept') {
    return { storage, path, fate: 'kept', why: outcome.why, objects, bytes, sharedWith: [...outcome.by] };
  }
  const why = keyIsVirtual ? 'virtual-key' : 'asked';
  return { storage, path, fate: 'deleted', why, objects: outcome.objects, bytes: outcome.bytes, sharedWith: [] };
};

const receiptWarnings = ({ outcome, storage }: Purge): Warning[] => {
  if (outcome?.fate === 'deleted' && outcome.changed) {
    return [
      { code: 'object-changed', message: 'something else lies at the path by now; it was not this object and stays' },
    ];
  }
  if (outcome?.fate === 'kept' && outcome.why === 'shared' && storage === 'delete') {
    return [{ code: 'shared', message: 'other live records share the object, so it stays', by: outcome.by }];
  }
  return [];
};

/** Of a record that is to be withdrawn, and whose purge is only about to be requested, there is no purge yet. */
export const tombstoneWire = (
  { registry, uid, record: { fields, revision } }: CatalogueRow,
  purge: PurgeRow | null,
) => ({
  registry,
  uid,
  state: purge === null || purge.purge.ended === null ? 'purging' : 'purged',
  key: fields.kind === 'file' ? fields.key : null,
  revision,
  receipt: purge === null ? null : receiptWire(purge),
});

export const operationWire = ({ row, purged, purging }: SeenOperation): OperationAnswer => {
  const { id, kind, state, position, total, skippedCount, startedBy, startedAt, endedAt } = row;
  const { trashedBefore: _instant, ...criteria } = row.criteria;
  const remaining = state === 'done' ? 0 : Math.max(0, total.records - purged - purging - skippedCount);
  return {
    id,
    kind,
    state,
    criteria,
    position,
    total: { ...total },
    counts: { purged, purging, skipped: skippedCount, remaining },
    skipped: row.skipped.map((skipped) => ({ ...skipped })),
    startedBy,
    startedAt,
    endedAt,
  };
};

export const statsWire = ({ groups, projection, purges }: Stats): StatsAnswer => ({
  groups: groups.map(({ registry, suffix, visibility, records, bytes }) => ({
    registry,
    suffix,
    visibility,
    records,
    bytes,
  })),
  projection: { ...projection, position: String(projection.position), head: String(projection.head) },
  purges: { ...purges },
});

/** An event's row with its fields in the order of the contract: what exports are made of is the same from every adapter. */
export const historyWire = (row: HistoryRow): HistoryAnswer => {
  const { position, registry, uid, revision, id, at, actor, type, version, reason } = row;
  const { data, commandId, correlationId, previous } = row;
  return {
    position,
    registry,
    uid,
    revision,
    id,
    at,
    actor,
    type,
    version,
    reason,
    data,
    commandId,
    correlationId,
    previous,
  };
};

/** A message of the event stream (HTML, 9.2): JSON has no line break. */
export const eventMessage = (row: HistoryRow): string =>
  `id: ${row.position}\nevent: ${row.type}\ndata: ${JSON.stringify(historyWire(row))}\n\n`;

/** A comment of the event stream. */
export const EVENT_BEAT = ':\n\n';

export const warningsWire = (warnings: readonly Warning[]): CommandAnswer['warnings'] =>
  warnings.map(({ code, message, by }) => (by === undefined ? { code, message } : { code, message, by: [...by] }));
