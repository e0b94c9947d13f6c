import type { DatasetFields, FileFields } from '../../src/events/events.js';
import type { RecordState } from '../../src/events/record.js';
import type {
  CatalogueRow,
  HistoryRow,
  OperationRow,
  Path,
  PurgeRow,
  Scalar,
  StatsRow,
  WithdrawalRow,
} from '../../src/storage/read-model/port.js';

/** Rows for tests of a read model: whole ones, of which a test names what it is about. */

export const uid = (name: string | number): string => String(name).padStart(20, '0');
export const STORAGE = uid('storage');
const AT = '2026-11-01T00:00:00.000Z';

const fileFields: FileFields = {
  kind: 'file',
  key: null,
  keyIsVirtual: true,
  storage: STORAGE,
  path: '.lethe/x',
  suffix: null,
  accessor: null,
  description: null,
  version: null,
  initialVersion: null,
  size: 1,
  hash: 'h',
  hashType: 'md5',
  objects: 1,
  run: null,
  transform: null,
  labels: [],
  own: true,
  seen: null,
};

const state = (registry: string, name: string | number, fields: RecordState['fields']): RecordState => ({
  registry,
  uid: uid(name),
  revision: 0,
  position: 1,
  fields,
  visibility: 1,
  hold: null,
  createdBy: 'ann',
  createdAt: AT,
  updatedAt: AT,
  registeredAt: 1,
  trashing: null,
  purge: null,
});

export interface Over {
  readonly row?: Partial<Omit<CatalogueRow, 'record'>>;
  readonly record?: Partial<RecordState>;
}

export const file = (
  name: string | number,
  fields: Partial<FileFields> = {},
  { row, record }: Over = {},
): CatalogueRow => inCatalogue({ ...state('files', name, { ...fileFields, ...fields }), ...record }, row);

export const dataset = (
  name: string | number,
  fields: Partial<DatasetFields> = {},
  { row, record }: Over = {},
): CatalogueRow => {
  const all: DatasetFields = {
    kind: 'dataset',
    name: null,
    description: null,
    version: null,
    initialVersion: null,
    files: [],
    run: null,
    transform: null,
    labels: [],
    ...fields,
  };
  return inCatalogue({ ...state('datasets', name, all), ...record }, row);
};

const inCatalogue = (record: RecordState, row: Over['row']): CatalogueRow => {
  const { registry, uid } = record;
  return {
    registry,
    uid,
    live: true,
    isLatest: true,
    startsLine: false,
    pointsTo: [],
    due: [],
    since: { position: 1, at: AT },
    ...row,
    record,
  };
};

export const trashed = (at: string): Partial<RecordState> => ({
  visibility: -1,
  trashing: { from: 1, at, by: 'ann', reason: null, purgeAfter: null, revision: 1, position: 2 },
});

export const event = (position: number, over: Partial<HistoryRow> = {}): HistoryRow => ({
  position: String(position),
  registry: 'files',
  uid: uid(1),
  revision: 0,
  id: '00000000-0000-4000-8000-000000000000',
  at: AT,
  actor: 'ann',
  type: 'RecordTrashed',
  version: 1,
  reason: null,
  data: { from: 1 },
  commandId: '00000000-0000-4000-8000-000000000000',
  correlationId: 'c',
  previous: null,
  ...over,
});

export const withdrawal = (
  name: string | number,
  position: number,
  over: Partial<WithdrawalRow> = {},
): WithdrawalRow => ({
  registry: 'datasets',
  uid: uid(name),
  kind: 'registration',
  revision: 0,
  position,
  targets: [{ registry: 'files', uid: uid(1) }],
  open: true,
  ...over,
});

export const purge = (name: string | number, position: number, over: Partial<PurgeRow> = {}): PurgeRow => ({
  registry: 'files',
  uid: uid(name),
  state: 'pending',
  open: true,
  verdict: { fate: 'delete' },
  purge: {
    request: 1,
    position,
    at: AT,
    by: 'ann',
    reason: null,
    commandId: '00000000-0000-4000-8000-000000000000',
    correlationId: 'c',
    storage: null,
    withdraws: null,
    operation: null,
    attempts: 0,
    failure: null,
    started: null,
    keepAsked: null,
    outcome: null,
    ended: null,
  },
  object: { storage: STORAGE, path: '.lethe/x', keyIsVirtual: true, objects: 1, bytes: 1 },
  deleting: true,
  stoodUntil: null,
  lingers: false,
  ...over,
});

export const operation = (id: string, over: Partial<OperationRow> = {}): OperationRow => ({
  id,
  kind: 'empty-trash',
  state: 'running',
  criteria: {},
  position: '1',
  total: { records: 0, bytes: 0 },
  purged: 0,
  skippedCount: 0,
  skipped: [],
  startedBy: 'ann',
  startedAt: AT,
  endedAt: null,
  reason: null,
  correlationId: 'c',
  revision: 0,
  ...over,
});

export const stats = (over: Partial<StatsRow> = {}): StatsRow => ({
  registry: 'files',
  suffix: null,
  visibility: 1,
  records: 0,
  bytes: 0,
  ...over,
});

/** The value at a path, as a caller takes it for `after`. */
export const at = (row: object, path: Path): Scalar => {
  const value = path.split('.').reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : null), row);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
