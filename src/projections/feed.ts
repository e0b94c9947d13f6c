import type { Clock, Log } from '../ports.js';
import type { Position } from '../storage/event-store/port.js';
import type { HistoryRow, ReadModel } from '../storage/read-model/port.js';
import type { Progress } from './progress.js';
import { Turns } from './turns.js';

/** A condition on a row of the history; every one that the audit takes is of this kind, and so can be asked of a row in memory, too. */
export interface HistoryCondition {
  readonly path: 'actor' | 'type' | 'registry' | 'uid' | 'correlationId' | 'at';
  readonly op: 'eq' | 'gte' | 'lt';
  readonly value: string;
}

export interface FeedPorts {
  readonly model: ReadModel;
  readonly progress: Progress;
  readonly clock: Clock;
  readonly log: Log;
  /** A row as readers get it. */
  readonly render: (row: HistoryRow) => string;
  /** What a reader gets now and then so that both sides know that the other is there. */
  readonly beat: string;
}

/** Rows of one page: with the largest that a command can write, some 50 MB. */
const PAGE = 200;
/** What is kept of the newest rows, for readers that keep up. */
const WINDOW_BATCHES = 64;
const WINDOW_BYTES = 8 * 2 ** 20;
const BEAT_MS = 15_000;
const RETRY_MS = 1_000;
/** Readers that are behind ask the model themselves, this many at a time: a thousand that come back at once must not fill its queue. */
const CATCHING_UP = 8;

/** The rows of all positions after `from`, up to `to`, each rendered once. */
interface Batch {
  readonly from: Position;
  readonly to: Position;
  readonly rows: readonly HistoryRow[];
  readonly frames: readonly Buffer[];
  readonly all: Buffer;
}

/**
 * All events, as they come into the read model: page by page up to a position, or live. However many follow, the model is asked once for
 * each batch. Each reader has a place of its own and takes what comes after it: from the window of the newest batches where that reaches
 * back so far, else from the model. So there is no seam between catching up and following, and nothing is kept for a reader that is slow.
 */
export class Feed {
  private readonly window: Batch[] = [];
  private windowBytes = 0;
  /** Where the window ends. */
  private until: Position = 0n;
  private following = 0;
  private beats = 0;
  private readonly waiting = new Set<() => void>();
  private wakeReader = (): void => undefined;
  private isReading = false;
  private stopBeating: AbortController | null = null;
  private readonly turns = new Turns(CATCHING_UP);

  constructor(private readonly ports: FeedPorts) {}

  /** How many follow now. */
  get readers(): number {
    return this.following;
  }

  /** The position up to which everything is there, with all that this process appended. @throws ProjectionBehind past the bound */
  async reached(): Promise<Position> {
    await this.ports.progress.reach();
    return this.ports.progress.checkpoint;
  }

