import { seal, timeAfter } from '../src/commands/execute.js';
import { streamOf } from '../src/events/codec.js';
import type { FileFields, Metadata, RecordEvent, Seen } from '../src/events/events.js';
import { base62From, derivedId, sha256, uidOf, uidOfName } from '../src/events/ids.js';
import type { Clock } from '../src/ports.js';
import type { NewEvent } from '../src/storage/event-store/port.js';

/*
 * The records of a data folder that has been used for a while, and what happened to each, as the very events that the service would have
 * written: same fields, ids, digests and chains.
 */

export const PREFIX = 'lethe.';

/** The storage `default`, as the service names it at its first start. */
const STORAGE = uidOfName('storages', 'default', 0);
const SUFFIXES = ['.parquet', '.h5ad', '.csv', '.tif', '.fastq.gz'] as const;
const ACTORS = ['svc:ingest', 'svc:pipeline', 'ada', 'grace'] as const;
const RUNS = 1_000;
const LABELS = 100;

/** One append. */
export interface Append {
  readonly stream: string;
  readonly expected: number;
  readonly events: readonly NewEvent[];
}

type Step = 'update' | 'trash' | 'restore' | 'request' | 'start' | 'end';

/** Of 100 records 75 stay as they came, 15 are updated, 5 lie in the trash, 4 were there and came back, 1 was purged: 133 events. */
const stepsOf = (number: number): readonly Step[] => {
  const place = number % 100;
  if (place < 15) return ['update'];
  if (place < 20) return ['trash'];
  if (place < 24) return ['trash', 'restore'];
  return place === 24 ? ['trash', 'request', 'start', 'end'] : [];
};

/** A clock that a writer of history sets: a tenth of a second between two commands. */
export class PastClock implements Clock {
  constructor(private at: number) {}

  now(): Date {
    return new Date((this.at += 100));
  }

  monotonic(): number {
    return this.at;
  }

  sleep(): Promise<void> {
    return Promise.reject(new Error('nothing waits in the past'));
  }
}

/** A record while its story is told, append by append. */
export class Story {
  private told = 0;
  private revision = -1;
  private last: { form: NewEvent; meta: Metadata } | null = null;
  private request = 0;

  private constructor(
    private readonly registry: string,
    readonly uid: string,
    private readonly steps: readonly ('register' | Step)[],
    private readonly registration: RecordEvent,
    private readonly number: number,
  ) {}

  static ofFile(number: number, seenAt: number): Story {
    const uid = uidOf(derivedId('bench', 'files', number));
    const event: RecordEvent = {
      type: 'RecordRegistered',
      visibility: 1,
      fields: fileFields(number, uid),
      seenAt: String(seenAt),
    };
    return new Story('files', uid, ['register', ...stepsOf(number)], event, number);
  }

  static ofPlain(registry: 'runs' | 'labels', number: number): Story {
    const fields = {
      kind: 'plain',
      name: `${registry} ${number}`,
      description: null,
      data: null,
      place: null,
    } as const;
    const event: RecordEvent = { type: 'RecordRegistered', visibility: 1, fields, seenAt: null };
    return new Story(registry, plainUid(registry, number), ['register'], event, number);
  }

  get isOver(): boolean {
    return this.told === this.steps.length;
  }

  next(clock: Clock): Append {
    const step = this.steps[this.told];
    if (step === undefined) throw new Error(`the story of ${this.registry}/${this.uid} is over`);
    const stream = streamOf(PREFIX, this.registry, this.uid);
    const commandId = derivedId('bench', this.registry, this.number, this.told);
    const envelope = {
      commandId,
      hash: sha256(commandId),
      actor: ACTORS[this.number % ACTORS.length] ?? '',
      reason: step === 'trash' ? 'superseded by a later run' : null,
      correlationId: commandId,
      ifMatch: null,
      repeatable: false,
    };
    const before =
      this.last === null
        ? null
        : { meta: this.last.meta, stored: { ...this.last.form, stream, revision: this.revision, position: 0n } };
    const sealed = seal(timeAfter(clock, before), before, envelope, this.eventsOf(step));
    const expected = this.revision;
    this.revision += sealed.length;
    this.told += 1;
    this.last = sealed.at(-1) ?? null;
    return { stream, expected, events: sealed.map(({ form }) => form) };
  }

  private eventsOf(step: 'register' | Step): RecordEvent[] {
    const { request } = this;
    switch (step) {
      case 'register':
        return [this.registration];
      case 'update': {
        const description = { from: null, to: `Checked by hand, batch ${this.number}` };
        return [{ type: 'RecordUpdated', changes: { description }, withdraws: null }];
      }
      case 'trash':
        return [{ type: 'RecordTrashed', from: 1, purgeAfter: null }];
      case 'restore':
        return [{ type: 'RecordRestored', to: 1 }];
      case 'request':
        this.request = this.revision + 1;
        return [{ type: 'RecordPurgeRequested', storage: null, withdraws: null, operation: null }];
      case 'start':
        return [{ type: 'ObjectDeletionStarted', request, seen: seenOf(this.number) }];
      case 'end':
        return [
          { type: 'ObjectDeleted', request, objects: 1, bytes: sizeOf(this.number), changed: false },
          { type: 'RecordPurged', request },
        ];
    }
  }
}

/** What the files point to. */
export const pointedAt = function* (): Generator<Story> {
  for (let number = 0; number < RUNS; number += 1) yield Story.ofPlain('runs', number);
  for (let number = 0; number < LABELS; number += 1) yield Story.ofPlain('labels', number);
};

const plainUid = (registry: 'runs' | 'labels', number: number): string =>
  base62From(JSON.stringify(['bench', registry, number]), 20);
const RUN_UIDS = Array.from({ length: RUNS }, (_, number) => plainUid('runs', number));
const LABEL_UIDS = Array.from({ length: LABELS }, (_, number) => plainUid('labels', number));

const sizeOf = (number: number): number => 1_000 + ((number * 7_919) % 10_000_000);

const seenOf = (number: number): Seen => ({
  kind: 'file',
  etag: `${(number * 31).toString(16)}-${sizeOf(number).toString(16)}`,
  size: sizeOf(number),
  modifiedAt: '2026-01-01T00:00:00.000Z',
  versions: null,
});

/** Half of the files come from a run, a third have a label. */
const fileFields = (number: number, uid: string): FileFields => {
  const suffix = SUFFIXES[number % SUFFIXES.length] ?? '';
  return {
    kind: 'file',
    key: `project-${number % 37}/plate-${number % 1_009}/measurement-${number}${suffix}`,
    keyIsVirtual: true,
    storage: STORAGE,
    path: `.lethe/${uid}-bench0${suffix}`,
    suffix,
    accessor: null,
    description: null,
    version: null,
    initialVersion: null,
    size: sizeOf(number),
    hash: sha256(`content ${number}`).slice(0, 22),
    hashType: 'md5',
    objects: 1,
    run: number % 2 === 0 ? (RUN_UIDS[number % RUNS] ?? null) : null,
    transform: null,
    labels: number % 3 === 0 ? LABEL_UIDS.slice(number % LABELS, (number % LABELS) + 1) : [],
    own: true,
    seen: seenOf(number),
  };
};
