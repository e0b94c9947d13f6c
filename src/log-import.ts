import { createReadStream } from 'node:fs';
import { lockDataFolder, usesDataFolder } from './adapters.js';
import type { Config } from './config.js';
import { AGAIN, BadLine, readExport, type Exported } from './events/exported.js';
import { importIntoFolder } from './log-import.embedded.js';
import { importIntoServer } from './log-import.server.js';
import type { ImportedLog, Whole } from './log-import.target.js';
import { systemClock } from './system.js';

export { NotEmpty } from './log-import.target.js';

interface Importing {
  readonly config: Config;
  /** The exported log. */
  readonly file: string;
  readonly signal: AbortSignal;
  /** Called each time that events were laid down. @param events of all */
  readonly onProgress?: (events: number, laid: number) => Promise<void>;
}

/**
 * Brings an exported log to where there is none: into a data folder with the positions that it had, into a server's with new ones. The
 * whole file is checked before anything is written. What an import that broke off had written is gone on with.
 *
 * @throws BadLine where the file is no export, or not a whole one; NotEmpty where there is a log already, or a read model of another one;
 *   FolderLocked where a service has the folder; Disturbed where another process writes to the server's log meanwhile; what the stores throw
 */
export const importLog = async ({
  config,
  file,
  signal,
  onProgress = () => Promise.resolve(),
}: Importing): Promise<ImportedLog> => {
  const lock = usesDataFolder(config) ? lockDataFolder(config.data, () => systemClock.now()) : null;
  try {
    const exported = (): AsyncGenerator<Exported> =>
      readExport(createReadStream(file, { signal }), config.streamPrefix);
    const whole = await check(exported());
    const bring = config.eventStore === null ? importIntoFolder : importIntoServer;
    return await bring({ config, file, exported, whole, signal, onProgress });
  } finally {
    lock?.release();
  }
};

/** Reads all of it. @throws BadLine where anything is wrong, or where it is not all of a log */
const check = async (exported: AsyncIterable<Exported>): Promise<Whole> => {
  let [events, position] = [0, 0n];
  let instance: string | null = null;
  for await (const { line, stored, recorded } of exported) {
    const { event } = recorded;
    if (line === 1 && event.type === 'InstanceCreated') instance = event.instance;
    if (instance === null) {
      // An export with a filter begins elsewhere.
      throw new BadLine(
        line,
        `is a ${stored.type}, where a log begins with InstanceCreated: it is a part of one. ${AGAIN}`,
      );
    }
    [events, position] = [line, stored.position];
  }
  if (instance === null) throw new BadLine(1, `is not there: the file is empty. ${AGAIN}`);
  return { instance, events, position };
};
