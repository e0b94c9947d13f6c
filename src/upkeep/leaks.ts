import { OWNER } from '../commands/ownership.js';
import type { Journal } from '../commands/execute.js';
import type { RecordState } from '../events/record.js';
import type { Clock } from '../ports.js';
import type { ObjectStore, ObjectStores, SeenObject } from '../storage/object-store/port.js';
import type { ReadModel } from '../storage/read-model/port.js';
import { messageOf, type Finding } from './findings.js';
import { cannotBeRead, isNamedBy, isSomebodys, LEFT_AFTER_MS, OWN_FOLDER, PROBE, uidIn, UNFINISHED } from './naming.js';
import { isManaged, openStorage, type KnownStorage } from './storages.js';

/** How many objects are asked for in one question to the model. */
const PAGE = 500;

/** An upload's bytes lie there before the event that names them: one that takes longer than this between the two is taken for broken off. */
const NAMED_WITHIN_MS = 30_000;
const LOOK_MS = 50;
/** So many may be waited for at once. */
const MOST_UNNAMED = 10_000;

export interface LeaksPorts {
  readonly journal: Journal;
  readonly model: ReadModel;
  readonly stores: ObjectStores;
  readonly storages: readonly KnownStorage[];
  /** Whether a service may be storing something right now. */
  readonly busy: () => boolean;
  readonly clock: Clock;
  readonly found: (finding: Finding) => void;
  readonly signal: AbortSignal;
}

/** Looks below `.lethe/` of each storage that this log may delete from for what no event names, or what a purge was to have deleted. */
export const checkLeaks = async (ports: LeaksPorts): Promise<void> => {
  for (const storage of ports.storages) {
    if (!storage.live || !(await isManaged(ports.stores, storage.facts))) continue;
    try {
      const { store, used, notOwned, behind } = await openStorage(ports.journal, ports.stores, storage);
      if (notOwned !== null) ports.found(foreign(notOwned, behind));
      else if (used) await leaksIn(ports, storage, store);
    } catch (error) {
      ports.signal.throwIfAborted();
      ports.found({
        kind: 'storage-unreachable',
        what: `what lies in the storage ${storage.facts.name} could not be listed: ${messageOf(error)}`,
        todo: 'Bring it back, then verify again',
      });
    }
  }
};

const foreign = (what: string, behind: boolean): Finding =>
  behind
    ? {
        kind: 'log-cut',
        what,
        todo: 'Restore the newest backup of the log. Until then nothing is stored in or deleted from it',
      }
    : {
        kind: 'storage-foreign',
        what,
        todo: 'Give each log a storage of its own, or set LETHE_DATA and LETHE_EVENT_STORE to that log',
      };

/** What no event named when it was seen, and until when one may, on the monotonic clock. */
interface Unnamed {
  readonly object: SeenObject;
  readonly late: number;
}

const leaksIn = async (ports: LeaksPorts, storage: KnownStorage, store: ObjectStore): Promise<void> => {
  const unnamed: Unnamed[] = [];
  const settle = async (most: number): Promise<void> => {
    while (unnamed.length > most) {
      const oldest = unnamed.shift();
      if (oldest !== undefined && !(await wasUnderWay(ports, store, oldest)))
        ports.found(leftBehind(oldest.object, storage));
    }
  };
  for await (const page of pages(store, ports.signal)) {
    // After the listing, and before the streams are asked: whoever is at work no more has written by then what it had to.
    const busy = ports.busy();
    const uids = new Set(page.flatMap(({ path }) => uidIn(path) ?? []));
    const rows = await ports.model.get(
      'catalogue',
      [...uids].map((uid) => `files/${uid}`),
    );
    const records = new Map(rows.map(({ uid, record }) => [uid, record]));
    for (const object of page) {
      const record = records.get(uidIn(object.path) ?? '');
      if (record !== undefined && isNamedBy(record, object.path)) {
        if (wasDeleted(record, object.path)) ports.found(putBack(object, storage, record.uid));
      } else if (!(await mayBeNamed(ports.journal, object.path))) {
        const waits = mayComeToBeNamed(ports, object, busy);
        if (waits) unnamed.push({ object, late: ports.clock.monotonic() + NAMED_WITHIN_MS });
        else if (!isBeingWritten(ports, object, busy)) ports.found(leftBehind(object, storage));
      }
    }
    await settle(MOST_UNNAMED);
  }
  await settle(0);
};

/** What a deletion took, by the record. Its listing goes between the last object and the end of the purge. */
const wasDeleted = ({ fields, purge }: RecordState, path: string): boolean => {
  const { outcome, ended } = purge ?? { outcome: null, ended: null };
  if (outcome?.fate !== 'deleted' || outcome.changed) return false;
  return ended !== null || (fields.kind === 'file' && fields.path === path);
};

const putBack = (object: SeenObject, storage: KnownStorage, uid: string): Finding => ({
  kind: 'object-leaked',
  what: `${inStorage(object, storage)} lies there, and the purge of files/${uid} had deleted it: somebody put it back`,
  todo: 'Remove it by hand, or register it as a record of its own',
});

const leftBehind = (object: SeenObject, storage: KnownStorage): Finding => ({
  kind: 'object-leaked',
  what: `${inStorage(object, storage)} is named by no event: what an upload, or a crash, left behind`,
  todo: 'Clear it away (lethe gc) once it is a day old',
});

const inStorage = ({ path }: SeenObject, { facts }: KnownStorage): string =>
  `${JSON.stringify(path)} in the storage ${facts.name}`;

/** An upload that is put together may take its time. */
const isBeingWritten = (ports: LeaksPorts, object: SeenObject, busy: boolean): boolean =>
  busy && object.path.startsWith(UNFINISHED) && isYoung(ports, object);

/** Of an upload by a service at work, or a probe, which needs none. */
const mayComeToBeNamed = (ports: LeaksPorts, object: SeenObject, busy: boolean): boolean =>
  isYoung(ports, object) && (object.path.startsWith(PROBE) || (busy && uidIn(object.path) !== null));

const isYoung = ({ clock }: LeaksPorts, { modifiedAt }: SeenObject): boolean =>
  clock.now().getTime() - Date.parse(modifiedAt) < LEFT_AFTER_MS;

/** Looks again until an event names the object, or whoever wrote it took it back. @returns false where neither has happened in time */
const wasUnderWay = async (
  { journal, clock, signal }: LeaksPorts,
  store: ObjectStore,
  { object: { path }, late }: Unnamed,
): Promise<boolean> => {
  for (;;) {
    signal.throwIfAborted();
    if ((await mayBeNamed(journal, path)) || (await store.stat(path)) === null) return true;
    if (clock.monotonic() >= late) return false;
    await clock.sleep(LOOK_MS, signal);
  }
};

const mayBeNamed = async (journal: Journal, path: string): Promise<boolean> => {
  try {
    return await isSomebodys(journal, path);
  } catch (error) {
    if (cannotBeRead(error)) return true;
    throw error;
  }
};

async function* pages(store: ObjectStore, signal: AbortSignal): AsyncGenerator<SeenObject[]> {
  let page: SeenObject[] = [];
  for await (const object of store.list(OWN_FOLDER, signal)) {
    if (object.path === OWNER) continue;
    page.push(object);
    if (page.length === PAGE) {
      yield page;
      page = [];
    }
  }
  if (page.length > 0) yield page;
}
