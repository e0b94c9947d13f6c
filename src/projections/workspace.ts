import { isTrashable, refKey, sameRef, type Ref } from '../events/vocabulary.js';
import type { CatalogueRow, Moment, PurgeRow, ReadModel, VersionRow } from '../storage/read-model/port.js';
import { KnownDeletions } from './deletions.js';
import {
  anHourBefore,
  everyStorage,
  filesIn,
  lingersAfter,
  overlapsOf,
  placesOf,
  pointingAt,
  type Enough,
  type Place,
  type Stored,
} from './neighbours.js';
import { inSpan } from './overlap.js';
import { StatsMoves } from './stats.js';

/** The most records that a verdict names. */
export const NAMED = 100;

/**
 * The rows that one batch works on: what the model holds at the checkpoint, under what the batch has changed so far. Every question
 * sees both, so that the answer is the same however the log is cut into batches.
 */
export class Workspace {
  readonly rows = new Map<string, CatalogueRow>();
  readonly purges = new Map<string, PurgeRow>();
  /** As they were at the checkpoint; null for those that are new. */
  readonly originals = new Map<string, CatalogueRow | null>();
  readonly stats = new StatsMoves();
  /** What this batch has replaced by something that a reader sees differently. */
  readonly versions: VersionRow[] = [];
  /** Of the event that is being applied. */
  private now: Moment = { position: 0, at: '' };
  /** Every storage that ever was; null once one of them has changed. */
  private known: readonly Place[] | null = null;
  /** Those that stand in the model, those that have ended since the earliest look of this batch's registrations, and those that may linger. */
  private deletions: readonly KnownDeletions[] = [];
  /** The positions of this batch's ticks. */
  private ticks: readonly number[] = [];

  constructor(private readonly model: ReadModel) {}

  /**
   * @param since the earliest position after which a deletion concerns this batch; null where it registers no object
   * @param ticks the positions of this batch's ticks, rising
   */
  async load(
    keys: ReadonlySet<string>,
    fresh: ReadonlySet<string>,
    since: number | null,
    ticks: readonly number[],
  ): Promise<void> {
    this.ticks = ticks;
    if (since !== null) {
      this.deletions = [
        await KnownDeletions.of(this.model, 'standing'),
        await KnownDeletions.of(this.model, { endedAfter: since }),
      ];
      // As a rule there are none, and no log's time is asked for.
      if (await lingersAfter(this.model, 0)) {
        const lingeringAfter = await anHourBefore(this.model, since, ticks);
        this.deletions = [...this.deletions, await KnownDeletions.of(this.model, { lingeringAfter })];
      }
    }
    for (const key of fresh) this.originals.set(key, null);
    const rows = await this.model.get('catalogue', [...keys]);
    for (const row of rows) this.adopt(row);
    for (const key of keys) if (!this.originals.has(key)) this.originals.set(key, null);
    const purging = rows.filter(({ record }) => record.purge !== null).map(refKey);
    if (purging.length === 0) return;
    for (const row of await this.model.get('purges', purging)) this.purges.set(refKey(row), row);
  }

  async row(key: string): Promise<CatalogueRow | null> {
    const known = this.rows.get(key);
    if (known !== undefined || this.originals.has(key)) return known ?? null;
    const [row] = await this.model.get('catalogue', [key]);
    if (row === undefined) this.originals.set(key, null);
    else this.adopt(row);
    return row ?? null;
  }

  /** From here on rows are put for the event at this moment. */
  at(now: Moment): void {
    this.now = now;
  }

  put(unplaced: Omit<CatalogueRow, 'since'>): void {
    const key = refKey(unplaced);
    if (!this.originals.has(key)) this.originals.set(key, null);
    const before = this.rows.get(key) ?? null;
    const row: CatalogueRow = { ...unplaced, since: this.sinceOf(before, unplaced) };
    this.stats.move(before, row);
    this.rows.set(key, row);
    if (row.registry === 'storages') this.known = null;
  }

  /** The rows that this batch changed. */
  changed(): CatalogueRow[] {
    return [...this.rows].filter(([key, row]) => this.originals.get(key) !== row).map(([, row]) => row);
  }

  /** The live records that point at `target`: all, or the first by registry and uid and at least so many as are ever named. */
  async pointingAt(target: Ref): Promise<CatalogueRow[]> {
    const key = refKey(target);
    const wanted = (row: CatalogueRow): boolean => row.live && row.pointsTo.includes(key);
    return this.overlay(await pointingAt(this.model, target, this.enough(wanted)), wanted);
  }

