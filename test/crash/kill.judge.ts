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
  verdict: string | null;
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
    if (row === undefined) {
      const location = state.fields.kind === 'file' ? this.ledger.locate(state.fields) : null;
      this.rows.set(key, { state, live: !taken, points: new Set(pointsTo(state)), location, verdict: null });
      return null;
    }
    row.state = state;
    const points = pointsTo(state);
    // What an update that is taken back came to point at is protected by nothing.
    row.points = new Set(taken ? points.filter((target) => row.points.has(target)) : points);
    switch (event.type) {
      case 'RecordPurgeRequested':
        row.verdict = this.verdictOn(key, row, event);
        row.live = row.verdict === 'called off';
        return null;
      case 'RecordPurgeCancelled':
        return differs(row, 'called off', 'was called off');
      case 'ObjectKept':
        return differs(row, `kept: ${event.why}`, `has its object kept (${event.why})`);
      case 'ObjectDeletionStarted':
      case 'ObjectDeleted':
        return differs(row, 'deleted', 'has its object deleted');
      case 'RecordPurged':
        return state.fields.kind === 'file' ? null : differs(row, 'no object', 'was purged');
      default:
        return null;
    }
  }

  private verdictOn(key: string, row: Row, { withdraws, storage }: EventOf<'RecordPurgeRequested'>): string {
    const others = [...this.rows].filter(([other, { live }]) => live && other !== key).map(([, other]) => other);
    if (withdraws === null && others.some(({ points }) => points.has(key))) return 'called off';
    const { location } = row;
    const { fields } = row.state;
    if (location === null || fields.kind !== 'file') return 'no object';
    const home = this.rows.get(`storages/${fields.storage}`);
    if (home === undefined || storageFacts(home.state.fields)?.managed !== true) return 'kept: foreign-storage';
    if (storage === 'keep') return 'kept: asked';
    if (others.some((other) => other.location !== null && overlap(other.location, location))) return 'kept: shared';
    return fields.keyIsVirtual || storage === 'delete' ? 'deleted' : 'kept: semantic-key';
  }
}

const differs = ({ verdict }: Row, expected: string, what: string): string | null =>
  verdict === expected ? null : `${what}, and by the contract's table it is ${verdict ?? 'not being purged'}`;

const overlap = (a: string, b: string): boolean =>
  a === b || (a.endsWith('/') && b.startsWith(a)) || (b.endsWith('/') && a.startsWith(b));
