import { isRecordEvent, type Recorded } from '../../src/events/events.js';
import { commandIdOf } from '../../src/events/ids.js';
import { fold } from '../../src/events/record.js';
import { differences, type Ledger, type Violation } from './kill.ledger.js';
import type { Answer, Command, Heard } from './kill.world.js';

/** What an outcome says was appended. */
const APPENDED: Readonly<Record<string, readonly string[]>> = {
  created: ['RecordRegistered'],
  updated: ['RecordUpdated'],
  trashed: ['RecordTrashed'],
  restored: ['RecordRestored'],
  held: ['RecordHeld'],
  released: ['RecordHoldReleased'],
  purging: ['RecordPurgeRequested', 'RecordPurgeRetried'],
  purged: ['RecordPurgeRequested', 'RecordPurgeRetried'],
  'empty-trash': ['OperationStarted'],
};
const REFUSALS = [404, 409, 410, 412, 422];
const PASSING: readonly string[] = ['projection-behind'];

/**
 * Holds what callers were told of one command against the log: nothing acknowledged is lost, nothing happens twice or unsaid.
 * @param passing codes of problems that may be answered to anybody, and say nothing of the command
 */
export const checkCommand = (command: Command, ledger: Ledger, passing = PASSING): Violation[] => {
  const found: Violation[] = [];
  const effects = effectsOf(command, ledger);
  const [effect] = effects;
  const record = effect === undefined ? null : `${effect.registry}/${effect.uid}`;
  const say = (what: string, about = record): void => void found.push({ what: `${command.id} ${what}`, record: about });

  if (effects.length > 1) say(`took effect ${effects.length} times`);
  if (effect !== undefined && command.key !== null) {
    const path = command.url.split('?', 1)[0] ?? '';
    const commandId = commandIdOf(command.actor, command.method, path, command.key);
    if (effect.meta.commandId !== commandId) say(`has the command id ${effect.meta.commandId}, not ${commandId}`);
  }
  const answers = command.heard.filter((heard) => heard.kind === 'answer');
  for (const answer of answers) {
    const fault = answer.status < 300 ? faultOf(answer, effect, ledger) : refusalFault(answer, ledger, passing);
    if (fault !== null) say(fault, answer.record ?? record);
    for (const wrong of wrongIn(answer, ledger)) say(`was answered a record of which ${wrong}`, answer.record);
  }
  if (effect !== undefined && !command.heard.some((heard) => tellsOf(heard, effect, ledger))) {
    say('took effect, and nobody was told so');
  }
  const first = answers.filter((answer) => !answer.replayed && effect !== undefined && names(answer, effect));
  if (first.length > 1) say(`was acknowledged ${first.length} times as if for the first time`);
  return found;
};

/** What a caller's command itself appended; what an operation goes on to do is not of it. */
export const effectsOf = (command: Command, ledger: Ledger): Recorded[] =>
  ledger
    .ofCommand(command.id)
    .filter(({ event }) => event.type !== 'OperationCompleted' && !('operation' in event && event.operation !== null));

const faultOf = (answer: Answer, effect: Recorded | undefined, ledger: Ledger): string | null => {
  const { said, record, etag, position } = answer;
  const as = `was answered ${answer.status} ${said} (revision ${etag ?? '-'}, position ${position ?? '-'})`;
  const types = APPENDED[said];
  if (said === 'empty-trash') {
    const stands = effect?.event.type === 'OperationStarted' && effect.position === Number(position);
    return stands ? null : `${as}, and the log has no such start of an operation`;
  }
  if (record === null || etag === null || position === null) return `${as}, which does not say of what`;
  const stream = ledger.streams.get(record) ?? [];
  const event = stream[etag];
  if (event === undefined) return `${as}, and the log ends at revision ${stream.length - 1}: it was lost`;
  if (event.position !== Number(position)) return `${as}, and that revision is at position ${event.position}`;
  if (types === undefined || (event === effect && types.includes(event.event.type))) return null;
  const purging = said === 'purging' || said === 'purged';
  const requested = stream.slice(0, etag + 1).some((before) => before.event.type === 'RecordPurgeRequested');
  // As it stood then: the command itself appended nothing, or was decided anew later.
  if (purging && requested && (effect === undefined || effect.revision > etag)) return null;
  return `${as}, and that revision is a ${event.event.type} of ${event.meta.correlationId}`;
};

/** The record of an answer is the record as it was at the revision that the answer names. */
const wrongIn = ({ status, record, shown, etag }: Answer, ledger: Ledger): string[] => {
  if (status >= 300 || record === null || shown === null || etag === null) return [];
  const events = (ledger.streams.get(record) ?? []).slice(0, etag + 1).filter(isRecordEvent);
  const state = fold(events);
  return state === null ? [] : differences(shown, state);
};

const refusalFault = (
  { status, said, detail, shown, record }: Answer,
  ledger: Ledger,
  passing: readonly string[],
): string | null => {
  // While a purge is about to be called off there is none to show.
  const purged = ledger.states.get(record ?? '')?.purge != null;
  if (status === 410 && shown === null && purged) return 'was answered 410 without a tombstone';
  if (REFUSALS.includes(status) || passing.includes(said)) return null;
  return `was answered ${status} ${said}: ${detail}`;
};

/** Whether a caller who heard this knows that the command may have taken effect. */
const tellsOf = (heard: Heard, effect: Recorded, ledger: Ledger): boolean => {
  if (heard.kind === 'lost' || heard.status >= 500) return true;
  if (heard.status < 300) return names(heard, effect);
  const later = (ledger.streams.get(`${effect.registry}/${effect.uid}`) ?? []).slice(effect.revision + 1);
  return later.some(({ event }) => {
    if (heard.said === 'referenced') return event.type === 'RecordPurgeCancelled' && event.request === effect.revision;
    return heard.said === 'conflict' && 'withdraws' in event && event.withdraws === String(effect.position);
  });
};

const names = (answer: Answer, { event, registry, uid, revision, position }: Recorded): boolean => {
  if (answer.status >= 300) return false;
  if (event.type === 'OperationStarted') return answer.position === BigInt(position);
  return answer.record === `${registry}/${uid}` && answer.etag === revision;
};
