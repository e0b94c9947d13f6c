import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { Config } from './config.js';
import type { Clock, Log } from './ports.js';
import type { FollowerStatus } from './projections/follower.js';
import type { FromProjector, ToProjector } from './projector.thread.js';

const RESTART_MS = 1_000;
/** Between two batches it ends at once; one that waits for a server is cut off, and goes on from its checkpoint at the next start. */
const STOP_MS = 2_000;

/** The projector's thread, as the service sees it: started again where it dies, and asked to stop between two batches. */
export class Projector {
  status: FollowerStatus | null = null;
  private thread: Worker | null = null;
  private stopping = false;
  private readonly restarts = new AbortController();

  constructor(
    private readonly config: Config,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly onStatus: (status: FollowerStatus) => void,
  ) {}

  start(): void {
    const thread = new Worker(createRequire(import.meta.url).resolve('#thread/projector.thread'), {
      workerData: this.config,
      execArgv: [],
    });
    this.thread = thread;
    thread.on('message', (message: FromProjector) => {
      if (message.type === 'log') this.log[message.level](message.fields, message.message);
      else {
        this.status = message.status;
        this.onStatus(message.status);
      }
    });
    thread.on('error', (error) => {
      this.log.error({ err: error }, 'the projector died and is started again');
      this.fail(error instanceof Error ? error.message : String(error));
    });
    thread.on('exit', () => {
      if (this.stopping) return;
      void this.clock.sleep(RESTART_MS, this.restarts.signal).then(
        () => {
          this.start();
        },
        () => undefined,
      );
    });
  }

  /** There may be more in the log. */
  wake(): void {
    this.post({ type: 'wake' });
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.restarts.abort();
    const thread = this.thread;
    if (thread === null || thread.threadId === -1) return;
    const exited = once(thread, 'exit');
    this.post({ type: 'stop' });
    const timer = new AbortController();
    await Promise.race([exited, this.clock.sleep(STOP_MS, timer.signal).catch(() => undefined)]);
    timer.abort();
    await thread.terminate();
  }

  private post(message: ToProjector): void {
    this.thread?.postMessage(message);
  }

  private fail(error: string): void {
    const before = this.status ?? { checkpoint: 0n, loaded: null, workAt: 0n, skipped: 0, halted: false, active: true };
    this.status = { ...before, error };
  }
}
