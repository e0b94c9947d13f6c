import type { PurgeStep } from '../../src/commands/commands.js';
import { Refusal } from '../../src/commands/refusals.js';
import type { Fields, RecordEvent, Recorded } from '../../src/events/events.js';
import { isRecordEvent } from '../../src/events/events.js';
import { evolve, isPurging, type RecordState } from '../../src/events/record.js';
import type { Json, Ref } from '../../src/events/vocabulary.js';
import {
  HoldRecord,
  PurgeRecord,
  ReleaseHold,
  ReportPurgeStep,
  RestoreRecord,
  RetryPurge,
  TrashRecord,
  UpdateRecord,
} from '../../src/testing/commands.js';
import {
  clockTicked,
  dataset,
  file,
  instanceCreated,
  operationCompleted,
  operationStarted,
  plain,
  registered,
  storage,
  uidFor,
  type Happening,
  type Said,
} from '../../src/testing/events.js';
import { decide, type Command } from '../../src/testing/given.js';
import { TestLog } from '../../src/testing/log.js';

/** Chance from a seed: the same numbers every time (mulberry32). */
const chanceFrom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** Paths that meet each other in every way: the same, inside, around, and merely alike. */
const PATHS = ['a', 'a/', 'ab', 'a/b', 'a/b/', 'a/b/c', 'a/bc', 'b/', 'b/x', 'in/', 'in/a', 'in/a/', 'in/a/b'];
const SUFFIXES = ['.csv', '.parquet', null];
const ACTORS = ['alice', 'bob', 'svc:ingest'];
const REASONS = [null, null, 'a clean-up', 'asked for by “Zoë”'];

/**
 * A log as a busy service leaves one behind: on few records, so that they meet. Every stream is one that the decisions allow; who points
 * to whom, who lies on whose object, and what comes before what is left to chance. Every type of event is in a log of some hundreds.
 */
export const generateLog = (seed: number, events: number): TestLog => {
  const town = new Town(chanceFrom(seed));
  town.settle();
  while (town.log.head < events) town.live();
  // A decision can come to two events.
  town.log.recorded.splice(events);
  town.log.stored.splice(events);
  return town.log;
};

class Town {
  readonly log = new TestLog();
  private readonly records = new Map<string, RecordState>();
  private readonly openOperations: Ref[] = [];
  private count = 0;
  private logTimeMs = 0;

  constructor(private readonly chance: () => number) {}

  /** The storages, one within another and one that is not managed, and a few records for others to point to. */
  settle(): void {
    this.log.happens({ registry: 'log', uid: 'instance' }, instanceCreated());
    this.register('storages', storage('default', { root: 'file:/data/' }));
    this.register('storages', storage('inner', { root: 'file:/data/in/' }));
    this.register('storages', storage('alias', { root: 'file:/data/' }));
    this.register('storages', storage('lab', { root: 'file:/lab/', managed: false }));
    for (const registry of ['labels', 'labels', 'runs', 'transforms'])
      this.register(registry, plain({ name: registry }));
  }

  /** One thing that happens. */
  live(): void {
    const dice = this.chance();
    if (dice < 0.1) this.newcomer();
    else if (dice < 0.12) this.operation();
    else if (dice < 0.13) this.tick();
    else this.command();
  }

  private newcomer(): void {
    const dice = this.chance();
    if (dice < 0.6) this.register('files', this.aFile());
    else if (dice < 0.85) this.register('datasets', this.aDataset());
    else this.register(this.pick(['labels', 'runs', 'transforms']), plain({ data: { n: this.count } }));
  }

  private aFile(): Fields {
    const virtual = this.chance() < 0.3;
    const path = virtual ? `.lethe/${uidFor(`f${this.count}`)}-1a2B3c` : this.pick(PATHS);
    const folder = path.endsWith('/');
    return file({
      key: this.pick([path, null]),
      keyIsVirtual: virtual,
      storage: this.pick(this.uids('storages')),
      path,
      suffix: folder ? null : this.pick(SUFFIXES),
      size: Math.floor(this.chance() * 1_000),
      hashType: folder ? 'md5-d' : 'md5',
      objects: folder ? 3 : 1,
      initialVersion: this.firstOfLine('files'),
      labels: this.some('labels'),
      run: this.maybe('runs'),
      transform: this.maybe('transforms'),
    });
  }

  private aDataset(): Fields {
    return dataset({
      name: `d${this.count}`,
      files: this.some('files'),
      initialVersion: this.firstOfLine('datasets'),
      labels: this.some('labels'),
      run: this.maybe('runs'),
    });
  }

  private register(registry: string, fields: Fields): void {
    this.count += 1;
    const visibility = this.chance() < 0.15 ? 0 : 1;
    this.happen(
      { registry, uid: uidFor(`${registry.slice(0, 3)}${this.count}x`) },
      registered({ fields, visibility }, this.said()),
    );
  }

