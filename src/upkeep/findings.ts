/** What may be found wrong, in words that a script can ask for. */
export type FindingKind =
  | 'event-altered'
  | 'event-missing'
  | 'event-out-of-time'
  | 'event-unreadable'
  | 'log-cut'
  | 'row-differs'
  | 'row-missing'
  | 'row-surplus'
  | 'model-damaged'
  | 'model-missing'
  | 'model-not-compared'
  | 'object-missing'
  | 'object-altered'
  | 'object-leaked'
  | 'object-unreadable'
  | 'storage-foreign'
  | 'storage-unreachable';

export interface Finding {
  readonly kind: FindingKind;
  /** In a sentence what is wrong, and with what. */
  readonly what: string;
  readonly todo: string;
}

/** So many of a kind are told one by one; the others are counted. */
const TOLD = 1_000;

/** Gathers findings, and no more of them than memory and a reader can hold. */
export class Findings {
  readonly told: Finding[] = [];
  private readonly counts = new Map<FindingKind, number>();

  add(finding: Finding): void {
    const count = (this.counts.get(finding.kind) ?? 0) + 1;
    this.counts.set(finding.kind, count);
    if (count <= TOLD) this.told.push(finding);
  }

  /** How many there are of each kind. */
  byKind(): Record<string, number> {
    return Object.fromEntries([...this.counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
