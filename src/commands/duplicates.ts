import type { FileFields } from '../events/events.js';
import type { RecordState } from '../events/record.js';
import { VISIBLE, TRASHED, type Visibility } from '../events/vocabulary.js';
import type { ObjectStore } from '../storage/object-store/port.js';
import type { CatalogueRow, ReadModel } from '../storage/read-model/port.js';
import { listing, type Content } from './content.js';

export interface Same {
  /** The first visible record with that content in that storage. */
  readonly visible: CatalogueRow | null;
  /** Visible ones before it whose object is not in the store any more: that they were given it is no reason to throw the same away. */
  readonly missing: readonly CatalogueRow[];
  /** Those that lie in the trash. */
  readonly trashed: readonly CatalogueRow[];
}

/** The live records with this very content in this storage: equal hash, type and size and, for a folder, the same relative paths. */
export const sameContent = async (
  model: ReadModel,
  store: ObjectStore,
  storage: string,
  content: Content,
  folder: string | null,
  self: string,
  { trashedOnly = false } = {},
): Promise<Same> => {
  const rows = await model.find('catalogue', {
    where: [
      { path: 'record.fields.hash', op: 'eq', value: content.hash },
      { path: 'record.fields.hashType', op: 'eq', value: content.hashType },
      { path: 'record.fields.size', op: 'eq', value: content.size },
      { path: 'record.fields.storage', op: 'eq', value: storage },
      // The record of this very command, which another try of it has registered, is a repeat and no duplicate.
      { path: 'uid', op: 'ne', value: self },
      { path: 'live', op: 'eq', value: true },
      ...(trashedOnly ? [{ path: 'record.visibility', op: 'eq', value: TRASHED } as const] : []),
    ],
    // Visible ones first: they decide, however many copies lie in the trash.
    sort: [
      { path: 'record.visibility', descending: true },
      { path: 'record.createdAt', descending: false },
      { path: 'uid', descending: false },
    ],
    after: null,
    limit: 100,
  });
  const same: CatalogueRow[] = [];
  const paths = folder === null ? null : await relativePaths(store, folder);
  for (const row of rows) {
    const { fields } = row.record;
    if (fields.kind !== 'file') continue;
    if (paths === null || (await relativePaths(store, fields.path)) === paths) same.push(row);
  }
  const missing: CatalogueRow[] = [];
  let visible: CatalogueRow | null = null;
  for (const row of same.filter(({ record }) => record.visibility === VISIBLE)) {
    if (await isThere(store, row)) {
      visible = row;
      break;
    }
    missing.push(row);
  }
  return {
    visible,
    missing,
    trashed: same.filter(({ record }) => record.visibility === TRASHED),
  };
};

/** A folder was compared by what lies in it. */
const isThere = async (store: ObjectStore, { record: { fields } }: CatalogueRow): Promise<boolean> =>
  fields.kind === 'file' && (fields.path.endsWith('/') || (await store.stat(fields.path)) !== null);

const relativePaths = async (store: ObjectStore, folder: string): Promise<string> =>
  JSON.stringify((await listing(store, folder)).map(({ path }) => path.slice(folder.length)));

/** What a caller says of a file that a record may carry otherwise. */
export type Wanted = Pick<
  FileFields,
  'key' | 'keyIsVirtual' | 'suffix' | 'accessor' | 'description' | 'version' | 'initialVersion' | 'run' | 'transform'
> & { readonly labels: readonly string[]; readonly visibility: Visibility };

/** The names of the caller's metadata that an existing record does not carry: it is left as it is. What was not said is not missed. */
export const notTaken = ({ fields, visibility }: RecordState, wanted: Wanted): string[] => {
  if (fields.kind !== 'file') return [];
  const has: Wanted = { ...fields, visibility };
  const left = (
    [
      'key',
      'suffix',
      'accessor',
      'description',
      'version',
      'initialVersion',
      'labels',
      'run',
      'transform',
      'visibility',
    ] as const
  ).filter((name) => isSaid(wanted[name]) && JSON.stringify(wanted[name]) !== JSON.stringify(has[name]));
  // A virtual key is the default: only who asked for a semantic one misses it.
  return !wanted.keyIsVirtual && has.keyIsVirtual ? ['keyIsVirtual', ...left] : left;
};

const isSaid = (value: Wanted[keyof Wanted]): boolean =>
  value !== null && !(typeof value === 'object' && value.length === 0);
