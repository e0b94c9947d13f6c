import { isDeepStrictEqual } from 'node:util';
import { decode, digestOf } from '../../src/events/codec.js';
import { isRecordEvent, type Recorded } from '../../src/events/events.js';
import { evolve, type RecordState } from '../../src/events/record.js';
import { storageFacts } from '../../src/events/storage-data.js';
import type { EventStore, StoredEvent } from '../../src/storage/event-store/port.js';

export const PREFIX = 'lethe.';

/** Something that must never be, and the record that it is about. */
export interface Violation {
  readonly what: string;
  /** `registry/uid`; null where it is about none. */
  readonly record: string | null;
}

/** The whole log as the test reads it by itself, and each record as its events fold. What reads it checks it. */
export class Ledger {
  readonly streams = new Map<string, Recorded[]>();
  readonly states = new Map<string, RecordState>();
  readonly violations: Violation[] = [];
  /** What came since the last `take`. */
  private fresh: Recorded[] = [];
  private readonly ids = new Map<string, string>();
  private readonly digests = new Map<string, string>();
  private readonly correlated = new Map<string, Recorded[]>();
  private position = 0n;

  /** @param open opens the log for one reading of it */
  constructor(private readonly open: () => Promise<EventStore>) {}

  get head(): bigint {
    return this.position;
  }

  /** Reads what the log holds beyond what was read before. */
  async follow(): Promise<void> {
    const log = await this.open();
    try {
      for await (const batch of log.readAll(this.position)) for (const stored of batch) this.add(stored);
    } finally {
      await log.close();
    }
  }

  take(): Recorded[] {
    const { fresh } = this;
    this.fresh = [];
    return fresh;
  }

  /** What one caller's command appended, the saga's steps left out. */
  ofCommand(id: string): Recorded[] {
    return (this.correlated.get(id) ?? []).filter(({ meta }) => !meta.actor.startsWith('system:'));
  }

  /** Where an object lies: its storage's folder and its path. */
  locate({ storage, path }: { storage: string; path: string }): string {
    const state = this.states.get(`storages/${storage}`);
    const facts = state === undefined ? null : storageFacts(state.fields);
    return `${facts?.place.replace(/^file:/, '') ?? `?${storage}?/`}${path}`;
  }

  private add(stored: StoredEvent): void {
    const recorded = decode(PREFIX, stored);
    if (recorded === null) {
      this.violations.push({ what: `the log holds a ${stored.type}, which nobody wrote`, record: null });
      return;
    }
    const { registry, uid, revision, id, meta } = recorded;
    const key = `${registry}/${uid}`;
    const say = (what: string): void => void this.violations.push({ what, record: key });
    const stream = this.streams.get(key) ?? [];
    this.streams.set(key, stream);
    if (stored.position <= this.position) say(`position ${stored.position} does not rise`);
    if (revision !== stream.length) say(`revision ${revision} comes after ${stream.length} events`);
    const first = this.ids.get(id);
    if (first !== undefined) say(`event ${id} at revision ${revision} is also ${first}`);
    if (meta.previous !== (this.digests.get(key) ?? null)) say(`the chain breaks at revision ${revision}`);
    const before = stream.at(-1);
    if (before !== undefined && meta.at < before.meta.at) say(`revision ${revision} is earlier than the one before`);

    this.position = stored.position;
    stream.push(recorded);
    this.fresh.push(recorded);
    this.ids.set(id, `${key} ${revision}`);
    this.digests.set(key, digestOf(stored, meta));
    const command = meta.correlationId.split('/', 1)[0] ?? '';
    this.correlated.set(command, [...(this.correlated.get(command) ?? []), recorded]);
    if (!isRecordEvent(recorded)) return;
    const state = evolve(this.states.get(key) ?? null, recorded);
    if (state !== null) this.states.set(key, state);
  }
}

/** In what an answer differs from what a record's events tell, in words; empty where it does not. */
export const differences = (answer: Readonly<Record<string, unknown>>, state: RecordState): string[] => {
  const expected = shown(state);
  const names = Object.keys(expected).filter((name) => !isDeepStrictEqual(answer[name], expected[name]));
  return names.map(
    (name) => `its ${name} is ${JSON.stringify(answer[name])}, and by its events ${JSON.stringify(expected[name])}`,
  );
};

/** What an answer must say of a record, as far as its own events tell it. */
const shown = ({ registry, uid, revision, visibility, fields, hold, trashing, ...rest }: RecordState) => {
  const { createdAt, updatedAt } = rest;
  const common: Record<string, unknown> = { registry, uid, revision, createdAt, updatedAt };
  for (const [name, value] of Object.entries(fields)) {
    if (!['kind', 'own', 'seen', 'place'].includes(name)) common[name] = value;
  }
  if (fields.kind === 'plain') return common;
  return { ...common, visibility, hold, trashedAt: trashing?.at ?? null, trashedBy: trashing?.by ?? null };
};
