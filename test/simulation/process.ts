import { Boot, type BootStep } from '../../src/boot.js';
import { watchCheckpoint } from '../../src/checkpoint-watch.js';
import type { Journal } from '../../src/commands/execute.js';
import { LOG_TIME_HANDLERS } from '../../src/commands/log-time.handlers.js';
import { OPERATION_HANDLERS } from '../../src/commands/operation.handlers.js';
import { Ownership } from '../../src/commands/ownership.js';
import type { CommandPorts } from '../../src/commands/ports.js';
import { RECORD_HANDLERS } from '../../src/commands/record.handlers.js';
import { RegisterFileHandler } from '../../src/commands/register-file.handlers.js';
import { Registries } from '../../src/commands/registries.js';
import { ensureStorages } from '../../src/commands/storages.js';
import { UploadFileHandler } from '../../src/commands/upload.handlers.js';
import type { Log } from '../../src/ports.js';
import { Follower } from '../../src/projections/follower.js';
import { Progress } from '../../src/projections/progress.js';
import { QUERY_HANDLERS, type QueryPorts } from '../../src/projections/query.handlers.js';
import type { RetryPolicy } from '../../src/sagas/next-step.js';
import type { EventStore } from '../../src/storage/event-store/port.js';
import type { ObjectStore } from '../../src/storage/object-store/port.js';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import { SimulatedIds, type SimulatedRandom } from '../../src/testing/simulated.js';
import { startSagas } from '../../src/workers.js';
import { Bus } from './bus.js';
import type { Calls, Life } from './calls.js';
import { logPort, modelPort, storesPort, type LogWatch, type ObjectsWatch, type Root } from './ports.js';
import type { Scheduler } from './scheduler.js';

export const PREFIX = 'lethe.';
/** As in src/service.ts. */
const REACH_MS = 5_000;
const RETRIES: RetryPolicy = { attempts: 3, firstWaitMs: 500, maxWaitMs: 2_000 };

export interface Roles {
  readonly api: boolean;
  readonly worker: boolean;
}

/** What outlives a process, and what its calls go through. */
export interface Outside {
  readonly scheduler: Scheduler;
  readonly calls: Calls;
  readonly roots: readonly Root[];
  /** Allowed, and no storage's of the configuration. */
  readonly spare: Root;
  readonly trashDays: number | null;
  readonly openLog: () => EventStore;
  readonly model: ReadModel;
  readonly openObjects: (place: string) => ObjectStore;
  readonly watch: ObjectsWatch;
  readonly logWatch: LogWatch;
  /** A process cannot go on: nothing that a schedule does may bring it there. */
  readonly failed: (what: string) => void;
}

/** The same in all: making one reads the JSON Schema's own schemas. */
const REGISTRIES = new Registries({});

/** One process of the service: what src/service.ts, src/workers.ts and src/projector.thread.ts put together, on simulated ports. */
export class Process {
  readonly life: Life;
  readonly bus = new Bus();
  /** Whether it answers requests. */
  ready = false;
  private readonly progress: Progress;
  private readonly endings: (() => void)[] = [];
  private readonly end: Promise<void>;
  private stopClock = (): void => undefined;

  constructor(
    readonly name: string,
    readonly roles: Roles,
    outside: Outside,
    random: SimulatedRandom,
    skewMs: number,
  ) {
    this.life = { name, ended: false };
    this.end = new Promise((resolve) => this.endings.push(resolve));
    const { scheduler, calls } = outside;
    const clock = scheduler.time.clock(skewMs);
    this.stopClock = () => scheduler.time.stop(clock);
    this.progress = new Progress(clock, REACH_MS);
    const ids = new SimulatedIds(random.fork());
    const log = logOf(this.life, scheduler);
    const store = (): EventStore => logPort(calls, this.life, outside.openLog(), random.fork(), outside.logWatch);
    const model = modelPort(calls, this.life, 'model', outside.model);
    const stores = storesPort(calls, this.life, [...outside.roots, outside.spare], outside.openObjects, outside.watch);
    const journal: Journal = {
      store: store(),
      prefix: PREFIX,
      clock,
      appended: (position) => this.progress.appended(position),
    };
    const ownership = new Ownership(journal, stores, ids);
    const ports: CommandPorts = {
      journal,
      model,
      stores,
      ownership,
      registries: REGISTRIES,
      clock,
      ids,
      random,
      log,
      trashDays: outside.trashDays,
      reach: (position) => this.progress.reach(position),
    };
    const stopping = new AbortController().signal;
    const queries: QueryPorts = { model, progress: this.progress, events: journal.store, clock, stopping };
    this.bus.add(
      [...RECORD_HANDLERS, RegisterFileHandler, UploadFileHandler, ...OPERATION_HANDLERS, ...LOG_TIME_HANDLERS],
      ports,
    );
    this.bus.add(QUERY_HANDLERS, queries);
    if (roles.worker) {
      const projecting = modelPort(calls, this.life, 'projector', outside.model);
      const follower = new Follower(
        { events: store(), prefix: PREFIX, model: projecting, clock, random, log },
        ({ checkpoint, workAt, active, halted, error }) => {
          if (this.life.ended) return;
          if (halted) outside.failed(`the projection of ${name} halted: ${error ?? ''}`);
          this.progress.moved(checkpoint, workAt, active);
        },
      );
      void follower.run(new AbortController().signal);
    } else {
      watchCheckpoint(model, this.progress, clock, log);
    }
    const boot = new Boot({ clock, random, log });
    const steps: BootStep[] = [
      {
        name: 'the event store',
        run: async () => {
          this.progress.awaits(await journal.store.head());
          await ownership.identify();
        },
      },
      {
        name: 'the read model',
        run: async () => {
          await model.checkpoint();
        },
      },
      { name: 'the event store', run: () => ensureStorages(journal, stores, outside.roots) },
    ];
    const start = async (): Promise<void> => {
      await boot.run(steps, new AbortController().signal);
      if (this.life.ended) return;
      if (roles.worker) startSagas(this.bus, ports, this.progress, RETRIES);
      this.ready = true;
      scheduler.say(`${name} is ready`);
    };
    start().catch((error: unknown) => {
      outside.failed(
        `${name} does not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    });
  }

  get checkpoint(): bigint {
    return this.progress.checkpoint;
  }

  reach(): Promise<void> {
    return this.progress.reach();
  }

  /** What a call comes to, or null where the process dies before its answer. */
  async answer<T>(call: Promise<T>): Promise<T | null> {
    const answered = await Promise.race([call, this.end.then(() => null)]);
    return this.life.ended ? null : answered;
  }

  /** As kill -9 does: all that it held in memory is gone, and what it was about to do does not happen. */
  kill(): void {
    if (this.life.ended) return;
    this.life.ended = true;
    this.ready = false;
    this.stopClock();
    for (const end of this.endings) end();
  }
}

const logOf = (life: Life, scheduler: Scheduler): Log => {
  const say =
    (level: string) =>
    (fields: Record<string, unknown>, message: string): void => {
      if (life.ended) return;
      const error = fields['error'] ?? fields['err'];
      const why = error instanceof Error ? error.message : error;
      scheduler.say(`${life.name} ${level}: ${message}${typeof why === 'string' ? ` (${why})` : ''}`);
    };
  return { info: say('info'), warn: say('warn'), error: say('error') };
};
