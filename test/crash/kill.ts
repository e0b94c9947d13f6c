import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { decode } from '../../src/events/codec.js';
import type { Recorded } from '../../src/events/events.js';
import { openSqliteEventStore } from '../../src/storage/event-store/sqlite.js';
import { startService, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';
import { checkCommand, effectsOf } from './kill.answers.js';
import { Chance } from './kill.chance.js';
import { send, workUntilKilled } from './kill.clients.js';
import { md5Of } from './kill.disk.js';
import { Judge } from './kill.judge.js';
import { Ledger, PREFIX, type Violation } from './kill.ledger.js';
import { Objects } from './kill.objects.js';
import { checkAllLists, checkReads } from './kill.reads.js';
import { compareWithReplay } from './kill.replay.js';
import { report } from './kill.report.js';
import { World, type Command } from './kill.world.js';

/** From the start of the process until it answers, and from then until all purges have settled. */
const READY_WITHIN_MS = 60_000;
/** Rounds between two checks of every list. */
const WHOLE_EVERY = 25;
/** One kill in so many hits a start. */
const STARTS = 0.12;

export interface Survived {
  readonly kills: number;
  readonly commands: number;
  readonly lost: number;
  readonly repeats: number;
  readonly replays: number;
  readonly replaced: number;
  readonly untraced: number;
  readonly events: number;
  readonly records: number;
  readonly deleted: number;
  readonly slowestStartMs: number;
}

/**
 * Kills the real process again and again in the middle of its work, on one data folder, and checks after each start what the contract
 * promises. The seed draws the commands and the moments; how they interleave is the machine's.
 *
 * @param again the command that repeats this run
 * @throws Error with every violation and the traces of the records concerned; the folder is then left for looking at
 */
export const surviveKills = async (kills: number, seed: string, again: string): Promise<Survived> => {
  const run = new Run(await World.make(), seed);
  try {
    const survived = await run.through(kills);
    rmSync(run.world.folder, { recursive: true, force: true });
    return survived;
  } catch (error) {
    const where = `The data folder is ${run.world.data}. Again: ${again}`;
    throw new Error(`seed ${seed}, round ${run.round}: ${String(error)}\n\n${where}`, { cause: error });
  }
};

class Run {
  round = 0;
  private readonly ledger: Ledger;
  private readonly judge: Judge;
  private readonly objects: Objects;
  private kills = 0;
  private lost = 0;
  private repeats = 0;
  private replays = 0;
  private replaced = 0;
  private slowestStartMs = 0;

  constructor(
    readonly world: World,
    private readonly seed: string,
  ) {
    const file = join(world.data, 'events.sqlite');
    this.ledger = new Ledger(() => openSqliteEventStore({ file, prefix: PREFIX, mode: 'read-only' }));
    this.judge = new Judge(this.ledger);
    this.objects = new Objects(world, this.ledger);
  }

  async through(kills: number): Promise<Survived> {
    let service = await this.start();
    try {
      while (this.kills < kills) {
        this.round += 1;
        await workUntilKilled(service, this.world, this.round, (part) => this.chance(part));
        this.kills += 1;
        this.objects.note();
        const replaced = await this.replaceBehindDeletions();
        if (this.chance('start').maybe(STARTS)) await this.killStart();
        service = await this.start();
        await this.checkFreshness(service);
        const commands = this.commandsOfRound();
        await this.repeat(service, commands);
        await this.settle(service);
        await this.check(service, commands, replaced);
      }
      await this.fail(await checkAllLists(service, this.ledger), service);
      const code = await service.stop();
      if (code !== 0) throw new Error(`SIGTERM ended it with ${code}:\n${service.log()}`);
      await this.fail(await compareWithReplay(this.world.data, this.chance('replay')), service);
      return this.summary();
    } finally {
      await service.kill();
    }
  }

  private chance(part: string): Chance {
    return new Chance(`${this.seed}/${this.round}/${part}`);
  }

  private async start(): Promise<RunningService> {
    const started = performance.now();
    const late = new AbortController();
    const service = await Promise.race([
      startService({ data: this.world.data }),
      setTimeout(READY_WITHIN_MS, null, { signal: late.signal }),
    ]);
    late.abort();
    if (service === null) throw new Error(`the service was not ready within ${READY_WITHIN_MS} ms of its start`);
    this.slowestStartMs = Math.max(this.slowestStartMs, Math.round(performance.now() - started));
    return service;
  }

  /** Kills a start in its middle. */
  private async killStart(): Promise<void> {
    const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
    const child = spawn(process.execPath, [main], {
      env: { PATH: process.env['PATH'], LETHE_DATA: this.world.data, LETHE_PORT: '0' },
      stdio: 'ignore',
    });
    const exited = once(child, 'exit');
    const soon = setTimeout(100 + this.chance('start-moment').below(1_200));
    const ended = await Promise.race([exited, soon.then(() => null)]);
    if (ended !== null) throw new Error(`a start ended by itself: ${String(ended)}`);
    child.kill('SIGKILL');
    await exited;
    this.kills += 1;
  }

  private commandsOfRound(): Command[] {
    return [...this.world.commands.values()].filter(({ round }) => round === this.round);
  }

  /** What was acknowledged before the kill is read from the first answer on. */
  private async checkFreshness(service: RunningService): Promise<void> {
    const { status, body } = await service.request('GET', '/v1');
    if (status === 503 && body.code === 'projection-behind') return;
    if (status === 200 && BigInt(body.position) >= this.world.acknowledged) return;
    const what = `the first answer is ${status}, of position ${body.position}; ${this.world.acknowledged} was acknowledged`;
    await this.fail([{ what, record: null }], service);
  }

  /** Callers that heard nothing ask again with their key; some that did, too. Each command takes effect once. */
  private async repeat(service: RunningService, commands: readonly Command[]): Promise<void> {
    await this.ledger.follow();
    const chance = this.chance('repeat');
    const found: Violation[] = [];
    for (const command of commands) {
      const wasLost = command.heard.some(({ kind }) => kind === 'lost');
      if (wasLost) this.lost += 1;
      if (command.key !== null && (wasLost || chance.maybe(0.1))) {
        const [effect] = effectsOf(command, this.ledger);
        const heard = await send(service, this.world, command);
        this.repeats += 1;
        const replayed = heard.kind === 'answer' && heard.replayed;
        if (replayed) this.replays += 1;
        const calledOff = heard.kind === 'answer' && ['referenced', 'conflict'].includes(heard.said);
        if (effect !== undefined && !replayed && !calledOff) {
          const said = heard.kind === 'answer' ? `${heard.status} ${heard.said} ${heard.detail}` : 'nothing';
          const what = `${command.id} had taken effect, and its repeat is answered ${said}, not as a repeat`;
          found.push({ what, record: `${effect.registry}/${effect.uid}` });
        }
        if (effect === undefined && replayed) {
          found.push({ what: `${command.id} had not taken effect, and is answered as a repeat`, record: null });
        }
      }
      command.content = null;
    }
    await this.fail(found, service);
  }

  private async settle(service: RunningService): Promise<void> {
    const ask = async (path: string): Promise<unknown[]> => {
      await this.ledger.follow();
      const headers = { 'x-min-position': String(this.ledger.head) };
      const { status, body } = await service.request('GET', path, { headers });
      return status === 200 ? body.items : [body];
    };
    const settled = async (): Promise<boolean> => {
      const operations = await ask('/v1/operations?limit=20');
      if (!operations.every((row) => JSON.stringify(row).includes('"state":"done"'))) return false;
      return (await ask('/v1/purges?state=pending,failed&limit=5')).length === 0;
    };
    try {
      await until('all purges have settled', settled);
    } catch {
      const open = [...(await ask('/v1/operations?limit=20')), ...(await ask('/v1/purges?state=pending,failed'))];
      const [first] = await ask('/v1/purges?state=pending,failed');
      const { registry, uid } = Object(first);
      const record = first === undefined ? null : `${registry}/${uid}`;
      await this.fail([{ what: `purges do not settle: ${JSON.stringify(open)}`, record }], service);
    }
    await this.ledger.follow();
  }

  private async check(
    service: RunningService,
    commands: readonly Command[],
    replaced: readonly Recorded[],
  ): Promise<void> {
    const { ledger } = this;
    const fresh = ledger.take();
    const touched = [...new Set(fresh.map(({ registry, uid }) => `${registry}/${uid}`))].filter((key) =>
      ledger.states.has(key),
    );
    const found: Violation[] = [
      ...ledger.violations.splice(0),
      ...commands.flatMap((command) => checkCommand(command, ledger)),
      ...this.judge.judge(fresh),
      ...this.objects.check(fresh),
      ...touched.flatMap((record) => this.limbo(record)),
      ...this.wrongCounts(fresh),
      ...replaced.flatMap((started) => this.overlooked(started)),
      ...(await checkReads(service, ledger, touched)),
    ];
    if (this.round % WHOLE_EVERY === 0) found.push(...(await checkAllLists(service, ledger)));
    await this.fail(found, service);
    this.refill();
  }

  private limbo(record: string): Violation[] {
    const { purge } = this.ledger.states.get(record) ?? { purge: null };
    if (purge === null || purge.ended !== null) return [];
    const why = purge.failure === null ? 'nothing failed' : `its last error: ${purge.failure.error}`;
    return [{ what: `its purge did not end (${why})`, record }];
  }

  /** An operation's own account of what it purged. */
  private wrongCounts(fresh: readonly Recorded[]): Violation[] {
    const found: Violation[] = [];
    for (const { event, uid } of fresh) {
      if (event.type !== 'OperationCompleted') continue;
      const steps = [...this.ledger.states.values()].filter(({ purge }) => purge?.operation === uid);
      if (steps.length === event.purged) continue;
      const what = `operation ${uid} says that it purged ${event.purged} records, and it was ${steps.length}`;
      found.push({ what, record: `operations/${uid}` });
    }
    return found;
  }

  /**
   * While the service is down, somebody puts other files in the place of those whose deletion has begun: they are not what the deletion
   * named. @returns the deletions
   */
  private async replaceBehindDeletions(): Promise<Recorded[]> {
    const { ledger } = this;
    const chance = this.chance('replace');
    const fields = new Map([...ledger.states].map(([key, state]) => [key, state.fields]));
    const open = new Map<string, Recorded>();
    for (const recorded of await this.peek()) {
      const { event, registry, uid } = recorded;
      const key = `${registry}/${uid}`;
      if (event.type === 'RecordRegistered') fields.set(key, event.fields);
      if (event.type === 'ObjectDeletionStarted' && event.seen?.kind === 'file') open.set(key, recorded);
      if (event.type === 'ObjectDeleted') open.delete(key);
    }
    for (const key of open.keys()) {
      const object = fields.get(key);
      const location = object?.kind === 'file' ? ledger.locate(object) : '';
      if (chance.maybe(0.3) || !existsSync(dirname(location))) open.delete(key);
      else this.takePlace(location, chance.bytes(100 + chance.below(100)));
    }
    this.replaced += open.size;
    return [...open.values()];
  }

  private takePlace(location: string, content: Buffer): void {
    const { world } = this;
    const aside = join(world.folder, 'aside');
    writeFileSync(aside, content);
    renameSync(aside, location);
    world.contents.add(md5Of(content));
    const lain = world.disk.look(location);
    if (lain !== null) world.laid.push(lain);
  }

  /** What the log holds beyond what is known, read from a copy: whoever starts next is to find the log as the kill left it. */
  private async peek(): Promise<Recorded[]> {
    const folder = mkdtempSync(join(tmpdir(), 'lethe-peek-'));
    try {
      const file = join(folder, 'events.sqlite');
      for (const end of ['', '-wal']) {
        const from = join(this.world.data, `events.sqlite${end}`);
        if (existsSync(from)) copyFileSync(from, file + end);
      }
      const log = await openSqliteEventStore({ file, prefix: PREFIX, mode: 'read-only' });
      const found: Recorded[] = [];
      for await (const batch of log.readAll(this.ledger.head))
        for (const stored of batch) found.push(...[decode(PREFIX, stored)].filter((recorded) => recorded !== null));
      await log.close();
      return found;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  private overlooked({ registry, uid, revision }: Recorded): Violation[] {
    const record = `${registry}/${uid}`;
    const later = (this.ledger.streams.get(record) ?? []).slice(revision + 1);
    const deleted = later.find(({ event }) => event.type === 'ObjectDeleted');
    if (deleted?.event.type === 'ObjectDeleted' && deleted.event.changed) return [];
    return [{ what: 'another file took the place of its object while it was deleted, and it does not say so', record }];
  }

  /** The callers' pool: what is live now, the last registered last. */
  private refill(): void {
    const live = [...this.ledger.states.values()].filter(({ purge }) => purge === null);
    this.world.pool.clear();
    for (const { registry, uid, fields } of live) {
      // The configured ones cannot be purged.
      if (registry === 'storages' && fields.kind === 'plain' && fields.name?.startsWith('nest-') !== true) continue;
      this.world.add({ registry, uid });
    }
  }

  private summary(): Survived {
    const { kills, lost, repeats, replays, replaced, slowestStartMs, world, ledger, objects } = this;
    const events = [...ledger.streams.values()].flat();
    return {
      ...{ kills, commands: world.commands.size, lost, repeats, replays, replaced, untraced: objects.untraced },
      ...{ events: events.length, records: ledger.states.size, slowestStartMs },
      deleted: events.filter(({ event }) => event.type === 'ObjectDeleted').length,
    };
  }

  private async fail(found: readonly Violation[], service: RunningService): Promise<void> {
    if (found.length === 0) return;
    await this.ledger.follow();
    throw new Error(report(found, this.world, this.ledger, service.log()));
  }
}
