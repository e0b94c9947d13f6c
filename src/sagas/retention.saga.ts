import { TickClock } from '../commands/log-time.handlers.js';
import { TICK_MS, type Tick } from '../commands/log-time.js';
import { StartOperation } from '../commands/operation.handlers.js';
import { derivedId, sha256 } from '../events/ids.js';
import type { CatalogueRow, ReadModel } from '../storage/read-model/port.js';
import { dueIn, mayBeDue, stretchSchema, type Stretch, type Ticks } from './due.js';
import { inTrash, TIERS } from './in-trash.js';
import { Rounds, type RoundsPorts } from './rounds.js';

/** Records that are looked at together. */
const PAGE = 1_000;

export interface RetentionSagaPorts extends RoundsPorts {
  readonly model: ReadModel;
  readonly ticks: Ticks;
  readonly tick: (command: TickClock) => Promise<void>;
  readonly start: (command: StartOperation) => Promise<void>;
  /** Resolves once the read model holds all that this process appended, and this position. */
  readonly reach: (position?: bigint) => Promise<void>;
  /** Whether retention is on. While it is off, time is told only where something hangs on it. */
  readonly retains: boolean;
  /** Whether some deletion stands until the log's time has come on. */
  readonly lingering: () => Promise<boolean>;
  /** The storages from which a purge deletes. */
  readonly managed: () => Promise<ReadonlySet<string>>;
}

/** How often at most it is asked whether anything hangs on the log's time, while retention is off. */
const ASK_MS = TICK_MS / 60;

/**
 * Tells the log's time, and starts an operation on what has been in the trash for its days. An hour counts once this process has seen it
 * pass since the last tick that it saw, on a clock that nobody sets: what no worker saw pass does not count.
 */
export class RetentionSaga {
  /** When, on the clock that only rises, the last tick was seen; null before the first look. */
  private seenMs: number | null = null;
  /** The last tick after which the trash was looked through. */
  private lookedAt = -1;
  /** When it was last asked whether anything hangs on the log's time, on the same clock. */
  private askedMs: number | null = null;

  constructor(private readonly ports: RetentionSagaPorts) {}

  async run(signal: AbortSignal): Promise<void> {
    await new Rounds(this.ports).run(signal, ASK_MS, 'retention stopped and will go on', () => this.round(signal));
  }

  private async round(signal: AbortSignal): Promise<number> {
    const { clock } = this.ports;
    // Whatever wakes it: nothing but time is of interest here.
    if (this.seenMs !== null && this.isLookedThrough() && clock.monotonic() - this.seenMs < TICK_MS)
      return this.waitMs(this.seenMs);
    const idleMs = await this.idleMs();
    if (idleMs > 0) return idleMs;
    await this.see();
    if (this.seenMs !== null && clock.monotonic() - this.seenMs >= TICK_MS) {
      await this.ports.tick(new TickClock(this.ports.ticks.last));
      await this.see();
    }
    const { last } = this.ports.ticks;
    if (last !== null && !this.isLookedThrough()) {
      if (this.ports.retains) await this.look(last, signal);
      this.lookedAt = last.revision;
    }
    this.seenMs ??= clock.monotonic();
    return this.waitMs(this.seenMs);
  }

  /** How many milliseconds it is nobody's wish to know the time; 0: somebody has it. */
  private async idleMs(): Promise<number> {
    const { retains, lingering, clock } = this.ports;
    if (retains) return 0;
    if (this.seenMs === null) await this.see();
    const now = clock.monotonic();
    this.seenMs ??= now;
    const rest = Math.max(this.seenMs + TICK_MS, this.askedMs === null ? now : this.askedMs + ASK_MS) - now;
    if (rest > 0) return rest;
    this.askedMs = now;
    // What changes that wakes it.
    return (await lingering()) ? 0 : TICK_MS;
  }

  private isLookedThrough(): boolean {
    return this.lookedAt === (this.ports.ticks.last?.revision ?? -1);
  }

  private waitMs(seenMs: number): number {
    return Math.max(1, seenMs + TICK_MS - this.ports.clock.monotonic());
  }

  /** Reads the ticks; with each new one, whosever it is, the hour begins anew. */
  private async see(): Promise<void> {
    const { ticks, clock } = this.ports;
    const before = ticks.last?.revision ?? -1;
    await ticks.refresh();
    if (ticks.last !== null && ticks.last.revision !== before) this.seenMs = clock.monotonic();
  }

  private async look(tick: Tick, signal: AbortSignal): Promise<void> {
    const { model, reach, start } = this.ports;
    await reach(BigInt(tick.position));
    const stretch = { purgeAfter: tick.at, sinceMs: await this.lastStretch(), logTimeMs: tick.logTimeMs };
    if (stretch.sinceMs !== null && stretch.sinceMs >= tick.logTimeMs) return;
    const total = await this.total(model, tick, stretch, signal);
    if (total.records === 0 || signal.aborted) return;
    const commandId = derivedId('retention', tick.revision);
    const envelope = {
      commandId,
      repeatable: true,
      hash: sha256(commandId),
      actor: 'system:retention',
      reason: 'its days in the trash are over',
      correlationId: commandId,
      ifMatch: null,
    };
    await start(new StartOperation(envelope, 'retention', stretch, total, String(tick.position)));
  }

  private async total(
    model: ReadModel,
    tick: Tick,
    stretch: Stretch,
    signal: AbortSignal,
  ): Promise<{ records: number; bytes: number }> {
    const isMeant = dueIn(stretch, await this.ports.ticks.refresh());
    const managed = await this.ports.managed();
    let [records, bytes] = [0, 0];
    const criteria = { position: tick.position, where: mayBeDue(stretch), size: PAGE };
    for (const tier of TIERS) {
      for await (const rows of inTrash(model, tier, criteria, signal)) {
        const due = rows.filter(isMeant);
        records += due.length;
        bytes += due.reduce((sum, row) => sum + freed(row, managed), 0);
      }
    }
    return { records, bytes };
  }

  /** How far the log's time had come when retention last found something to purge. */
  private async lastStretch(): Promise<number | null> {
    const [last] = await this.ports.model.find('operations', {
      where: [{ path: 'kind', op: 'eq', value: 'retention' }],
      sort: [
        { path: 'position', descending: true },
        { path: 'id', descending: true },
      ],
      after: null,
      limit: 1,
    });
    return last === undefined ? null : stretchSchema.parse(last.criteria).logTimeMs;
  }
}

const freed = ({ record: { fields } }: CatalogueRow, managed: ReadonlySet<string>): number =>
  fields.kind === 'file' && fields.keyIsVirtual && managed.has(fields.storage) ? fields.size : 0;
