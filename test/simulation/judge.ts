import { digestOf } from '../../src/events/codec.js';
import type { Recorded } from '../../src/events/events.js';
import { eventIdOf } from '../../src/events/ids.js';
import { project } from '../../src/projections/project.js';
import type { StoredEvent } from '../../src/storage/event-store/port.js';
import type { CatalogueRow, PurgeRow, ReadModel } from '../../src/storage/read-model/port.js';
import { dumpOf } from '../../src/testing/folding.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import { SimulatedRandom } from '../../src/testing/simulated.js';
import { answersStand } from './judge.answers.js';
import { retained } from './judge.retention.js';
import { isLive, pointersOf, standing, told, type Fate, type Tale, type Told } from './judge.fold.js';
import { objectsAre } from './judge.objects.js';
import type { Outcome } from './world.js';

/**
 * Whether a schedule came out as the contract says, from the log, the stores and what clients were told: one sentence for each thing that did
 * not, with the invariant's number in front where it has one.
 *
 * 1 nothing acknowledged is lost · 2 no event is doubled · 3 objects go exactly as the table says · 4 nothing is in limbo · 5 a rebuilt model
 * equals the live one · 6 a restore gives back what was · 7 no live record lacks what it points to, or its object · 8 what is held is not
 * purged · 9 a line has one latest · 10 nothing acknowledged is withdrawn · 11 nothing refused is half applied
 */
export const judge = async (outcome: Outcome): Promise<string[]> => {
  const faults = [...outcome.broken.map((what) => `I0 ${what}`)];
  const tale = told(outcome.log.events);
  faults.push(...tale.faults);
  faults.push(...chained(outcome.log.events, tale.events));
  faults.push(...answersStand(outcome, tale));
  faults.push(...objectsAre(outcome, tale));
  faults.push(...atRest(tale));
  faults.push(...pointing(tale));
  faults.push(...retained(outcome, tale));
  faults.push(...(await modelIs(outcome, tale)));
  return faults;
};

/** I2: every event once, in its place, with the digest of the one before it. */
const chained = (stored: readonly StoredEvent[], events: readonly Recorded[]): string[] => {
  const faults: string[] = [];
  const ids = new Set<string>();
  const tips = new Map<string, { stored: StoredEvent; recorded: Recorded }>();
  const commands = new Map<string, { stream: string; revision: number; index: number }>();
  for (const [at, event] of stored.entries()) {
    const recorded = events[at];
    if (recorded === undefined) continue;
    const where = `${event.stream}#${event.revision} ${event.type}`;
    if (ids.has(event.id)) faults.push(`I2 ${where}: its id comes twice`);
    ids.add(event.id);
    const tip = tips.get(event.stream);
    if (event.revision !== (tip?.stored.revision ?? -1) + 1) faults.push(`I2 ${where}: the revision before is missing`);
    if (event.position <= (stored[at - 1]?.position ?? 0n)) faults.push(`I2 ${where}: its position does not rise`);
    const { meta } = recorded;
    if (meta.previous !== (tip === undefined ? null : digestOf(tip.stored, tip.recorded.meta)))
      faults.push(`I2 ${where}: does not carry the digest of the one before`);
    if (tip !== undefined && meta.at < tip.recorded.meta.at) faults.push(`I2 ${where}: comes before the one before it`);
    tips.set(event.stream, { stored: event, recorded });
    if (event.type === 'InstanceCreated') continue;
    const command = commands.get(meta.commandId);
    const index = command === undefined ? 0 : command.index + 1;
    if (command !== undefined && (command.stream !== event.stream || command.revision !== event.revision - 1))
      faults.push(`I2 ${where}: its command was carried out before, at revision ${command.revision}`);
    if (event.id !== eventIdOf(meta.commandId, meta.commandHash ?? '', index))
      faults.push(`I2 ${where}: its id is not its command's ${index}`);
    commands.set(meta.commandId, { stream: event.stream, revision: event.revision, index });
  }
  return faults;
};

/** I4: every purge has ended or was called off, and what came too late is taken back. */
const atRest = ({ records, operations, events }: Tale): string[] => {
  const faults: string[] = [];
  for (const record of records.values()) {
    for (const { revision, fate, cancelled, ended } of record.requests) {
      const where = `I4 the purge of ${record.key} that was asked for at revision ${revision} (${fate})`;
      if (cancelled === null && ended === null) faults.push(`${where} never ends`);
      if (fate === 'called-off' && cancelled === null) faults.push(`${where} is not called off`);
    }
    if (record.requests.some(({ ended }) => ended !== null)) continue;
    for (const { kind, position, targets } of record.late)
      faults.push(
        `I4 the ${kind} of ${record.key} at ${position} is not taken back: it points to ${targets.join(', ')}`,
      );
  }
  for (const { id, completed } of operations.values()) if (!completed) faults.push(`I4 operation ${id} never ends`);
  for (const { event, registry, uid, position } of events) {
    if (event.type !== 'RecordPurgeRequested' || event.operation === null) continue;
    const operation = operations.get(event.operation);
    const trashing = events.findLast(
      (other) =>
        other.registry === registry &&
        other.uid === uid &&
        other.position < position &&
        (other.event.type === 'RecordTrashed' || other.event.type === 'RecordRestored'),
    );
    if (trashing?.event.type !== 'RecordTrashed' || trashing.position > (operation?.position ?? -1))
      faults.push(`I6 ${registry}/${uid} is purged at ${position} by an operation that did not see it trashed`);
  }
  return faults;
};

