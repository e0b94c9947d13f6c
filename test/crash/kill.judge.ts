import { isRecordEvent, type EventOf, type Recorded, type RecordEvent } from '../../src/events/events.js';
import { evolve, pointsTo, type RecordState } from '../../src/events/record.js';
import { storageFacts } from '../../src/events/storage-data.js';
import type { Ledger, Violation } from './kill.ledger.js';

interface Row {
  state: RecordState;
  /** It protects what it points to, and its object. */
  live: boolean;
  points: ReadonlySet<string>;
  location: string | null;
  /** On its purge, if one was requested. */
  verdict: string | null;
  /** Where in the log the deletion of its object stood: from its request to its end. */
  deletion: { readonly from: number; to: number } | null;
}

/**
 * The contract's table (section 2) once more, as plainly as it can be said: every purge request looks at every record as it stood in the
 * log's order. It knows nothing of projections, batches or workers.
 */
export class Judge {
  private readonly rows = new Map<string, Row>();

  constructor(private readonly ledger: Ledger) {}

  /** @param events what came since the last call; every purge among them has settled. @returns what should not have been */
  judge(events: readonly Recorded[]): Violation[] {
    const found: Violation[] = [];
    const withdrawn = new Set(events.flatMap(({ event }) => ('withdraws' in event ? (event.withdraws ?? []) : [])));
    for (const recorded of events.filter(isRecordEvent)) {
      const record = `${recorded.registry}/${recorded.uid}`;
      const what = this.apply(record, recorded, withdrawn);
      if (what !== null) found.push({ what, record });
    }
    return found;
  }

  private apply(key: string, recorded: Recorded<RecordEvent>, withdrawn: ReadonlySet<string>): string | null {
    const { event } = recorded;
    const row = this.rows.get(key);
    const state = evolve(row?.state ?? null, recorded);
    if (state === null) return `${event.type} comes before a registration`;
    const taken = withdrawn.has(String(recorded.position));
    const points = pointsTo(state);
    if (row === undefined) {
      const location = state.fields.kind === 'file' ? this.ledger.locate(state.fields) : null;
      const why = this.tooLate(recorded, points, location);
      this.rows.set(key, { state, live: !taken, points: new Set(points), location, verdict: null, deletion: null });
      return withdrawal(taken, why);
    }
    const added = points.filter((target) => !row.points.has(target));
    row.state = state;
    // What an update that is taken back came to point at is protected by nothing.
    row.points = new Set(taken ? points.filter((target) => row.points.has(target)) : points);
    switch (event.type) {
      case 'RecordUpdated':
        return withdrawal(taken, this.tooLate(recorded, added, null));
      case 'RecordPurgeRequested':
        row.verdict = event.withdraws === null ? this.verdictOn(key, row, event) : WITHDRAWN;
        row.live = row.verdict === 'called off';
        if (row.verdict === 'deleted') row.deletion = { from: recorded.position, to: Infinity };
        return null;
      case 'RecordPurgeCancelled':
        return differs(row, 'called off', 'was called off');
      case 'ObjectKept':
        return differs(row, `kept: ${event.why}`, `has its object kept (${event.why})`);
      case 'ObjectDeleted':
        if (row.deletion !== null) row.deletion.to = recorded.position;
        return differs(row, 'deleted', 'has its object deleted');
      case 'ObjectDeletionStarted':
        return differs(row, 'deleted', 'has its object deleted');
      case 'RecordPurged':
        return state.fields.kind === 'file' ? null : differs(row, 'no object', 'was purged');
      default:
        return null;
    }
  }

  /** Why a registration or an update comes too late to stand: what it came to point at, or its object, was going already. */
  private tooLate({ event, position }: Recorded, points: readonly string[], location: string | null): string | null {
    const gone = points.find((target) => this.rows.get(target)?.live !== true);
    if (gone !== undefined) return `it points to ${gone}, whose purge stood`;
    if (location === null || event.type !== 'RecordRegistered') return null;
    const since = Number(event.seenAt ?? position);
    for (const [other, { location: place, deletion }] of this.rows) {
      if (place === null || deletion === null || deletion.to <= since || !overlap(place, location)) continue;
      return `its object was being deleted for ${other} (from ${deletion.from} to ${deletion.to}; seen at ${since})`;
    }
    return null;
  }

  private verdictOn(key: string, row: Row, { storage }: EventOf<'RecordPurgeRequested'>): string {
    const others = [...this.rows].filter(([other, { live }]) => live && other !== key).map(([, other]) => other);
    if (others.some(({ points }) => points.has(key))) return 'called off';
    const { location } = row;
    const { fields } = row.state;
    if (location === null || fields.kind !== 'file') return 'no object';
    if (this.isForeign(fields.storage, location)) return 'kept: foreign-storage';
    if (storage === 'keep') return 'kept: asked';
    if (others.some((other) => other.location !== null && overlap(other.location, location))) return 'kept: shared';
    return fields.keyIsVirtual || storage === 'delete' ? 'deleted' : 'kept: semantic-key';
  }
  /** Its storage is not managed, or one that it lies in, or that lies in it. */
  private isForeign(storage: string, location: string): boolean {
    // A storage that was purged since is where it was, and what was to be deleted from it still is.
    const own = this.rows.get(`storages/${storage}`);
    if (own === undefined) return true;
    return [...this.rows.values()].some(({ live, state }) => {
      const facts = storageFacts(state.fields);
      const counts = live || state === own.state;
      return counts && facts?.managed === false && overlap(facts.place.replace(/^file:/, ''), location);
    });
  }
}

/** A purge that takes a registration back goes by rules of its own: what the upload stored goes, what it found stays. */
const WITHDRAWN = 'withdrawn';

const withdrawal = (taken: boolean, why: string | null): string | null => {
  if (taken) return why === null ? 'was withdrawn, and nothing stood against it' : null;
  return why === null ? null : `stands, and was to be withdrawn: ${why}`;
};

const differs = ({ verdict }: Row, expected: string, what: string): string | null =>
  verdict === expected || verdict === WITHDRAWN
    ? null
    : `${what}, and by the contract's table it is ${verdict ?? 'not being purged'}`;

const overlap = (a: string, b: string): boolean =>
  a === b || (a.endsWith('/') && b.startsWith(a)) || (b.endsWith('/') && a.startsWith(b));
