import { existsSync } from 'node:fs';
import type { EventOf, Recorded } from '../../src/events/events.js';
import { namedBy, type Lain } from './kill.disk.js';
import type { Ledger, Violation } from './kill.ledger.js';
import type { World } from './kill.world.js';

const idOf = ({ location, etag }: Pick<Lain, 'location' | 'etag'>): string => `${location} ${etag}`;

/**
 * Every file that is known to have lain whole at its place: it stays until a purge names it, and is gone once one did. So nothing is
 * deleted that no purge names, nothing that one names is left behind, and what takes a file's place is not that file.
 */
export class Objects {
  /** Folders' listings that could not be traced to files: too many files, or one that nobody knew of. */
  untraced = 0;
  private readonly known = new Map<string, Lain>();

  constructor(
    private readonly world: World,
    private readonly ledger: Ledger,
  ) {}

  /** What lies there while nobody works: an upload that no event names yet is a file like any other. */
  note(): void {
    for (const lain of this.world.disk.scan().values()) this.known.set(idOf(lain), lain);
  }

  /** @param events what came since the last call; every purge among them has settled */
  check(events: readonly Recorded[]): Violation[] {
    for (const lain of [...this.world.laid.splice(0), ...events.flatMap((event) => this.registered(event))])
      this.known.set(idOf(lain), lain);
    const named = this.named(events);
    const there = this.world.disk.scan();
    return [...this.stayed(there, named), ...this.strange(there), ...this.missing(there), ...this.leftListings(events)];
  }

  private registered({ event }: Recorded): Lain[] {
    if (event.type !== 'RecordRegistered' || event.fields.kind !== 'file') return [];
    const { fields } = event;
    if (fields.seen?.kind !== 'file') return [];
    return [{ location: this.ledger.locate(fields), etag: fields.seen.etag, size: fields.size, md5: fields.hash }];
  }

  /** The files that deletions named, by whose they were. */
  private named(events: readonly Recorded[]): Map<string, string> {
    const named = new Map<string, string>();
    for (const { event, registry, uid } of events) {
      const key = `${registry}/${uid}`;
      if (event.type !== 'ObjectDeletionStarted') continue;
      for (const id of this.namedIn(key, event)) named.set(id, key);
    }
    return named;
  }

  private namedIn(key: string, { seen }: EventOf<'ObjectDeletionStarted'>): string[] {
    const fields = this.ledger.states.get(key)?.fields;
    if (fields?.kind !== 'file' || seen === null) return [];
    const location = this.ledger.locate(fields);
    if (seen.kind === 'file') return [idOf({ location, etag: seen.etag })];
    const base = location.slice(0, location.length - fields.path.length);
    const candidates = [...this.known.values()].filter((lain) => lain.location.startsWith(location));
    const files = namedBy(seen.digest, seen.objects, base, candidates);
    if (files !== null) return files.map(idOf);
    this.untraced += 1;
    // Then what is gone is taken to have been named.
    return candidates.filter((lain) => this.world.disk.look(lain.location)?.etag !== lain.etag).map(idOf);
  }

  private stayed(there: ReadonlyMap<string, Lain>, named: ReadonlyMap<string, string>): Violation[] {
    const found: Violation[] = [];
    for (const [id, lain] of this.known) {
      const now = there.get(lain.location);
      const by = named.get(id);
      const same = now?.etag === lain.etag ? now : null;
      if (same === null) this.known.delete(id);
      if (same !== null && by !== undefined)
        found.push({ what: `${lain.location} was named by its purge, and is still there`, record: by });
      if (same === null && by === undefined) {
        const instead = now === undefined ? '' : ', and another file lies there';
        found.push({
          what: `${lain.location} (${lain.etag}) is gone, and no purge named it${instead}`,
          record: this.recordAt(lain.location),
        });
      }
      if (same !== null && same.md5 !== lain.md5)
        found.push({ what: `${lain.location} holds other content than it had`, record: this.recordAt(lain.location) });
    }
    return found;
  }

  /** Files that nobody ever meant to store: halves of uploads. */
  private strange(there: ReadonlyMap<string, Lain>): Violation[] {
    const found: Violation[] = [];
    for (const lain of there.values()) {
      this.known.set(idOf(lain), lain);
      if (this.world.contents.has(lain.md5)) continue;
      const what = `${lain.location} holds ${lain.size} bytes that nobody stored as a whole`;
      found.push({ what, record: this.recordAt(lain.location) });
    }
    return found;
  }

  /** Live records without their bytes. */
  private missing(there: ReadonlyMap<string, Lain>): Violation[] {
    const found: Violation[] = [];
    const locations = [...there.keys()].sort();
    for (const [record, { fields, purge }] of this.ledger.states) {
      if (fields.kind !== 'file' || purge !== null) continue;
      const location = this.ledger.locate(fields);
      if (location.endsWith('/')) {
        if (!locations.some((each) => each.startsWith(location)))
          found.push({ what: `${record} is live, and nothing lies in its folder ${location}`, record });
        continue;
      }
      const lain = there.get(location);
      if (lain === undefined)
        found.push({ what: `${record} is live, and its object ${location} is not there`, record });
      else if (lain.md5 !== fields.hash || lain.size !== fields.size)
        found.push({ what: `${record} is live, and its object ${location} holds other content`, record });
    }
    return found;
  }

  private leftListings(events: readonly Recorded[]): Violation[] {
    const found: Violation[] = [];
    for (const { event, registry, uid } of events) {
      if (event.type !== 'ObjectDeletionStarted' || event.seen?.kind !== 'folder' || event.seen.manifest === null)
        continue;
      const record = `${registry}/${uid}`;
      const fields = this.ledger.states.get(record)?.fields;
      if (fields?.kind !== 'file') continue;
      const place = this.ledger.locate({ storage: fields.storage, path: event.seen.manifest });
      if (existsSync(place)) found.push({ what: `the listing of its deletion is left at ${place}`, record });
    }
    return found;
  }

  private recordAt(location: string): string | null {
    for (const [record, { fields }] of this.ledger.states) {
      if (fields.kind !== 'file') continue;
      const place = this.ledger.locate(fields);
      if (place === location || (place.endsWith('/') && location.startsWith(place))) return record;
    }
    return null;
  }
}
