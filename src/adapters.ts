import { realpath } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import type { Config } from './config.js';
import { ConfigError } from './config.stores.js';
import { isReserved } from './events/vocabulary.js';
import type { Random } from './ports.js';
import { InvalidPath, Unavailable } from './storage/errors.js';
import type { EventStore } from './storage/event-store/port.js';
import { openSqliteEventStore } from './storage/event-store/sqlite.js';
import { openSqliteImport, type SqliteImport } from './storage/event-store/sqlite.import.js';
import { openFilesystemStore } from './storage/object-store/filesystem.js';
import { InvalidS3Root, parseS3Root, placeOfS3, type S3Root } from './storage/object-store/minio.root.js';
import type { ObjectStore, ObjectStores } from './storage/object-store/port.js';
import { LateReadModel } from './storage/read-model/late.js';
import type { ReadModel, Rebuild } from './storage/read-model/port.js';
import { openSqliteReadModel } from './storage/read-model/sqlite.js';

/*
 * The one place that knows which adapter stands behind a port. The service takes its stores from here, and so does the projector's
 * thread, which must not carry the rest of the application with it. A server's driver is loaded where that server is chosen: together they
 * take longer to load than the embedded service takes to start.
 */

export { lockDataFolder } from './storage/event-store/lock.js';

type Mode = 'read-write' | 'read-only';

export interface OpenedEventStore {
  readonly store: EventStore;
  /** Calls the listener after each append of this process, where the log cannot tell a subscription of another thread by itself. */
  readonly onAppended: (listener: () => void) => void;
  /** There may be more in the log: what a thread is told of another's append. */
  readonly wake: () => void;
}

export const openEventStore = async ({ eventStore, data, streamPrefix: prefix }: Config, mode: Mode) =>
  eventStore === null
    ? embeddedEventStore(join(data, 'events.sqlite'), prefix, mode)
    : telling(
        await naming('LETHE_EVENT_STORE', async () => {
          const { openEventStoreDb } = await import('./storage/event-store/eventstoredb.js');
          return openEventStoreDb({ url: eventStore, prefix, mode });
        }),
      );

const embeddedEventStore = async (file: string, prefix: string, mode: Mode): Promise<OpenedEventStore> => {
  const store = await openSqliteEventStore({ file, prefix, mode });
  return { store, onAppended: (listener) => store.onAppended(listener), wake: () => store.wake() };
};

/** Where an exported log goes in: the embedded one, for a server gives out positions of its own. */
export const openLogImport = ({ data, streamPrefix: prefix }: Config): SqliteImport =>
  openSqliteImport({ file: join(data, 'events.sqlite'), prefix });

/** A server tells every subscription of what is appended, whoever did it. */
const telling = (store: EventStore): OpenedEventStore => ({
  store,
  onAppended: () => undefined,
  wake: () => undefined,
});

/** @param madeWithinMs how long one for reading waits for a worker to make it; left out: as long as the adapter does */
export const openReadModel = async (
  { readModel, data }: Config,
  mode: Mode,
  madeWithinMs?: number,
): Promise<ReadModel> => {
  const patience = madeWithinMs === undefined ? {} : { madeWithinMs };
  if (readModel === null) return openSqliteReadModel({ file: join(data, 'read-model.sqlite'), mode, ...patience });
  return new LateReadModel(() =>
    naming('LETHE_READ_MODEL', async () => {
      const { openMongoReadModel } = await import('./storage/read-model/mongodb.js');
      return openMongoReadModel({ url: readModel, mode, ...patience });
    }),
  );
};

/** The model for reading, if there is one: opened at its first use, which waits for nobody to make it. */
export const openStandingModel = (config: Config): ReadModel =>
  new LateReadModel(() => openReadModel(config, 'read-only', 200));

/** A model in a file of its own, to be thrown away again: for what the log makes of one, whatever the live one lies in. */
export const openSpareModel = (file: string): Promise<ReadModel> => openSqliteReadModel({ file, mode: 'read-write' });

