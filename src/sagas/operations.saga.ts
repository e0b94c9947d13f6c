import { PurgeRecord, type Envelope } from '../commands/commands.js';
import { CompleteOperation } from '../commands/operation.handlers.js';
import { Refusal } from '../commands/refusals.js';
import { derivedId, sha256 } from '../events/ids.js';
import { TRASHED } from '../events/vocabulary.js';
import { RevisionConflict } from '../storage/errors.js';
import type { CatalogueRow, Condition, OperationRow, ReadModel } from '../storage/read-model/port.js';
import { Rounds, type RoundsPorts } from './rounds.js';

/** From what points to what is pointed at. */
const TIERS: readonly { readonly registry: string; readonly later: boolean }[] = [
  { registry: 'datasets', later: true },
  { registry: 'datasets', later: false },
  { registry: 'files', later: true },
  { registry: 'files', later: false },
];
/** Records whose purge is requested at once. */
const PAGE = 32;
const IDLE_MS = 2_000;
/** The most skipped records that an operation names. */
const NAMED = 100;

export interface OperationsSagaPorts extends RoundsPorts {
  readonly model: ReadModel;
  readonly purge: (command: PurgeRecord) => Promise<void>;
  readonly complete: (command: CompleteOperation) => Promise<void>;
  /** Resolves once the read model holds all that this process appended. */
  readonly reach: () => Promise<void>;
}

interface Skipped {
  readonly registry: string;
  readonly uid: string;
  readonly code: string;
}

/**
 * Carries long work out, record by record. Where it stopped follows from the records themselves: one that was purged is no longer in the
 * trash, so that a restart goes on and repeats nothing.
 */
export class OperationsSaga {
  constructor(private readonly ports: OperationsSagaPorts) {}

  async run(signal: AbortSignal): Promise<void> {
    await new Rounds(this.ports).run(signal, IDLE_MS, 'an operation stopped and will go on', async () => {
      for (const operation of await this.running()) await this.carryOut(operation, signal);
      return IDLE_MS;
    });
  }

  private async running(): Promise<OperationRow[]> {
    return this.ports.model.find('operations', {
      where: [{ path: 'state', op: 'eq', value: 'running' }],
      sort: [
        { path: 'startedAt', descending: false },
        { path: 'id', descending: false },
      ],
      after: null,
      limit: 100,
    });
  }

  private async carryOut(operation: OperationRow, signal: AbortSignal): Promise<void> {
    const skipped: Skipped[] = [];
    let skippedCount = 0;
    for (const tier of TIERS) {
      if (operation.criteria['registry'] !== undefined && operation.criteria['registry'] !== tier.registry) continue;
      // What a tier points to is free only once the projection has seen the tier's purges.
      await this.ports.reach();
      for await (const rows of this.trashed(operation, tier, signal)) {
        const codes = await Promise.all(rows.map((row) => this.purge(operation, row)));
        codes.forEach((code, index) => {
          const row = rows[index];
          if (code === null || row === undefined) return;
          skippedCount += 1;
          if (skipped.length < NAMED) skipped.push({ registry: row.registry, uid: row.uid, code });
        });
      }
    }
    if (signal.aborted) return;
    await this.ports.reach();
    const ofThis: Condition = { path: 'purge.operation', op: 'eq', value: operation.id };
    const under = await this.ports.model.total('purges', [
      ofThis,
      { path: 'state', op: 'in', value: ['pending', 'failed'] },
    ]);
    if (under.rows > 0) return;
    const done = await this.ports.model.total('purges', [ofThis, { path: 'state', op: 'eq', value: 'done' }]);
    const envelope = envelopeOf(operation, 'complete');
    await this.ports.complete(new CompleteOperation(operation.id, envelope, done.rows, skippedCount, skipped));
    await this.ports.reach();
  }

  /** The records of a tier that were in the trash at the operation's position, by the trashing that it saw; a page at a time. */
  private async *trashed(
    operation: OperationRow,
    tier: (typeof TIERS)[number],
    signal: AbortSignal,
  ): AsyncGenerator<CatalogueRow[]> {
    const before = operation.criteria['trashedBefore'];
    for (let after: string[] | null = null; !signal.aborted;) {
      const page: CatalogueRow[] = await this.ports.model.find('catalogue', {
        where: [
          { path: 'registry', op: 'eq', value: tier.registry },
          { path: 'live', op: 'eq', value: true },
          { path: 'record.visibility', op: 'eq', value: TRASHED },
          { path: 'record.fields.initialVersion', op: 'null', value: !tier.later },
          { path: 'record.trashing.position', op: 'lte', value: Number(operation.position) },
          ...(typeof before === 'string' ? [{ path: 'record.trashing.at', op: 'lt', value: before } as const] : []),
        ],
        sort: [
          { path: 'record.createdAt', descending: false },
          { path: 'uid', descending: false },
        ],
        after,
        limit: PAGE,
      });
      if (page.length > 0) yield page;
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) return;
      after = [last.record.createdAt, last.uid];
    }
  }

  /** @returns why the record was skipped; null where its purge was requested */
  private async purge(operation: OperationRow, { registry, uid, record }: CatalogueRow): Promise<string | null> {
    const trashing = record.trashing?.revision ?? -1;
    const envelope = envelopeOf(operation, 'purge', registry, uid, trashing);
    try {
      await this.ports.purge(
        new PurgeRecord({ registry, uid }, envelope, null, false, { operation: operation.id, trashing }),
      );
      return null;
    } catch (error) {
      if (error instanceof Refusal) return error.code;
      if (error instanceof RevisionConflict) return 'conflict';
      throw error;
    }
  }
}

const envelopeOf = (
  { id, startedBy, reason, correlationId }: OperationRow,
  ...step: (string | number)[]
): Envelope => ({
  repeatable: true,
  commandId: derivedId('operation', id, ...step),
  hash: sha256(JSON.stringify(step)),
  actor: startedBy,
  reason,
  correlationId,
  ifMatch: null,
});