  /** Every storage that ever was. */
  async places(): Promise<readonly Place[]> {
    this.known ??= placesOf(await this.overlay(await everyStorage(this.model), (row) => row.registry === 'storages'));
    return this.known;
  }

  /** The live storages, and this one also where it is purged: what lies there is where it was. */
  async storagesWith(uid: string): Promise<Stored[]> {
    return (await this.places()).filter((place) => place.live || place.uid === uid);
  }

  /** The other live file records on the object of `ref`. */
  async sharing(ref: Ref, storage: string, path: string): Promise<CatalogueRow[]> {
    const overlaps = overlapsOf(await this.storagesWith(storage), storage, path);
    const wanted = ({ live, registry, uid, record: { fields } }: CatalogueRow): boolean => {
      if (!live || fields.kind !== 'file' || sameRef({ registry, uid }, ref)) return false;
      return overlaps.some((overlap) => overlap.storage === fields.storage && inSpan(overlap.span, fields.path));
    };
    return this.overlay(await filesIn(this.model, overlaps, this.enough(wanted)), wanted);
  }

  /** The purges for which something that overlaps `path` was being deleted at any moment after `since`, or could be by a late call. */
  async deletionsSince(since: number, storage: string, path: string): Promise<PurgeRow[]> {
    const overlaps = overlapsOf(await this.places(), storage, path);
    const rows = new Map<string, PurgeRow>();
    for (const known of this.deletions) for (const row of await known.overlapping(overlaps)) rows.set(refKey(row), row);
    for (const [key, row] of this.purges) rows.set(key, row);
    const hourBefore = [...rows.values()].some((row) => row.lingers)
      ? await anHourBefore(this.model, since, this.ticks)
      : since;
    return [...rows.values()].filter(({ object, deleting, stoodUntil, lingers }) => {
      const stood = deleting || (stoodUntil ?? 0) > (lingers ? hourBefore : since);
      if (object === null || !stood) return false;
      return overlaps.some((overlap) => overlap.storage === object.storage && inSpan(overlap.span, object.path));
    });
  }

  /** All members of a line of versions, the first one too. */
  async line(registry: string, initial: string): Promise<CatalogueRow[]> {
    await this.row(`${registry}/${initial}`);
    const later: CatalogueRow[] = [];
    for (let after: string[] | null = null; ;) {
      const page: CatalogueRow[] = await this.model.find('catalogue', {
        where: [{ path: 'record.fields.initialVersion', op: 'eq', value: initial }],
        sort: [{ path: 'uid', descending: false }],
        after,
        limit: 1000,
      });
      later.push(...page);
      const last = page.at(-1);
      if (page.length < 1000 || last === undefined) break;
      after = [last.uid];
    }
    return this.overlay(
      later,
      (row) => row.registry === registry && (row.uid === initial || initialOf(row) === initial),
    );
  }

  /** Keeps the row before where a reader saw it. What one event makes of a record in two steps is one change. */
  private sinceOf(before: CatalogueRow | null, row: Omit<CatalogueRow, 'since'>): Moment {
    if (before === null) return this.now;
    if (before.since.position === this.now.position || looksLike(before, row)) return before.since;
    const { position, at } = this.now;
    const now = { position, at: at < before.since.at ? before.since.at : at };
    this.versions.push({ ...before, until: now });
    return now;
  }

  /** As many rows of the model as a verdict names, whatever this batch has changed of them. */
  private enough(wanted: (row: CatalogueRow) => boolean): Enough {
    return (rows) => rows.filter((row) => wanted(this.rows.get(refKey(row)) ?? row)).length > NAMED;
  }

  private adopt(row: CatalogueRow): void {
    const key = refKey(row);
    if (this.originals.has(key)) return;
    this.originals.set(key, row);
    this.rows.set(key, row);
  }

  private async overlay(
    found: readonly CatalogueRow[],
    wanted: (row: CatalogueRow) => boolean,
  ): Promise<CatalogueRow[]> {
    for (const row of found) this.adopt(row);
    return [...this.rows.values()].filter(wanted);
  }
}

/** Of a record that is gone a reader sees nothing, whatever becomes of it; of a live one, every event of its own moves the position. */
const looksLike = (a: Omit<CatalogueRow, 'since'>, b: Omit<CatalogueRow, 'since'>): boolean => {
  if (!a.live && !b.live) return true;
  return a.live === b.live && a.isLatest === b.isLatest && a.record.position === b.record.position;
};

export const initialOf = ({ registry, record: { fields } }: CatalogueRow): string | null =>
  isTrashable(registry) && fields.kind !== 'plain' ? fields.initialVersion : null;
