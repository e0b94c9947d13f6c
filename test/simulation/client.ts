import type { Result } from '../../src/commands/result.js';
import { Refusal } from '../../src/commands/refusals.js';
import type { RecordState } from '../../src/events/record.js';
import type { Json, Ref } from '../../src/events/vocabulary.js';
import { StartOperation, type Started } from '../../src/commands/operation.handlers.js';
import { AwaitPurge, GetOperation, GetRecord, TrashTotals } from '../../src/projections/queries.js';
import { inTrash } from '../../src/projections/query.handlers.js';
import type { CatalogueRow, Condition, PurgeRow } from '../../src/storage/read-model/port.js';
import type { SimulatedRandom } from '../../src/testing/simulated.js';
import type { Store } from './calls.js';
import {
  commandIdFor,
  commandOf,
  envelopeFor,
  refOf,
  type Commanded,
  type Names,
  type Operation,
} from './operations.js';
import type { Process } from './process.js';
import type { Scheduler } from './scheduler.js';

/** What came back to a client. */
export type Answer =
  | { readonly is: 'done'; readonly result: Result; readonly purge: PurgeRow | null }
  | { readonly is: 'started'; readonly operation: string }
  | { readonly is: 'refused'; readonly code: string; readonly why: string }
  /** An error that says nothing certain, or that the call may be repeated. */
  | { readonly is: 'failed'; readonly error: string }
  /** The process died. */
  | { readonly is: 'lost' };

/** What a client asked for, and everything that it was told. */
export interface Asked {
  readonly operation: Operation;
  readonly commandId: string;
  readonly ref: Ref | null;
  readonly answers: Answer[];
}

/** What a client needs of the world. */
export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly names: Names;
  readonly operations: ReadonlyMap<string, Operation>;
  /** Any process that answers requests; null while there is none. */
  readonly process: () => Process | null;
  readonly outsider: {
    write(location: string, content: string): void;
    remove(location: string): void;
  };
  readonly breakDown: (how: 'down' | 'deaf', store: Store, ms: number) => void;
  /** Resolves when a record's stream holds such an event, or will not. */
  readonly happens: (ref: Ref, event: string) => Promise<void>;
  readonly asked: (asked: Asked) => void;
  /** Something that no answer may be. */
  readonly broken: (what: string) => void;
}

/** A call that fails for a while is made again so often. */
const TRIES = 4;
const PASSING = ['CutOff', 'Unavailable', 'OutcomeUnknown', 'Full', 'ProjectionBehind', 'StoreUnavailable'];

/** A virtual client: makes one call after the other, and repeats those that got no certain answer, or does not. */
export class Client {
  constructor(
    private readonly name: string,
    private readonly around: Surroundings,
    private readonly random: SimulatedRandom,
  ) {}

  async run(operations: readonly Operation[]): Promise<void> {
    for (const operation of operations) {
      await this.around.scheduler.turn(this.name);
      await this.carryOut(operation);
    }
  }

  async carryOut(operation: Operation): Promise<void> {
    const { scheduler, outsider, names, happens } = this.around;
    switch (operation.do) {
      case 'write':
        outsider.write(operation.location, operation.content);
        return;
      case 'remove':
        outsider.remove(operation.location);
        return;
      case 'down':
      case 'deaf':
        this.around.breakDown(operation.do, operation.store, operation.ms);
        return;
      case 'pause':
        return scheduler.pause(`${this.name} goes on`, operation.ms);
      case 'await':
        await happens(names.ref(operation.target), operation.event);
        return scheduler.turn(`${this.name} goes on`);
      case 'repeat': {
        const first = this.around.operations.get(operation.of);
        if (first !== undefined && first.do !== 'repeat' && first.keyless !== true) await this.carryOut(first);
        return;
      }
      default:
        return this.ask(operation);
    }
  }

