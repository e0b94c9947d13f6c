import { openReadModel } from './adapters.js';
import type { Config } from './config.js';
import type { Exported } from './events/exported.js';
import type { Translated } from './events/translated.js';
import type { StoredEvent } from './storage/event-store/port.js';

/** There is something where the log would go. Nothing was changed. */
export class NotEmpty extends Error {
  override readonly name = 'NotEmpty';
}

export interface ImportedLog {
  readonly events: number;
  /** The position of the last event, where it lies now. */
  readonly position: bigint;
  /** How many of them lay there from an import that broke off, or that had ended. */
  readonly found: number;
}

/** What was checked already, and where it goes. */
export interface Bringing {
  readonly config: Config;
  /** The name of the file, for messages. */
  readonly file: string;
  /** Reads the file from its beginning. */
  readonly exported: () => AsyncGenerator<Exported>;
  readonly whole: Whole;
  readonly signal: AbortSignal;
  /** Called each time that events were laid down. @param events of all */
  readonly onProgress: (events: number, laid: number) => Promise<void>;
}

/** A file that holds all of a log. */
export interface Whole {
  readonly instance: string;
  readonly events: number;
  /** Of its last event. */
  readonly position: bigint;
}

/** All but the metadata, which hold the command's hash in the log that was exported: the digests say that the rest of them is the same. */
export const isSame = (held: StoredEvent, wanted: Translated): boolean =>
  held.stream === wanted.stream &&
  held.revision === wanted.revision &&
  held.id === wanted.id &&
  held.type === wanted.type &&
  held.data === wanted.data;

/**
 * A model whose log is gone would be taken for one that follows this log.
 * @param upTo where the log has come to: so far a service that waits for the rest may have made the model of it
 */
export const assertNoModel = async (config: Config, upTo = 0n): Promise<void> => {
  const model = await openReadModel(config, 'read-write');
  try {
    const checkpoint = await model.checkpoint();
    if (checkpoint <= upTo) return;
    throw new NotEmpty(
      `the read model is that of another log, up to its position ${checkpoint}: remove it (read-model.sqlite in ${config.data}, or the database that LETHE_READ_MODEL names)`,
    );
  } finally {
    await model.close();
  }
};
