import type { Recorded, RecordEvent } from '../events/events.js';
import { derivedId, sha256 } from '../events/ids.js';
import { pointsTo } from '../events/record.js';
import type { Ref } from '../events/vocabulary.js';
import { withdrawalKey, type WithdrawalRow } from '../storage/read-model/port.js';
import { WithdrawEvent } from './commands.js';
import { decideWithdraw } from './decide-withdraw.js';
import { execute, readRecord, type Executed, type Journal } from './execute.js';
import type { CommandPorts } from './ports.js';
import { Conflict } from './refusals.js';

/** The command that takes an event back: the same whoever sends it, so that it is carried out once. */
export const withdrawalOf = ({ registry, uid, revision, targets }: WithdrawalRow): WithdrawEvent => {
  const commandId = derivedId('withdrawal', registry, uid, revision);
  const envelope = {
    repeatable: true,
    commandId,
    hash: sha256(commandId),
    actor: 'system:withdrawal',
    reason: null,
    correlationId: commandId,
    ifMatch: null,
  };
  return new WithdrawEvent({ registry, uid }, envelope, revision, targets);
};

/** @returns what it appended; nothing where the event is taken back already, or needs no taking back */
export const withdraw = async (
  journal: Journal,
  { ref, envelope, revision, targets }: WithdrawEvent,
): Promise<Executed> => {
  const { recorded } = await readRecord(journal, ref);
  const event = recorded.find((each) => each.revision === revision);
  const cause = { ...envelope, correlationId: event?.meta.correlationId ?? envelope.correlationId };
  return execute(journal, ref, cause, (record) => (event === undefined ? [] : decideWithdraw(record, event, targets)));
};

/**
 * Waits until the projection has judged an event that came to point at something, and takes it back where it came too late.
 * @throws Conflict naming what it came to point at, whoever took it back; ProjectionBehind past the bound
 */
export const assertStands = async ({ journal, model, reach }: CommandPorts, done: Executed): Promise<void> => {
  for (const event of done.events) {
    if (!pointsAtSomething(done, event)) continue;
    await reach(BigInt(event.position));
    const [row] = await model.get('withdrawals', [withdrawalKey(event, event.revision)]);
    if (row === undefined) continue;
    await withdraw(journal, withdrawalOf(row));
    const target = named(row.targets);
    throw new Conflict(
      `${target} was purged, or is about to be, before this call was through: it was taken back. Point to something else.`,
    );
  }
};

const pointsAtSomething = ({ record }: Executed, { event }: Recorded<RecordEvent>): boolean => {
  if (event.type === 'RecordRegistered') return record.fields.kind === 'file' || pointsTo(record).length > 0;
  return (
    event.type === 'RecordUpdated' && ['labels', 'files', 'run', 'transform'].some((name) => name in event.changes)
  );
};

const named = ([first, ...others]: readonly Ref[]): string =>
  `${first?.registry ?? ''}/${first?.uid ?? ''}${others.length === 0 ? '' : ` (and ${others.length} more)`}`;