  private command(): void {
    const all = [...this.records.values()];
    const purging = all.filter(({ purge }) => purge !== null && purge.ended === null);
    const record = this.pick(purging.length > 0 && this.chance() < 0.2 ? purging : all);
    const command = this.aCommand(record);
    try {
      for (const event of decide(record, command)) this.happen(record, { event: () => event, said: this.said() });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }

  private aCommand(record: RecordState): Command {
    const { purge } = record;
    if (purge !== null && isPurging(record)) {
      if (this.chance() < 0.1) return new RetryPurge({ storage: this.pick([null, 'keep']) });
      return new ReportPurgeStep({ request: purge.request, report: this.aStep(record) });
    }
    const dice = this.chance();
    if (dice < 0.25) return new TrashRecord();
    if (dice < 0.45) return new RestoreRecord();
    if (dice < 0.7) return new UpdateRecord({ patch: this.aPatch(record) });
    if (dice < 0.75) return new HoldRecord({ reason: this.pick(['audit', 'litigation']) });
    if (dice < 0.85) return new ReleaseHold();
    return new PurgeRecord({ storage: this.pick([null, 'keep', 'delete', 'delete']) });
  }

  private aStep({ purge, fields }: RecordState): PurgeStep {
    if (fields.kind !== 'file') return this.chance() < 0.2 ? { step: 'cancel', by: [] } : { step: 'end' };
    const folder = fields.path.endsWith('/');
    const seen = folder
      ? {
          kind: 'folder' as const,
          digest: 'x',
          objects: 3,
          bytes: fields.size,
          manifest: this.pick(['.lethe/deletions/x', null]),
        }
      : fields.seen;
    const failed = (purge?.attempts ?? 0) + 1;
    const { objects, size } = fields;
    return this.pick<PurgeStep>([
      { step: 'cancel', by: [] },
      { step: 'keep', why: this.pick(['asked', 'shared', 'semantic-key', 'foreign-storage']), by: [] },
      { step: 'start', seen },
      { step: 'start', seen: null },
      { step: 'fail', attempt: failed, error: 'the disk does not answer', waitMs: this.pick([1_000, null]) },
      { step: 'deleted', objects, bytes: size, changed: this.chance() < 0.2 },
      { step: 'end' },
    ]);
  }

  private aPatch({ fields, registry }: RecordState): Readonly<Record<string, Json>> {
    const description = this.pick([null, 'old', 'new']);
    if (fields.kind === 'plain') {
      if (registry !== 'storages') return { description, data: { n: this.count, extra: this.pick([null, 1]) } };
      // A storage follows its configuration.
      return this.chance() < 0.9 ? { description } : { data: { managed: this.chance() < 0.8 } };
    }
    const patch: Record<string, Json> = { description, labels: this.some('labels'), run: this.maybe('runs') };
    if (this.chance() < 0.5) patch['visibility'] = this.pick([0, 1]);
    if (fields.kind === 'dataset' && this.chance() < 0.6) patch['files'] = this.some('files');
    return patch;
  }

  private operation(): void {
    const open = this.openOperations.pop();
    if (open !== undefined && this.chance() < 0.7) {
      this.log.happens(
        open,
        operationCompleted({ purged: 2, skippedCount: 1, skipped: [{ ...open, code: 'on-hold' }] }),
      );
      return;
    }
    const ref = { registry: 'operations', uid: uidFor(`op${this.log.head}x`) };
    const kind = this.pick(['empty-trash', 'retention'] as const);
    this.log.happens(
      ref,
      operationStarted({ kind, criteria: { registry: 'files' }, position: String(this.log.head) }, this.said()),
    );
    this.openOperations.push(ref);
  }

  private tick(): void {
    const advanceMs = 3_600_000;
    this.logTimeMs += advanceMs;
    this.log.happens({ registry: 'log', uid: 'clock' }, clockTicked({ advanceMs, logTimeMs: this.logTimeMs }));
  }

  private happen({ registry, uid }: Ref, happening: Happening<RecordEvent>): void {
    const [recorded] = this.log.happens({ registry, uid }, happening);
    const key = `${registry}/${uid}`;
    if (recorded === undefined || !isRecordEvent(recorded)) return;
    const after = evolve(this.records.get(key) ?? null, recorded);
    if (after !== null) this.records.set(key, after);
  }

  private said(): Said {
    return { actor: this.pick(ACTORS), reason: this.pick(REASONS) };
  }

  private pick<T>(from: readonly T[]): T {
    const picked = from[Math.floor(this.chance() * from.length)];
    if (picked === undefined && from.length === 0) throw new Error('there is nothing to pick from');
    return picked as T;
  }

  private uids(registry: string): string[] {
    return [...this.records.values()].filter((record) => record.registry === registry).map(({ uid }) => uid);
  }

  /** None, or up to three of a registry: purged ones too, as a log that races leaves them. */
  private some(registry: string): string[] {
    const all = this.uids(registry);
    if (all.length === 0 || this.chance() < 0.6) return [];
    return [...new Set(Array.from({ length: 1 + Math.floor(this.chance() * 3) }, () => this.pick(all)))];
  }

  private maybe(registry: string): string | null {
    const all = this.uids(registry);
    return all.length === 0 || this.chance() < 0.7 ? null : this.pick(all);
  }

  private firstOfLine(registry: string): string | null {
    const firsts = [...this.records.values()].filter(
      ({ registry: other, fields }) => other === registry && fields.kind !== 'plain' && fields.initialVersion === null,
    );
    return firsts.length === 0 || this.chance() < 0.5 ? null : this.pick(firsts.slice(-4)).uid;
  }
}

/** How often each type of event is in a log. */
export const typesIn = (log: readonly Recorded[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const { event } of log) counts.set(event.type, (counts.get(event.type) ?? 0) + 1);
  return counts;
};
