import { listing, look, seenFolder } from '../commands/content.js';
import { readRecord, type Journal } from '../commands/execute.js';
import type { FileFields } from '../events/events.js';
import type { RecordState } from '../events/record.js';
import type { ObjectStore, ObjectStores } from '../storage/object-store/port.js';
import { isRow, type CatalogueRow, type ReadModel } from '../storage/read-model/port.js';
import { messageOf, type Finding } from './findings.js';
import { cannotBeRead, hasBegun } from './naming.js';
import { isManaged, type KnownStorage, openStorage } from './storages.js';

/** How many objects are looked at at once. */
const AT_ONCE = 8;
/** How often an object is read that changes meanwhile. */
const READS = 3;

export interface ObjectsPorts {
  readonly journal: Journal;
  /** What the log says, rebuilt. */
  readonly model: ReadModel;
  readonly stores: ObjectStores;
  readonly storages: readonly KnownStorage[];
  /** Read the bytes of everything that Lethe manages; else only of what looks different from when it was registered. */
  readonly hash: boolean;
  readonly found: (finding: Finding) => void;
  /** Told after each few how many objects were looked at. */
  readonly reached: (objects: number) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Whether a storage's bytes are to be read, and its store; null where it cannot be reached. */
type Reachable = { readonly store: ObjectStore; readonly hash: boolean } | null;

type Fault = Omit<Finding, 'what'> & { readonly what: (object: string) => string };

/**
 * Looks for the object of each record that is to have one. @returns how many were looked at
 * A fault is told only where the record's stream, asked then, still says that the object has to be there.
 */
export const checkObjects = async (ports: ObjectsPorts): Promise<number> => {
  const reachable = await reach(ports);
  let looked = 0;
  let few: RecordState[] = [];
  const lookAtFew = async (): Promise<void> => {
    await Promise.all(few.map((record) => lookAt(ports, reachable, record)));
    looked += few.length;
    few = [];
    await ports.reached(looked);
  };
  for await (const { row } of ports.model.dump('catalogue')) {
    ports.signal.throwIfAborted();
    if (!isRow('catalogue', row) || !hasObject(row)) continue;
    few.push(row.record);
    if (few.length === AT_ONCE) await lookAtFew();
  }
  await lookAtFew();
  return looked;
};

const reach = async (ports: ObjectsPorts): Promise<Map<string, Reachable>> => {
  const { journal, stores, storages, hash, found } = ports;
  const reachable = new Map<string, Reachable>();
  for (const storage of storages) {
    try {
      const { store } = await openStorage(journal, stores, storage);
      reachable.set(storage.uid, { store, hash: hash && (await isManaged(stores, storage.facts)) });
    } catch (error) {
      reachable.set(storage.uid, null);
      if (!storage.live) continue;
      found({
        kind: 'storage-unreachable',
        what: messageOf(error),
        todo: `Bring ${storage.facts.name} back, or name it in the configuration again, then verify again: its objects were not looked at`,
      });
    }
  }
  return reachable;
};

/** A record whose object has to be there: no deletion of it has begun, and nothing is to be taken back of it. */
const hasObject = ({ live, due, record }: CatalogueRow): boolean => live && due.length === 0 && needsObject(record);

/** Nothing has begun to take its object, as far as one stream tells. */
const needsObject = ({ fields, purge }: RecordState): boolean =>
  fields.kind === 'file' && (purge === null || !hasBegun(purge));

const lookAt = async (
  { journal, found }: ObjectsPorts,
  reachable: ReadonlyMap<string, Reachable>,
  record: RecordState,
): Promise<void> => {
  const { uid, fields } = record;
  const at = fields.kind === 'file' ? (reachable.get(fields.storage) ?? null) : null;
  if (at === null || fields.kind !== 'file') return;
  const fault = await faultOf(at.store, fields, at.hash);
  if (fault === null) return;
  if (!(await stillNeedsObject(journal, record))) return;
  found({ ...fault, what: fault.what(`the object ${JSON.stringify(fields.path)} of the file ${uid}`) });
};

/** A purge that was asked for since may find its object gone with that of another record, and is well with that. */
const stillNeedsObject = async (journal: Journal, seen: RecordState): Promise<boolean> => {
  try {
    const { record } = await readRecord(journal, seen);
    if (record === null || !needsObject(record)) return false;
    return record.purge === null || record.purge.request === seen.purge?.request;
  } catch (error) {
    // Its object is missed all the same.
    if (cannotBeRead(error)) return true;
    throw error;
  }
};

const faultOf = async (store: ObjectStore, fields: FileFields, hash: boolean): Promise<Fault | null> => {
  try {
    if (!hash && (await looksTheSame(store, fields))) return null;
    return await faultOfContent(store, fields);
  } catch (error) {
    return {
      kind: 'object-unreadable',
      what: (object) => `${object} cannot be read: ${messageOf(error)}`,
      todo: 'Mend what keeps it from being read, then verify again',
    };
  }
};

/** As cheap as a listing: size, and the store's own mark. */
const looksTheSame = async (store: ObjectStore, { path, seen }: FileFields): Promise<boolean> => {
  if (seen === null) return false;
  if (seen.kind === 'folder') return seenFolder(await listing(store, path)).digest === seen.digest;
  const there = await store.stat(path);
  return there !== null && there.size === seen.size && there.etag === seen.etag;
};

const faultOfContent = async (store: ObjectStore, { path, size, hash, objects }: FileFields): Promise<Fault | null> => {
  let found: Awaited<ReturnType<typeof look>> = 'changed';
  for (let read = 0; read < READS && found === 'changed'; read += 1) found = await look(store, path);
  if (found === null) {
    return {
      kind: 'object-missing',
      what: (object) => `${object} is missing`,
      todo: 'Restore it from a backup of the storage; or purge the record, if nobody needs it any more',
    };
  }
  const todo = 'Restore it from a backup of the storage, or register what lies there as a record of its own';
  if (found === 'changed')
    return { kind: 'object-altered', what: (object) => `${object} changes while it is read`, todo };
  const { content } = found;
  if (content.hash === hash && content.size === size && content.objects === objects) return null;
  const is = content.size === size ? `hash ${content.hash}` : `${content.size} bytes`;
  const was = content.size === size ? hash : `${size}`;
  return { kind: 'object-altered', what: (object) => `${object} was altered: it has ${is}, not ${was}`, todo };
};
