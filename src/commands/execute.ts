import { decode, digestOf, encode, streamOf, Unreadable } from '../events/codec.js';
import {
  EVENTS,
  isRecordEvent,
  type LetheEvent,
  type Metadata,
  type Recorded,
  type RecordEvent,
} from '../events/events.js';
import { eventIdOf } from '../events/ids.js';
import { evolve, fold, type RecordState } from '../events/record.js';
import type { Ref } from '../events/vocabulary.js';
import type { Clock } from '../ports.js';
import { OutcomeUnknown, RevisionConflict } from '../storage/errors.js';
import type { Appended, EventStore, NewEvent, StoredEvent } from '../storage/event-store/port.js';
import type { Envelope } from './commands.js';
import { Conflict, IdempotencyMismatch, NotFound } from './refusals.js';

/** How often a lost race is decided anew, and a lost answer asked for again. */
const ATTEMPTS = 5;

export interface Journal {
  readonly store: EventStore;
  readonly prefix: string;
  readonly clock: Clock;
  /** Called with each position that this process appended: its queries wait for it. */
  readonly appended: (position: bigint) => void;
}

/** A record's stream as it was read. */
export interface Stream {
  readonly stored: readonly StoredEvent[];
  readonly recorded: readonly Recorded<RecordEvent>[];
  readonly record: RecordState | null;
}

/** What a command makes of a record, whose events will bear the time `at`. It may throw a Refusal. */
type Decide<R> = (record: R, at: string) => RecordEvent[] | Promise<RecordEvent[]>;

export interface Executed {
  readonly before: RecordState | null;
  readonly record: RecordState;
  /** What this command appended, now or when it first came; empty where it changed nothing. */
  readonly events: readonly Recorded<RecordEvent>[];
  /** It had been carried out before: this is the answer of then. */
  readonly replayed: boolean;
}

/**
 * @throws Unreadable for an event of a type that this version does not know: nothing is decided on half a history
 */
export const readRecord = async (journal: Journal, ref: Ref): Promise<Stream> => {
  const stored = await journal.store.readStream(streamOf(journal.prefix, ref.registry, ref.uid));
  const recorded = stored.map((event) => {
    const known = decode(journal.prefix, event);
    if (known !== null && isRecordEvent(known)) return known;
    throw new Unreadable(`${event.stream} holds a ${event.type}, which this version does not know: upgrade Lethe`);
  });
  return { stored, recorded, record: fold(recorded) };
};

/**
 * The one way to write: read the stream, recognise a repeat, decide, append at the revision that was read. A lost race is decided
 * anew; an unknown outcome is repeated with the same ids, which cannot double it.
 *
 * @throws NotFound where there is no record; Conflict after five lost races; what `decide` throws
 */
export const execute = async (
  journal: Journal,
  ref: Ref,
  envelope: Envelope,
  decide: Decide<RecordState>,
): Promise<Executed> =>
  attempt(journal, ref, envelope, (record, at) => {
    if (record === null) throw missing(ref);
    return decide(record, at);
  });

const missing = ({ registry, uid }: Ref): NotFound => new NotFound(`There is no record ${registry}/${uid}.`);

/** As `execute`, but appends nothing: what the command would come to now, or its refusal. */
export const consider = async (
  journal: Journal,
  ref: Ref,
  envelope: Envelope,
  decide: Decide<RecordState>,
): Promise<Executed> => {
  const stream = await readRecord(journal, ref);
  const { record } = stream;
  if (record === null) throw missing(ref);
  const repeat = findRepeat(stream, envelope);
  if (repeat !== null) return repeat;
  const at = timeAfter(journal.clock, lastOf(stream));
  const events = await decide(record, at);
  const sealed = seal(at, lastOf(stream), envelope, events);
  const would = sealed.map(({ event, meta, form }) => ({
    event,
    meta,
    id: form.id,
    ...ref,
    revision: record.revision,
    position: record.position,
  }));
  return { before: record, record, events: would, replayed: false };
};

/** As `execute`, for a command that makes a new record. */
export const executeNew = async (
  journal: Journal,
  ref: Ref,
  envelope: Envelope,
  decide: Decide<RecordState | null>,
): Promise<Executed> => attempt(journal, ref, envelope, decide);

const attempt = async (
  journal: Journal,
  ref: Ref,
  envelope: Envelope,
  decide: Decide<RecordState | null>,
): Promise<Executed> => {
  for (let tries = 0; tries < ATTEMPTS; tries += 1) {
    const stream = await readRecord(journal, ref);
    const repeat = findRepeat(stream, envelope);
    if (repeat !== null) return repeat;
    const before = stream.record;
    const at = timeAfter(journal.clock, lastOf(stream));
    const events = await decide(before, at);
    if (events.length === 0) {
      if (before === null) throw new Error(`a command on ${ref.registry}/${ref.uid} decided nothing of no record`);
      return { before, record: before, events: [], replayed: false };
    }
    try {
      const { written, ...done } = await append(journal, ref, stream, envelope, at, events);
      if (envelope.repeatable) return await asStored(journal, ref, envelope, written);
      return { before, ...done, replayed: false };
    } catch (error) {
      // Decided anew, a revision that the caller insists on is refused, and a repeat that won is recognised.
      if (!(error instanceof RevisionConflict)) throw error;
    }
  }
  throw new Conflict(`Others changed ${ref.registry}/${ref.uid} ${ATTEMPTS} times in a row. Try again.`);
};

