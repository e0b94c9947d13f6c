import { uidOf, commandIdOf } from '../../src/events/ids.js';
import type { RecordState } from '../../src/events/record.js';
import type { Ledger, Violation } from './kill.ledger.js';
import type { Command } from './kill.world.js';

interface Place {
  readonly record: string;
  readonly path: string;
  /** The MD5 of the content in hexadecimal digits; null of a folder. */
  readonly md5: string | null;
  readonly live: boolean;
  readonly kept: boolean;
  readonly deleted: boolean;
}

/**
 * Holds what lies in the bucket against the log: no live record without its object, bytes gone only where a deletion says so, and none left
 * that nobody names.
 *
 * @param objects the MD5 of each object by its path
 */
export const checkObjects = (
  objects: ReadonlyMap<string, string>,
  ledger: Ledger,
  commands: Iterable<Command>,
): Violation[] => {
  const places = [...ledger.states].flatMap(([record, state]) => placeOf(record, state, ledger));
  const unanswered = uploadsWithoutAnswer(commands);
  const deleted = places.filter((place) => place.deleted);
  const found: Violation[] = [];
  for (const place of places) {
    const { record, path, md5, live } = place;
    const there = md5 === null ? [...objects.keys()].some((key) => key.startsWith(path)) : objects.has(path);
    if (!there && live) found.push({ what: `is live, and nothing lies at ${path}`, record });
    if (there && live && md5 !== null && objects.get(path) !== md5)
      found.push({ what: `is live, and ${path} holds other content`, record });
    if (!there && !deleted.some((other) => overlap(other.path, path)))
      found.push({ what: `${path} is gone, and no event says that it was deleted`, record });
  }
  const named = places.filter(({ live, kept }) => live || kept);
  for (const key of objects.keys()) {
    if (key === '.lethe/owner' || named.some(({ path }) => overlap(path, key))) continue;
    const uid = /^\.lethe\/([0-9A-Za-z]{20})-/.exec(key)?.[1];
    if (uid !== undefined && unanswered.has(uid)) continue;
    const record = places.find(({ path }) => overlap(path, key))?.record ?? null;
    found.push({ what: `${key} is left, and no live record or kept object names it`, record });
  }
  return found;
};

const placeOf = (record: string, { fields, purge }: RecordState, ledger: Ledger): Place[] => {
  if (fields.kind !== 'file') return [];
  const types = new Set((ledger.streams.get(record) ?? []).map(({ event }) => event.type));
  const md5 = fields.path.endsWith('/') ? null : Buffer.from(fields.hash, 'base64url').toString('hex');
  const [kept, deleted] = [types.has('ObjectKept'), types.has('ObjectDeleted')];
  return [{ record, path: fields.path, md5, live: purge === null, kept, deleted }];
};

/** Whose bytes may lie there though no event names them: the uids of uploads that once heard nothing, or that their outcome is not known. */
const uploadsWithoutAnswer = (commands: Iterable<Command>): Set<string> => {
  const uids = new Set<string>();
  for (const { metadata, heard, actor, method, url, key } of commands) {
    if (metadata === null || key === null) continue;
    if (heard.some((each) => each.kind === 'lost' || each.status >= 500))
      uids.add(uidOf(commandIdOf(actor, method, url, key)));
  }
  return uids;
};

const overlap = (a: string, b: string): boolean =>
  a === b || (a.endsWith('/') && b.startsWith(a)) || (b.endsWith('/') && a.startsWith(b));
