import { lockDataFolder, openEventStore, openRebuild } from './adapters.js';
import type { Config } from './config.js';
import { load } from './projections/load.js';
import { FolderLocked } from './storage/event-store/lock.js';
import type { EventStore, Position } from './storage/event-store/port.js';
import { systemClock } from './system.js';

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
        const loading = { events, prefix: config.streamPrefix, model: built.model, reached: tell, signal };
        const position = await load(loading);
        await built.replace();
        return { position: String(position), seconds: (systemClock.monotonic() - begun) / 1_000 };
      } finally {
        await built.close();
      }
    });
  } finally {
    unlock();
  }
};

const withLog = async <T>(config: Config, use: (events: EventStore) => Promise<T>): Promise<T> => {
  const { store } = await openEventStore(config, 'read-only');
  try {
    return await use(store);
  } finally {
    await store.close();
  }
};

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
