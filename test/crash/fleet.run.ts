import type { Recorded } from '../../src/events/events.js';
import type { Ref } from '../../src/events/vocabulary.js';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import { dumpOf, projected } from '../harness/projecting.js';
import { until } from '../harness/until.js';
import { Clients } from './fleet.clients.js';
import { FleetWorld, type Draft } from './fleet.commands.js';
import { plague } from './fleet.faults.js';
import { Fleet, type Member } from './fleet.js';
import { checkObjects } from './fleet.objects.js';
import { checkCommand } from './kill.answers.js';
import { Chance } from './kill.chance.js';
import { Judge } from './kill.judge.js';
import { Ledger, type Violation } from './kill.ledger.js';
import { report } from './kill.report.js';

/** What a client may hear of a server that is away, and of a race that was lost too often. */
const PASSING = ['projection-behind', 'store-unavailable', 'overloaded'];
/** Of violations beside a run that does not settle. */
const MOST = 8;
const SETTLED_WITHIN_TICKS = 9_000;
const OPEN = [{ path: 'open', op: 'eq', value: true }] as const;

/** Several processes on the same servers, and all that is known and checked of them. */
export class FleetRun {
  readonly world = new FleetWorld();
  readonly clients: Clients;
  private readonly ledger: Ledger;
  private readonly judge: Judge;
  /** The log from its beginning, as far as it was read. */
  private readonly log: Recorded[] = [];

  private constructor(
    readonly fleet: Fleet,
    private readonly seed: string,
  ) {
    this.clients = new Clients(fleet, this.world, (part) => this.chance(part));
    this.ledger = new Ledger(() => fleet.openLog());
    this.judge = new Judge(this.ledger);
  }

  static async start(minioBinary: string, seed: string): Promise<FleetRun> {
    const run = new FleetRun(await Fleet.start(minioBinary), seed);
    try {
      await run.clients.furnish();
      return run;
    } catch (error) {
      await run.close();
      throw error;
    }
  }

  /** Callers at work while processes and servers fail. @returns what failed, and how it went */
  async survive(seconds: number): Promise<string[]> {
    const ends = new AbortController();
    const since = performance.now();
    const before = this.world.commands.size;
    const working = this.clients.work(ends.signal);
    const happened = await Promise.race([
      plague(this.fleet, seconds, (part) => this.chance(part)),
      working.then(() => []),
    ]);
    ends.abort();
    await working;
    const took = (performance.now() - since) / 1_000;
    const { measures } = this.clients;
    const commands = this.world.commands.size - before;
    return [
      ...happened,
      `${commands} commands in ${took.toFixed(1)} s, ${measures.retries} retries, ${measures.hung} without an answer`,
      ...measures.lines(),
      ...this.fleet.members.map(
        ({ name, slowestStartMs }) => `${name} started within ${Math.round(slowestStartMs)} ms`,
      ),
    ];
  }

  /**
   * Stops a worker where it stands while purges are asked for, and lets it go on while others are.
   * @returns the milliseconds from its stop until the first that was asked for since is carried out; it stands still for at least `forMs`
   */
  async stall(worker: Member, purges: readonly Ref[], forMs: number): Promise<number> {
    const drafts = purges.map(({ registry, uid }): Draft => ({
      method: 'DELETE',
      url: `/v1/${registry}/${uid}?permanent=true&storage=delete`,
    }));
    const third = drafts.length / 3;
    // It stops in the middle of its work.
    await this.clients.all(drafts.slice(0, third));
    worker.stall();
    const since = performance.now();
    try {
      await this.clients.all(drafts.slice(third, third + 1));
      await this.isPurged(purges[third]);
      const took = performance.now() - since;
      await this.clients.all(drafts.slice(third + 1, 2 * third));
      await this.settled();
      await until('the stall has lasted long enough', async () => performance.now() - since >= forMs);
      return took;
    } finally {
      worker.goOn();
      await this.clients.all(drafts.slice(2 * third));
      await until('it goes on', async () => (await worker.running?.request('GET', '/health/ready'))?.status === 200);
    }
  }

