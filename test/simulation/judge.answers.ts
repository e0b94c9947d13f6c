import type { Recorded } from '../../src/events/events.js';
import type { Asked } from './client.js';
import { isLive, pointersOf, type Tale, type Told } from './judge.fold.js';
import type { Outcome } from './world.js';

/** I1, I10, I11: what clients were told holds. */
export const answersStand = ({ asked }: Outcome, tale: Tale): string[] => {
  const byCommand = new Map<string, Recorded[]>();
  for (const recorded of tale.events) {
    const { commandId } = recorded.meta;
    byCommand.set(commandId, [...(byCommand.get(commandId) ?? []), recorded]);
  }
  return asked.flatMap((each) => {
    const events = byCommand.get(each.commandId) ?? [];
    const { id, do: verb } = each.operation;
    return [...acknowledged(each, events, tale), ...refused(each, asked, events, tale)].map(
      ([invariant, what]) => `${invariant} ${id} (${verb}) ${what}`,
    );
  });
};

type Fault = readonly [invariant: string, what: string];

const acknowledged = ({ operation, answers, ref }: Asked, events: readonly Recorded[], tale: Tale): Fault[] => {
  const faults: Fault[] = [];
  for (const answer of answers) {
    if (answer.is === 'started' && !tale.operations.has(answer.operation))
      faults.push(['I1', `was answered with the operation ${answer.operation}, which is not in the log`]);
    if (answer.is !== 'done') continue;
    const { changed, outcome, record } = answer.result;
    const dry = 'dryRun' in operation && operation.dryRun;
    if (dry && events.length > 0) faults.push(['I11', 'was a dry run, and is in the log']);
    if (dry || !changed) continue;
    const last = events.at(-1);
    if (last === undefined || `${last.registry}/${last.uid}` !== `${ref?.registry ?? ''}/${ref?.uid ?? ''}`) {
      faults.push(['I1', `was answered ${outcome}, and is not in the log`]);
      continue;
    }
    if (last.revision !== record.revision)
      faults.push(['I1', `was answered revision ${record.revision}, and is at ${last.revision}`]);
    const by = events.map((event) => withdrawing(event, tale)).find((found) => found !== undefined);
    if (by !== undefined) faults.push(['I10', `was answered ${outcome}, and is withdrawn at ${by.position}`]);
    const { purge } = answer;
    const request = tale.records
      .get(`${last.registry}/${last.uid}`)
      ?.requests.find((each) => each.revision === last.revision);
    if (purge?.state === 'done' && (request?.ended ?? null) === null)
      faults.push(['I1', 'was answered that it is purged, and it is not']);
  }
  return faults;
};

const withdrawing = ({ registry, uid, position }: Recorded, { events }: Tale): Recorded | undefined =>
  events.find(
    ({ event, ...other }) =>
      'withdraws' in event && event.withdraws === String(position) && other.registry === registry && other.uid === uid,
  );

/** A refusal counts where it is all that was ever said of a command: an answer that was lost may have been another one. */
const refused = (
  { operation, commandId, answers }: Asked,
  asked: readonly Asked[],
  events: readonly Recorded[],
  tale: Tale,
): Fault[] => {
  const [answer] = answers;
  const others = asked.filter((other) => other.commandId === commandId && other.answers.length > 0);
  if (answer?.is !== 'refused' || answers.length > 1 || others.length > 1) return [];
  const [event] = events;
  if (event === undefined) return [];
  const record = tale.records.get(`${event.registry}/${event.uid}`);
  const was = `was refused (${answer.code})`;
  if (record === undefined) return [['I11', `${was}, and is in the log`]];
  if (operation.do === 'purge') {
    const request = record.requests.find(({ revision }) => revision === event.revision);
    return request?.cancelled == null ? [['I11', `${was}, and the purge stands`]] : [];
  }
  if (event.event.type === 'RecordRegistered') return isLive(record) ? [['I11', `${was}, and the record is live`]] : [];
  if (event.event.type !== 'RecordUpdated') return [['I11', `${was}, and is in the log as ${event.event.type}`]];
  return isLive(record) ? halfApplied(record, event, tale).map((what) => ['I11', `${was}, and ${what}`]) : [];
};

/** An update that was refused leaves a record as it was, but for what others have changed since, and for what is gone. */
const halfApplied = (
  record: Told,
  { event, revision, registry, uid }: Recorded,
  { events, records }: Tale,
): string[] => {
  if (event.type !== 'RecordUpdated') return [];
  const late = record.everLate.find((each) => each.revision === revision);
  if (late === undefined) return ['it stands'];
  const faults = late.targets
    .filter((target) => pointersOf(record.registry, record.fields).includes(target))
    .map((target) => `it still points to ${target}`);
  const later = events.filter(
    (other) =>
      other.registry === registry &&
      other.uid === uid &&
      other.revision > revision &&
      other.event.type === 'RecordUpdated',
  );
  for (const [name, { from }] of Object.entries(event.changes)) {
    if (name === 'visibility' || !Array.isArray(from)) continue;
    const others = later.filter(
      ({ event: other }) => other.type === 'RecordUpdated' && other.withdraws === null && name in other.changes,
    );
    if (others.length > 0) continue;
    const now: unknown = Object.entries(record.fields).find(([field]) => field === name)?.[1];
    for (const target of from) {
      const pointed = records.get(`${name}/${typeof target === 'string' ? target : ''}`);
      if (pointed !== undefined && isLive(pointed) && !(Array.isArray(now) && now.includes(target)))
        faults.push(`it lost ${pointed.key} of its ${name}`);
    }
  }
  return faults;
};
