import type { HistoryAnswer, PurgeAnswer, RecordAnswer } from '../api/answers.js';
import { recordQuery, type ListQuery } from '../api/query-language.js';
import { historyWire, purgeWire, recordWire } from '../api/wire.js';
import { Invalid } from '../commands/refusals.js';
import type { Recorded } from '../events/events.js';
import { refKey, type Ref } from '../events/vocabulary.js';
import type { Condition } from '../storage/read-model/port.js';
import { folded, readLogFile } from './folding.js';
import type { AtOnce } from './in-memory-read-model.js';

/**
 * What a list's query parameters take, under the same names: `{ registry: 'files', 'size[gte]': 1000, visibility: 'any', sort: '-size' }`.
 * Without a `registry` all are asked that have the fields. `null` stands for `any` visibility, and elsewhere for an absent value. All rows
 * come that match, where no `limit` says otherwise.
 */
export type ReplayQuery = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** What an events file comes to, with the answers that a service would give on it. */
export interface Replayed {
  /** How many events were folded, and the position of the last. */
  readonly events: number;
  readonly position: string;
  /** The records that match, as the API shows them: visible ones, if the query does not say otherwise. @throws Invalid as the API does */
  find(query?: ReplayQuery): RecordAnswer[];
  count(query?: ReplayQuery): number;
  /** A record, trashed or not; null where there is none, or none any more. */
  get(ref: Ref): RecordAnswer | null;
  /** The events of one record, or of all, oldest first. */
  history(ref?: Ref): HistoryAnswer[];
  /** The purges, oldest first, in all states or in one. */
  purges(state?: PurgeAnswer['state']): PurgeAnswer[];
  /** What lies in the trash. */
  trash(): RecordAnswer[];
}

/**
 * Folds a log into projections in memory: the file that `lethe events export` wrote, or events as a TestLog has them (`log.recorded`).
 * @throws BadLine where the file is no export, with the line and what to do
 */
export const replay = async (source: string | URL | readonly Recorded[]): Promise<Replayed> => {
  const log = typeof source === 'string' || source instanceof URL ? await readLogFile(source) : source;
  return answering((await folded(log)).atOnce, log);
};

const answering = (model: AtOnce, log: readonly Recorded[]): Replayed => {
  const registries = registriesOf(log);
  const find = (query: ReplayQuery = {}): RecordAnswer[] =>
    queriesOf(registries, query).flatMap(({ find }) =>
      model
        .find('catalogue', { ...find, limit: query['limit'] === undefined ? Infinity : find.limit })
        .map(({ record, isLatest }) => recordWire(record, isLatest)),
    );
  return {
    events: log.length,
    position: String(log.at(-1)?.position ?? 0),
    find,
    count: (query = {}) =>
      queriesOf(registries, query).reduce((sum, { find: { where } }) => sum + model.total('catalogue', where).rows, 0),
    get: (ref) => {
      const [row] = model.get('catalogue', [refKey(ref)]).filter(({ live }) => live);
      return row === undefined ? null : recordWire(row.record, row.isLatest);
    },
    history: (ref) => model.find('history', inOrder('position', ref === undefined ? [] : ofRef(ref))).map(historyWire),
    purges: (state) => {
      const where: Condition[] = state === undefined ? [] : [{ path: 'state', op: 'eq', value: state }];
      return model.find('purges', inOrder('purge.position', where)).map(purgeWire);
    },
    trash: () => find({ visibility: -1 }),
  };
};

const registriesOf = (log: readonly Recorded[]): string[] =>
  [...new Set(log.flatMap(({ event, registry }) => (event.type === 'RecordRegistered' ? [registry] : [])))].sort();

/** One query a registry. @throws Invalid where none of them takes it */
const queriesOf = (registries: readonly string[], { registry, ...query }: ReplayQuery): ListQuery[] => {
  const parameters = new Map(Object.entries(query).flatMap(([name, value]) => parameterOf(name, value)));
  if (registry !== undefined) return [recordQuery(String(registry), parameters)];
  const refused: Invalid[] = [];
  const taken = registries.flatMap((name) => {
    try {
      return [recordQuery(name, parameters)];
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      refused.push(error);
      return [];
    }
  });
  const [first] = refused;
  if (taken.length === 0 && first !== undefined) throw first;
  return taken;
};

const parameterOf = (name: string, value: ReplayQuery[string]): [string, string][] => {
  if (value === undefined) return [];
  if (value !== null) return [[name, String(value)]];
  return name === 'visibility' ? [[name, 'any']] : [[`${name}[null]`, 'true']];
};

const ofRef = ({ registry, uid }: Ref): Condition[] => [
  { path: 'registry', op: 'eq', value: registry },
  { path: 'uid', op: 'eq', value: uid },
];

const inOrder = (path: string, where: readonly Condition[]) => ({
  where,
  sort: [{ path, descending: false }],
  after: null,
  limit: Infinity,
});
