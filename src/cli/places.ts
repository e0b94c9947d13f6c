import { realpath } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { RecordAnswer } from '../client/answers.js';
import type { Context } from './context.js';

/** A storage on this machine. */
export interface Place {
  readonly uid: string;
  readonly name: string;
  /** With links resolved. */
  readonly root: string;
}

/** The storages whose roots are folders here. */
export const localPlaces = async ({ client, data, signal }: Context): Promise<Place[]> => {
  const places: Place[] = [];
  for await (const { items } of client.list('storages', { limit: 1_000 }, { signal })) {
    for (const item of items) {
      const folder = folderOf(item, data);
      const root = folder === null ? null : await real(folder);
      if (root !== null)
        places.push({ uid: item.uid, name: 'name' in item && item.name !== null ? item.name : item.uid, root });
    }
  }
  return places;
};

/** `file:` alone is the folder `objects` of the data folder, wherever that lies. */
const folderOf = (storage: RecordAnswer, data: string | null): string | null => {
  const facts = 'data' in storage ? storage.data : null;
  const root = typeof facts === 'object' && facts !== null && !Array.isArray(facts) ? facts['root'] : null;
  if (typeof root !== 'string' || !root.startsWith('file:')) return null;
  if (root !== 'file:') return root.slice('file:'.length);
  return data === null ? null : join(data, 'objects');
};

const real = async (folder: string): Promise<string | null> => {
  try {
    return await realpath(folder);
  } catch {
    return null; // not on this machine, or not for this user: nothing of ours can lie there
  }
};

/** The innermost storage that a path lies in, and the path there; `''` is its root. */
export const placeOf = (
  places: readonly Place[],
  path: string,
): { readonly place: Place; readonly path: string } | null => {
  const around = places.filter(({ root }) => contains(root, path)).sort((a, b) => b.root.length - a.root.length);
  const [place] = around;
  return place === undefined ? null : { place, path: relative(place.root, path).split(sep).join('/') };
};

/** A storage that lies within a folder. */
export const placeWithin = (places: readonly Place[], folder: string): Place | null =>
  places.find(({ root }) => contains(folder, root)) ?? null;

const contains = (folder: string, path: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
