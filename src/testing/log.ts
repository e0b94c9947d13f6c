import { digestOf, encode, streamOf } from '../events/codec.js';
import {
  EVENTS,
  isRecordEvent,
  type LetheEvent,
  type Metadata,
  type RecordEvent,
  type Recorded,
} from '../events/events.js';
import { derivedId, eventIdOf, sha256 } from '../events/ids.js';
import type { Ref } from '../events/vocabulary.js';
import type { StoredEvent } from '../storage/event-store/port.js';
import type { Happening } from './events.js';

const START = Date.parse('2026-01-01T00:00:00.000Z');
const SECOND = 1_000;

/** Where a stream has come to. */
interface Tip {
  readonly revision: number;
  readonly at: string;
  readonly digest: string;
  /** The revision of its last RecordPurgeRequested. */
  readonly request: number;
}

const NO_EVENTS: Tip = { revision: -1, at: '', digest: '', request: -1 };

/**
 * A log that a test writes by hand, over as many records as it likes. Revisions, positions (1, 2, 3 …), ids and the digest of the
 * event before are filled in as the service would.
 */
export class TestLog {
  /** All events, in the order of the log. */
  readonly recorded: Recorded[] = [];
  /** The same as an event store holds them. */
  readonly stored: StoredEvent[] = [];
  private readonly tips = new Map<string, Tip>();

  constructor(readonly prefix = 'lethe.') {}

  get head(): number {
    return this.recorded.length;
  }

  /** Appends to one record's stream. @returns what became of each happening */
  happens({ registry, uid }: Ref, ...happenings: Happening[]): Recorded[] {
    const stream = streamOf(this.prefix, registry, uid);
    return happenings.map((happening) => {
      const tip = this.tips.get(stream) ?? NO_EVENTS;
      const revision = tip.revision + 1;
      const position = this.head + 1;
      const event = happening.event(tip.request);
      const meta = this.metadataOf(event, stream, tip, happening);
      const id = eventIdOf(meta.commandId, meta.commandHash ?? '', revision);
      const form = encode(id, event, meta);
      const recorded = { event, meta, id, registry, uid, revision, position };
      this.recorded.push(recorded);
      this.stored.push({ ...form, stream, revision, position: BigInt(position) });
      const request = event.type === 'RecordPurgeRequested' ? revision : tip.request;
      this.tips.set(stream, { revision, at: meta.at, digest: digestOf(form, meta), request });
      return recorded;
    });
  }

  private metadataOf({ type }: LetheEvent, stream: string, tip: Tip, { said }: Happening): Metadata {
    const commandId = derivedId('test', stream, tip.revision + 1);
    const now = new Date(START + this.head * SECOND).toISOString();
    return {
      version: EVENTS[type].version,
      actor: 'alice',
      reason: null,
      commandId,
      commandHash: sha256(commandId),
      correlationId: commandId,
      at: now < tip.at ? tip.at : now,
      ...said,
      previous: tip === NO_EVENTS ? null : tip.digest,
    };
  }
}

/** The history of one record, written by hand. */
export const historyOf = (ref: Ref, ...happenings: Happening<RecordEvent>[]): Recorded<RecordEvent>[] =>
  new TestLog().happens(ref, ...happenings).filter(isRecordEvent);
