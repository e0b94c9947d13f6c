import type {
  BulkAnswer,
  CommandAnswer,
  DatasetAnswer,
  EmptyingPreview,
  FileAnswer,
  HistoryAnswer,
  List,
  ObjectRow,
  OperationAnswer,
  PlainAnswer,
  PreviewAnswer,
  ProblemAnswer,
  PurgeAnswer,
  Readiness,
  RecordAnswer,
  Ref,
  Registry,
  Stats,
  Tombstone,
  Totals,
  TrashList,
} from './answers.js';

/*
 * Whether an answer is what was asked for. Each guard looks at the members that tell one shape from another, so that a proxy's page or
 * another service's JSON is noticed; that the rest is as the API's schemas say is the API's promise.
 */

export type Guard<T> = (body: unknown) => body is T;

type Members = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const hasText = (value: Members, ...names: string[]): boolean => names.every((name) => typeof value[name] === 'string');

const isRef = (body: unknown): body is Ref => isObject(body) && hasText(body, 'registry', 'uid');

export const isRecord = (body: unknown): body is RecordAnswer => isRef(body) && 'createdAt' in body;
export const isFile = (body: unknown): body is FileAnswer => isRecord(body) && body.registry === 'files';
export const isDataset = (body: unknown): body is DatasetAnswer => isRecord(body) && body.registry === 'datasets';
export const isPlain = (body: unknown): body is PlainAnswer => isRecord(body) && 'data' in body;
export const isCommand = (body: unknown): body is CommandAnswer =>
  isObject(body) && hasText(body, 'outcome') && Array.isArray(body['warnings']);
export const isPurge = (body: unknown): body is PurgeAnswer => isRef(body) && 'attempts' in body;
export const isHistory = (body: unknown): body is HistoryAnswer => isRef(body) && 'commandId' in body;
export const isObjectRow = (body: unknown): body is ObjectRow => isObject(body) && hasText(body, 'path');
export const isRegistry = (body: unknown): body is Registry => isObject(body) && hasText(body, 'name', 'kind');
export const isOperation = (body: unknown): body is OperationAnswer =>
  isObject(body) && hasText(body, 'id', 'state') && isObject(body['counts']);
export const isBulk = (body: unknown): body is BulkAnswer => isObject(body) && Array.isArray(body['results']);
export const isStats = (body: unknown): body is Stats =>
  isObject(body) && Array.isArray(body['groups']) && isObject(body['projection']);
export const isReadiness = (body: unknown): body is Readiness =>
  isObject(body) &&
  hasText(body, 'status') &&
  isObject(body['notReady']) &&
  Object.values(body['notReady']).every((why) => typeof why === 'string');
export const isPreview = (body: unknown): body is PreviewAnswer => isRef(body) && 'object' in body;
export const isTombstone = (body: unknown): body is Tombstone => isRef(body) && 'receipt' in body;
export const isTotals = (body: unknown): body is Totals =>
  isObject(body) && typeof body['records'] === 'number' && typeof body['bytes'] === 'number';
export const isEmptyingPreview = (body: unknown): body is EmptyingPreview =>
  isObject(body) && body['dryRun'] === true && isTotals(body['totals']);
export const isProblem = (body: unknown): body is ProblemAnswer =>
  isObject(body) && hasText(body, 'code', 'detail') && typeof body['status'] === 'number';

export const isRefs = (value: unknown): value is readonly Ref[] => Array.isArray(value) && value.every(isRef);

export const isListOf =
  <T>(isItem: Guard<T>): Guard<List<T>> =>
  (body): body is List<T> =>
    isObject(body) &&
    Array.isArray(body['items']) &&
    body['items'].every((item) => isItem(item)) &&
    (body['next'] === null || typeof body['next'] === 'string');

export const isTrashList = (body: unknown): body is TrashList =>
  isListOf(isRecord)(body) && 'totals' in body && isTotals(body.totals);
