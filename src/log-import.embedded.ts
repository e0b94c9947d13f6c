import { openLogImport } from './adapters.js';
import type { Exported } from './events/exported.js';
import { assertNoModel, isSame, NotEmpty, type Bringing, type ImportedLog } from './log-import.target.js';
import type { StoredEvent } from './storage/event-store/port.js';

/** How many events go to disk together. */
const BATCH = 1_000;

/** Into a data folder: the same events at the same positions. The log is at its place when it is whole. @throws as importLog does */
export const importIntoFolder = async ({
  config,
  file,
  exported,
  whole: { events, position },
  onProgress,
}: Bringing): Promise<ImportedLog> => {
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
};

/** How many events the log holds, all of which the file begins with; null where one of them is another. */
const agreeing = async (held: Iterable<StoredEvent>, exported: AsyncGenerator<Exported>): Promise<number | null> => {
  let count = 0;
  try {
    for (const event of held) {
      const next = await exported.next();
      if (next.done === true) return null;
      const { stored } = next.value;
      if (event.position !== stored.position || !isSame(event, stored)) return null;
      count += 1;
    }
    return count;
  } finally {
    await exported.return(undefined);
  }
};