  private async isPurged(ref: Ref | undefined): Promise<void> {
    if (ref === undefined) throw new RangeError('there is no such record');
    const [api] = this.fleet.apis;
    await until(`${ref.registry}/${ref.uid} is purged`, async () => {
      const answer = await api?.running?.request('GET', `/v1/purges/${ref.registry}/${ref.uid}`);
      return answer?.body.state === 'done';
    });
  }

  /** Files that nobody asked to purge yet, and nothing points to. */
  async purgeable(count: number, key: string): Promise<Ref[]> {
    const before = this.world.files.length;
    await this.clients.all(
      Array.from({ length: count }, (_, index) => ({
        ...{ method: 'POST', url: '/v1/files', content: Buffer.from(`${key} ${index}`) },
        metadata: { key: `${key}/${index}.bin`, onDuplicate: 'create' },
      })),
    );
    return this.world.files.slice(before).map((uid) => ({ registry: 'files', uid }));
  }

  /** Waits until nothing is open: no purge that is not parked, no withdrawal. */
  async settled(): Promise<void> {
    const [log, model] = [await this.fleet.openLog(), await this.fleet.openModel()];
    try {
      await until(
        'nothing is left to be done',
        async () => {
          if ((await model.checkpoint()) !== (await log.head())) return false;
          return (await openWork(model)).length === 0;
        },
        SETTLED_WITHIN_TICKS,
      );
    } catch (error) {
      const [checkpoint, head] = [await model.checkpoint(), await log.head()];
      const open = JSON.stringify((await openWork(model)).slice(0, 3));
      const found = (await this.violations()).map(({ what, record }) => `${record ?? 'the fleet'}: ${what}`);
      throw new Error(
        [`${String(error)}: at ${checkpoint} of ${head}, open: ${open}`, ...found.slice(0, MOST)].join('\n'),
        {
          cause: error,
        },
      );
    } finally {
      await Promise.all([log.close(), model.close()]);
    }
  }

  /** @throws Error telling every violation for a person, with the stories of the records that they are about */
  async check(): Promise<void> {
    const found = await this.violations();
    if (found.length === 0) return;
    const { ledger, world, fleet } = this;
    const logs = fleet.members.map((member) => member.log()).join('');
    throw new Error(report(found, { commands: world.commands, disk: { scan: () => new Map() } }, ledger, logs));
  }

  private async violations(): Promise<Violation[]> {
    const { ledger, world } = this;
    await ledger.follow();
    const fresh = ledger.take();
    this.log.push(...fresh);
    const commands = [...world.commands.values()];
    return [
      ...this.clients.violations,
      ...ledger.violations,
      ...commands.flatMap((command) => checkCommand(command, ledger, PASSING)),
      ...this.judge.judge(fresh),
      ...checkObjects(await this.fleet.objects(), ledger, commands),
      ...(await this.projectionFaults()),
    ];
  }

  /** What was purged, kept and deleted, as the log tells it. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { event } of this.log) counts[event.type] = (counts[event.type] ?? 0) + 1;
    return counts;
  }

  async close(): Promise<void> {
    await this.fleet.close();
  }

  private chance(part: string): Chance {
    return new Chance(`${this.seed} ${part}`);
  }

  /** The model as the fleet made it is, byte for byte, the one that the whole log makes. */
  private async projectionFaults(): Promise<Violation[]> {
    const model = await this.fleet.openModel();
    try {
      const live = (await dumpOf(model)).split('\n');
      const anew = (await dumpOf(await projected(this.log))).split('\n');
      const differs = anew.findIndex((line, index) => line !== live[index]);
      if (differs < 0 && live.length === anew.length) return [];
      const what = `the live model has ${live.length} rows and one made anew ${anew.length}; the first that differs:\n${live[differs]}\n${anew[differs]}`;
      return [{ what, record: null }];
    } finally {
      await model.close();
    }
  }
}

const openWork = async (model: ReadModel): Promise<unknown[]> => {
  const purges = await model.find('purges', {
    where: OPEN,
    sort: [{ path: 'uid', descending: false }],
    after: null,
    limit: 1_000,
  });
  const withdrawals = await model.find('withdrawals', {
    where: OPEN,
    sort: [{ path: 'position', descending: false }],
    after: null,
    limit: 1_000,
  });
  return [...purges.filter(({ state }) => state !== 'parked'), ...withdrawals];
};
