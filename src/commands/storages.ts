import { sha256, derivedId, uidOfName } from '../events/ids.js';
import type { PlainFields } from '../events/events.js';
import { isPurged, isPurging, type RecordState } from '../events/record.js';
import { storageFacts, type StorageFacts } from '../events/storage-data.js';
import { uidSchema, type Ref } from '../events/vocabulary.js';
import { InvalidPath, Unavailable } from '../storage/errors.js';
import type { ObjectStore, ObjectStores } from '../storage/object-store/port.js';
import type { Envelope } from './commands.js';
import { execute, executeNew, findRepeat, readRecord, type Executed, type Journal } from './execute.js';
import { Misconfigured } from './misconfigured.js';
import { Duplicate, StoreUnavailable } from './refusals.js';

/*
 * Storages are plain records whose name is unique: the name is their stream's name, with a generation that rises after each purge,
 * and the stream's expected revision decides who has it.
 */

export interface Storage {
  readonly uid: string;
  readonly facts: StorageFacts;
}

/** A live storage by its uid or its name; null where there is none. */
export const findStorage = async (journal: Journal, uidOrName: string): Promise<Storage | null> => {
  if (uidSchema.safeParse(uidOrName).success) {
    const { record } = await readRecord(journal, { registry: 'storages', uid: uidOrName });
    if (record !== null) return asStorage(record);
  }
  const { record } = await latestOf(journal, uidOrName);
  return record === null ? null : asStorage(record);
};

/** A storage by its uid, also one that was purged since: what was to be deleted from it then still is. */
export const knownStorage = async (journal: Journal, uid: string): Promise<Storage | null> => {
  const { record } = await readRecord(journal, { registry: 'storages', uid });
  const facts = record === null ? null : storageFacts(record.fields);
  return facts === null ? null : { uid, facts };
};

const asStorage = (record: RecordState): Storage | null => {
  const facts = isPurging(record) ? null : storageFacts(record.fields);
  return facts === null ? null : { uid: record.uid, facts };
};

/** The newest generation of a name that was not purged, or the next free one. */
const latestOf = async (journal: Journal, name: string): Promise<{ ref: Ref; record: RecordState | null }> => {
  for (let generation = 0; ; generation += 1) {
    const ref = { registry: 'storages', uid: uidOfName('storages', name, generation) };
    const { record } = await readRecord(journal, ref);
    if (record === null || !isPurged(record)) return { ref, record };
  }
};

/** @throws StoreUnavailable naming the storage, where its bytes cannot be reached */
export const storeOf = async (stores: ObjectStores, { facts }: Storage): Promise<ObjectStore> => {
  try {
    return await stores.at(facts.root);
  } catch (error) {
    if (error instanceof Unavailable)
      throw new StoreUnavailable(`The storage ${facts.name} cannot be reached: ${error.message}`);
    throw error;
  }
};

/**
 * Registers a storage under its name.
 * @param repeats the storages in whose streams a repeat of this command may lie: their uids follow from their names, not from the command
 * @throws Duplicate where a live storage has the name
 */
export const registerStorage = async (
  journal: Journal,
  envelope: Envelope,
  fields: PlainFields,
  repeats: readonly Ref[] = [],
): Promise<Executed> => {
  for (const ref of repeats) {
    const repeat = findRepeat(await readRecord(journal, ref), envelope);
    if (repeat !== null) return repeat;
  }
  const name = fields.name ?? '';
  const { ref } = await latestOf(journal, name);
  return executeNew(journal, ref, envelope, (record) => {
    if (record !== null) throw new Duplicate(`The name ${name} is taken by a storage.`, [ref]);
    return [{ type: 'RecordRegistered', visibility: 1, fields, seenAt: null }];
  });
};

export interface ConfiguredStorage {
  readonly name: string;
  readonly root: string;
  readonly managed: boolean;
}

/**
 * At the start: registers the storages that the configuration names and lets `managed` follow it.
 * @throws Misconfigured where a known name comes with another root: its files would lie elsewhere than their records say; where a root lies
 * among what is Lethe's own in another storage
 */
export const ensureStorages = async (
  journal: Journal,
  stores: ObjectStores,
  configured: readonly ConfiguredStorage[],
): Promise<void> => {
  for (const { name, root, managed } of configured) {
    const place = await placeOf(stores, name, root);
    const { ref, record } = await latestOf(journal, name);
    const fields: PlainFields = { kind: 'plain', name, description: null, data: { root, managed }, place };
    if (record === null) {
      await registerStorage(journal, byConfig('register', ref.uid, root), fields);
      continue;
    }
    const known = storageFacts(record.fields);
    if (known === null || isPurging(record)) continue;
    if (known.root !== root) {
      throw new Misconfigured(
        `The storage ${name} has the root ${known.root}, and the configuration says ${root}. Its files lie below the first: ` +
          'give the new root a name of its own, or set the old one again.',
      );
    }
    if (known.managed === managed && known.place === place) continue;
    await execute(journal, ref, byConfig('follow', ref.uid, record.revision, root, String(managed), place), () => [
      {
        type: 'RecordUpdated',
        changes: {
          ...(known.managed === managed
            ? {}
            : { data: { from: { root, managed: known.managed }, to: { root, managed } } }),
          ...(known.place === place ? {} : { place: { from: known.place, to: place } }),
        },
        withdraws: null,
      },
    ]);
  }
};

const placeOf = async (stores: ObjectStores, name: string, root: string): Promise<string> => {
  try {
    await stores.grant(root);
    return await stores.placeOf(root);
  } catch (error) {
    if (error instanceof InvalidPath)
      throw new Misconfigured(`The storage ${name}: its root ${root} ${error.message}.`);
    throw error;
  }
};

const byConfig = (...parts: (string | number)[]): Envelope => {
  const commandId = derivedId('configuration', ...parts);
  return {
    repeatable: true,
    commandId,
    hash: sha256(JSON.stringify(parts)),
    actor: 'system:configuration',
    reason: null,
    correlationId: commandId,
    ifMatch: null,
  };
};
