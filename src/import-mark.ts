import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { openEventStore } from './adapters.js';
import { appendSurely, type Journal } from './commands/execute.js';
import { readInstance } from './commands/ownership.js';
import type { Config } from './config.js';
import { Corrupt, Unavailable } from './storage/errors.js';
import { systemClock } from './system.js';

/*
 * A log on a server grows at its place while it is imported, and half of it would pass for a whole one: `gc` would take what the rest of it
 * names. So a stream beside the log says that an import has begun, and that it ended. It lies outside of every log's prefix, since those begin
 * with a letter: no event of it is in any log, and none comes into an export. Embedded, a log comes to its place when it is whole.
 */

const BEGUN = 'ImportBegun';
const ENDED = 'ImportEnded';
const beside = (prefix: string): string => `_importing:${prefix}`;
const streamOf = (prefix: string): string => `${beside(prefix)}log`;
/** Of the log that is imported. */
const markSchema = z.strictObject({ instance: z.uuid() });

type Reading = Pick<Journal, 'store' | 'prefix'>;

interface Mark {
  readonly type: string;
  readonly instance: string;
  readonly revision: number;
}

const readMark = async ({ store, prefix }: Reading): Promise<Mark | null> => {
  const stream = streamOf(prefix);
  const last = (await store.readStream(stream)).at(-1);
  if (last === undefined) return null;
  const said = markSchema.safeParse(JSON.parse(last.data));
  if (!said.success) throw new Corrupt(`${stream} does not say which log is imported: ${z.prettifyError(said.error)}`);
  return { type: last.type, instance: said.data.instance, revision: last.revision };
};

/** Whether an import of this instance's log has begun, and not ended. */
export const isImporting = async (reading: Reading, instance: string): Promise<boolean> => {
  const mark = await readMark(reading);
  return mark?.type === BEGUN && mark.instance === instance;
};

/**
 * A sentence while an import into this log has not ended; null otherwise. Where a service was quicker to begin the log, it is that one's, and
 * the import has failed.
 */
export const whyNotWhole = async (reading: Reading): Promise<string | null> => {
  const mark = await readMark(reading);
  if (mark?.type !== BEGUN) return null;
  const instance = await readInstance(reading);
  if (instance !== null && instance !== mark.instance) return null;
  return 'an import of this log has begun and not ended, so that it holds a part of what it will';
};

export const GO_ON = 'Wait for it, or start it again with the same file (lethe events import): it goes on';

/** @throws Unavailable while an import into this log has not ended */
export const assertWhole = async (reading: Reading): Promise<void> => {
  const why = await whyNotWhole(reading);
  if (why !== null) throw new Unavailable(`${why}. ${GO_ON}`);
};

/** Says beside a log that the import of this instance's has begun, or ended; once more it changes nothing. @throws what an append does */
export const markImport = async (config: Config, instance: string, what: 'begun' | 'ended'): Promise<void> => {
  const type = what === 'begun' ? BEGUN : ENDED;
  const { store } = await openEventStore({ ...config, streamPrefix: beside(config.streamPrefix) }, 'read-write');
  try {
    const mark = await readMark({ store, prefix: config.streamPrefix });
    if (mark?.type === type && mark.instance === instance) return;
    const journal: Journal = { store, prefix: config.streamPrefix, clock: systemClock, appended: () => undefined };
    const event = {
      id: randomUUID(),
      type,
      data: JSON.stringify({ instance }),
      metadata: JSON.stringify({ at: systemClock.now().toISOString() }),
    };
    await appendSurely(journal, streamOf(config.streamPrefix), mark?.revision ?? -1, [event]);
  } finally {
    await store.close();
  }
};
