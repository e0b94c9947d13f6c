import { refKey, type Ref } from '../events/vocabulary.js';
import type { HistoryRow, OperationRow, ReadModel } from '../storage/read-model/port.js';

const PAGE = 100;

/**
 * The records that an operation was to purge, and that were restored before their turn, in the order in which that happened.
 * @param known the keys of those that are left out; each record is added as it is told
 */
export async function* leftTheTrash(
  model: ReadModel,
  operation: Pick<OperationRow, 'position' | 'criteria'>,
  known: Set<string>,
): AsyncGenerator<Ref, void, void> {
  for (let after = operation.position; ;) {
    const restored = await model.find('history', {
      where: [{ path: 'type', op: 'eq', value: 'RecordRestored' }],
      sort: [{ path: 'position', descending: false }],
      after: [after],
      limit: PAGE,
    });
    for (const { registry, uid } of restored) {
      const ref = { registry, uid };
      if (known.has(refKey(ref)) || !(await wasMeant(model, operation, ref))) continue;
      known.add(refKey(ref));
      yield ref;
    }
    const last = restored.at(-1);
    if (last === undefined || restored.length < PAGE) return;
    after = last.position;
  }
}

/** Whether the last that had moved it at the operation's position was a trashing that meets the criteria. */
const wasMeant = async (
  model: ReadModel,
  { position, criteria }: Pick<OperationRow, 'position' | 'criteria'>,
  { registry, uid }: Ref,
): Promise<boolean> => {
  const { registry: only, trashedBefore } = criteria;
  if (only !== undefined && only !== registry) return false;
  const [moved]: HistoryRow[] = await model.find('history', {
    where: [
      { path: 'uid', op: 'eq', value: uid },
      { path: 'registry', op: 'eq', value: registry },
      { path: 'type', op: 'in', value: ['RecordTrashed', 'RecordRestored'] },
      { path: 'position', op: 'lte', value: position },
    ],
    sort: [{ path: 'revision', descending: true }],
    after: null,
    limit: 1,
  });
  if (moved?.type !== 'RecordTrashed') return false;
  return typeof trashedBefore !== 'string' || moved.at < trashedBefore;
};
