import { ReportPurgeStep, type Envelope, type PurgeStep } from '../commands/commands.js';
import { readRecord, type Journal } from '../commands/execute.js';
import type { Ownership } from '../commands/ownership.js';
import { knownStorage, type Storage } from '../commands/storages.js';
import { derivedId, sha256 } from '../events/ids.js';
import type { Seen } from '../events/events.js';
import type { Purge, RecordState } from '../events/record.js';
import type { Random } from '../ports.js';
import { allStorages, storedOf, unmanagedAt } from '../projections/neighbours.js';
import type { ObjectStore } from '../storage/object-store/port.js';
import type { PurgeRow, ReadModel } from '../storage/read-model/port.js';
import { clearManifest, deleteNamed, isWhole, nameOwn, nameWhatLies, somethingLies, type Guard } from './deletion.js';
import { nextStep, waitAfter, type RetryPolicy, type Step } from './next-step.js';
import { Rounds, type RoundsPorts } from './rounds.js';

/** A store call is sent within this time of reading the stream, or not at all (design, section 4). */
const FRESH_MS = 60_000;
/** How long a purge is left alone whose stream and verdict contradict each other. */
const STUCK_MS = 60_000;
/** Purges that one worker carries out at once. */
const LANES = 16;
const PAGE = 200;
/** How long to wait when nothing is due: a safety net beside the wake-ups. */
const IDLE_MS = 5_000;

export interface PurgeSagaPorts extends RoundsPorts {
  readonly journal: Journal;
  readonly model: ReadModel;
  readonly ownership: Ownership;
  readonly random: Random;
  readonly retries: RetryPolicy;
  readonly report: (command: ReportPurgeStep) => Promise<void>;
  readonly checkpoint: () => bigint;
}

/**
 * Carries purges out. It has no state of its own that matters: its work-list is the projection's open purges, the truth is the
 * record's stream, and each step is one effect and then its report. A crash anywhere, or two workers at once, repeats a step.
 */
export class PurgeSaga {
  private readonly running = new Map<string, Promise<void>>();
  /** Read from the list and not yet looked at. A row may have become old by its turn: what is done follows from the stream. */
  private listed = new Set<PurgeRow>();
  /** Rows that were dealt with, and the position at which the projection shows it. */
  private readonly settled = new Map<string, bigint>();
  private readonly firstSeen = new Map<string, { revision: number; at: number }>();
  private readonly resting = new Map<string, { until: number; position: number }>();
  private readonly rounds: Rounds;

  constructor(private readonly ports: PurgeSagaPorts) {
    this.rounds = new Rounds(ports);
  }

  /** Runs until the signal aborts, then lets the steps that are under way end. */
  async run(signal: AbortSignal): Promise<void> {
    const failure = 'the list of purges could not be read; trying again';
    await this.rounds.run(signal, IDLE_MS, failure, () => this.fill(signal));
    await Promise.allSettled(this.running.values());
  }

  /**
   * Starts what is due, as long as there are lanes: one that becomes free wakes it again. The list is read again once all that was read of
   * it has been looked at. @returns milliseconds until something else is due
   */
  private async fill(signal: AbortSignal): Promise<number> {
    let idle = IDLE_MS;
    for (let after: [number, string] | null = null, isLast = false; ;) {
      for (const row of this.listed) {
        if (this.running.size >= LANES || signal.aborted) return IDLE_MS;
        this.listed.delete(row);
        idle = Math.min(idle, this.consider(row, signal));
      }
      if (isLast || signal.aborted) return idle;
      if (after === null) this.forget();
      const page = await this.list(after);
      this.listed = new Set(page);
      isLast = page.length < PAGE;
      const last = page.at(-1);
      if (last !== undefined) after = [last.purge.position, last.uid];
    }
  }

  /** What the projection shows as dealt with is on the list no more. */
  private forget(): void {
    const checkpoint = this.ports.checkpoint();
    for (const [key, position] of this.settled) if (position <= checkpoint) this.settled.delete(key);
  }

