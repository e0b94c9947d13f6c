import { EVENTS, isRecordEvent, type EventOf, type Recorded, type RecordEvent } from '../events/events.js';
import { evolve, pointsTo, type Purge, type RecordState } from '../events/record.js';
import { refKey, VISIBLE, type Json, type Ref } from '../events/vocabulary.js';
import {
  withdrawalKey,
  type CatalogueRow,
  type Changes,
  type HistoryRow,
  type PurgeRow,
  type PurgeState,
  type ReadModel,
  type Verdict,
  type WithdrawalRow,
} from '../storage/read-model/port.js';
import { fateOf } from './fate.js';
import { lingers } from './lingering.js';
import { unmanagedAt } from './neighbours.js';
import { projectOperations } from './operations.js';
import { dueAfter, lookedSince, protectedBy, withdrawalRows } from './withdrawals.js';
import { initialOf, NAMED, Workspace } from './workspace.js';

/**
 * What a batch of events makes of the model, which stands at the checkpoint before it. It depends on the log's order and on nothing
 * else: not on how the log is cut into batches, not on time. Every purge is judged here, when its request is applied (design, section 4).
 */
export const project = async (model: ReadModel, batch: readonly Recorded[]): Promise<Changes> => {
  const workspace = new Workspace(model);
  const records = batch.filter(isRecordEvent);
  await workspace.load(...keysOf(records), earliestLook(records), ticksOf(batch));
  const purges = new Map<string, PurgeRow>();
  const withdrawals = new Map<string, WithdrawalRow>();
  for (const recorded of records) await apply(workspace, purges, withdrawals, recorded);
  const catalogue = workspace.changed();
  return {
    catalogue,
    versions: workspace.versions,
    history: batch.map(historyRow),
    purges: [...purges.values()],
    withdrawals: [...withdrawals.values()],
    operations: await projectOperations(model, batch),
    stats: await workspace.stats.onto(model),
  };
};

/**
 * The keys whose rows may exist, with those that a registration points to, and those whose first event is in this batch: they cannot. What
 * is not among them is asked for one by one.
 */
const keysOf = (records: readonly Recorded<RecordEvent>[]): [known: Set<string>, fresh: Set<string>] => {
  const known = new Set<string>();
  const fresh = new Set<string>();
  for (const { registry, uid, revision, event } of records) {
    const key = `${registry}/${uid}`;
    if (revision === 0) fresh.add(key);
    else if (!fresh.has(key)) known.add(key);
    if (event.type !== 'RecordRegistered') continue;
    for (const target of pointsTo({ registry, fields: event.fields })) if (!fresh.has(target)) known.add(target);
  }
  return [known, fresh];
};

/** Where the first of these registrations began to look at its object: deletions that ended before do not concern them. */
const earliestLook = (records: readonly Recorded<RecordEvent>[]): number | null =>
  records.reduce<number | null>((earliest, recorded) => {
    const since = lookedSince(recorded);
    return since === null || (earliest !== null && earliest <= since) ? earliest : since;
  }, null);

const ticksOf = (batch: readonly Recorded[]): number[] =>
  batch.flatMap(({ event, position }) => (event.type === 'ClockTicked' ? [position] : []));

const apply = async (
  workspace: Workspace,
  purges: Map<string, PurgeRow>,
  withdrawals: Map<string, WithdrawalRow>,
  recorded: Recorded<RecordEvent>,
): Promise<void> => {
  const key = `${recorded.registry}/${recorded.uid}`;
  workspace.at({ position: recorded.position, at: recorded.meta.at });
  const before = await workspace.row(key);
  const record = evolve(before?.record ?? null, recorded);
  if (record === null) return;
  const purge = await purgeRow(workspace, before, record, recorded);
  if (purge !== null) {
    workspace.purges.set(key, purge);
    purges.set(key, purge);
  }
  const due = await dueAfter(workspace, before, record, recorded);
  const stands = record.purge === null || purge?.verdict.fate === 'called-off';
  const { registry, uid } = record;
  const row = {
    registry,
    uid,
    live: stands && !due.some(({ kind }) => kind === 'registration'),
    isLatest: before?.isLatest ?? true,
    startsLine: before?.startsLine ?? false,
    pointsTo: protectedBy(record, due),
    due,
    record,
  };
  workspace.put(row);
  for (const withdrawal of withdrawalRows(before, row, stands))
    withdrawals.set(withdrawalKey(row, withdrawal.revision), withdrawal);
  await elect(workspace, before, registry, uid);
};

