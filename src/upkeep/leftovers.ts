import type { Journal } from '../commands/execute.js';
import { OWNER, type Ownership } from '../commands/ownership.js';
import type { Clock } from '../ports.js';
import { overlapsOf, unmanagedAt, type Stored } from '../projections/neighbours.js';
import { Unavailable } from '../storage/errors.js';
import type { ObjectStore, ObjectStores, SeenObject, UnfinishedUpload } from '../storage/object-store/port.js';
import type { ReadModel } from '../storage/read-model/port.js';
import { messageOf } from './findings.js';
import { isSomebodys, LEFT_AFTER_MS, OWN_FOLDER } from './naming.js';
import { isManaged, knownStorages, openStorage, type KnownStorage } from './storages.js';

/** So many are listed, and cleared away, at once; whoever has more asks again. */
const MOST_LEFTOVERS = 10_000;

/** How long a model that a service carries on may take to come as far as the log. */
const REACH_MS = 5_000;
const LOOK_MS = 50;

export interface LeftoversPorts {
  readonly journal: Journal;
  readonly model: ReadModel;
  readonly stores: ObjectStores;
  readonly ownership: Ownership;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What no event ever named and nobody can still be about to: an object below `.lethe/`, or the parts of an upload that broke off. */
export interface Leftover {
  /** The storage's name. */
  readonly storage: string;
  readonly path: string;
  readonly what: 'object' | 'parts';
  /** Bytes; null of parts, which no listing sums up. */
  readonly size: number | null;
  /** When it was last written, or the upload begun, by the store's clock. */
  readonly since: string;
  /** Takes it away, if it is still that and still nobody's. @returns what became of it */
  readonly clear: () => Promise<'deleted' | 'missing' | 'kept'>;
}

export interface Leftovers {
  readonly leftovers: readonly Leftover[];
  /** Storages that were left alone, each with why. */
  readonly refused: readonly { readonly storage: string; readonly why: string }[];
  /** There are more than one call lists. */
  readonly more: boolean;
}

/**
 * Looks for leftovers in each storage that this log may delete from: never in an unmanaged one, one of another log, or one that has seen
 * more of this log than there is. They are a day old by the store's own clock: an upload gives up after an hour.
 *
 * @throws Unavailable where the read model is not as far as the log
 */
export const findLeftovers = async (ports: LeftoversPorts): Promise<Leftovers> => {
  await reachHead(ports);
  const known = await knownStorages(ports.model);
  const leftovers: Leftover[] = [];
  const refused: { storage: string; why: string }[] = [];
  for (const storage of known.filter(({ live }) => live)) {
    try {
      const open = await mayClear(ports, storage);
      if (typeof open === 'string') refused.push({ storage: storage.facts.name, why: open });
      else if (open !== null) {
        for await (const leftover of leftoversIn(ports, known, storage, open)) {
          if (leftovers.length >= MOST_LEFTOVERS) return { leftovers, refused, more: true };
          leftovers.push(leftover);
        }
      }
    } catch (error) {
      ports.signal.throwIfAborted();
      refused.push({ storage: storage.facts.name, why: messageOf(error) });
    }
  }
  return { leftovers, refused, more: false };
};

/** What else lies on an object's place is asked of the model: it has to know all of the log. */
const reachHead = async ({ journal, model, clock, signal }: LeftoversPorts): Promise<void> => {
  const head = await journal.store.head();
  const late = clock.monotonic() + REACH_MS;
  let checkpoint = await model.checkpoint();
  while (checkpoint < head && clock.monotonic() < late) {
    await clock.sleep(LOOK_MS, signal);
    checkpoint = await model.checkpoint();
  }
  if (checkpoint >= head) return;
  throw new Unavailable(
    `the read model stands at position ${checkpoint}, and the log ends at ${head}: start the service, or rebuild it (lethe rebuild), and try again`,
  );
};

/** @returns why not, in a sentence; null where there is nothing to say: it is not managed, or was never used */
const mayClear = async (
  { journal, stores }: Pick<LeftoversPorts, 'journal' | 'stores'>,
  storage: KnownStorage,
): Promise<ObjectStore | string | null> => {
  if (!(await isManaged(stores, storage.facts))) return null;
  const { store, used, notOwned } = await openStorage(journal, stores, storage);
  if (notOwned !== null) return notOwned;
  return used ? store : null;
};

async function* leftoversIn(
  ports: LeftoversPorts,
  known: readonly KnownStorage[],
  storage: KnownStorage,
  store: ObjectStore,
): AsyncGenerator<Leftover> {
  const before = (await storeNow(ports, storage, store)) - LEFT_AFTER_MS;
  const isOld = (time: string): boolean => Date.parse(time) <= before;
  for await (const object of store.list(OWN_FOLDER, ports.signal)) {
    if (object.path === OWNER || !isOld(object.modifiedAt)) continue;
    if (await isNobodys(ports, known, storage, object.path)) yield objectLeft(ports, storage, object);
  }
  for await (const upload of store.unfinished(ports.signal)) {
    // Elsewhere another program may be at it: who began an upload, no store tells.
    const isOurs = upload.path.startsWith(OWN_FOLDER) && isOursAlone(known, storage, upload.path);
    if (isOurs && isOld(upload.startedAt)) yield partsLeft(ports, storage, upload);
  }
}

/** What the store's clock says: by noting, as a service does every minute, how far the log has come. */
const storeNow = async ({ ownership }: LeftoversPorts, storage: KnownStorage, store: ObjectStore): Promise<number> => {
  await ownership.assertOwned(storage);
  const owner = await store.stat(OWNER);
  if (owner === null) throw new Unavailable(`${OWNER} was removed from the storage ${storage.facts.name} a moment ago`);
  return Date.parse(owner.modifiedAt);
};

const objectLeft = (ports: LeftoversPorts, storage: KnownStorage, object: SeenObject): Leftover => ({
  storage: storage.facts.name,
  path: object.path,
  what: 'object',
  size: object.size,
  since: object.modifiedAt,
  clear: async () => {
    const store = await mayClear(ports, storage);
    if (store === null || typeof store === 'string') return 'kept';
    // Somebody may have thought about the list for hours.
    await reachHead(ports);
    if (!(await isNobodys(ports, await knownStorages(ports.model), storage, object.path))) return 'kept';
    const became = await store.delete(object.path, object);
    return became === 'changed' ? 'kept' : became;
  },
});

const partsLeft = (ports: LeftoversPorts, storage: KnownStorage, upload: UnfinishedUpload): Leftover => ({
  storage: storage.facts.name,
  path: upload.path,
  what: 'parts',
  size: null,
  since: upload.startedAt,
  clear: async () => {
    const store = await mayClear(ports, storage);
    if (store === null || typeof store === 'string') return 'kept';
    await store.abandon(upload);
    return 'deleted';
  },
});

/** No event ever named it, and no record lies there by way of another storage. */
const isNobodys = async (
  { journal, model }: LeftoversPorts,
  known: readonly KnownStorage[],
  storage: KnownStorage,
  path: string,
): Promise<boolean> => {
  if (!isOursAlone(known, storage, path)) return false;
  for (const { storage: uid, span } of overlapsOf(known, storage.uid, path)) {
    const rows = await model.find('catalogue', {
      where: [
        { path: 'record.fields.storage', op: 'eq', value: uid },
        ...(span.all ? [] : [{ path: 'record.fields.path', op: 'in', value: span.paths } as const]),
      ],
      sort: [{ path: 'uid', descending: false }],
      after: null,
      limit: 1,
    });
    // Also one that was purged: what was kept of it stays, and what was deleted is not there.
    if (rows.length > 0) return false;
  }
  return !(await isSomebodys(journal, path));
};

/** Nothing there belongs to a storage that lies within this one, or is kept from Lethe by one that is not managed. */
const isOursAlone = (known: readonly Stored[], storage: KnownStorage, path: string): boolean => {
  if (unmanagedAt(known, storage.uid, path) !== null) return false;
  const { place } = storage.facts;
  return !known.some(({ facts }) => facts.place.length > place.length && (place + path).startsWith(facts.place));
};
