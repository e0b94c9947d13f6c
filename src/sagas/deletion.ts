import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { listing, seenFile, seenFolder } from '../commands/content.js';
import type { Seen } from '../events/events.js';
import { Corrupt, Exists } from '../storage/errors.js';
import type { ObjectStore, SeenObject } from '../storage/object-store/port.js';

/*
 * The effects of a deletion on one store. What goes is what was named; each is safe to repeat, by this worker or another.
 */

/** Asked before each call to the store: throws where the call must not be sent any more. */
export type Guard = () => Promise<void>;

/**
 * What lies at `path` now. A folder's listing is laid down beside it, object by object, before anybody refers to it by its digest.
 * @param name tells this deletion from every other one
 */
export const nameWhatLies = async (store: ObjectStore, path: string, name: string): Promise<Seen | null> => {
  if (!path.endsWith('/')) {
    const there = await store.stat(path);
    return there === null ? null : seenFile(there);
  }
  const files = await listing(store, path);
  if (files.length === 0) return null;
  const { digest } = seenFolder(files);
  const manifest = `.lethe/deletions/${name}-${digest}.jsonl`;
  try {
    await store.put(manifest, Readable.from(files.map((file) => Buffer.from(`${JSON.stringify(file)}\n`))));
  } catch (error) {
    // Its name is its content's: what lies there is this listing.
    if (!(error instanceof Exists)) throw error;
  }
  return seenFolder(files, manifest);
};

/** Of what lies at `path`, only what an upload that is taken back had put there, as it saw it. */
export const nameOwn = async (store: ObjectStore, path: string, own: Seen | null): Promise<Seen | null> => {
  const there = own?.kind === 'file' ? await store.stat(path) : null;
  if (there === null || own?.kind !== 'file') return null;
  if (there.versions === null) return there.etag === own.etag ? seenFile(there) : null;
  const versions = there.versions.filter((version) => own.versions?.includes(version) === true);
  return versions.length === 0 ? null : { ...own, versions };
};

export interface Deleted {
  readonly objects: number;
  readonly bytes: number;
  /** Something else lies there, and stays. */
  readonly changed: boolean;
}

/** Deletes what was named at `path`, and asks the store again. What is named and gone counts as deleted. */
export const deleteNamed = async (
  store: ObjectStore,
  path: string,
  seen: Seen | null,
  guard: Guard,
): Promise<Deleted> => {
  if (seen === null) {
    await guard();
    return { objects: 0, bytes: 0, changed: await somethingLies(store, path) };
  }
  if (seen.kind === 'file') {
    await guard();
    const found = await store.delete(path, seen);
    return found === 'changed'
      ? { objects: 0, bytes: 0, changed: true }
      : { objects: 1, bytes: seen.size, changed: false };
  }
  let objects = 0;
  let bytes = 0;
  for (const file of await readManifest(store, seen)) {
    await guard();
    if ((await store.delete(file.path, file)) === 'changed') continue;
    objects += 1;
    bytes += file.size;
  }
  await guard();
  await store.prune(path);
  return { objects, bytes, changed: await somethingLies(store, path) };
};

/** Whether all that was named still lies there as it was. */
export const isWhole = async (store: ObjectStore, path: string, seen: Seen | null, guard: Guard): Promise<boolean> => {
  if (seen === null) return false;
  if (seen.kind === 'file') {
    await guard();
    return (await store.stat(path))?.etag === seen.etag;
  }
  for (const file of await readManifest(store, seen)) {
    await guard();
    if ((await store.stat(file.path))?.etag !== file.etag) return false;
  }
  return true;
};

export const clearManifest = async (store: ObjectStore, manifest: string): Promise<void> => {
  const there = await store.stat(manifest);
  if (there !== null) await store.delete(manifest, there);
};

export const somethingLies = async (store: ObjectStore, path: string): Promise<boolean> => {
  if (!path.endsWith('/')) return (await store.stat(path)) !== null;
  for await (const _ of store.list(path)) return true;
  return false;
};

const seenObjectSchema = z.object({
  path: z.string(),
  etag: z.string(),
  size: z.number(),
  modifiedAt: z.string(),
  versions: z.array(z.string()).nullable(),
});

const readManifest = async (store: ObjectStore, seen: Seen & { kind: 'folder' }): Promise<SeenObject[]> => {
  const found = seen.manifest === null ? null : await store.get(seen.manifest);
  if (found === null) throw new Corrupt(`The listing ${seen.manifest ?? ''} that names what to delete is not there.`);
  const lines = (await text(found.body)).split('\n').filter((line) => line !== '');
  const files = lines.map((line) => seenObjectSchema.parse(JSON.parse(line)));
  if (seenFolder(files).digest !== seen.digest)
    throw new Corrupt(`The listing ${seen.manifest ?? ''} is not the one that was named.`);
  return files;
};
