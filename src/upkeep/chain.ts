import { digestOf, Unreadable, decode } from '../events/codec.js';
import { metadataSchema, type Metadata } from '../events/events.js';
import { eventIdOf, sha256 } from '../events/ids.js';
import type { StoredEvent } from '../storage/event-store/port.js';
import { messageOf, type Finding } from './findings.js';

/** Where a stream has come to. `digest` is null where its last event says nothing that can be read. */
interface Tip {
  readonly revision: number;
  readonly at: string;
  readonly digest: string | null;
  readonly commandId: string;
  readonly index: number;
}

const FROM_A_BACKUP =
  'Restore the log from a backup, or compare with an export (lethe events export) to see which was changed';

/** How many streams are held in memory at once. */
const MOST_STREAMS = 250_000;

const MOST_PENDING = 10_000;

/** An append has at most a hundred events. */
const ANY_INDEX = Array.from({ length: 100 }, (_, index) => index);

/** Some of the streams: those whose names' hashes end in these bits. */
interface Share {
  readonly bits: number;
  readonly value: number;
}

/**
 * Checks that each stream is a chain: its revisions without gaps, its times never going back, each event with the digest of the one before
 * and an id that follows from its command. What nothing in the log itself can tell is whether a stream's last event was changed: no other
 * carries its digest yet.
 *
 * Where there are more streams than it may hold, it looks at a share of them and asks for the log again, `another` time after time.
 */
export class Chain {
  private tips = new Map<string, Tip>();
  private share: Share = { bits: 0, value: 0 };
  private readonly later: Share[] = [];
  /** Of this pass. What is found of a stream that there turns out to be no room for will be found again. */
  private pending: { readonly stream: string; readonly finding: Finding }[] = [];

  constructor(
    private readonly prefix: string,
    private readonly found: (finding: Finding) => void,
    private readonly mostStreams = MOST_STREAMS,
  ) {}

  /**
   * To be asked at the log's end: tells what was found.
   * @returns whether the whole log is to be seen again, from its beginning, for the streams that there was no room for
   */
  another(): boolean {
    for (const { finding } of this.pending.splice(0)) this.found(finding);
    const share = this.later.pop();
    if (share === undefined) return false;
    this.share = share;
    this.tips = new Map();
    return true;
  }

  /** The next event of the log. */
  see(stored: StoredEvent): void {
    if (!isIn(stored.stream, this.share)) return;
    const tip = this.tips.get(stored.stream) ?? null;
    this.tips.set(stored.stream, this.linked(stored, tip));
    if (this.tips.size > this.mostStreams) this.halve();
  }

  private linked(stored: StoredEvent, tip: Tip | null): Tip {
    const { stream, revision } = stored;
    const expected = (tip?.revision ?? -1) + 1;
    if (revision !== expected) {
      const missing = revision === expected + 1 ? `revision ${expected}` : `what stands before revision ${revision}`;
      this.say(
        stored,
        'event-missing',
        `stream ${stream} goes from ${tip?.revision ?? 'nothing'} to revision ${revision}: ${missing} is gone`,
      );
    }
    const meta = this.read(stored);
    if (meta === null) return { revision, at: tip?.at ?? '', digest: null, commandId: '', index: -1 };
    // After a gap nobody knows what stood before.
    if (revision === expected) this.compare(stored, meta, tip);
    // After a gap, or what cannot be read, nobody knows the how-manieth of its command's events it is.
    const known = revision === expected && tip?.digest !== null;
    const next = tip?.commandId === meta.commandId ? tip.index + 1 : 0;
    const index = (known ? [next] : ANY_INDEX).find((candidate) => isDerived(stored, meta, candidate)) ?? null;
    if (index === null) {
      this.say(
        stored,
        'event-altered',
        `${nameOf(stored)} has an id that does not follow from its command: one of the two was changed`,
      );
    }
    return { revision, at: meta.at, digest: digestOf(stored, meta), commandId: meta.commandId, index: index ?? next };
  }

  private compare(stored: StoredEvent, meta: Metadata, tip: Tip | null): void {
    const before = tip === null ? null : tip.digest;
    const known = tip === null || tip.digest !== null;
    if (known && meta.previous !== before) {
      const other =
        tip === null
          ? 'names one before it, and there is none'
          : `does not carry the digest of revision ${tip.revision}`;
      this.say(stored, 'event-altered', `${nameOf(stored)} ${other}: one of the two was changed after it was written`);
    }
    if (tip !== null && meta.at < tip.at) {
      this.say(
        stored,
        'event-out-of-time',
        `${nameOf(stored)} is of ${meta.at}, and the one before it of ${tip.at}: one of the two was changed`,
      );
    }
  }

  /** What is said of an event; null, and a finding, where it or that cannot be read. */
  private read(stored: StoredEvent): Metadata | null {
    try {
      const recorded = decode(this.prefix, stored);
      // A type that this version does not know has its place in the chain all the same.
      return recorded === null ? metadataSchema.parse(JSON.parse(stored.metadata)) : recorded.meta;
    } catch (error) {
      this.say(
        stored,
        'event-unreadable',
        error instanceof Unreadable ? error.message : `${nameOf(stored)}: ${messageOf(error)}`,
      );
      return null;
    }
  }

  private halve(): void {
    const { bits, value } = this.share;
    this.share = { bits: bits + 1, value };
    this.later.push({ bits: bits + 1, value: value + 2 ** bits });
    for (const stream of this.tips.keys()) if (!isIn(stream, this.share)) this.tips.delete(stream);
    this.pending = this.pending.filter(({ stream }) => isIn(stream, this.share));
  }

  private say({ stream }: StoredEvent, kind: Finding['kind'], what: string): void {
    // Beyond what memory holds some may be told twice, of a log that is wrong all over.
    if (this.pending.length >= MOST_PENDING) for (const { finding } of this.pending.splice(0)) this.found(finding);
    this.pending.push({ stream, finding: { kind, what, todo: FROM_A_BACKUP } });
  }
}

const nameOf = ({ position, type, stream, revision }: StoredEvent): string =>
  `event ${position} (${type}, revision ${revision} of ${stream})`;

/** Whether an id is the one that was made for this event. What came from elsewhere, without a command's hash, has any. */
const isDerived = ({ id, type }: StoredEvent, { commandId, commandHash }: Metadata, index: number): boolean => {
  if (commandHash === null) return true;
  return id === (type === 'InstanceCreated' ? commandId : eventIdOf(commandId, commandHash, index));
};

const isIn = (stream: string, { bits, value }: Share): boolean =>
  bits === 0 || Buffer.from(sha256(stream), 'base64url').readUInt32LE() % 2 ** bits === value;
