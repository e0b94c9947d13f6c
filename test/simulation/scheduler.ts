import { createHash } from 'node:crypto';
import { SimulatedTime, type SimulatedRandom } from '../../src/testing/simulated.js';

/** A step that somebody waits to take. */
interface Turn {
  readonly label: string;
  readonly weight: number;
  readonly take: () => void;
}

/** How much slower than all others the projection is, in some schedules: what it has not seen yet, races are about. */
const BEHIND = [1, 1, 0.2, 0.03];
/** How unevenly turns come: how often a kind of step is much slower than the others, so that all the rest overtakes it. */
const WEIGHTS = [1, 1, 1, 1, 0.3, 0.05];
const START = Date.parse('2026-01-01T00:00:00.000Z');
/** More turns than any schedule takes: it would go on for ever. */
const MOST_TURNS = 60_000;

/** Nothing comes to rest: somebody repeats something for ever. */
export class Endless extends Error {
  override readonly name = 'Endless';
}

/**
 * Decides who goes next. Whatever happens in a schedule waits for its turn here, one at a time; which one of those that wait is chance's
 * choice, and all chance comes from one seed. So the same seed gives the same run.
 */
export class Scheduler {
  readonly time = new SimulatedTime(START);
  turns = 0;
  /** What happened, if somebody wants to read it. */
  readonly lines: string[] | null;
  private readonly ready: Turn[] = [];
  private readonly behind: number;
  private readonly weights = new Map<string, number>();
  private readonly digest = createHash('sha256');

  constructor(
    private readonly random: SimulatedRandom,
    private readonly uneven: boolean,
    traced: boolean,
  ) {
    this.lines = traced ? [] : null;
    this.behind = random.pick(BEHIND);
  }

  /** Resolves when it is this step's turn. */
  turn(label: string): Promise<void> {
    return new Promise((take) => this.ready.push({ label, weight: this.weightOf(label), take }));
  }

  /** Resolves when `ms` are over and it is this step's turn. */
  async pause(label: string, ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.time.after(ms, resolve));
    return this.turn(label);
  }

  say(line: string): void {
    this.digest.update(`${line}\n`);
    this.lines?.push(`${String(this.time.now).padStart(9)} ${line}`);
  }

  /** One text for all that happened so far. */
  hash(): string {
    return this.digest.copy().digest('base64url');
  }

  /**
   * Gives turns until `ended`, or until nobody waits for one any more.
   * @param jumpMs how far time moves on at least where only time is waited for
   */
  async run(ended: () => boolean, jumpMs = 0): Promise<void> {
    for (;;) {
      await quiet();
      if (ended()) return;
      this.wakeSleepers();
      await quiet();
      const turn = this.next();
      if (turn === null) {
        const next = this.time.nextDue;
        if (next === null) return;
        this.time.pass(Math.max(jumpMs, next - this.time.now));
        continue;
      }
      this.turns += 1;
      if (this.turns > MOST_TURNS) throw new Endless(`after ${MOST_TURNS} steps there is still something to do`);
      this.time.pass(this.random.next() * 2);
      this.say(turn.label);
      turn.take();
    }
  }

  private wakeSleepers(): void {
    for (const wake of this.time.due()) this.ready.push({ label: 'wakes', weight: 1, take: wake });
  }

  private next(): Turn | null {
    if (this.ready.length === 0) return null;
    const total = this.ready.reduce((sum, { weight }) => sum + weight, 0);
    let at = this.random.next() * total;
    let index = this.ready.findIndex(({ weight }) => (at -= weight) < 0);
    if (index < 0) index = this.ready.length - 1;
    const [turn] = this.ready.splice(index, 1);
    return turn ?? null;
  }

  private weightOf(label: string): number {
    if (!this.uneven) return 1;
    const known = this.weights.get(label);
    if (known !== undefined) return known;
    const weight = this.random.pick(WEIGHTS) * (label.includes('projector') ? this.behind : 1);
    this.weights.set(label, weight);
    return weight;
  }
}

/** Until everybody waits for a turn: an immediate comes after all promises and ticks that can go on by themselves. */
const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