  /** All rows up to a position that meet the conditions, page by page. */
  async *pages(
    where: readonly HistoryCondition[],
    upTo: Position,
    descending: boolean,
  ): AsyncGenerator<readonly HistoryRow[]> {
    for (let after: readonly string[] | null = null; ;) {
      const rows: readonly HistoryRow[] = await this.ports.model.find('history', {
        where: [...where, { path: 'position', op: 'lte', value: String(upTo) }],
        sort: [{ path: 'position', descending }],
        after,
        limit: PAGE,
      });
      if (rows.length > 0) yield rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) return;
      after = [last.position];
    }
  }

  /**
   * The rows after a position that meet the conditions, rendered, in order, each once; then those to come. Now and then a beat. Ends when
   * the signal aborts.
   */
  async *follow(
    after: Position,
    where: readonly HistoryCondition[],
    signal: AbortSignal,
  ): AsyncGenerator<Buffer | string> {
    this.enter();
    try {
      for (let [at, beats] = [after, this.beats]; !signal.aborted;) {
        if (this.beats !== beats) {
          beats = this.beats;
          yield this.ports.beat;
          continue;
        }
        // What the window does not hold any more, or never did.
        const since = this.window[0]?.from ?? this.until;
        if (at < since) {
          const page = await this.turns.take(() => this.page(where, at, since));
          at = page.to;
          if (page.rows.length > 0) yield page.rows.map(this.ports.render).join('');
          continue;
        }
        const batch = this.window.find(({ to }) => to > at);
        if (batch === undefined) await this.more(signal);
        else {
          const frames = wantedOf(batch, at, where);
          at = batch.to;
          if (frames !== null) yield frames;
        }
      }
    } finally {
      this.leave();
    }
  }

  private enter(): void {
    this.following += 1;
    if (this.following > 1) return;
    // Nobody read for a while: the window would have a gap.
    this.window.length = 0;
    this.windowBytes = 0;
    this.until = this.ports.progress.checkpoint;
    this.stopBeating = new AbortController();
    void this.beat(this.stopBeating.signal);
    if (!this.isReading) void this.read();
  }

  private leave(): void {
    this.following -= 1;
    if (this.following > 0) return;
    this.stopBeating?.abort();
    this.wakeReader();
  }

  /** The one reader of the model for all that keep up. */
  private async read(): Promise<void> {
    const { progress, clock, log } = this.ports;
    this.isReading = true;
    while (this.following > 0) {
      if (progress.checkpoint <= this.until) {
        await this.moved();
        continue;
      }
      try {
        this.add(await this.page([], this.until, progress.checkpoint));
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        log.warn({ error: message, waitMs: RETRY_MS }, 'the event stream cannot read the model and will go on');
        await clock.sleep(RETRY_MS).catch(() => undefined);
      }
    }
    this.isReading = false;
  }

  private async page(
    where: readonly HistoryCondition[],
    from: Position,
    upTo: Position,
  ): Promise<{ from: Position; to: Position; rows: readonly HistoryRow[] }> {
    const rows = await this.ports.model.find('history', {
      where: [...where, { path: 'position', op: 'lte', value: String(upTo) }],
      sort: [{ path: 'position', descending: false }],
      after: [String(from)],
      limit: PAGE,
    });
    const last = rows.at(-1);
    return { from, to: rows.length < PAGE || last === undefined ? upTo : BigInt(last.position), rows };
  }

  private add({ from, to, rows }: { from: Position; to: Position; rows: readonly HistoryRow[] }): void {
    // Everybody left meanwhile and somebody came: what was read belongs to a window that is gone.
    if (from !== this.until) return;
    this.until = to;
    const frames = rows.map((row) => Buffer.from(this.ports.render(row)));
    const batch = { from, to, rows, frames, all: Buffer.concat(frames) };
    this.window.push(batch);
    this.windowBytes += batch.all.length;
    while (this.window.length > 1 && (this.window.length > WINDOW_BATCHES || this.windowBytes > WINDOW_BYTES))
      this.windowBytes -= this.window.shift()?.all.length ?? 0;
    this.wake();
  }

  private async beat(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.ports.clock.sleep(BEAT_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      this.beats += 1;
      this.wake();
    }
  }

  private wake(): void {
    for (const wake of [...this.waiting]) wake();
  }

  /** Resolves when there is something new for readers, or the signal aborts. */
  private more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
      if (signal.aborted) wake();
    });
  }

  /** Resolves when the model has moved, or nobody follows any more. */
  private moved(): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.ports.progress.onMoved(() => this.wakeReader());
      this.wakeReader = () => {
        stop();
        resolve();
      };
    });
  }
}

/** What a reader at a place wants of a batch; null where that is nothing. */
const wantedOf = (
  { from, rows, frames, all }: Batch,
  at: Position,
  where: readonly HistoryCondition[],
): Buffer | null => {
  if (rows.length === 0) return null;
  if (where.length === 0 && at <= from) return all;
  const wanted = frames.filter((_, i) => {
    const row = rows[i];
    return row !== undefined && BigInt(row.position) > at && where.every((condition) => meets(row, condition));
  });
  return wanted.length === 0 ? null : Buffer.concat(wanted);
};

/** The texts of a time compare as times do. */
const meets = (row: HistoryRow, { path, op, value }: HistoryCondition): boolean => {
  if (op === 'eq') return row[path] === value;
  return op === 'gte' ? row[path] >= value : row[path] < value;
};
