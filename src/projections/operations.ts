import type { Recorded } from '../events/events.js';
import type { OperationRow, ReadModel } from '../storage/read-model/port.js';

/** The operations that a batch starts or ends. */
export const projectOperations = async (model: ReadModel, batch: readonly Recorded[]): Promise<OperationRow[]> => {
  const rows = new Map<string, OperationRow>();
  for (const { event, meta, uid, revision } of batch) {
    if (event.type === 'OperationStarted') {
      const { kind, criteria, position, total } = event;
      rows.set(uid, {
        id: uid,
        kind,
        state: 'running',
        criteria,
        position,
        total,
        purged: 0,
        skippedCount: 0,
        skipped: [],
        startedBy: meta.actor,
        startedAt: meta.at,
        endedAt: null,
        reason: meta.reason,
        correlationId: meta.correlationId,
        revision,
      });
    } else if (event.type === 'OperationCompleted') {
      const row = rows.get(uid) ?? (await model.get('operations', [uid]))[0];
      const { purged, skippedCount, skipped } = event;
      if (row !== undefined)
        rows.set(uid, { ...row, state: 'done', purged, skippedCount, skipped, endedAt: meta.at, revision });
    }
  }
  return [...rows.values()];
};
