import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  lockDataFolder,
  openEventStore,
  openObjectStores,
  openRebuild,
  openSpareModel,
  openStandingModel,
  usesDataFolder,
} from './adapters.js';
import type { Journal } from './commands/execute.js';
import { Ownership } from './commands/ownership.js';
import type { Config } from './config.js';
import type { Clock } from './ports.js';
import { assertWhole } from './import-mark.js';
import { load } from './projections/load.js';
import { FolderLocked, readLock } from './storage/event-store/lock.js';
import type { EventStore, Position } from './storage/event-store/port.js';
import type { ObjectStores } from './storage/object-store/port.js';
import type { ReadModel } from './storage/read-model/port.js';
import { systemClock, systemIds, systemRandom } from './system.js';
import { findLeftovers, type Leftovers } from './upkeep/leftovers.js';
import { verify, type Doing, type Verified } from './upkeep/verify.js';

/*
 * What whoever operates a Lethe does on its stores themselves, beside the service or while it rests.
 */

export interface Rebuilding {
  /** Told now and then how far the new model has come, and how far the log went at the beginning. */
  readonly reached: (position: Position, head: Position) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface Rebuilt {
  /** The position that the new model stands at, as a decimal text. */
  readonly position: string;
  readonly seconds: number;
}

/**
 * Builds the read model anew from the log, beside the live one, and then puts it in that one's place. Whatever breaks before that leaves
 * the live one as it was.
 *
 * @throws FolderInUse where a service reads the model in the data folder. Unreadable at an event that no model can hold; what the stores throw
 */
export const rebuild = async (config: Config, { reached, signal }: Rebuilding): Promise<Rebuilt> => {
  const begun = systemClock.monotonic();
  const unlock = config.readModel === null ? lockForRebuild(config.data) : (): void => undefined;
  try {
    return await withLog(config, async (events) => {
      const head = await events.head();
      await reached(0n, head);
      const built = await openRebuild(config);
      try {
        const tell = (position: Position): Promise<void> => reached(position, head);
        const position = await load({ events, prefix: config.streamPrefix, built, reached: tell, signal });
        return { position: String(position), seconds: (systemClock.monotonic() - begun) / 1_000 };
      } finally {
        await built.close();
      }
    });
  } finally {
    unlock();
  }
};

/** @throws Unavailable while it is only being imported: what is made of a part of a log, or cleared away by it, is wrong */
const withLog = async <T>(config: Config, use: (events: EventStore) => Promise<T>): Promise<T> => {
  const { store } = await openEventStore(config, 'read-only');
  try {
    await assertWhole({ store, prefix: config.streamPrefix });
    return await use(store);
  } finally {
    await store.close();
  }
};

export interface Verifying {
  /** Read the bytes of everything that Lethe manages, not only of what looks different from when it was registered. */
  readonly hash: boolean;
  readonly doing: (what: Doing, done: number, total: number) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Verifies the stores, while a service goes on or not: see `upkeep/verify.ts`. What the log makes of a model is built in the machine's
 * folder for temporary files (TMPDIR), and takes as much space there as the live one.
 *
 * @throws what the log's store throws; what is wrong with the others is found
 */
export const verifyStores = async (config: Config, { hash, doing, signal }: Verifying): Promise<Verified> =>
  withStores(config, async ({ journal, model, stores }) => {
    const folder = await mkdtemp(join(tmpdir(), 'lethe-verify-'));
    try {
      const spare = await openSpareModel(join(folder, 'read-model.sqlite'));
      try {
        const busy = (): boolean => isBusy(config);
        return await verify({ journal, live: model, spare, stores, busy, clock: WAITING, hash, doing, signal });
      } finally {
        await spare.close();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

/** Looks for what nobody's event names and hands it over while the stores are open: `use` shows it, asks, and clears it away. */
export const withLeftovers = async (
  config: Config,
  signal: AbortSignal,
  use: (found: Leftovers) => Promise<void>,
): Promise<void> =>
  withStores(config, async ({ journal, model, stores }) => {
    const ownership = new Ownership(journal, stores, systemIds);
    await use(await findLeftovers({ journal, model, stores, ownership, clock: WAITING, signal }));
  });

/** A command that waits is not to end for that: the service's own clock keeps no process alive. */
const WAITING: Clock = {
  ...systemClock,
  sleep: async (ms, signal) => {
    await setTimeout(ms, undefined, { signal });
  },
};

/** Whether a service may be at work on these stores. */
const isBusy = (config: Config): boolean =>
  config.eventStore !== null || (usesDataFolder(config) && readLock(config.data) !== null);

interface OpenStores {
  /** For reading: nothing is appended by it. */
  readonly journal: Journal;
  readonly model: ReadModel;
  readonly stores: ObjectStores;
}

/** All three for reading, also where a service has them open. */
const withStores = async <T>(config: Config, use: (stores: OpenStores) => Promise<T>): Promise<T> =>
  withLog(config, async (store) => {
    const journal: Journal = { store, prefix: config.streamPrefix, clock: systemClock, appended: () => undefined };
    const model = openStandingModel(config);
    const stores = openObjectStores(config, systemRandom, false);
    try {
      return await use({ journal, model, stores });
    } finally {
      await stores.close();
      await model.close();
    }
  });

class FolderInUse extends Error {
  override readonly name = 'FolderInUse';
}

const lockForRebuild = (folder: string): (() => void) => {
  try {
    const lock = lockDataFolder(folder, () => systemClock.now());
    return () => lock.release();
  } catch (error) {
    if (!(error instanceof FolderLocked)) throw error;
    const who = error.pid === null ? 'another process' : `process ${error.pid}`;
    const where = error.url === null ? '' : `, which answers at ${error.url}`;
    throw new FolderInUse(
      `the data folder ${folder} is in use by ${who}${where}, and would go on with the old read model. Stop it, rebuild, and start it again`,
    );
  }
};
