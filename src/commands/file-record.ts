import type { FileFields, Seen } from '../events/events.js';
import {
  allStorages,
  anHourBefore,
  deletionsIn,
  everyStorage,
  overlapsOf,
  placesOf,
  storedOf,
  unmanagedAt,
} from '../projections/neighbours.js';
import type { ObjectStore } from '../storage/object-store/port.js';
import type { CatalogueRow } from '../storage/read-model/port.js';
import type { Content } from './content.js';
import { notTaken, sameContent } from './duplicates.js';
import type { FileMetadata } from './file.commands.js';
import type { CommandPorts } from './ports.js';
import { Conflict, Duplicate, ForeignStorage, Invalid } from './refusals.js';
import type { Result, Warning } from './result.js';
import { findStorage, type Storage } from './storages.js';

/* What both ways of registering a file share: bytes that come with the call, and bytes that lie there already. */

/** @throws Invalid where no live storage has this uid or name */
export const storageNamed = async ({ journal }: CommandPorts, uidOrName: string): Promise<Storage> => {
  const storage = await findStorage(journal, uidOrName);
  if (storage === null)
    throw new Invalid([{ path: '/storage', message: `no storage has the uid or name '${uidOrName}'` }]);
  return storage;
};

/** Nothing is written where Lethe does not manage what lies there. */
export const refuseForeign = async ({ model, reach }: CommandPorts, { uid }: Storage, path: string): Promise<void> => {
  await reach();
  const unmanaged = unmanagedAt(storedOf(await allStorages(model)), uid, path);
  if (unmanaged !== null) throw new ForeignStorage(unmanaged.facts.name);
};

/** The early word on an object that is being deleted; the projection has the last one. */
export const refuseWhereDeleting = async (
  { model, reach }: CommandPorts,
  { uid }: Storage,
  path: string,
): Promise<void> => {
  await reach();
  const overlaps = overlapsOf(placesOf(await everyStorage(model)), uid, path);
  const [deletion] = await deletionsIn(model, overlaps);
  if (deletion !== undefined) {
    throw new Conflict(
      `The object there is being deleted, for ${deletion.registry}/${deletion.uid}. Try again when its purge has ended.`,
    );
  }
  const [lingering] = await deletionsIn(model, overlaps, { lingeringAfter: await anHourBefore(model, null) });
  if (lingering === undefined) return;
  throw new Conflict(
    `The object there was deleted a short while ago, for ${lingering.registry}/${lingering.uid}, and a call to this store that is late could ` +
      'take what comes there now. Try again two hours later, or use another key. A bucket with versions needs no such wait.',
  );
};

export const findExisting = async (
  { model, reach }: CommandPorts,
  metadata: FileMetadata,
  store: ObjectStore,
  storage: Storage,
  content: Content,
  folder: string | null,
  self: string,
  warnings: Warning[],
): Promise<CatalogueRow | null> => {
  await reach();
  const trashedOnly = metadata.onDuplicate === 'create';
  const { visible, missing, trashed } = await sameContent(model, store, storage.uid, content, folder, self, {
    trashedOnly,
  });
  if (visible !== null && metadata.onDuplicate === 'fail') {
    const by = { registry: visible.registry, uid: visible.uid };
    throw new Duplicate(`files/${visible.uid} has the same content in this storage.`, [by]);
  }
  if (visible === null)
    warnings.push(
      ...naming('duplicate-in-trash', 'the same content lies in the trash', trashed),
      ...naming('duplicate-missing', 'the same content was there, and its object is not any more', missing),
    );
  return visible;
};

const naming = (code: string, sentence: string, rows: readonly CatalogueRow[]): Warning[] => {
  const by = rows.map(({ registry, uid }) => ({ registry, uid }));
  return by.length === 0 ? [] : [{ code, message: `${sentence}: ${by.map(({ uid }) => uid).join(', ')}`, by }];
};

export const existing = ({ record }: CatalogueRow, metadata: FileMetadata, warnings: readonly Warning[]): Result => {
  const left = notTaken(record, metadata);
  const all: Warning[] = [...warnings];
  if (left.length > 0)
    all.push({ code: 'metadata-ignored', message: `the record exists and keeps its own ${left.join(', ')}` });
  return { outcome: 'existing', record, warnings: all, replayed: false, changed: false };
};

export const fieldsOf = (
  metadata: FileMetadata,
  storage: Storage,
  object: { path: string; suffix: string | null; content: Content; seen: Seen; own: boolean },
): FileFields => ({
  kind: 'file',
  key: metadata.key,
  keyIsVirtual: metadata.keyIsVirtual,
  storage: storage.uid,
  path: object.path,
  suffix: object.suffix,
  accessor: metadata.accessor,
  description: metadata.description,
  version: metadata.version,
  initialVersion: metadata.initialVersion,
  ...object.content,
  run: metadata.run,
  transform: metadata.transform,
  labels: [...metadata.labels],
  own: object.own,
  seen: object.seen,
});