/** Marks the last registered of a line's visible members, once one of them appears, or is shown, hidden or gone. */
const elect = async (
  workspace: Workspace,
  before: CatalogueRow | null,
  registry: string,
  uid: string,
): Promise<void> => {
  const row = await workspace.row(`${registry}/${uid}`);
  if (row === null) return;
  if (before !== null && before.live === row.live && before.record.visibility === row.record.visibility) return;
  const initial = initialOf(row) ?? (row.startsLine ? uid : null);
  if (initial === null) return;
  const members = await workspace.line(registry, initial);
  const visible = members.filter(({ live, record }) => live && record.visibility === VISIBLE);
  const last = visible.reduce<CatalogueRow | null>(
    (a, b) => (a === null || b.record.registeredAt > a.record.registeredAt ? b : a),
    null,
  );
  for (const member of members) {
    const startsLine = member.uid === initial;
    const isLatest = member.uid === last?.uid;
    if (member.isLatest !== isLatest || member.startsLine !== startsLine)
      workspace.put({ ...member, isLatest, startsLine });
  }
};

const purgeRow = async (
  workspace: Workspace,
  before: CatalogueRow | null,
  record: RecordState,
  { event, position }: Recorded<RecordEvent>,
): Promise<PurgeRow | null> => {
  const { registry, uid, purge } = record;
  if (purge !== null && before?.record.purge == null && event.type === 'RecordPurgeRequested') {
    const verdict = await judge(workspace, record, event);
    const row: PurgeRow = {
      registry,
      uid,
      state: 'pending',
      open: true,
      verdict,
      purge,
      object: objectOf(record),
      deleting: false,
      stoodUntil: null,
      lingers: false,
    };
    return purgeState(row, position);
  }
  const row = before?.record.purge == null ? undefined : workspace.purges.get(`${registry}/${uid}`);
  if (row === undefined) return null;
  if (purge === null) return { ...row, state: 'cancelled', open: false, deleting: false };
  const next = purgeState({ ...row, purge }, position);
  const ends = event.type === 'ObjectDeleted' && row.deleting;
  return ends ? { ...next, lingers: lingers(await workspace.places(), next) } : next;
};

const objectOf = ({ fields }: RecordState): PurgeRow['object'] => {
  if (fields.kind !== 'file') return null;
  const { storage, path, keyIsVirtual, objects, size } = fields;
  return { storage, path, keyIsVirtual, objects, bytes: size };
};

const purgeState = (row: PurgeRow, position: number): PurgeRow => {
  const { ended, outcome } = row.purge;
  const deleting = row.verdict.fate === 'delete' && outcome === null && ended === null;
  const stoodUntil = row.deleting && !deleting ? position : row.stoodUntil;
  return { ...row, state: stateOf(row.purge), open: ended === null, deleting, stoodUntil };
};

const stateOf = ({ ended, failure }: Purge): PurgeState => {
  if (ended !== null) return 'done';
  if (failure === null) return 'pending';
  return failure.waitMs === null ? 'parked' : 'failed';
};

/** The verdict on a purge request, by what stands before it in the log. A withdrawal is called off by no reference. */
const judge = async (
  workspace: Workspace,
  record: RecordState,
  event: EventOf<'RecordPurgeRequested'>,
): Promise<Verdict> => {
  const { fields } = record;
  if (event.withdraws === null) {
    const referrers = (await workspace.pointingAt(record)).filter(
      ({ registry, uid }) => registry !== record.registry || uid !== record.uid,
    );
    if (referrers.length > 0) return { fate: 'called-off', by: firstHundred(referrers) };
  }
  if (fields.kind !== 'file') return { fate: 'no-object' };
  const managed = unmanagedAt(await workspace.storagesWith(fields.storage), fields.storage, fields.path) === null;
  const sharing = await workspace.sharing(record, fields.storage, fields.path);
  const fate = fateOf(fields, event.storage, { managed, sharedWith: sharing });
  if (fate.fate === 'delete') return { fate: 'delete' };
  return { fate: 'keep', why: fate.why, by: fate.why === 'shared' ? firstHundred(sharing) : [] };
};

const firstHundred = (rows: readonly CatalogueRow[]): Ref[] =>
  rows
    .map(({ registry, uid }) => ({ registry, uid }))
    .sort((a, b) => (refKey(a) < refKey(b) ? -1 : 1))
    .slice(0, NAMED);

export const historyRow = ({ event, meta, id, registry, uid, revision, position }: Recorded): HistoryRow => {
  const { type, ...data } = event;
  const { version, actor, reason, commandId, correlationId, at, previous } = meta;
  return {
    position: String(position),
    registry,
    uid,
    revision,
    id,
    at,
    actor,
    type,
    version: Math.min(version, EVENTS[type].version),
    reason,
    data: asJson(data),
    commandId,
    correlationId,
    previous,
  };
};

/** An event's fields are JSON by their schema; only optional ones could differ, and there are none. */
const asJson = (data: { readonly [name: string]: unknown }): Json => {
  const json: { [name: string]: Json } = {};
  Object.assign(json, data);
  return json;
};