/** I7: what a live record points to is live. */
const pointing = ({ records }: Tale): string[] =>
  [...records.values()].filter(isLive).flatMap((record) =>
    pointersOf(record.registry, record.fields)
      .filter((target) => {
        const found = records.get(target);
        return found === undefined || standing(found) !== null;
      })
      .map((target) => `I7 ${record.key} is live and points to ${target}, which is not`),
  );

/** I5, I9, and that the model says what the log says. */
const modelIs = async ({ model, log, schedule }: Outcome, tale: Tale): Promise<string[]> => {
  const faults: string[] = [];
  const head = log.events.at(-1)?.position ?? 0n;
  const checkpoint = await model.checkpoint();
  if (checkpoint !== head) return [`I4 the projection rests at ${checkpoint}, and the log ends at ${head}`];
  const [live, rebuilt] = [await dumpOf(model), await dumpOf(await rebuiltFrom(tale.events, schedule.seed))];
  for (const [key, row] of live)
    if (rebuilt.get(key) !== row) faults.push(`I5 ${key} is ${row}, rebuilt ${String(rebuilt.get(key))}`);
  for (const key of rebuilt.keys()) if (!live.has(key)) faults.push(`I5 ${key} is there only where it is rebuilt`);
  const keys = [...tale.records.keys()];
  const rows = new Map((await model.get('catalogue', keys)).map((row) => [`${row.registry}/${row.uid}`, row]));
  const purges = new Map((await model.get('purges', keys)).map((row) => [`${row.registry}/${row.uid}`, row]));
  for (const record of tale.records.values()) {
    faults.push(...shown(record, rows.get(record.key)));
    faults.push(...judged(record, purges.get(record.key)));
  }
  faults.push(...latest(tale, rows));
  return faults;
};

const shown = (record: Told, row: CatalogueRow | undefined): string[] => {
  if (row === undefined) return [`I5 ${record.key} is not in the model`];
  const is = {
    live: row.live,
    visibility: row.record.visibility,
    held: row.record.hold !== null,
    revision: row.record.revision,
    fields: row.record.fields,
  };
  const { visibility, held, revision, fields } = record;
  const should = { live: isLive(record), visibility, held, revision, fields };
  return Object.keys(should).flatMap((name) => {
    const [a, b] = [is, should].map((each) => JSON.stringify(Object.entries(each).find(([key]) => key === name)?.[1]));
    return a === b ? [] : [`I6 ${record.key}: the model says ${name} ${String(a)}, the log says ${String(b)}`];
  });
};

const FATES: { readonly [fate: string]: Fate } = { 'called-off': 'called-off', delete: 'delete', 'no-object': 'none' };

/** The verdict of the projection is the contract's. */
const judged = (record: Told, row: PurgeRow | undefined): string[] => {
  const request = record.requests.at(-1);
  if (request === undefined) return row === undefined ? [] : [`${record.key} has a purge that nobody asked for`];
  if (row === undefined) return [`${record.key} has no purge in the model`];
  const { verdict } = row;
  const fate = verdict.fate === 'keep' ? verdict.why : FATES[verdict.fate];
  const by = 'by' in verdict ? verdict.by.map(({ registry, uid }) => `${registry}/${uid}`) : [];
  const same = fate === request.fate && JSON.stringify(by) === JSON.stringify([...request.by].sort());
  return same
    ? []
    : [
        `I3 the purge of ${record.key} is judged ${JSON.stringify(verdict)}, and is ${request.fate} ${request.by.join(', ')}`,
      ];
};

/** I9: of each line's visible members the last registered is its latest, and no other. */
const latest = ({ records }: Tale, rows: ReadonlyMap<string, CatalogueRow>): string[] => {
  const lines = new Map<string, Told[]>();
  for (const record of records.values()) {
    if (record.fields.kind === 'plain') continue;
    const first = `${record.registry}/${record.fields.initialVersion ?? record.uid}`;
    lines.set(first, [...(lines.get(first) ?? []), record]);
  }
  return [...lines].flatMap(([first, members]) => {
    if (members.length === 1 && members[0]?.key === first)
      return rows.get(first)?.isLatest === true ? [] : [`I9 ${first} is alone, and not the latest`];
    const visible = members.filter((member) => isLive(member) && member.visibility === 1);
    const last = visible.reduce<Told | null>(
      (a, b) => (a !== null && a.registered.position > b.registered.position ? a : b),
      null,
    );
    return members
      .filter(({ key }) => (rows.get(key)?.isLatest === true) !== (key === last?.key))
      .map(({ key }) => `I9 ${key} in the line of ${first}: the latest is ${last?.key ?? 'nobody'}`);
  });
};

/** A new model from the log, cut into other batches than the live one. */
const rebuiltFrom = async (events: readonly Recorded[], seed: number): Promise<ReadModel> => {
  const random = new SimulatedRandom(seed);
  const model = inMemoryReadModel();
  let from = 0n;
  for (let start = 0; start < events.length;) {
    const batch = events.slice(start, start + random.pick([1, 2, 3, 7, 1_000]));
    const to = BigInt(batch.at(-1)?.position ?? 0);
    await model.apply(await project(model, batch), from, to);
    from = to;
    start += batch.length;
  }
  return model;
};
