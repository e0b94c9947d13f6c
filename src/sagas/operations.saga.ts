import { PurgeRecord, type Envelope } from '../commands/commands.js';
import { CompleteOperation } from '../commands/operation.handlers.js';
import { Refusal } from '../commands/refusals.js';
import { derivedId, sha256 } from '../events/ids.js';
import { refKey } from '../events/vocabulary.js';
import { RevisionConflict } from '../storage/errors.js';
import type { CatalogueRow, Condition, OperationRow, ReadModel } from '../storage/read-model/port.js';
import { dueIn, mayBeDue, stretchSchema, type Ticks } from './due.js';
import { inTrash, TIERS } from './in-trash.js';
import { leftTheTrash } from './left-the-trash.js';
import { Rounds, type RoundsPorts } from './rounds.js';

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
  readonly ticks: Ticks;
  /** Whether what was in the trash for its days is purged: what was started while it was so ends where it is not any more. */
  readonly retains: boolean;
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
  /** What was refused, of operations whose every purge was requested by this process: only their ends are waited for. */
  private readonly refused = new Map<string, Skipped[]>();

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
    const refused = this.refused.get(operation.id) ?? (await this.request(operation, signal));
    if (refused === null || signal.aborted) return;
    this.refused.set(operation.id, refused);
    await this.ports.reach();
    if (await this.isUnderWay(operation)) return;
    await this.complete(operation, refused);
    this.refused.delete(operation.id);
  }

  /** Whether a purge is to come that waits for no person. They are not counted: there may be very many, and this is asked with every batch. */
  private async isUnderWay(operation: OperationRow): Promise<boolean> {
    const some = await this.ports.model.find('purges', {
      where: [of(operation), { path: 'state', op: 'in', value: ['pending', 'failed'] }],
      sort: [{ path: 'state', descending: false }],
      after: null,
      limit: 1,
    });
    return some.length > 0;
  }

  /** Requests the purges. @returns what was refused; null where the process ends before the last */
  private async request(operation: OperationRow, signal: AbortSignal): Promise<Skipped[] | null> {
    const refused: Skipped[] = [];
    if (operation.kind === 'retention' && !this.ports.retains) return refused;
    const isMeant = await this.meaning(operation);
    const criteria = { position: Number(operation.position), where: criteriaOf(operation), size: PAGE };
    for (const tier of TIERS) {
      if (operation.criteria['registry'] !== undefined && operation.criteria['registry'] !== tier.registry) continue;
      // What a tier points to is free only once the projection has seen the tier's purges.
      await this.ports.reach();
      for await (const rows of inTrash(this.ports.model, tier, criteria, signal)) {
        const skipped = await Promise.all(rows.filter(isMeant).map((row) => this.purge(operation, row)));
        refused.push(...skipped.filter((each) => each !== null));
      }
    }
    return signal.aborted ? null : refused;
  }

  private async meaning(operation: OperationRow): Promise<(row: CatalogueRow) => boolean> {
    if (operation.kind === 'empty-trash') return () => true;
    return dueIn(stretchSchema.parse(operation.criteria), await this.ports.ticks.refresh());
  }

  /** What was called off, or had left the trash before its turn, was skipped too. */
  private async complete(operation: OperationRow, refused: readonly Skipped[]): Promise<void> {
    const { model } = this.ports;
    const done = await model.total('purges', [of(operation), { path: 'state', op: 'eq', value: 'done' }]);
    const parked = await model.total('purges', [of(operation), { path: 'state', op: 'eq', value: 'parked' }]);
    const calledOff = await model.find('purges', {
      where: [of(operation), { path: 'state', op: 'eq', value: 'cancelled' }],
      sort: [
        { path: 'purge.at', descending: false },
        { path: 'uid', descending: false },
      ],
      after: null,
      limit: NAMED,
    });
    const named = [...refused, ...calledOff.map(({ registry, uid }) => ({ registry, uid, code: 'referenced' }))];
    const skipped = Math.max(refused.length, operation.total.records - done.rows - parked.rows);
    if (operation.kind === 'empty-trash') await this.nameRestored(operation, named, Math.min(skipped, NAMED));
    await this.ports.complete(
      new CompleteOperation(operation.id, envelopeOf(operation, 'complete'), done.rows, skipped, named.slice(0, NAMED)),
    );
    await this.ports.reach();
  }

  /** Who was restored before its turn was met by no step, and has to be looked for. */
  private async nameRestored(operation: OperationRow, named: Skipped[], most: number): Promise<void> {
    if (named.length >= most) return;
    for await (const ref of leftTheTrash(this.ports.model, operation, new Set(named.map(refKey)))) {
      named.push({ ...ref, code: 'conflict' });
      if (named.length >= most) return;
    }
  }

  /** @returns why the record was skipped; null where its purge was requested */
  private async purge(operation: OperationRow, { registry, uid, record }: CatalogueRow): Promise<Skipped | null> {
    const trashing = record.trashing?.revision ?? -1;
    const envelope = envelopeOf(operation, 'purge', registry, uid, trashing);
    try {
      await this.ports.purge(
        new PurgeRecord({ registry, uid }, envelope, null, false, { operation: operation.id, trashing }),
      );
      return null;
    } catch (error) {
      if (error instanceof Refusal) return { registry, uid, code: error.code };
      if (error instanceof RevisionConflict) return { registry, uid, code: 'conflict' };
      throw error;
    }
  }
}

const of = ({ id }: OperationRow): Condition => ({ path: 'purge.operation', op: 'eq', value: id });

const criteriaOf = ({ kind, criteria }: OperationRow): Condition[] => {
  if (kind === 'retention') return mayBeDue(stretchSchema.parse(criteria));
  const before = criteria['trashedBefore'];
  return typeof before === 'string' ? [{ path: 'record.trashing.at', op: 'lt', value: before }] : [];
};

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
