import type { PurgeRow, ReadModel } from '../storage/read-model/port.js';
import { anHourBefore, lingersAfter, type Stored } from './neighbours.js';

/*
 * A call to a store may be late: sent in time, held up on its way, and carried out when another worker has long ended the deletion. Where the
 * store tells the same bytes put twice apart, such a call finds nothing of its own. Where it does not, the call would take what has come
 * to lie there since. So there a deletion stands for an hour past its end (design, section 4): an hour of the log's time, whose ticks say that
 * somebody saw it pass. Between two ticks lies an hour at least, so the hour is over with the second tick after the end.
 */

/**
 * Whether a deletion that has just ended stands on. In a bucket without versions, where it deleted something, at a path that can be used
 * again: a virtual key's is never. Of a folder nobody knows here whether it had versions.
 */
export const lingers = (storages: readonly Stored[], { object, purge }: PurgeRow): boolean => {
  const seen = purge.started?.seen ?? null;
  if (object === null || object.keyIsVirtual || seen === null) return false;
  if (seen.kind === 'file' && seen.versions !== null) return false;
  return storages.find(({ uid }) => uid === object.storage)?.facts.root.startsWith('s3:') ?? false;
};

/** Whether some deletion stands past its end, and will until the log's time has come on. */
export const someLinger = async (model: ReadModel): Promise<boolean> =>
  lingersAfter(model, await anHourBefore(model, null));
