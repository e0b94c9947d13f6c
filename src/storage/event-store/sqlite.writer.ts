import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { RevisionConflict, Unavailable } from '../errors.js';
import type { Appended } from './port.js';
import {
  toError,
  type Failure,
  type FromThread,
  type Outcome,
  type ThreadAppend,
  type ToThread,
} from './sqlite.wire.js';

export interface WriterOptions {
  /** The database's path. Missing folders are made in read-write mode. */
  readonly file: string;
  /** Milliseconds after which a disk that does not answer counts as lost: 30,000. */
  readonly answerWithinMs?: number;
  /** An upper bound for the file, in pages of 4 KiB: a disk that is full, for tests. */
  readonly maxPages?: number;
  /** Starts the thread that writes: for tests of what happens when it dies. */
  readonly startThread?: () => Worker;
}

export interface WriterStats {
  readonly transactions: number;
  /** As the writing connection answers: `wal`, and 2 for FULL. */
  readonly journalMode: string;
  readonly synchronous: number;
}

/** How much may wait for the disk: beyond it, appends are refused at once, and memory stays bounded. */
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

interface Waiting {
  readonly append: ThreadAppend;
  readonly bytes: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The near side of the thread that writes. One message, which is one transaction, is with the thread at a time; whatever comes
 * meanwhile waits, and goes as the next one. So the fsync, which is what takes the time, is shared by all that wait for it.
 */
export class Writer {
  readonly listeners = new Set<(head: number) => void>();
  stats: WriterStats = { transactions: 0, journalMode: '', synchronous: 0 };
  private waiting: Waiting[] = [];
  private inFlight: Waiting[] = [];
  private count = 0;
  private bytes = 0;
  private scheduled = false;
  /** The thread has a message that it has not answered; stuck: for so long that it is no longer waited for. */
  private busy = false;
  private stuck = false;
  private stuckTimer: NodeJS.Timeout | undefined;
  private closed = false;
  private dead = false;
  private drained: () => void = () => undefined;

  static async start({ file, maxPages, startThread = spawn, answerWithinMs = 30_000 }: WriterOptions): Promise<Writer> {
    const thread = startThread();
    const writer = new Writer(thread, file, answerWithinMs);
    await new Promise<void>((resolve, reject) => {
      const died = (why: string): void => {
        writer.died(why);
        reject(new Unavailable(`the thread that writes ${file} did not start: ${why}`));
      };
      thread.on('message', (answer: FromThread) => {
        if (answer.kind === 'committed') {
          writer.answered(answer);
        } else if (answer.kind === 'refused') {
          reject(toError(answer.failure));
        } else {
          writer.stats = { transactions: 0, journalMode: answer.journalMode, synchronous: answer.synchronous };
          resolve();
        }
      });
      thread.on('error', (error) => died(error instanceof Error ? error.message : String(error)));
      thread.on('exit', (code) => died(`it ended with code ${code}`));
      writer.post({ kind: 'open', file, maxPages: maxPages ?? null });
    });
    return writer;
  }

  private constructor(
    private readonly thread: Worker,
    private readonly file: string,
    private readonly answerWithinMs: number,
  ) {}

  append(append: ThreadAppend, bytes: number): Promise<Appended> {
    const refusal = this.refusal();
    if (refusal !== null) return Promise.reject(new Unavailable(`${this.file} ${refusal}: nothing was written`));
    if (this.count >= MAX_WAITING || this.bytes + bytes > MAX_WAITING_BYTES) {
      return Promise.reject(
        new Unavailable(
          `${this.count} appends (${this.bytes} bytes) wait for the disk of ${this.file}: try again in a moment`,
        ),
      );
    }
    this.count += 1;
    this.bytes += bytes;
    return new Promise((resolve, reject) => {
      this.waiting.push({ append, bytes, resolve, reject });
      this.schedule();
    });
  }

  /** Takes nothing more; resolves when all that was taken has been answered. */
  async drain(): Promise<void> {
    this.closed = true;
    if (this.count > 0) await new Promise<void>((resolve) => (this.drained = resolve));
  }

