import { isDeepStrictEqual } from 'node:util';
import type { RunningService } from '../harness/service.js';
import { md5Of } from './kill.disk.js';
import { differences, type Ledger, type Violation } from './kill.ledger.js';

/** How many requests are under way at once. */
const LANES = 8;
/** How many uids one list is asked for. */
const CHUNK = 50;
/** How many contents are read of those that were touched. */
const CONTENTS = 10;

/** What the service answers of these records, held against the log: history, the record, the lists that it is in. */
export const checkReads = async (
  service: RunningService,
  ledger: Ledger,
  records: readonly string[],
): Promise<Violation[]> => {
  const found: Violation[] = [];
  const queue = [...records];
  const lane = async (): Promise<void> => {
    for (let record = queue.pop(); record !== undefined; record = queue.pop()) {
      found.push(...(await checkHistory(service, ledger, record)), ...(await checkRecord(service, ledger, record)));
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  found.push(...(await checkContents(service, ledger, records)));
  for (const [registry, uids] of byRegistry(records)) {
    for (let from = 0; from < uids.length; from += CHUNK) {
      const some = uids.slice(from, from + CHUNK);
      found.push(...(await checkLists(service, ledger, registry, some, `uid[in]=${some.join(',')}`)));
    }
  }
  return found;
};

/** Every list whole, and the trash. */
export const checkAllLists = async (service: RunningService, ledger: Ledger): Promise<Violation[]> => {
  const found: Violation[] = [];
  for (const [registry, uids] of byRegistry([...ledger.states.keys()]))
    found.push(...(await checkLists(service, ledger, registry, uids, 'sort=uid')));
  const expected = [...ledger.states]
    .filter(([, { purge, visibility }]) => purge === null && visibility === -1)
    .map(([record]) => record);
  const listed = await pages(service, '/v1/trash?limit=1000');
  found.push(...same('the trash', expected, listed));
  return found;
};

const byRegistry = (records: readonly string[]): Map<string, string[]> => {
  const registries = new Map<string, string[]>();
  for (const record of records) {
    const [registry = '', uid = ''] = record.split('/');
    registries.set(registry, [...(registries.get(registry) ?? []), uid]);
  }
  return registries;
};

const checkHistory = async (service: RunningService, ledger: Ledger, record: string): Promise<Violation[]> => {
  const answer = await service.request('GET', `/v1/${record}/history?limit=1000`);
  if (answer.status !== 200) return [{ what: `its history answers ${answer.status}`, record }];
  const expected = (ledger.streams.get(record) ?? []).map(({ event, meta, id, revision, position }) => {
    const { type, ...data } = event;
    const { actor, at, commandId, correlationId, previous, reason, version } = meta;
    const [registry, uid] = record.split('/');
    return {
      ...{ position: String(position), registry, uid, revision, id, at, actor, type, version, reason, data },
      ...{ commandId, correlationId, previous },
    };
  });
  return isDeepStrictEqual(answer.body.items, expected)
    ? []
    : [{ what: `its history is not what the log holds: ${JSON.stringify(answer.body.items)}`, record }];
};

const checkRecord = async (service: RunningService, ledger: Ledger, record: string): Promise<Violation[]> => {
  const state = ledger.states.get(record);
  if (state === undefined) return [{ what: 'it has events and no state', record }];
  const { status, body } = await service.request('GET', `/v1/${record}`);
  if (state.purge !== null) {
    const { state: end, revision } = body.tombstone ?? {};
    if (status === 410 && end === 'purged' && revision === state.revision) return [];
    return [{ what: `it was purged, and a GET answers ${status} ${JSON.stringify(body)}`, record }];
  }
  if (status !== 200) return [{ what: `it is live, and a GET answers ${status} ${JSON.stringify(body)}`, record }];
  return differences(body, state).map((what) => ({ what, record }));
};

const checkContents = async (
  service: RunningService,
  ledger: Ledger,
  records: readonly string[],
): Promise<Violation[]> => {
  const found: Violation[] = [];
  const files = records.flatMap((record) => {
    const state = ledger.states.get(record);
    if (state?.fields.kind !== 'file' || state.purge !== null || state.fields.path.endsWith('/')) return [];
    return [{ record, hash: state.fields.hash }];
  });
  for (const { record, hash } of files.slice(0, CONTENTS)) {
    const response = await fetch(`${service.url}/v1/${record}/content?visibility=any`);
    const md5 = md5Of(new Uint8Array(await response.arrayBuffer()));
    if (response.status !== 200 || md5 !== hash)
      found.push({ what: `its content answers ${response.status} with the MD5 ${md5}, not ${hash}`, record });
  }
  return found;
};

/** Each visibility lists exactly the records that have it, and `any` all of them. */
const checkLists = async (
  service: RunningService,
  ledger: Ledger,
  registry: string,
  uids: readonly string[],
  query: string,
): Promise<Violation[]> => {
  const found: Violation[] = [];
  for (const visibility of ['any', '1', '0', '-1']) {
    const expected = uids
      .map((uid) => ({ record: `${registry}/${uid}`, state: ledger.states.get(`${registry}/${uid}`) }))
      .filter(({ state }) => state?.purge === null && (visibility === 'any' || String(state.visibility) === visibility))
      .map(({ record }) => record);
    const listed = await pages(service, `/v1/${registry}?${query}&visibility=${visibility}&limit=1000`);
    found.push(...same(`the list of ${registry} with visibility ${visibility}`, expected, listed));
  }
  return found;
};

const pages = async (service: RunningService, path: string): Promise<string[]> => {
  const listed: string[] = [];
  for (let cursor = ''; ;) {
    const { status, body } = await service.request('GET', `${path}${cursor}`);
    if (status !== 200) throw new Error(`${path} answers ${status} ${JSON.stringify(body)}`);
    for (const { registry, uid } of body.items) listed.push(`${registry}/${uid}`);
    if (body.next === null) return listed;
    cursor = `&cursor=${body.next}`;
  }
};

const same = (list: string, expected: readonly string[], listed: readonly string[]): Violation[] => {
  const found: Violation[] = [];
  const once = new Set(listed);
  if (once.size < listed.length) found.push({ what: `${list} names a record twice`, record: null });
  const wanted = new Set(expected);
  for (const record of wanted) if (!once.has(record)) found.push({ what: `${list} leaves it out`, record });
  for (const record of once) if (!wanted.has(record)) found.push({ what: `${list} has it, and should not`, record });
  return found;
};
