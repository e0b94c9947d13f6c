import { setTimeout } from 'node:timers/promises';
import type { RunningService } from '../harness/service.js';
import type { Fleet } from './fleet.js';
import { datasetOf, DATASETS, drawCommand, FILES, SHARING, type Draft, type FleetWorld } from './fleet.commands.js';
import type { Chance } from './kill.chance.js';
import { send } from './kill.clients.js';
import type { Violation } from './kill.ledger.js';
import type { Answer, Command } from './kill.world.js';

const CLIENTS = 8;
/** No answer takes as long as this, whatever fails: what does is taken for lost, and counted. */
const LATE_MS = 40_000;
/** What a client waits before it asks the other process. */
const AGAIN_MS = 50;
const MOST_TRIES = 600;

/** How long answers took, in milliseconds, by what was asked for. */
class Measures {
  hung = 0;
  retries = 0;
  private readonly taken = new Map<string, number[]>();

  add(kind: string, ms: number): void {
    const taken = this.taken.get(kind) ?? [];
    taken.push(ms);
    this.taken.set(kind, taken);
  }

  /** `commands: 1234, p50 5 ms, p99 80 ms, at most 900 ms`, one line a kind. */
  lines(): string[] {
    return [...this.taken].map(([kind, taken]) => {
      const sorted = taken.toSorted((a, b) => a - b);
      const at = (share: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
      return `${kind}: ${sorted.length}, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms`;
    });
  }
}

/** Callers of a fleet: each command goes to one process or the other, with its key, until one of them has answered it. */
export class Clients {
  readonly violations: Violation[] = [];
  readonly measures = new Measures();

  constructor(
    private readonly fleet: Fleet,
    private readonly world: FleetWorld,
    private readonly chance: (part: string) => Chance,
  ) {}

  /** Registers the thousand records. */
  async furnish(): Promise<void> {
    const chance = this.chance('furnish');
    await this.all(FILES);
    await this.all(SHARING);
    await this.all(Array.from({ length: DATASETS }, () => datasetOf(chance, this.world)));
  }

  /** All at once, as eight callers would. */
  async all(drafts: readonly Draft[]): Promise<void> {
    const waiting = drafts.entries();
    const caller = async (): Promise<void> => {
      for (const [index, draft] of waiting) await this.carry(this.world.command('ada', draft), index, 'furnish');
    };
    await Promise.all(Array.from({ length: CLIENTS }, caller));
  }

  /** Trash, restore and purge until the signal aborts; ends when every command is answered. */
  async work(ends: AbortSignal): Promise<void> {
    const caller = async (_: unknown, index: number): Promise<void> => {
      const chance = this.chance(`client-${index}`);
      while (!ends.aborted) {
        const command = this.world.command(`client-${index}`, drawCommand(chance, this.world));
        const at = chance.below(2);
        const answer = await this.carry(command, at, 'prefer' in command.headers ? 'commands that wait' : 'commands');
        if (chance.maybe(0.3)) await this.readBack(answer, at + 1);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, caller));
  }

  private async carry(command: Command, at: number, kind: string): Promise<Answer> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const since = performance.now();
      const heard = await send(this.api(at + tries), this.world, command);
      if (heard.kind === 'answer') {
        this.measures.add(heard.status === 503 ? 'refusals with 503' : kind, performance.now() - since);
        if (heard.status !== 503) return heard;
      }
      this.measures.retries += 1;
      await setTimeout(AGAIN_MS);
    }
    throw new Error(
      `${command.id} was asked for ${MOST_TRIES} times and not answered: ${JSON.stringify(command.heard.at(-1))}`,
    );
  }

  /** What was acknowledged is seen through the other process, by whoever says its position. */
  private async readBack({ record, etag, position, status }: Answer, at: number): Promise<void> {
    if (status >= 300 || record === null || etag === null || position === null) return;
    const since = performance.now();
    const headers = { 'x-min-position': String(position) };
    let answer;
    try {
      answer = await this.api(at).request('GET', `/v1/${record}`, { headers });
    } catch (error) {
      if (error instanceof TypeError) return; // it was killed meanwhile
      throw error;
    }
    const { status: read, body } = answer;
    this.measures.add(read === 503 ? 'reads refused with 503' : "reads of one's writes", performance.now() - since);
    if (read === 410 || read === 503 || (read === 200 && body.revision >= etag)) return;
    const what = `revision ${etag} was acknowledged at position ${position}, and then read as ${read} ${body.revision ?? body.code}`;
    this.violations.push({ what, record });
  }

  private api(at: number): Pick<RunningService, 'request'> {
    const { apis } = this.fleet;
    const service = apis[at % apis.length]?.running ?? null;
    return {
      request: async (method, path, options) => {
        if (service === null) throw new TypeError('it does not run');
        const signal = AbortSignal.timeout(LATE_MS);
        try {
          return await service.request(method, path, { ...options, signal });
        } catch (error) {
          if (!signal.aborted) throw error;
          this.measures.hung += 1;
          throw new TypeError(`no answer within ${LATE_MS / 1_000} s`, { cause: error });
        }
      },
    };
  }
}
