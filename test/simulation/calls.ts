import { Full, OutcomeUnknown, Unavailable } from '../../src/storage/errors.js';
import type { SimulatedRandom } from '../../src/testing/simulated.js';
import type { Fault } from './faults.js';
import type { Scheduler } from './scheduler.js';

/** A process, from its start to its end. */
export interface Life {
  readonly name: string;
  ended: boolean;
}

export type Store = 'log' | 'model' | 'objects';

/** How often a call that was sent by a process that died since still arrives. */
const ARRIVES = 0.4;
/** How often a call that can be held up on its way arrives twice. */
const ECHOES = 0.5;

/** Every call to a port, by every process: each waits for its turn, and any of them can go wrong. */
export class Calls {
  /** Whether faults happen at all: not before the clients begin, and not at the end, when all is left to come to rest. */
  faulty = false;
  private made = 0;
  private readonly down = new Map<Store, number>();
  private readonly deaf = new Map<Store, number>();
  private readonly full = new Map<Store, number>();
  private readonly faults: ReadonlyMap<number, Fault>;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly random: SimulatedRandom,
    faults: readonly Fault[],
    /** How often a call takes long to get where it goes, from 0 to 1. */
    private readonly stalls: number,
    private readonly crash: (life: Life) => void,
    private readonly rebuild: () => void,
  ) {
    this.faults = new Map(faults.map((fault) => [fault.at, fault]));
  }

  get count(): number {
    return this.made;
  }

  /** Counts calls from here. */
  begin(): void {
    this.made = 0;
    this.faulty = true;
  }

  /** Ends every fault that lasts, and lets none begin. */
  mend(): void {
    this.faulty = false;
    this.down.clear();
    this.deaf.clear();
    this.full.clear();
  }

  /** From now on the store answers nobody, for a while; one that is deaf does what it is told all the same. */
  breakDown(how: 'down' | 'deaf', store: Store, ms: number): void {
    (how === 'down' ? this.down : this.deaf).set(store, this.scheduler.time.now + ms);
  }

  async read<T>(life: Life, store: Store, what: string, effect: () => Promise<T>): Promise<T> {
    const fault = await this.sent(life, store, what);
    if (life.ended) return never();
    switch (fault?.kind) {
      case undefined:
        break;
      case 'slow':
      case 'slow-answer':
        await this.scheduler.pause(`${life.name} ${what} (slow)`, fault.ms);
        break;
      case 'crash-before':
      case 'crash-after':
        this.crash(life);
        break;
      case 'error':
      case 'lost':
      case 'unsent':
      case 'late':
        throw new Unavailable(`simulated: ${what} is not answered`);
      case 'full':
      case 'down':
      case 'rebuild':
        break;
    }
    if (life.ended) return never();
    this.refuseDown(store, what);
    return effect();
  }

  /** @param late what happens where nobody waits for it any more by then; left out: the same */
  async write<T>(
    life: Life,
    store: Store,
    what: string,
    effect: () => Promise<T>,
    late: () => Promise<unknown> = effect,
  ): Promise<T> {
    const fault = await this.sent(life, store, what);
    if (life.ended) {
      if (this.random.happens(ARRIVES)) await this.arrives(late);
      return never();
    }
    switch (fault?.kind) {
      case 'error':
        throw new Unavailable(`simulated: ${what} is refused`);
      case 'unsent':
        throw new OutcomeUnknown(`simulated: ${what} was lost`);
      case 'lost':
        this.refuseDown(store, what);
        await effect();
        throw new OutcomeUnknown(`simulated: the answer to ${what} was lost`);
      case 'late':
        void this.scheduler.pause(`${life.name} ${what} (late)`, fault.ms).then(() => this.arrives(late));
        throw new OutcomeUnknown(`simulated: ${what} is under way`);
      case 'slow':
        await this.scheduler.pause(`${life.name} ${what} (slow)`, fault.ms);
        break;
      case 'crash-before':
        this.crash(life);
        return never();
      case undefined:
      case 'slow-answer':
      case 'crash-after':
      case 'full':
      case 'down':
      case 'rebuild':
        break;
    }
    if (life.ended) {
      if (this.random.happens(ARRIVES)) await this.arrives(late);
      return never();
    }
    this.refuseDown(store, what);
    if ((this.full.get(store) ?? 0) > this.scheduler.time.now) throw new Full(`simulated: no space for ${what}`);
    const answer = await effect();
    if ((this.deaf.get(store) ?? 0) > this.scheduler.time.now)
      throw new OutcomeUnknown(`simulated: the answer to ${what} was lost`);
    if (fault?.kind === 'crash-after') this.crash(life);
    if (fault?.kind === 'slow-answer') await this.scheduler.pause(`${life.name} ${what} (slow answer)`, fault.ms);
    return life.ended ? never() : answer;
  }

  /** While there are faults, something that was sent once may arrive once more, after up to twenty seconds. */
  echo(life: Life, what: string, effect: () => Promise<unknown>): void {
    if (!this.faulty || !this.random.happens(ECHOES)) return;
    const ms = 10 ** (1 + this.random.next() * 3.3);
    void this.scheduler.pause(`${life.name} ${what} (once more)`, ms).then(() => this.arrives(effect));
  }

  private async sent(life: Life, store: Store, what: string): Promise<Fault | null> {
    if (life.ended) return never();
    await this.scheduler.turn(`${life.name} ${what}`);
    if (this.faulty && this.random.happens(this.stalls))
      await this.scheduler.pause(`${life.name} ${what} (stalled)`, 10 ** (1 + this.random.next() * 2.5));
    this.made += 1;
    const fault = this.faulty ? (this.faults.get(this.made) ?? null) : null;
    if (fault === null) return null;
    this.scheduler.say(`${life.name} ${what}: ${fault.kind} ${fault.ms}`);
    if (fault.kind === 'down') this.breakDown('down', store, fault.ms);
    if (fault.kind === 'full') this.full.set(store, this.scheduler.time.now + fault.ms);
    if (fault.kind === 'rebuild') this.rebuild();
    return fault;
  }

  /** What nobody waits for any more happens, or is refused as it would have been. */
  private async arrives(effect: () => Promise<unknown>): Promise<void> {
    try {
      await effect();
    } catch (error) {
      this.scheduler.say(`(a late call is refused: ${error instanceof Error ? error.name : String(error)})`);
    }
  }

  private refuseDown(store: Store, what: string): void {
    if ((this.down.get(store) ?? 0) > this.scheduler.time.now)
      throw new Unavailable(`simulated: ${what} finds nobody there`);
  }
}

/** What a process that died waits for. */
const never = (): Promise<never> => new Promise(() => undefined);