  /** A page of what is open and waits for no person. */
  private async list(after: [number, string] | null): Promise<PurgeRow[]> {
    return this.ports.model.find('purges', {
      where: [
        { path: 'open', op: 'eq', value: true },
        { path: 'state', op: 'ne', value: 'parked' },
      ],
      sort: [
        { path: 'purge.position', descending: false },
        { path: 'uid', descending: false },
      ],
      after,
      limit: PAGE,
    });
  }

  private consider(row: PurgeRow, signal: AbortSignal): number {
    const key = `${row.registry}/${row.uid}`;
    if (this.running.has(key)) return IDLE_MS;
    if ((this.settled.get(key) ?? 0n) > this.ports.checkpoint()) return IDLE_MS;
    const rest = this.resting.get(key);
    const now = this.ports.clock.monotonic();
    // A rest ends early where the purge's row has changed: a person asked for a retry.
    if (rest !== undefined && rest.until > now && rest.position === stampOf(row.purge)) return rest.until - now;
    this.resting.delete(key);
    const work = this.carryOut(row, key, signal)
      .catch((error: unknown) => {
        this.ports.log.error(
          { record: key, error: messageOf(error) },
          'a step of a purge could not be reported; it will be repeated',
        );
        this.resting.set(key, { until: this.ports.clock.monotonic() + 1_000, position: stampOf(row.purge) });
      })
      .finally(() => {
        this.running.delete(key);
        this.rounds.wake();
      });
    this.running.set(key, work);
    return IDLE_MS;
  }

  private async carryOut(row: PurgeRow, key: string, signal: AbortSignal): Promise<void> {
    for (let reported: number | null = null; !signal.aborted;) {
      const readAt = this.ports.clock.monotonic();
      const { record } = await readRecord(this.ports.journal, row);
      const purge = record?.purge ?? null;
      const step = nextStep(record, row.purge.request, row.verdict, {
        sinceFailure: this.since(`failure ${key}`, purge?.failure?.revision ?? null),
        sinceKeep: this.since(`keep ${key}`, purge?.keepAsked?.revision ?? null),
      });
      if (step.do === 'nothing' || record === null || purge === null) {
        if (record !== null) this.settled.set(key, BigInt(record.position));
        return;
      }
      if (step.do === 'wait') {
        this.resting.set(key, { until: readAt + step.ms, position: stampOf(purge) });
        if (record.position > Number(this.ports.checkpoint())) this.settled.set(key, BigInt(record.position));
        return;
      }
      if (record.revision === reported) {
        // No log that Lethe wrote leads here. To ask again at once would keep this process from everything else.
        this.ports.log.error({ record: key, step }, 'a step of a purge came to nothing; it is tried again in a minute');
        this.resting.set(key, { until: readAt + STUCK_MS, position: stampOf(purge) });
        return;
      }
      await this.report(record, purge, await this.take(step, record, purge, this.guard(row, readAt)));
      reported = record.revision;
    }
  }

  /** Does one step's effect. @returns what to report of it; a failure is one */
  private async take(
    step: Exclude<Step, { do: 'nothing' | 'wait' }>,
    record: RecordState,
    purge: Purge,
    guard: Guard,
  ): Promise<PurgeStep> {
    if (step.do === 'report') return step.report;
    try {
      const { storage, path, unmanaged } = await this.placeOf(record);
      // Asked to keep it, nothing is deleted: what is there may be looked at whoever it belongs to by now.
      if (step.do === 'settle') {
        const store = await this.ports.ownership.look(storage);
        if (await isWhole(store, path, step.seen, guard)) return { step: 'keep', why: 'asked', by: [] };
        return { step: 'deleted', objects: 0, bytes: 0, changed: await somethingLies(store, path) };
      }
      // A listing is left behind where nothing may be deleted any more.
      if (step.do === 'clear' && unmanaged !== null) return { step: 'end' };
      if (unmanaged !== null) throw new Error(`The storage ${unmanaged} is not managed: nothing is deleted from it.`);
      const store = await this.ports.ownership.assertOwned(storage);
      switch (step.do) {
        case 'start':
          await guard();
          return { step: 'start', seen: await this.name(store, path, record, purge) };
        case 'delete':
          return { step: 'deleted', ...(await deleteNamed(store, path, step.seen, guard)) };
        case 'clear':
          await guard();
          await clearManifest(store, step.manifest);
          return { step: 'end' };
      }
    } catch (error) {
      if (error instanceof Stale) throw error;
      if (step.do === 'clear') throw error;
      const attempt = purge.attempts + 1;
      const waitMs = waitAfter(attempt, this.ports.retries, this.ports.random.next());
      this.ports.log.warn(
        { record: `${record.registry}/${record.uid}`, attempt, waitMs, error: messageOf(error) },
        'an object could not be deleted',
      );
      return { step: 'fail', attempt, error: messageOf(error), waitMs };
    }
  }