/** Begins a new model beside the live one. Embedded, the caller has locked the data folder: a service would go on reading the old file. */
export const openRebuild = async ({ readModel, data }: Config): Promise<Rebuild> => {
  if (readModel === null) {
    const { rebuildSqliteReadModel } = await import('./storage/read-model/sqlite.rebuild.js');
    return rebuildSqliteReadModel(join(data, 'read-model.sqlite'));
  }
  return naming('LETHE_READ_MODEL', async () => {
    const { rebuildMongoReadModel } = await import('./storage/read-model/mongodb.js');
    return rebuildMongoReadModel(readModel);
  });
};

/** An address that its adapter can't read is a setting that cannot stand. @throws ConfigError naming the variable */
const naming = async <T>(variable: string, open: () => Promise<T>): Promise<T> => {
  try {
    return await open();
  } catch (error) {
    if (error instanceof TypeError) throw new ConfigError(`${variable}: ${error.message}`);
    throw error;
  }
};

/** Whether anything lies in the data folder that one process alone may have open. */
export const usesDataFolder = ({ eventStore, readModel, storages }: Config): boolean =>
  eventStore === null || readModel === null || storages.some(({ root }) => root === 'file:');

/**
 * Opens each root once, when it is first asked for, and none that the configuration does not reach.
 * @param makes a new Lethe finds no default storage: whoever serves makes it, and whoever only looks does not
 */
export const openObjectStores = (config: Config, random: Random, makes: boolean): ObjectStores => {
  const opened = new Map<string, Promise<ObjectStore>>();
  const folderOf = (root: string): string =>
    root === 'file:' ? join(config.data, 'objects') : resolve(root.slice('file:'.length));
  const placeOf = async (root: string): Promise<string> =>
    isS3(root) ? placeOfS3(parsedS3(root)) : `file:${withSlash(await resolved(folderOf(root)))}`;

  for (const { name, root } of config.storages) assertRoot(name, root);

  const grant = async (root: string): Promise<{ managed: boolean } | null> => {
    if (root !== 'file:' && !root.startsWith('file:/') && !isS3(root)) return null;
    const place = await placeOf(root);
    let managed: boolean | null = null;
    for (const configured of config.storages) {
      const around = await placeOf(configured.root);
      if (!place.startsWith(around)) continue;
      // What lies there is Lethe's own, whoever's storage it is.
      if (isReserved(place.slice(around.length)))
        throw new InvalidPath(`lies below a folder .lethe/ of the storage ${configured.name}, which belongs to Lethe`);
      managed = (managed ?? true) && configured.managed;
    }
    return managed === null ? null : { managed };
  };

  /** The same of a root that a storage has already. */
  const reached: typeof grant = async (root) => {
    try {
      return await grant(root);
    } catch (error) {
      if (error instanceof InvalidPath) throw new Unavailable(`its root ${error.message}`);
      throw error;
    }
  };

  const tag = (): string => tagFrom(random);
  const open = async (root: string): Promise<ObjectStore> => {
    if ((await reached(root)) === null) throw new Unavailable('the configuration no longer names its root');
    if (!isS3(root))
      return openFilesystemStore({ root: folderOf(root), random: tag, create: makes && root === 'file:' });
    const { accessKey, secretKey } = config.s3 ?? { accessKey: '', secretKey: '' };
    const isDefault = config.storages.some((storage) => storage.name === 'default' && storage.root === root);
    const { openMinioStore } = await import('./storage/object-store/minio.js');
    return openMinioStore({ root, accessKey, secretKey, random: tag, create: makes && isDefault });
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

const isS3 = (root: string): boolean => root.startsWith('s3://');

const assertRoot = (name: string, root: string): void => {
  try {
    if (isS3(root)) parseS3Root(root);
  } catch (error) {
    const setting =
      name === 'default' ? 'LETHE_OBJECT_STORE (or the storage default of the file)' : `storages: the root of ${name}`;
    if (error instanceof InvalidS3Root) throw new ConfigError(`${setting}: ${error.message}`);
    throw error;
  }
};

/** @throws InvalidPath where a caller names a root that is none */
const parsedS3 = (root: string): S3Root => {
  try {
    return parseS3Root(root);
  } catch (error) {
    if (error instanceof InvalidS3Root) throw new InvalidPath(error.message);
    throw error;
  }
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
const tagFrom = (random: Random): string =>
  Math.floor(random.next() * 2 ** 48)
    .toString(16)
    .padStart(12, '0');
