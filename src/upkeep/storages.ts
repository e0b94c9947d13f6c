import type { Journal } from '../commands/execute.js';
import { readInstance, readOwner, whyNotOwned } from '../commands/ownership.js';
import { storeOf } from '../commands/storages.js';
import { storageFacts, type StorageFacts } from '../events/storage-data.js';
import { everyStorage } from '../projections/neighbours.js';
import { InvalidPath } from '../storage/errors.js';
import type { ObjectStore, ObjectStores } from '../storage/object-store/port.js';
import type { ReadModel } from '../storage/read-model/port.js';

/** A storage that is, or was, registered. */
export interface KnownStorage {
  readonly uid: string;
  readonly facts: StorageFacts;
  /** Not purged. */
  readonly live: boolean;
}

/** All storages that a model knows of. */
export const knownStorages = async (model: ReadModel): Promise<KnownStorage[]> =>
  (await everyStorage(model)).flatMap(({ uid, live, record }) => {
    const facts = storageFacts(record.fields);
    return facts === null ? [] : [{ uid, facts, live }];
  });

/** Whether Lethe may write to a storage: neither its record nor the configuration says that it is not managed. */
export const isManaged = async (stores: ObjectStores, { root, managed }: StorageFacts): Promise<boolean> => {
  try {
    return managed && (await stores.grant(root))?.managed === true;
  } catch (error) {
    // What the configuration can grant nobody is not Lethe's to write to.
    if (error instanceof InvalidPath) return false;
    throw error;
  }
};

export interface OpenStorage {
  readonly store: ObjectStore;
  /** Whether anything was ever stored there by any log. */
  readonly used: boolean;
  /** Why this log may not write there; null where it may. */
  readonly notOwned: string | null;
  /** The log is behind what was noted there. */
  readonly behind: boolean;
}

/** @throws StoreUnavailable naming the storage, and what the store throws */
export const openStorage = async (
  journal: Journal,
  stores: ObjectStores,
  storage: Pick<KnownStorage, 'uid' | 'facts'>,
): Promise<OpenStorage> => {
  const store = await storeOf(stores, storage);
  // Before the head: what a service notes in between is a later one.
  const owner = await readOwner(store);
  const log = { instance: await readInstance(journal), head: await journal.store.head() };
  const notOwned = whyNotOwned(storage.facts.name, owner, log);
  return { store, used: owner !== null, notOwned, behind: notOwned !== null && owner?.instance === log.instance };
};
