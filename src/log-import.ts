import { createReadStream } from 'node:fs';
import { lockDataFolder, openLogImport, openReadModel } from './adapters.js';
import type { Config } from './config.js';
import { ConfigError } from './config.stores.js';
import { AGAIN, BadLine, readExport, type Exported } from './events/exported.js';
import type { StoredEvent } from './storage/event-store/port.js';
import { systemClock } from './system.js';

/** There is something where the log would go. Nothing was changed. */
export class NotEmpty extends Error {
  override readonly name = 'NotEmpty';
}

export interface ImportedLog {
  readonly events: number;
  /** The position of the last event: that of the log which was exported. */
  readonly position: bigint;
  /** How many of them lay there from an import that broke off, or that had ended. */
  readonly found: number;
}

interface Importing {
  readonly config: Config;
  /** The exported log. */
  readonly file: string;
  readonly signal: AbortSignal;
  /** Called once all is checked, and then each time that events were laid down. @param events of all */
  readonly onProgress?: (events: number, laid: number) => Promise<void>;
}

/** How many events go to disk together. */
const BATCH = 1_000;

/**
 * Brings an exported log into a data folder that has none: the same events at the same positions. The whole file is checked before
 * anything is written, and the log is at its place when it is whole. What a process that died had written is gone on with.
 *
 * @throws BadLine where the file is no export, or not a whole one; NotEmpty where the folder has a log or a read model of another one;
 *   FolderLocked where a service has the folder; ConfigError where the log is not kept in the folder
 */
export const importLog = async ({
  config,
  file,
  signal,
  onProgress = () => Promise.resolve(),
}: Importing): Promise<ImportedLog> => {
  if (config.eventStore !== null) {
    throw new ConfigError(
      'LETHE_EVENT_STORE: events keep their positions when they are imported, and this server gives out its own. Import into a data folder',
    );
  }
  const lock = lockDataFolder(config.data, () => systemClock.now());
  try {
    const exported = (): AsyncGenerator<Exported> =>
      readExport(createReadStream(file, { signal }), config.streamPrefix);
    const { events, position } = await check(exported());
    const log = openLogImport(config);
    try {
      const held = await agreeing(log.held(), exported());
      if (log.isThere) {
        if (held === events) return { events, position, found: events };
        throw new NotEmpty(
          `the data folder ${config.data} has a log already, which is not the one in ${file}: import into a folder where no service has run`,
        );
      }
      await assertNoModel(config);
      if (held === null) log.startOver();
      const found = held ?? 0;
      let batch: StoredEvent[] = [];
      for await (const { line, stored } of exported()) {
        if (line > found) batch.push(stored);
        if (batch.length < BATCH) continue;
        log.lay(batch);
        batch = [];
        await onProgress(events, line);
      }
      log.lay(batch);
      log.finish();
      return { events, position, found };
    } finally {
      log.close();
    }
  } finally {
    lock.release();
  }
};

/** Reads all of it. @throws BadLine where anything is wrong, or where it is not all of a log */
const check = async (exported: AsyncIterable<Exported>): Promise<{ events: number; position: bigint }> => {
  let [events, position] = [0, 0n];
  for await (const { line, stored, recorded } of exported) {
    // An export with a filter begins elsewhere.
    if (line === 1 && recorded.event.type !== 'InstanceCreated') {
      throw new BadLine(
        line,
        `is a ${stored.type}, where a log begins with InstanceCreated: it is a part of one. ${AGAIN}`,
      );
    }
    [events, position] = [line, stored.position];
  }
  if (events === 0) throw new BadLine(1, `is not there: the file is empty. ${AGAIN}`);
  return { events, position };
};

/** How many events the log holds, all of which the file begins with; null where one of them is another. */
const agreeing = async (held: Iterable<StoredEvent>, exported: AsyncGenerator<Exported>): Promise<number | null> => {
  let count = 0;
  try {
    for (const event of held) {
      const next = await exported.next();
      if (next.done === true || !isSame(event, next.value.stored)) return null;
      count += 1;
    }
    return count;
  } finally {
    await exported.return(undefined);
  }
};

/** All but the metadata, which hold the command's hash in the log that was exported: the digests say that the rest of them is the same. */
const isSame = (a: StoredEvent, b: StoredEvent): boolean =>
  a.position === b.position &&
  a.stream === b.stream &&
  a.revision === b.revision &&
  a.id === b.id &&
  a.type === b.type &&
  a.data === b.data;

/** A model whose log is gone would be taken for one that follows this log. */
const assertNoModel = async (config: Config): Promise<void> => {
  const model = await openReadModel(config, 'read-write');
  try {
    const checkpoint = await model.checkpoint();
    if (checkpoint === 0n) return;
    throw new NotEmpty(
      `the read model is that of another log, up to its position ${checkpoint}: remove it (read-model.sqlite in ${config.data}, or the database that LETHE_READ_MODEL names)`,
    );
  } finally {
    await model.close();
  }
};