  async close(): Promise<void> {
    await this.drain();
    if (this.dead) return;
    const gone = new Promise<void>((resolve) => this.thread.once('exit', () => resolve()));
    if (this.busy) {
      // Stuck in a call to the disk, which nothing can end: don't wait for it.
      this.thread.unref();
      return void this.thread.terminate();
    }
    this.post({ kind: 'close' });
    await gone;
  }

  /** At the end of this turn of the event loop, so that what is appended in one turn goes over together. */
  private schedule(): void {
    if (this.scheduled || this.busy) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.send();
    });
  }

  private send(): void {
    if (this.busy || this.waiting.length === 0) return;
    this.busy = true;
    this.inFlight = this.waiting;
    this.waiting = [];
    this.stuckTimer = setTimeout(() => this.gotStuck(), this.answerWithinMs);
    this.post({ kind: 'commit', appends: this.inFlight.map(({ append }) => append) });
  }

  private answered({ outcomes, transactions }: Extract<FromThread, { kind: 'committed' }>): void {
    clearTimeout(this.stuckTimer);
    this.busy = this.stuck = false;
    this.stats = { ...this.stats, transactions };
    let head = 0;
    const answered = this.inFlight;
    this.inFlight = [];
    outcomes.forEach((outcome, index) => {
      if (outcome.kind === 'appended' && outcome.fresh) head = outcome.position;
      const waiting = answered[index];
      if (waiting !== undefined) this.settle(waiting, outcome); // undefined: it was told OutcomeUnknown when the thread was stuck
    });
    if (this.waiting.length > 0) this.schedule();
    if (this.count === 0) this.drained();
    if (head > 0) for (const listener of this.listeners) listener(head);
  }

  private settle({ append, bytes, resolve, reject }: Waiting, outcome: Outcome): void {
    this.count -= 1;
    this.bytes -= bytes;
    if (outcome.kind === 'appended') resolve({ revision: outcome.revision, position: BigInt(outcome.position) });
    else if (outcome.kind === 'conflict') reject(new RevisionConflict(append.stream, append.expected, outcome.actual));
    else reject(toError(outcome.failure));
  }

  private gotStuck(): void {
    this.stuck = true;
    this.giveUp(`the disk has not answered for ${this.answerWithinMs} ms`);
  }

  private died(why: string): void {
    clearTimeout(this.stuckTimer);
    this.dead = true;
    this.busy = false;
    this.giveUp(`the thread that writes died (${why})`);
  }

  /** What is with the thread may be on disk by now, or yet come there; what still waits was never sent. */
  private giveUp(why: string): void {
    const unknown: Failure = {
      name: 'OutcomeUnknown',
      message: `${this.file}: ${why}; it may or may not be written. Repeat it with the same ids`,
    };
    const unsent: Failure = { name: 'Unavailable', message: `${this.file}: ${why}; nothing was written` };
    const { inFlight, waiting } = this;
    this.inFlight = [];
    this.waiting = [];
    for (const each of inFlight) this.settle(each, { kind: 'failed', failure: unknown });
    for (const each of waiting) this.settle(each, { kind: 'failed', failure: unsent });
    this.drained();
  }

  /** Why nothing more is taken, for good or for now; null: it is. */
  private refusal(): string | null {
    if (this.closed) return 'was closed';
    if (this.dead) return 'has lost the thread that writes it (restart Lethe)';
    if (this.stuck) return 'lies on a disk that does not answer (look at the disk; it goes on by itself)';
    return null;
  }

  private post(message: ToThread): void {
    this.thread.postMessage(message);
  }
}

/**
 * The thread runs the compiled file, whether this one is compiled or run from source by the tests. It takes none of this process's flags:
 * some are not allowed in a thread.
 */
const spawn = (): Worker =>
  new Worker(createRequire(import.meta.url).resolve('#thread/storage/event-store/sqlite.thread'), {
    name: 'event-store',
    execArgv: [],
  });
