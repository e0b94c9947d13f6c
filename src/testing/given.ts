import assert from 'node:assert/strict';
import type { TrashFacts } from '../commands/decide.js';
import {
  decideHold,
  decideRegister,
  decideRelease,
  decideRestore,
  decideTrash,
  decideUpdate,
} from '../commands/decide.js';
import { decidePurge, decidePurgeStep, decideRetry, type PurgeFacts } from '../commands/decide-purge.js';
import {
  HoldRecord,
  PurgeRecord,
  RegisterRecord,
  ReleaseHold,
  type ReportPurgeStep,
  RestoreRecord,
  RetryPurge,
  TrashRecord,
  UpdateRecord,
} from '../commands/commands.js';
import { NotFound, Refusal } from '../commands/refusals.js';
import type { Fields, RecordEvent, Recorded } from '../events/events.js';
import { fold, type RecordState } from '../events/record.js';
import type { Ref } from '../events/vocabulary.js';
import { DATASET, FILE, LABEL, STORAGE, type Happening, type Said } from './events.js';
import { historyOf } from './log.js';

/** Any command on one record. */
export type Command =
  | RegisterRecord
  | UpdateRecord
  | TrashRecord
  | RestoreRecord
  | HoldRecord
  | ReleaseHold
  | PurgeRecord
  | RetryPurge
  | ReportPurgeStep;

/** What a decision is told of the world beside its record. Left out: nothing stands against anything, retention is off. */
export type Facts = Partial<PurgeFacts & TrashFacts>;

/** A refusal by its class, or one that equals another in code, message and all else that it says. */
export type ExpectedRefusal = Refusal | (abstract new (...args: never[]) => Refusal);

/** What has happened to a record so far. */
export interface Given {
  /** The record as its events tell it; null where nothing has happened yet. */
  readonly record: RecordState | null;
  readonly history: readonly Recorded<RecordEvent>[];
  /** Decides a command, or one that is made from the record. Whoever dispatches it in a service, the decision is this one. */
  when(command: Command | ((record: RecordState | null) => Command), facts?: Facts): Decided;
}

/** What a command came to. */
export interface Decided {
  /** What it makes happen; empty where it is refused or changes nothing. */
  readonly events: readonly RecordEvent[];
  readonly refusal: Refusal | null;
  /**
   * Asserts that exactly these events come of it, or this refusal; nothing given: nothing changes.
   * @returns what is then given, so that a test can go on with another `when`
   * @throws AssertionError with the difference
   */
  then(...expected: Happening<RecordEvent>[]): Given;
  then(refusal: ExpectedRefusal): Given;
}

/**
 * A test of a decision, told as a story: `given(registered(), trashed()).when(new RestoreRecord()).then(restored())`.
 * Pure: no clock, no store, no framework.
 */
export const given = (...happenings: Happening<RecordEvent>[]): Given => {
  const history = historyOf(refOf(happenings[0]), ...happenings);
  const record = fold(history);
  const request = history.findLast(({ event }) => event.type === 'RecordPurgeRequested')?.revision ?? -1;
  return {
    record,
    history,
    when: (command, facts = {}) => {
      const sent = typeof command === 'function' ? command(record) : command;
      const { events, refusal } = attempt(record, sent, facts);
      const then = (...expected: readonly (Happening<RecordEvent> | ExpectedRefusal)[]): Given => {
        const [first] = expected;
        if (typeof first === 'function' || first instanceof Refusal) assertRefused(refusal, first);
        else if (refusal !== null) throw refusal;
        const wanted = expected.filter((each) => 'event' in each).map(({ event }) => event(request));
        assert.deepStrictEqual([...events], wanted);
        const { actor, reason, correlationId, commandId } = sent.envelope;
        const said = { actor, reason, correlationId, commandId };
        return given(...happenings, ...events.map((event) => happened(event, said)));
      };
      return { events, refusal, then };
    },
  };
};

const attempt = (record: RecordState | null, command: Command, facts: Facts): Pick<Decided, 'events' | 'refusal'> => {
  try {
    return { events: decide(record, command, facts), refusal: null };
  } catch (error) {
    if (error instanceof Refusal) return { events: [], refusal: error };
    throw error;
  }
};

const NOTHING_AGAINST: PurgeFacts & TrashFacts = {
  referencedBy: { by: [], count: 0 },
  unmanaged: null,
  protectedBy: null,
  purgeAfter: null,
};

/**
 * The decision on any command, as a service makes it once it has read the record.
 * @throws Refusal
 */
export const decide = (record: RecordState | null, command: Command, facts: Facts = {}): RecordEvent[] => {
  if (command instanceof RegisterRecord) return decideRegister(record, command);
  if (record === null) throw new NotFound(`There is no record ${command.ref.registry}/${command.ref.uid}.`);
  const all = { ...NOTHING_AGAINST, ...facts };
  if (command instanceof UpdateRecord) return decideUpdate(record, command);
  if (command instanceof TrashRecord) return decideTrash(record, command, all);
  if (command instanceof RestoreRecord) return decideRestore(record, command);
  if (command instanceof HoldRecord) return decideHold(record, command);
  if (command instanceof ReleaseHold) return decideRelease(record, command);
  if (command instanceof PurgeRecord) return decidePurge(record, command, all);
  if (command instanceof RetryPurge) return decideRetry(record, command);
  return decidePurgeStep(record, command);
};

const assertRefused = (refusal: Refusal | null, expected: ExpectedRefusal): void => {
  if (refusal === null) assert.fail(`nothing was refused, where ${expected.name} was expected`);
  else if (expected instanceof Refusal) assert.deepStrictEqual(sayingOf(refusal), sayingOf(expected));
  else if (!(refusal instanceof expected)) {
    assert.fail(`it was refused as ${refusalOf(refusal)}, where ${expected.name} was expected`);
  }
};

const refusalOf = ({ name, message }: Refusal): string => `${name} (${message})`;

/** All that a refusal says, which leaves out its stack. */
const sayingOf = (refusal: Refusal): object => ({
  ...Object.fromEntries(Object.entries(refusal)),
  name: refusal.name,
  message: refusal.message,
});

const happened = <E extends RecordEvent>(event: E, said: Said): Happening<E> => ({ event: () => event, said });

/** The default record of a kind: the registry follows from what was registered. */
const refOf = (first: Happening<RecordEvent> | undefined): Ref => {
  const event = first?.event(-1);
  return event?.type === 'RecordRegistered' ? DEFAULTS(event.fields) : FILE;
};

const DEFAULTS = (fields: Fields): Ref => {
  if (fields.kind === 'file') return FILE;
  if (fields.kind === 'dataset') return DATASET;
  return fields.place === null ? LABEL : STORAGE;
};
