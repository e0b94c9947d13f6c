import type { Recorded, RecordEvent } from '../events/events.js';
import { pointsTo, type RecordState } from '../events/record.js';
import { refKey, type Ref } from '../events/vocabulary.js';
import type { CatalogueRow, Due, WithdrawalRow } from '../storage/read-model/port.js';
import type { Workspace } from './workspace.js';

/*
 * Whoever comes to point at a record whose purge stands, or at an object whose deletion stands, comes too late: the log's order says so
 * when the event is applied, and what came too late protects nothing from then on (design, section 4).
 */

/** The position from which on a deletion of a registration's object concerns it; null for every other event. */
export const lookedSince = ({ event, position }: Recorded<RecordEvent>): number | null => {
  if (event.type !== 'RecordRegistered' || event.fields.kind !== 'file') return null;
  return event.seenAt === null ? position : Number(event.seenAt);
};

/** What is to be taken back of a record once this event is applied. */
export const dueAfter = async (
  workspace: Workspace,
  before: CatalogueRow | null,
  record: RecordState,
  recorded: Recorded<RecordEvent>,
): Promise<readonly Due[]> => {
  const { event, revision, position } = recorded;
  if (before === null) {
    const targets = await lateTargets(workspace, record, recorded);
    return targets.length === 0 ? [] : [{ kind: 'registration', revision, position, targets }];
  }
  if (event.type !== 'RecordUpdated') return before.due;
  const now = pointsTo(record);
  const left = before.due.filter((due) => due.kind === 'registration' || stillPointed(now, due).length > 0);
  const known = new Set(pointsTo(before.record));
  const added = now.filter((target) => !known.has(target));
  const targets = await going(workspace, added);
  return targets.length === 0 ? left : [...left, { kind: 'update', revision, position, targets }];
};

const lateTargets = async (
  workspace: Workspace,
  record: RecordState,
  recorded: Recorded<RecordEvent>,
): Promise<Ref[]> => {
  const targets = await going(workspace, pointsTo(record));
  const since = lookedSince(recorded);
  if (since === null || record.fields.kind !== 'file') return targets;
  const { storage, path } = record.fields;
  const deletions = await workspace.deletionsSince(since, storage, path);
  return inOrder([...targets, ...deletions.map(({ registry, uid }) => ({ registry, uid }))]);
};

/** The same however the log is cut into batches. */
const inOrder = (refs: readonly Ref[]): Ref[] => refs.toSorted((a, b) => (refKey(a) < refKey(b) ? -1 : 1));

/** Those of these records that are purged, being purged, or to be withdrawn themselves. */
const going = async (workspace: Workspace, targets: readonly string[]): Promise<Ref[]> => {
  const found: Ref[] = [];
  for (const target of targets) {
    const row = await workspace.row(target);
    if (row?.live === false) found.push({ registry: row.registry, uid: row.uid });
  }
  return inOrder(found);
};

const stillPointed = (pointed: readonly string[], { targets }: Due): string[] =>
  targets.map(refKey).filter((target) => pointed.includes(target));

/** What a record points to and protects: all but what an update came to point at too late. */
export const protectedBy = (record: RecordState, due: readonly Due[]): string[] => {
  const pointed = pointsTo(record);
  const late = due.flatMap((each) => (each.kind === 'update' ? stillPointed(pointed, each) : []));
  return late.length === 0 ? pointed : pointed.filter((target) => !late.includes(target));
};

/**
 * The withdrawals of a record as they stand after an event, those too that it settled.
 * @param stands whether no purge of the record does: one that stands takes an update's references away with everything else
 */
export const withdrawalRows = (
  before: CatalogueRow | null,
  { registry, uid, due, record }: Omit<CatalogueRow, 'since'>,
  stands: boolean,
): WithdrawalRow[] => {
  const settled = before?.due.filter(({ revision }) => !due.some((other) => other.revision === revision)) ?? [];
  return [
    ...settled.map((each) => ({ ...each, registry, uid, open: false })),
    ...due.map((each) => ({
      ...each,
      registry,
      uid,
      open: each.kind === 'registration' ? record.purge === null : stands,
    })),
  ];
};