  private async ask(operation: Commanded | (Operation & { do: 'empty' })): Promise<void> {
    const { scheduler, names } = this.around;
    const answers: Answer[] = [];
    this.around.asked({ operation, commandId: commandIdFor(operation), ref: refOf(names, operation), answers });
    for (let tries = 0; tries < TRIES; tries += 1) {
      const process = this.around.process();
      if (process === null) {
        await scheduler.pause(`${this.name} finds nobody`, 300);
        continue;
      }
      const answer = await this.answered(process, operation);
      scheduler.say(`${this.name} ${operation.id} ${operation.do}: ${said(answer)}`);
      answers.push(answer);
      if (answer.is !== 'lost' && answer.is !== 'failed') return;
      if (operation.keyless === true || this.random.happens(0.3)) return;
      await scheduler.pause(`${this.name} tries again`, 50 + this.random.below(500));
    }
  }

  private async answered(process: Process, operation: Commanded | (Operation & { do: 'empty' })): Promise<Answer> {
    try {
      const call = operation.do === 'empty' ? this.empty(process, operation) : this.command(process, operation);
      return (await process.answer(call)) ?? { is: 'lost' };
    } catch (error) {
      if (process.life.ended) return { is: 'lost' };
      if (!(error instanceof Error)) throw error;
      if (PASSING.includes(error.name)) return { is: 'failed', error: `${error.name}: ${error.message}` };
      if (error instanceof Refusal) return { is: 'refused', code: error.code, why: error.message };
      this.around.broken(`${operation.id} ${operation.do} failed with ${error.stack ?? error.message}`);
      return { is: 'failed', error: error.message };
    }
  }

  private async command(process: Process, operation: Commanded): Promise<Answer> {
    const { bus } = process;
    const result = await bus.execute<Result>(commandOf(this.around.names, operation));
    const dry = (operation.do === 'purge' || operation.do === 'trash') && operation.dryRun;
    if (!dry && result.changed && this.random.happens(0.3)) await this.read(process, operation, result.record);
    if (operation.do !== 'purge' || operation.dryRun) return { is: 'done', result, purge: null };
    const { registry, uid, position } = result.record;
    const request = result.record.purge?.request;
    const purge = await bus.execute<PurgeRow | null>(
      new AwaitPurge({ registry, uid }, operation.waitMs, position, request),
    );
    if (purge === null) this.around.broken(`${operation.id}: a purge that was asked for is not in the read model`);
    return { is: 'done', result, purge };
  }

  /** Whoever has an answer sees what it says. */
  private async read(
    { bus }: Process,
    operation: Operation,
    { registry, uid, revision, position }: RecordState,
  ): Promise<void> {
    const found = await bus.execute<{ row: CatalogueRow } | null>(new GetRecord({ registry, uid }, position));
    const seen = found?.row.record.revision ?? -1;
    if (seen < revision)
      this.around.broken(`${operation.id}: was answered revision ${revision}, and then sees revision ${seen}`);
  }

  /** As the route does it. */
  private async empty(process: Process, operation: Operation & { do: 'empty' }): Promise<Answer> {
    const { bus } = process;
    const { registry } = operation;
    const where: Condition[] = [...inTrash];
    if (registry !== null) where.push({ path: 'registry', op: 'eq', value: registry });
    const totals = await bus.execute<{ records: number; bytes: number }>(new TrashTotals(where));
    const position = String(process.checkpoint);
    const criteria: Record<string, Json> = registry === null ? {} : { registry };
    const started = await bus.execute<Started>(
      new StartOperation(envelopeFor(operation), 'empty-trash', criteria, totals, position),
    );
    const seen = await bus.execute<object | null>(new GetOperation(started.id, started.position));
    if (seen === null) this.around.broken(`${operation.id}: an operation that was started is not in the read model`);
    return { is: 'started', operation: started.id };
  }
}

const said = (answer: Answer): string => {
  switch (answer.is) {
    case 'done':
      return `${answer.result.outcome}${answer.purge === null ? '' : ` (${answer.purge.state})`}, revision ${answer.result.record.revision}`;
    case 'started':
      return `operation ${answer.operation}`;
    case 'refused':
      return `${answer.code}: ${answer.why}`;
    case 'failed':
      return answer.error;
    case 'lost':
      return 'no answer';
  }
};