  private async name(
    store: ObjectStore,
    path: string,
    { uid, fields }: RecordState,
    { request, withdraws }: Purge,
  ): Promise<Seen | null> {
    if (withdraws !== null && fields.kind === 'file' && fields.own) return nameOwn(store, path, fields.seen);
    return nameWhatLies(store, path, `${uid}-${request}`);
  }

  /** @returns `unmanaged`: the name of the storage that keeps Lethe from deleting there; null where nothing does */
  private async placeOf(record: RecordState): Promise<{ storage: Storage; path: string; unmanaged: string | null }> {
    const { fields } = record;
    if (fields.kind !== 'file') throw new Error(`${record.registry}/${record.uid} has no object`);
    const storage = await knownStorage(this.ports.journal, fields.storage);
    if (storage === null) throw new Error(`The storage ${fields.storage} was never registered.`);
    // The verdict said so already; the configuration may have changed since, and what it no longer lets Lethe delete stays.
    const others = storedOf(await allStorages(this.ports.model)).filter(({ uid }) => uid !== storage.uid);
    const unmanaged = unmanagedAt([storage, ...others], fields.storage, fields.path);
    return { storage, path: fields.path, unmanaged: unmanaged?.facts.name ?? null };
  }

  private async report(record: RecordState, { request, correlationId }: Purge, report: PurgeStep): Promise<void> {
    const { registry, uid } = record;
    const what = [report.step, 'attempt' in report ? report.attempt : 0];
    const envelope: Envelope = {
      repeatable: true,
      commandId: derivedId('purge', registry, uid, request, ...what, record.revision),
      hash: sha256(JSON.stringify(report)),
      actor: 'system:purge',
      reason: null,
      correlationId,
      ifMatch: null,
    };
    await this.ports.report(new ReportPurgeStep({ registry, uid }, envelope, request, report));
  }

  /** Before a store call: the stream was read within a minute, or is read again and still asks for this deletion. */
  private guard(row: PurgeRow, readAt: number): Guard {
    let fresh = readAt;
    return async () => {
      if (this.ports.clock.monotonic() - fresh < FRESH_MS / 2) return;
      fresh = this.ports.clock.monotonic();
      const { record } = await readRecord(this.ports.journal, row);
      const purge = record?.purge ?? null;
      if (purge === null || purge.request !== row.purge.request || purge.outcome !== null || purge.keepAsked !== null)
        throw new Stale();
    };
  }

  /** Milliseconds since this worker first saw `what` at this revision: waits are durations, and no wall clock measures them. */
  private since(what: string, revision: number | null): number {
    if (revision === null) {
      this.firstSeen.delete(what);
      return 0;
    }
    const seen = this.firstSeen.get(what);
    if (seen?.revision === revision) return this.ports.clock.monotonic() - seen.at;
    this.firstSeen.set(what, { revision, at: this.ports.clock.monotonic() });
    return 0;
  }
}

/** The stream no longer asks for what this step was doing. */
class Stale extends Error {
  override readonly name = 'Stale';
}

/** What changes on a purge's row when a person acts on it. */
const stampOf = ({ failure, keepAsked, request }: Purge): number =>
  Math.max(failure?.revision ?? 0, keepAsked?.revision ?? 0, request);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
