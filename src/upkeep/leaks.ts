import { OWNER } from '../commands/ownership.js';
import type { Journal } from '../commands/execute.js';
import type { Clock } from '../ports.js';
import type { ObjectStore, ObjectStores, SeenObject } from '../storage/object-store/port.js';
import type { ReadModel } from '../storage/read-model/port.js';
import { messageOf, type Finding } from './findings.js';
import { isNamedBy, LEFT_AFTER_MS, OWN_FOLDER, uidIn, UNFINISHED, wasEverNamed } from './naming.js';
import { isManaged, openStorage, type KnownStorage } from './storages.js';

/** How many objects are asked for in one question to the model. */
const PAGE = 500;

/** An upload's bytes lie there before the event that names them: one that takes longer than this between the two is taken for broken off. */
const NAMED_WITHIN_MS = 30_000;
const LOOK_MS = 50;

export interface LeaksPorts {
  readonly journal: Journal;
  readonly model: ReadModel;
  readonly stores: ObjectStores;
  readonly storages: readonly KnownStorage[];
  /** A service may be storing something right now. */
  readonly busy: boolean;
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

/** What no event named when it was seen, and until when one may. */
interface Unnamed {
  readonly object: SeenObject;
  /** On the monotonic clock. */
  readonly late: number;
}

const leaksIn = async (ports: LeaksPorts, storage: KnownStorage, store: ObjectStore): Promise<void> => {
  const unnamed: Unnamed[] = [];
  for await (const page of pages(store, ports.signal)) {
    const uids = new Set(page.flatMap(({ path }) => uidIn(path) ?? []));
    const rows = await ports.model.get(
      'catalogue',
      [...uids].map((uid) => `files/${uid}`),
    );
    const records = new Map(rows.map(({ uid, record }) => [uid, record]));
    for (const object of page) {
      const record = records.get(uidIn(object.path) ?? '');
      if (record !== undefined && isNamedBy(record, object.path)) {
        const { outcome } = record.purge ?? { outcome: null };
        if (outcome?.fate !== 'deleted' || outcome.changed) continue;
        ports.found({
          kind: 'object-leaked',
          what: `${inStorage(object, storage)} lies there, and the purge of files/${record.uid} had deleted it: somebody put it back`,
          todo: 'Remove it by hand, or register it as a record of its own',
        });
      } else if (!isBeingWritten(ports, object) && !(await wasEverNamed(ports.journal, object.path))) {
        unnamed.push({ object, late: ports.clock.monotonic() + NAMED_WITHIN_MS });
      }
    }
  }
  for (const { object, late } of unnamed) {
    if (await wasUnderWay(ports, store, object, late)) continue;
    ports.found({
      kind: 'object-leaked',
      what: `${inStorage(object, storage)} is named by no event: what an upload, or a crash, left behind`,
      todo: 'Clear it away (lethe gc) once it is a day old',
    });
  }
};

const inStorage = ({ path }: SeenObject, { facts }: KnownStorage): string =>
  `${JSON.stringify(path)} in the storage ${facts.name}`;

/** An upload that is put together may take its time. */
const isBeingWritten = ({ busy, clock }: LeaksPorts, { path, modifiedAt }: SeenObject): boolean =>
  busy && path.startsWith(UNFINISHED) && clock.now().getTime() - Date.parse(modifiedAt) < LEFT_AFTER_MS;

/** Looks again until an event names the object, or the upload took it back. @returns false where neither has happened in time */
const wasUnderWay = async (
  { busy, journal, clock, signal }: LeaksPorts,
  store: ObjectStore,
  { path }: SeenObject,
  late: number,
): Promise<boolean> => {
  if (!busy || uidIn(path) === null) return false;
  for (;;) {
    if ((await wasEverNamed(journal, path)) || (await store.stat(path)) === null) return true;
    if (clock.monotonic() >= late) return false;
    await clock.sleep(LOOK_MS, signal);
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
