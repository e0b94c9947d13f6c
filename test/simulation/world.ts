import { RetryPurge } from '../../src/commands/commands.js';
import { decode, streamOf } from '../../src/events/codec.js';
import { derivedId, sha256 } from '../../src/events/ids.js';
import type { Ref } from '../../src/events/vocabulary.js';
import { OutcomeUnknown } from '../../src/storage/errors.js';
import type { NewEvent } from '../../src/storage/event-store/port.js';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { InMemoryObjects } from '../../src/testing/in-memory-object-store.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import { SimulatedRandom } from '../../src/testing/simulated.js';
import { Calls, type Life } from './calls.js';
import { Client, type Asked } from './client.js';
import { commandIdFor, Names, type Operation } from './operations.js';
import { PREFIX, Process, type Roles } from './process.js';
import { rootIn, ROOTS, SPARE, type Schedule } from './schedule.js';
import { Endless, Scheduler } from './scheduler.js';

/** What Lethe took away, and when. */
export interface Deletion {
  readonly location: string;
  readonly etag: string;
  /** The head of the log at that moment. */
  readonly head: number;
  /** By a call that came late, to a store that knows an object by its bytes alone, and took it for the one before. */
  readonly mistaken: boolean;
}

export interface Written {
  readonly content: Buffer;
  /** The head of the log at that moment. */
  readonly head: number;
}

/** How a schedule came out. */
export interface Outcome {
  readonly schedule: Schedule;
  readonly log: InMemoryLog;
  readonly objects: InMemoryObjects;
  readonly model: ReadModel;
  readonly asked: readonly Asked[];
  readonly names: Names;
  readonly deletions: readonly Deletion[];
  /** `location etag` → what was written there, by whomever. */
  readonly written: ReadonlyMap<string, Written>;
  /** `location etag` of what an outsider took away or wrote over. */
  readonly outsiders: ReadonlySet<string>;
  /** What went wrong while it ran. */
  readonly broken: readonly string[];
  readonly hash: string;
  readonly lines: readonly string[] | null;
  readonly turns: number;
  readonly calls: number;
}

export interface Options {
  readonly traced?: boolean;
  /** Spoils something, to see that the judge finds out. */
  readonly spoil?: (world: World) => void;
}

/** What is waited for this long will not happen. */
const AWAITED_MS = 5_000;
/** For so long nothing happens at the end before it is said to be at rest; longer than any poll, retry or backoff. */
const REST_MS = 15_000;
const HOUR_MS = 3_600_000;
/** No content is like it. */
const NOTHING = Buffer.from('nothing');
/** The most times that rest is looked for: a purge that is parked, or kept an hour later, begins anew. */
const ROUNDS = 12;

/** Runs a schedule to its end: the clients at once, under faults; then without them until all has come to rest. */
export const run = async (schedule: Schedule, options: Options = {}): Promise<Outcome> => {
  const world = new World(schedule, options.traced ?? false);
  options.spoil?.(world);
  try {
    await world.run();
  } catch (error) {
    if (!(error instanceof Endless)) throw error;
    world.broken.push(error.message);
  }
  return world.outcome();
};

export class World {
  readonly broken: string[] = [];
  readonly log: InMemoryLog;
  readonly objects: InMemoryObjects;
  readonly scheduler: Scheduler;
  readonly calls: Calls;
  model = inMemoryReadModel();
  private readonly random: SimulatedRandom;
  private readonly names: Names;
  private readonly operations: ReadonlyMap<string, Operation>;
  private readonly processes: Process[] = [];
  private readonly asked: Asked[] = [];
  private readonly deletions: Deletion[] = [];
  private readonly written = new Map<string, Written>();
  private readonly outsiders = new Set<string>();
  /** Operations whose appends are not as others are. */
  private readonly special: readonly Operation[];
  private busy = 0;
  private starts = 0;

  constructor(
    readonly schedule: Schedule,
    traced: boolean,
  ) {
    this.random = new SimulatedRandom(schedule.seed ^ 0x5eed);
    const gaps = this.random.fork();
    this.log = new InMemoryLog(schedule.gaps ? () => gaps.below(300) : null);
    this.scheduler = new Scheduler(this.random.fork(), schedule.uneven, traced);
    this.calls = new Calls(
      this.scheduler,
      this.random.fork(),
      schedule.faults,
      schedule.stalls,
      (life) => this.crash(life),
      () => this.rebuild(),
    );
    this.objects = new InMemoryObjects(this.scheduler.time.clock());
    const all = [...schedule.setup, ...schedule.clients.flat()];
    this.names = new Names(all);
    this.operations = new Map(all.map((operation) => [operation.id, operation]));
    this.special = all.filter(
      ({ dies, unanswered, appendAfter }) => dies === true || unanswered === true || appendAfter !== undefined,
    );
  }