/**
 * What the log holds of a command that another call may have carried out at the same moment: its append was then taken for a repeat, and
 * the other's events stand in the place of these.
 */
const asStored = async (
  journal: Journal,
  ref: Ref,
  envelope: Envelope,
  written: readonly NewEvent[],
): Promise<Executed> => {
  const stream = await readBack(journal, ref);
  const stored = findRepeat(stream, envelope);
  if (stored === null) throw new Error(`an append to ${ref.registry}/${ref.uid} is not in its stream`);
  const isMine = written.every(({ id, metadata, data }) =>
    stream.stored.some((event) => event.id === id && event.metadata === metadata && event.data === data),
  );
  return { ...stored, replayed: !isMine };
};

/** The append stands by now: whoever cannot read it back must not hear that nothing was written. */
const readBack = async (journal: Journal, ref: Ref): Promise<Stream> => {
  try {
    return await readRecord(journal, ref);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OutcomeUnknown(
      `what was written to ${ref.registry}/${ref.uid} cannot be read back (${why}): repeat the call with the same Idempotency-Key`,
      { cause },
    );
  }
};

/** @returns what a command that was carried out before answered then; null where it never was */
export const findRepeat = ({ recorded }: Stream, { commandId, hash }: Envelope): Executed | null => {
  const first = recorded.findIndex(({ meta }) => meta.commandId === commandId);
  if (first < 0) return null;
  if (recorded[first]?.id !== eventIdOf(commandId, hash, 0)) throw new IdempotencyMismatch();
  const last = recorded.findLastIndex(({ meta }) => meta.commandId === commandId);
  const record = fold(recorded.slice(0, last + 1));
  if (record === null) return null;
  return { before: fold(recorded.slice(0, first)), record, events: recorded.slice(first, last + 1), replayed: true };
};

const append = async (
  journal: Journal,
  ref: Ref,
  stream: Stream,
  envelope: Envelope,
  at: string,
  events: readonly RecordEvent[],
): Promise<{ record: RecordState; events: Recorded<RecordEvent>[]; written: NewEvent[] }> => {
  const revision = stream.stored.length - 1;
  const sealed = seal(at, lastOf(stream), envelope, events);
  const written = sealed.map(({ form }) => form);
  const { position } = await appendSurely(journal, streamOf(journal.prefix, ref.registry, ref.uid), revision, written);
  journal.appended(position);
  const recorded = sealed.map(({ form, event, meta }, index) => ({
    event,
    meta,
    id: form.id,
    registry: ref.registry,
    uid: ref.uid,
    revision: revision + 1 + index,
    // Only the last event's position is known; the others of one append are told by the log alone.
    position: Number(position),
  }));
  const record = recorded.reduce<RecordState | null>(evolve, stream.record);
  if (record === null) throw new Error(`an append to ${ref.registry}/${ref.uid} left no record`);
  return { record, events: recorded, written };
};

interface Last {
  readonly stored: StoredEvent;
  readonly meta: Metadata;
}

const lastOf = ({ stored, recorded }: Stream): Last | null => {
  const [last, known] = [stored.at(-1), recorded.at(-1)];
  return last === undefined || known === undefined ? null : { stored: last, meta: known.meta };
};

interface Sealed<E extends LetheEvent> {
  readonly form: NewEvent;
  readonly event: E;
  readonly meta: Metadata;
}

/** The time of a stream's next event: never before that of its last, however the clock was set since. */
export const timeAfter = (clock: Clock, last: Last | null): string => {
  const now = clock.now().toISOString();
  return last !== null && now < last.meta.at ? last.meta.at : now;
};

/** Events as they go into the log: with their ids, their time, and the digest of the one before. */
export const seal = <E extends LetheEvent>(
  at: string,
  last: Last | null,
  { commandId, hash, actor, reason, correlationId }: Envelope,
  events: readonly E[],
): Sealed<E>[] => {
  let previous = last === null ? null : digestOf(last.stored, last.meta);
  return events.map((event, index) => {
    const meta: Metadata = {
      version: EVENTS[event.type].version,
      actor,
      reason,
      commandId,
      commandHash: hash,
      correlationId,
      at,
      previous,
    };
    const form = encode(eventIdOf(commandId, hash, index), event, meta);
    previous = digestOf(form, meta);
    return { form, event, meta };
  });
};

/** Repeats an append whose outcome is unknown. Once one was, only an answer settles it: a later failure leaves it unknown. */
export const appendSurely = async (
  journal: Journal,
  stream: string,
  revision: number,
  events: readonly NewEvent[],
): Promise<Appended> => {
  let unknown: OutcomeUnknown | null = null;
  for (let tries = 0; tries < ATTEMPTS; tries += 1) {
    try {
      return await journal.store.append(stream, revision, events);
    } catch (error) {
      if (error instanceof OutcomeUnknown) unknown = error;
      else if (unknown === null || error instanceof RevisionConflict) throw error;
    }
  }
  throw unknown ?? new OutcomeUnknown(`no answer to an append to ${stream}`);
};
