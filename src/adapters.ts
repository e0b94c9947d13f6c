import { realpath } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import type { Config } from './config.js';
import type { Random } from './ports.js';
import { Unavailable } from './storage/errors.js';
import { openSqliteEventStore, type SqliteEventStore } from './storage/event-store/sqlite.js';
import { openFilesystemStore } from './storage/object-store/filesystem.js';
import type { ObjectStore, ObjectStores } from './storage/object-store/port.js';
import type { ReadModel } from './storage/read-model/port.js';
import { openSqliteReadModel } from './storage/read-model/sqlite.js';

/*
 * The one place that knows which adapter stands behind a port. The service takes its stores from here, and so does the projector's
 * thread, which must not carry the rest of the application with it.
 */

export { lockDataFolder } from './storage/event-store/lock.js';

export const openEventStore = (config: Config, mode: 'read-write' | 'read-only'): Promise<SqliteEventStore> =>
  openSqliteEventStore({ file: join(config.data, 'events.sqlite'), prefix: config.streamPrefix, mode });

export const openReadModel = (config: Config, mode: 'read-write' | 'read-only'): Promise<ReadModel> =>
  openSqliteReadModel({ file: join(config.data, 'read-model.sqlite'), mode });

/** Opens each root once, when it is first asked for, and none that the configuration does not reach. */
export const openObjectStores = (config: Config, random: Random): ObjectStores => {
  const opened = new Map<string, Promise<ObjectStore>>();
  const folderOf = (root: string): string =>
    root === 'file:' ? join(config.data, 'objects') : resolve(root.slice('file:'.length));
  const placeOf = async (root: string): Promise<string> => `file:${withSlash(await resolved(folderOf(root)))}`;

  const grant = async (root: string): Promise<{ managed: boolean } | null> => {
    if (root !== 'file:' && !root.startsWith('file:/')) return null;
    const place = await placeOf(root);
    let managed: boolean | null = null;
    for (const configured of config.storages) {
      if (place.startsWith(await placeOf(configured.root))) managed = (managed ?? true) && configured.managed;
    }
    return managed === null ? null : { managed };
  };

  const open = async (root: string): Promise<ObjectStore> => {
    if ((await grant(root)) === null) throw new Unavailable('the configuration no longer names its root');
    return openFilesystemStore({ root: folderOf(root), random: () => tag(random), create: root === 'file:' });
  };

  return {
    at: async (root) => {
      const known = opened.get(root);
      if (known !== undefined) return known;
      const opening = open(root);
      opened.set(root, opening);
      try {
        return await opening;
      } catch (error) {
        opened.delete(root);
        throw error;
      }
    },
    placeOf,
    grant,
    isConfigured: (name) => config.storages.some((storage) => storage.name === name),
    close: async () => {
      for (const store of opened.values()) await (await store).close();
    },
  };
};

const withSlash = (folder: string): string => (folder.endsWith(sep) ? folder : folder + sep);

/** A folder with links resolved, as far as it exists: the rest of the path is as it was named. */
const resolved = async (folder: string): Promise<string> => {
  try {
    return await realpath(folder);
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
    const parent = dirname(folder);
    if (!missing || parent === folder) throw error;
    return join(await resolved(parent), folder.slice(parent.length));
  }
};

/** Twelve hexadecimal digits. */
const tag = (random: Random): string =>
  Math.floor(random.next() * 2 ** 48)
    .toString(16)
    .padStart(12, '0');
