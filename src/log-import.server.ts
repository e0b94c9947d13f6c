import { openEventStore } from './adapters.js';
import { appendSurely, type Journal } from './commands/execute.js';
import { Positions, Translation, type Translated } from './events/translated.js';
import { isImporting, markImport } from './import-mark.js';
import { assertNoModel, isSame, NotEmpty, type Bringing, type ImportedLog } from './log-import.target.js';
import { RevisionConflict } from './storage/errors.js';
import { BEGINNING, type EventStore, type StoredEvent } from './storage/event-store/port.js';
import { systemClock } from './system.js';

/** Another process wrote to the log while it was imported. */
class Disturbed extends Error {
  override readonly name = 'Disturbed';
  constructor(what: string, options?: ErrorOptions) {
    super(
      `${what}: another process has written to this log while it was imported. Import again where none does: under a prefix that nobody ` +
        'has used (LETHE_STREAM_PREFIX), or into an empty server',
      options,
    );
  }
}

/**
 * Into a server's log, which gives each event a position of its own: what names positions is translated (events/translated.ts). Events go
 * one by one, since the order of the log is that of the appends, and an append tells the position of its last event alone.
 *
 * @throws as importLog does
 */
export const importIntoServer = async (bringing: Bringing): Promise<ImportedLog> => {
  const { config, whole, signal } = bringing;
  const { store } = await openEventStore(config, 'read-write');
  try {
    const positions = new Positions(whole.events);
    const found = await lay(bringing, store, positions);
    const journal = { store, prefix: config.streamPrefix };
    if (found < whole.events) await assertAlone(store, positions, signal);
    if (await isImporting(journal, whole.instance)) await markImport(config, whole.instance, 'ended');
    return { events: whole.events, position: positions.of(whole.position), found };
  } finally {
    await store.close();
  }
};

/** Appends what is missing. @returns how many events lay there already, all of which the file begins with */
const lay = async (bringing: Bringing, store: EventStore, positions: Positions): Promise<number> => {
  const { config, file, exported, whole, signal, onProgress } = bringing;
  const { events } = whole;
  const journal: Journal = { store, prefix: config.streamPrefix, clock: systemClock, appended: () => undefined };
  const translation = new Translation(positions);
  const held = eventsOf(store, signal);
  let [found, isBegun] = [0, false];
  try {
    for await (const each of exported()) {
      const wanted = translation.next(each);
      const there = isBegun ? null : await next(held);
      if (there !== null) {
        if (!isSame(there, wanted)) throw notEmpty(file, there);
        found += 1;
        positions.add(each.stored.position, there.position);
        continue;
      }
      if (!isBegun) await begin(bringing, journal, positions.of(each.stored.position));
      isBegun = true;
      signal.throwIfAborted();
      positions.add(each.stored.position, await append(journal, wanted));
      await onProgress(events, each.line);
    }
    const more = isBegun ? null : await next(held);
    if (more !== null) throw notEmpty(file, more);
    return found;
  } finally {
    await held.return(undefined);
  }
};

/** @param upTo where the log ends */
const begin = async ({ config, whole: { instance } }: Bringing, journal: Journal, upTo: bigint): Promise<void> => {
  const goesOn = await isImporting(journal, instance);
  await assertNoModel(config, goesOn ? upTo : 0n);
  await markImport(config, instance, 'begun');
};

const append = async (journal: Journal, { stream, revision, ...event }: Translated): Promise<bigint> => {
  try {
    return (await appendSurely(journal, stream, revision - 1, [event])).position;
  } catch (error) {
    if (error instanceof RevisionConflict) throw new Disturbed(error.message, { cause: error });
    throw error;
  }
};

/** Reads back that the log holds what was appended and nothing else. @throws Disturbed */
const assertAlone = async (store: EventStore, positions: Positions, signal: AbortSignal): Promise<void> => {
  const own = positions.inOrder();
  for await (const { position, type, stream } of eventsOf(store, signal)) {
    if (own.next().value !== position)
      throw new Disturbed(`event ${position} (${type} of ${stream}) is not of the file`);
  }
};

const notEmpty = (file: string, { stream, revision, position, type }: StoredEvent): NotEmpty =>
  new NotEmpty(
    `the log that LETHE_EVENT_STORE names has events already that are not those of ${file}: the first is its event ${position} (${type}, ` +
      `revision ${revision} of ${stream}). Import under a prefix that nobody has used (LETHE_STREAM_PREFIX), or into an empty server`,
  );

async function* eventsOf(store: EventStore, signal: AbortSignal): AsyncGenerator<StoredEvent, undefined> {
  for await (const batch of store.readAll(BEGINNING, { signal })) yield* batch;
}

/** Null at the end. */
const next = async (events: AsyncGenerator<StoredEvent, undefined>): Promise<StoredEvent | null> =>
  (await events.next()).value ?? null;
