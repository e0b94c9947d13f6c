import type { FileFields } from '../events/events.js';
import { storageFacts, type StorageFacts } from '../events/storage-data.js';
import { refKey, sameRef, type Ref } from '../events/vocabulary.js';
import type { CatalogueRow, Condition, PurgeRow, ReadModel, Rows, Sort } from '../storage/read-model/port.js';
import { spanIn, type Span } from './overlap.js';

/** Rows that one question to the model brings. */
const PAGE = 500;
/** Deletions that are held in memory for a batch, rather than asked for one by one. */
const FEW = 1_000;

const ascending = (path: string): Sort => ({ path, descending: false });
const byUid = ['registry', 'uid'].map(ascending);

/** The rows that these conditions name, by registry and uid, a page at a time: whoever asks stops where it has enough. */
async function* pages<C extends 'catalogue' | 'purges'>(
  model: ReadModel,
  collection: C,
  where: readonly Condition[],
): AsyncGenerator<Rows[C][]> {
  for (let after: string[] | null = null; ;) {
    const page: Rows[C][] = await model.find(collection, { where, sort: byUid, after, limit: PAGE });
    yield page;
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return;
    after = [last.registry, last.uid];
  }
}

/** The first of these rows, until `enough` says that there are. */
const gather = async <R>(from: AsyncIterable<readonly R[]>, enough: (rows: readonly R[]) => boolean): Promise<R[]> => {
  const rows: R[] = [];
  for await (const page of from) {
    rows.push(...page);
    if (enough(rows)) break;
  }
  return rows;
};

/** Says of rows whether they are enough; a batch that overrides some of them counts those that are left. */
export type Enough = (rows: readonly CatalogueRow[]) => boolean;
const all: Enough = () => false;

/** The live records that point at `target`, by registry and uid, at least until they are enough. */
export const pointingAt = async (model: ReadModel, target: Ref, enough: Enough = all): Promise<CatalogueRow[]> =>
  gather(
    pages(model, 'catalogue', [
      { path: 'pointsTo', op: 'has', value: refKey(target) },
      { path: 'live', op: 'eq', value: true },
    ]),
    enough,
  );

/** Every live storage, with its place. */
export const allStorages = async (model: ReadModel): Promise<CatalogueRow[]> =>
  (await everyStorage(model)).filter(({ live }) => live);

/** Every storage that ever was, purged ones too. */
export const everyStorage = async (model: ReadModel): Promise<CatalogueRow[]> =>
  gather(
    pages(model, 'catalogue', [
      // Only storages have a place; it is what finds them by an index.
      { path: 'record.fields.place', op: 'null', value: false },
      { path: 'registry', op: 'eq', value: 'storages' },
    ]),
    all,
  );

export interface Stored {
  readonly uid: string;
  readonly facts: StorageFacts;
}

/** A storage, which may be purged by now. */
export interface Place extends Stored {
  readonly live: boolean;
}

/** The live ones of these storages. */
export const storedOf = (rows: readonly CatalogueRow[]): Stored[] => placesOf(rows).filter(({ live }) => live);

/** All of these storages, purged ones too: what is being deleted there goes on, whoever has the place by now. */
export const placesOf = (rows: readonly CatalogueRow[]): Place[] =>
  rows.flatMap(({ uid, live, record }) => {
    const facts = storageFacts(record.fields);
    return facts === null ? [] : [{ uid, live, facts }];
  });

/** The uids of the live storages from which a purge deletes. */
export const managedStorages = async (model: ReadModel): Promise<ReadonlySet<string>> =>
  new Set(storedOf(await allStorages(model)).flatMap(({ uid, facts }) => (facts.managed ? [uid] : [])));

export interface Overlap {
  readonly storage: string;
  readonly span: Span;
}

/** Where in which storages something overlaps the object at `path` of `storage`: nested storages are seen through. */
export const overlapsOf = (storages: readonly Stored[], storage: string, path: string): Overlap[] => {
  const own = storages.find(({ uid }) => uid === storage);
  if (own === undefined) return [];
  const location = own.facts.place + path;
  return storages.flatMap(({ uid, facts }) => {
    const span = spanIn(facts.place, location);
    return span === null ? [] : [{ storage: uid, span }];
  });
};

/**
 * The storage that keeps Lethe from deleting an object: its own, or one that it lies in or that lies in it, is not managed. What is not
 * to be touched stays so through whichever storage it is reached. Null where Lethe may delete.
 */
export const unmanagedAt = (storages: readonly Stored[], storage: string, path: string): Stored | null => {
  const own = storages.find(({ uid }) => uid === storage);
  if (own === undefined || !own.facts.managed) return own ?? { uid: storage, facts: UNKNOWN };
  const location = own.facts.place + path;
  return storages.find(({ facts }) => !facts.managed && spanIn(facts.place, location) !== null) ?? null;
};