  async run(): Promise<void> {
    for (const [location, content] of Object.entries(this.schedule.objects)) this.lay(location, content);
    this.schedule.processes.forEach((roles, index) => {
      this.start(index, roles);
    });
    this.begin('setup', this.schedule.setup);
    await this.scheduler.run(() => this.busy === 0);
    this.calls.begin();
    this.schedule.clients.forEach((operations, index) => {
      this.begin(`client ${index + 1}`, operations);
    });
    await this.scheduler.run(() => this.busy === 0);
    this.calls.mend();
    this.scheduler.say('all faults end');
    await this.rest();
  }

  outcome(): Outcome {
    const { schedule, log, objects, model, asked, names, deletions, written, outsiders, broken, scheduler } = this;
    return {
      schedule,
      log,
      objects,
      model,
      asked,
      names,
      deletions,
      written,
      outsiders,
      broken,
      hash: scheduler.hash(),
      lines: scheduler.lines,
      turns: scheduler.turns,
      calls: this.calls.count,
    };
  }

  /** What another program puts there. */
  lay(location: string, content: string): void {
    const before = this.objects.at(location);
    if (before !== null) this.outsiders.add(`${location} ${before.seen.etag}`);
    const { etag } = this.objects.write(location, Buffer.from(content));
    this.wrote(location, etag, Buffer.from(content));
  }

  private wrote(location: string, etag: string, content: Buffer): void {
    this.written.set(`${location} ${etag}`, { content, head: this.head });
  }

  private contentAt(location: string, etag: string): Buffer | undefined {
    return this.written.get(`${location} ${etag}`)?.content;
  }

  take(location: string): void {
    const before = this.objects.at(location);
    if (before === null) return;
    this.outsiders.add(`${location} ${before.seen.etag}`);
    this.objects.remove(location);
  }

  private get head(): number {
    return Number(this.log.events.at(-1)?.position ?? 0n);
  }

