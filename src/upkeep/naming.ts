import { readRecord, type Journal } from '../commands/execute.js';
import { Unreadable } from '../events/codec.js';
import type { Recorded, RecordEvent } from '../events/events.js';
import type { Purge, RecordState } from '../events/record.js';
import { Corrupt } from '../storage/errors.js';

/** Where Lethe's own objects lie in a storage. */
export const OWN_FOLDER = '.lethe/';
/** Where the file system's adapter puts uploads together. */
export const UNFINISHED = '.lethe/tmp/';

/** What `doctor` writes, and takes away again. */
export const PROBE = '.lethe/probe-';

/** What lies below `.lethe/` for a day without an event is nobody's: an upload gives up sooner (commands/upload.handlers.ts). */
export const LEFT_AFTER_MS = 24 * 60 * 60 * 1000;

const VIRTUAL = /^\.lethe\/([0-9A-Za-z]{20})-/;
const MANIFEST = /^\.lethe\/deletions\/([0-9A-Za-z]{20})-/;

/** The file whose events could name an object below `.lethe/`; null where none ever can. */
export const uidIn = (path: string): string | null => (VIRTUAL.exec(path) ?? MANIFEST.exec(path))?.[1] ?? null;

/** Whether a record's state names an object below `.lethe/`: as its own, or as the listing of what a deletion takes. */
export const isNamedBy = ({ fields, purge }: RecordState, path: string): boolean => {
  if (fields.kind === 'file' && fields.path === path) return true;
  const seen = purge?.started?.seen;
  return seen?.kind === 'folder' && seen.manifest === path;
};

/**
 * Whether any event ever named an object below `.lethe/`, or one is about to: a purge that has not come to its deletion lays down the
 * listing of it first, and takes the same one up again. The file's stream is asked, which is the truth, and no model of it.
 */
export const isSomebodys = async (journal: Journal, path: string): Promise<boolean> => {
  const uid = uidIn(path);
  if (uid === null) return false;
  const { record, recorded } = await readRecord(journal, { registry: 'files', uid });
  if (recorded.some(({ event }) => names(event, path))) return true;
  const purge = record?.purge ?? null;
  return MANIFEST.test(path) && purge !== null && !hasBegun(purge);
};

/** Whether a purge has come to its object, to delete it or to keep it. */
export const hasBegun = ({ started, outcome }: Purge): boolean => started !== null || outcome !== null;

/** A stream that cannot be read may say anything; it is found by itself. */
export const cannotBeRead = (error: unknown): boolean => error instanceof Unreadable || error instanceof Corrupt;

const names = (event: Recorded<RecordEvent>['event'], path: string): boolean => {
  if (event.type === 'RecordRegistered') return event.fields.kind === 'file' && event.fields.path === path;
  return event.type === 'ObjectDeletionStarted' && event.seen?.kind === 'folder' && event.seen.manifest === path;
};
