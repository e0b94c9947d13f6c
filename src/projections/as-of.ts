import { refKey, type Ref } from '../events/vocabulary.js';
import type {
  CatalogueRow,
  Condition,
  Find,
  PurgeRow,
  ReadModel,
  Rows,
  Scalar,
  Sort,
} from '../storage/read-model/port.js';

/*
 * What the model held at an earlier moment. What still is so stands in the catalogue, what was so in `versions`; at any moment a record
 * has one row in both together. The catalogue is read first: a row that is replaced meanwhile is then found twice, and never missed.
 */

/** A moment in a record's life: after its event with this revision, or at a position of the log, or at a time in UTC with milliseconds. */
export type AsOf =
  | { readonly revision: number }
  | { readonly position: number }
  /** What counts from this very millisecond is in. */
  | { readonly at: string };

/** A record as it was; `purge` where that had ended by then. */
export interface Was {
  readonly row: CatalogueRow;
  readonly purge: PurgeRow | null;
}

/** @returns null where the record was not registered then. A moment that is yet to come is the caller's to refuse */
export const recordAsOf = async (model: ReadModel, ref: Ref, asOf: AsOf): Promise<Was | null> => {
  const [current] = await model.get('catalogue', [refKey(ref)]);
  if (current === undefined) return null;
  const last = await lastEvent(model, ref, asOf);
  if (last === null) return null;
  // By time an election of another record's may have come since the record's own last event.
  const moment: AsOf = 'revision' in asOf ? { position: Number(last.position) } : asOf;
  const row = isBegun(current, moment) ? current : await versionAt(model, ref, moment);
  if (row === null || row.live) return row === null ? null : { row, purge: null };
  const { ended } = row.record.purge ?? { ended: null };
  const purged = ended !== null && ended.position <= Number(last.position);
  const [purge] = purged ? await model.get('purges', [refKey(ref)]) : [];
  return { row: { ...row, record: { ...row.record, revision: last.revision } }, purge: purge ?? null };
};

const isBegun = ({ since }: CatalogueRow, moment: { position: number } | { at: string }): boolean =>
  'at' in moment ? since.at <= moment.at : since.position <= moment.position;

const lastEvent = async (model: ReadModel, { registry, uid }: Ref, asOf: AsOf): Promise<Rows['history'] | null> => {
  const [event] = await model.find('history', {
    where: [
      { path: 'uid', op: 'eq', value: uid },
      { path: 'registry', op: 'eq', value: registry },
      'revision' in asOf
        ? { path: 'revision', op: 'eq', value: asOf.revision }
        : 'at' in asOf
          ? { path: 'at', op: 'lte', value: asOf.at }
          : { path: 'position', op: 'lte', value: asOf.position },
    ],
    sort: [{ path: 'revision', descending: true }],
    after: null,
    limit: 1,
  });
  return event ?? null;
};

/** The last that had begun: intervals follow each other without a gap, and of those that begin at one time all but the last are empty. */
const versionAt = async (
  model: ReadModel,
  { registry, uid }: Ref,
  moment: { position: number } | { at: string },
): Promise<CatalogueRow | null> => {
  const [version] = await model.find('versions', {
    where: [
      { path: 'uid', op: 'eq', value: uid },
      { path: 'registry', op: 'eq', value: registry },
      'at' in moment
        ? { path: 'since.at', op: 'lte', value: moment.at }
        : { path: 'since.position', op: 'lte', value: moment.position },
    ],
    sort: [{ path: 'since.position', descending: true }],
    after: null,
    limit: 1,
  });
  return version ?? null;
};

/** A page of a list as it was at a time: filters and order mean what was so then. */
export const listAsOf = async (model: ReadModel, find: Find, at: string): Promise<CatalogueRow[]> => {
  const current = await model.find('catalogue', { ...find, where: [...find.where, ...begun(at)] });
  const former = await model.find('versions', { ...find, where: [...find.where, ...begun(at), goesOnAfter(at)] });
  const rows = new Map([...former, ...current].map((row) => [refKey(row), row]));
  return [...rows.values()].sort((a, b) => inOrder(a, b, find.sort)).slice(0, find.limit);
};

/** How many there were. Asked again while the model moves in between, some times: a row that is replaced would count twice. */
export const totalAsOf = async (model: ReadModel, where: readonly Condition[], at: string): Promise<number> => {
  for (let attempt = 1; ; attempt += 1) {
    const before = await model.checkpoint();
    const current = await model.total('catalogue', [...where, ...begun(at)]);
    const former = await model.total('versions', [...where, ...begun(at), goesOnAfter(at)]);
    if (attempt === MOST_ATTEMPTS || (await model.checkpoint()) === before) return current.rows + former.rows;
  }
};
const MOST_ATTEMPTS = 5;

/** What was registered later did not begin before: said as well, since lists have an index on it. */
const begun = (at: string): Condition[] => [
  { path: 'record.createdAt', op: 'lte', value: at },
  { path: 'since.at', op: 'lte', value: at },
];
const goesOnAfter = (at: string): Condition => ({ path: 'until.at', op: 'gt', value: at });

/** The port's order: null lowest, text by code point. */
const inOrder = (a: CatalogueRow, b: CatalogueRow, sort: readonly Sort[]): number => {
  for (const { path, descending } of sort) {
    const difference = compare(scalarAt(a, path), scalarAt(b, path));
    if (difference !== 0) return descending ? -difference : difference;
  }
  return 0;
};

const compare = (a: Scalar, b: Scalar): number => {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  // UTF-8 sorts as code points do; JavaScript compares code units.
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return Number(a) - Number(b);
};

/** What stands at a path, where that can be sorted by; null where nothing does. */
export const scalarAt = (row: unknown, path: string): Scalar => {
  let value: unknown = row;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return null;
    value = new Map<string, unknown>(Object.entries(value)).get(name);
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
};