  private begin(name: string, operations: readonly Operation[]): void {
    this.busy += 1;
    const client = new Client(
      name,
      {
        scheduler: this.scheduler,
        names: this.names,
        operations: this.operations,
        process: () => {
          const ready = this.processes.filter((process) => process.ready && process.roles.api);
          return ready.length === 0 ? null : this.random.pick(ready);
        },
        outsider: {
          write: (location, content) => this.lay(location, content),
          remove: (location) => this.take(location),
        },
        breakDown: (how, store, ms) => this.calls.breakDown(how, store, ms),
        happens: (ref, event) => this.happens(ref, event),
        asked: (asked) => this.asked.push(asked),
        broken: (what) => this.broken.push(what),
      },
      this.random.fork(),
    );
    client.run(operations).then(
      () => {
        this.busy -= 1;
      },
      (error: unknown) => {
        this.busy -= 1;
        this.broken.push(
          `${name} broke off: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      },
    );
  }

  private happens({ registry, uid }: Ref, type: string): Promise<void> {
    const happened = (): boolean =>
      this.log.stream(streamOf(PREFIX, registry, uid)).some((event) => event.type === type);
    return new Promise((resolve) => {
      if (happened()) {
        resolve();
        return;
      }
      const end = (): void => {
        stopListening();
        stopWaiting();
        resolve();
      };
      const stopListening = this.log.onAppend(() => {
        if (happened()) end();
      });
      const stopWaiting = this.scheduler.time.after(AWAITED_MS, end);
    });
  }

  private start(index: number, roles: Roles): void {
    this.starts += 1;
    const name = `p${index + 1}.${this.starts}`;
    this.scheduler.say(`${name} starts`);
    const flipped = this.schedule.flips && this.starts > 1 ? this.random.pick(['default', 'inner', '']) : '';
    const bucket = this.schedule.bucket === true;
    const roots = ROOTS.map((each) => ({
      ...each,
      managed: each.managed !== (each.name === flipped),
      root: rootIn(bucket, each),
    }));
    const spare = { ...SPARE, root: rootIn(bucket, SPARE) };
    this.processes[index] = new Process(
      name,
      roles,
      {
        scheduler: this.scheduler,
        calls: this.calls,
        roots,
        spare,
        trashDays: this.schedule.trashDays,
        openLog: () => this.log.open(PREFIX),
        model: this.model,
        openObjects: (place) => this.objects.open(place),
        watch: {
          wrote: (location, etag, content) => this.wrote(location, etag, content),
          deleted: (location, etag, mistaken) => this.deletions.push({ location, etag, head: this.head, mistaken }),
          same: (location, etag, other) =>
            this.contentAt(location, etag)?.equals(this.contentAt(location, other) ?? NOTHING) === true,
        },
        logWatch: {
          appending: (events) => this.appending(events),
          appended: (life, events) => this.appended(life, events),
        },
        failed: (what) => this.broken.push(what),
      },
      this.random.fork(),
      (this.schedule.skews[index] ?? 0) * (this.random.next() * 2 - 1),
    );
  }

  private operationOf(events: readonly NewEvent[]): Operation | undefined {
    return this.special.find((operation) => {
      const commandId = commandIdFor(operation);
      return events.some(({ metadata }) => metadata.includes(commandId));
    });
  }

  private async appending(events: readonly NewEvent[]): Promise<void> {
    const after = this.calls.faulty ? this.operationOf(events)?.appendAfter : undefined;
    if (after === undefined) return;
    await this.happens(this.names.ref(after.target), after.event);
  }

  /** Where an operation says so, the process that carried it out dies with its append, or never hears of it. */
  private appended(life: Life, events: readonly NewEvent[]): void {
    const special = this.calls.faulty ? this.operationOf(events) : undefined;
    if (special?.dies === true) this.crash(life);
    if (special?.unanswered === true) throw new OutcomeUnknown('simulated: the answer to the append was lost');
  }

  private crash(life: Life): void {
    const index = this.processes.findIndex((process) => process.life === life);
    const process = this.processes[index];
    if (process === undefined || life.ended) return;
    this.scheduler.say(`${life.name} dies`);
    process.kill();
    void this.scheduler.pause(`p${index + 1} is started again`, 50 + this.random.below(2_000)).then(() => {
      if (this.processes[index]?.life.ended === true) this.start(index, process.roles);
    });
  }

  private rebuild(): void {
    for (const { life } of [...this.processes]) this.crash(life);
    this.model = inMemoryReadModel();
    this.scheduler.say('the read model is thrown away');
  }

  /** Without faults, with time passing, and with a person who looks after what is parked, until nothing happens any more. */
  private async rest(): Promise<void> {
    const hours = this.schedule.trashDays === null ? 1 : Math.ceil(this.schedule.trashDays * 24) + 3;
    for (let [round, still] = [0, 0]; round < ROUNDS + hours; round += 1) {
      await this.quiet();
      const before = this.happenings;
      this.scheduler.time.pass(HOUR_MS);
      await this.quiet();
      await this.retryParked(round);
      still = this.happenings === before ? still + 1 : 0;
      if (still >= hours) return;
    }
    this.broken.push('nothing comes to rest');
  }

  /** Everything but that time goes on. */
  private get happenings(): number {
    return this.log.events.filter(({ type }) => type !== 'ClockTicked').length;
  }

  private async quiet(): Promise<void> {
    let length = this.log.events.length;
    let since = this.scheduler.time.now;
    await this.scheduler.run(() => {
      if (this.log.events.length !== length) [length, since] = [this.log.events.length, this.scheduler.time.now];
      return this.scheduler.time.now - since > REST_MS && this.processes.every(({ ready }) => ready);
    }, 1_000);
  }

  private async retryParked(round: number): Promise<void> {
    const parked = new Map<string, Ref>();
    for (const stored of this.log.events) {
      const recorded = decode(PREFIX, stored);
      if (recorded === null) continue;
      const { event, registry, uid } = recorded;
      if (event.type === 'ObjectDeletionFailed' && event.waitMs === null) parked.set(uid, { registry, uid });
      else parked.delete(uid);
    }
    const process = this.processes.find(({ roles }) => roles.api);
    if (process === undefined) return;
    for (const ref of parked.values()) {
      const commandId = derivedId('person', ref.uid, round);
      const envelope = {
        commandId,
        repeatable: true,
        hash: sha256(commandId),
        actor: 'bob',
        reason: null,
        correlationId: commandId,
        ifMatch: null,
      };
      this.busy += 1;
      void process.bus
        .execute(new RetryPurge(ref, envelope, this.random.pick(['keep', null])))
        .catch((error: unknown) => this.broken.push(`a parked purge cannot be tried again: ${String(error)}`))
        .finally(() => (this.busy -= 1));
    }
    await this.scheduler.run(() => this.busy === 0);
  }
}