const UNKNOWN: StorageFacts = { name: 'that is not registered any more', root: '', managed: false, place: '' };

/** The live file records whose objects overlap: of each place at least until they are enough. */
export const filesIn = async (
  model: ReadModel,
  overlaps: readonly Overlap[],
  enough: Enough = all,
): Promise<CatalogueRow[]> => {
  const found: CatalogueRow[] = [];
  for (const { storage, span } of overlaps) {
    const here: Condition[] = [
      { path: 'record.fields.storage', op: 'eq', value: storage },
      { path: 'live', op: 'eq', value: true },
    ];
    for (const where of conditionsOf('record.fields.path', span)) {
      found.push(...(await gather(pages(model, 'catalogue', [...here, ...where]), enough)));
    }
  }
  return unique(found);
};

/** Deletions that stand, those that stood after a position and have ended, or those of these that linger. */
export type Deletions = 'standing' | { readonly endedAfter: number } | { readonly lingeringAfter: number };

const deletionsWhere = (which: Deletions): Condition[] => {
  if (which === 'standing') return [{ path: 'deleting', op: 'eq', value: true }];
  if ('endedAfter' in which) return [{ path: 'stoodUntil', op: 'gt', value: which.endedAfter }];
  return [
    { path: 'lingers', op: 'eq', value: true },
    { path: 'stoodUntil', op: 'gt', value: which.lingeringAfter },
  ];
};

const deletionsBy = (which: Deletions): string[] =>
  which === 'standing' ? ['object.storage', 'object.path'] : ['stoodUntil'];

/** The purges for which such a deletion is, or was, of an object that overlaps. */
export const deletionsIn = async (
  model: ReadModel,
  overlaps: readonly Overlap[],
  which: Deletions = 'standing',
): Promise<PurgeRow[]> => {
  const found: PurgeRow[] = [];
  for (const { storage, span } of overlaps) {
    const here: Condition[] = [...deletionsWhere(which), { path: 'object.storage', op: 'eq', value: storage }];
    for (const where of conditionsOf('object.path', span)) {
      found.push(...(await gather(pages(model, 'purges', [...here, ...where]), () => false)));
    }
  }
  return unique(found);
};

/** Whether any deletion that ended after this position stands past its end; after 0: whether any ever did. */
export const lingersAfter = async (model: ReadModel, position: number): Promise<boolean> => {
  const which = { lingeringAfter: position };
  const sort = deletionsBy(which).map(ascending);
  return (await model.find('purges', { where: deletionsWhere(which), sort, after: null, limit: 1 })).length > 0;
};

/** Every such deletion, wherever; null where there are more than a thousand. */
export const fewDeletions = async (model: ReadModel, which: Deletions): Promise<PurgeRow[] | null> => {
  // Sorted as the index is: no more rows are read than are taken.
  const sort = deletionsBy(which).map(ascending);
  const rows = await model.find('purges', { where: deletionsWhere(which), sort, after: null, limit: FEW + 1 });
  return rows.length > FEW ? null : rows;
};

/**
 * The position after which an end is less than an hour old at `position`: that of the tick before the last one by then.
 * @param position null: the checkpoint
 * @param ticks the positions of those that are not in the model yet, rising
 * @returns 0 where there were not two ticks: every end is that young
 */
export const anHourBefore = async (
  model: ReadModel,
  position: number | null,
  ticks: readonly number[] = [],
): Promise<number> => {
  const late = position === null ? ticks : ticks.filter((tick) => tick <= position);
  const [second] = late.slice(-2, -1);
  if (second !== undefined) return second;
  const rows = await model.find('history', {
    where: [
      // Only ticks have a log time; it is what finds them by an index.
      { path: 'data.logTimeMs', op: 'null', value: false },
      ...(position === null ? [] : [{ path: 'position', op: 'lte', value: String(position) } as const]),
    ],
    sort: [{ path: 'position', descending: true }],
    after: null,
    limit: 2 - late.length,
  });
  return Number(rows[1 - late.length]?.position ?? 0);
};

/** Who else lives on a file's object. */
export const sharersOf = async (model: ReadModel, ref: Ref, fields: FileFields): Promise<Ref[]> => {
  const storages = storedOf(await allStorages(model));
  const rows = await filesIn(model, overlapsOf(storages, fields.storage, fields.path));
  return rows.filter((row) => !sameRef(row, ref)).map(({ registry, uid }) => ({ registry, uid }));
};

const conditionsOf = (path: string, span: Span): Condition[][] => {
  if (span.all) return [[]];
  const exact: Condition[] = [{ path, op: 'in', value: span.paths }];
  return span.under === null ? [exact] : [exact, [{ path, op: 'startsWith', value: span.under }]];
};

const unique = <R extends Ref>(rows: readonly R[]): R[] => [...new Map(rows.map((row) => [refKey(row), row])).values()];
