import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startService, temporaryFolder, upload, type Answer, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/** A service with records of every registry, in every state that a record can be in. */
export interface Seeded {
  readonly service: RunningService;
  /** By registry, and the operations under `operations`. */
  readonly uids: Readonly<Record<string, readonly string[]>>;
  /** Uid and name of a storage that cannot be reached. */
  readonly broken: readonly string[];
}

const PURGES = { attempts: 1, firstWaitMs: 1, maxWaitMs: 1 };
const REGISTRIES = {
  samples: { schema: { type: 'object', properties: { grams: { type: 'integer', minimum: 0 } } } },
  sites: {},
};

/** Starts one in a folder of its own. @throws Error where the service takes one of its records not as it should */
export const startSeeded = async (): Promise<Seeded> => {
  const data = await temporaryFolder();
  const lab = join(data, 'lab');
  const broken = join(data, 'broken');
  const lake = join(data, 'lake');
  for (const root of [lab, broken, lake]) await mkdir(root);
  const storages = [
    { name: 'lab', root: `file:${lab}` },
    { name: 'broken', root: `file:${broken}` },
    { name: 'lake', root: `file:${lake}`, managed: false },
  ];
  const service = await startService({ data, config: { registries: REGISTRIES, storages, purges: PURGES } });
  const uids = await seed(service, { lab, broken, lake });
  const { items } = (await service.request('GET', '/v1/storages?name=broken')).body;
  return { service, uids, broken: ['broken', items[0].uid] };
};

type Roots = Readonly<Record<'lab' | 'broken' | 'lake', string>>;

const seed = async (service: RunningService, roots: Roots): Promise<Record<string, string[]>> => {
  const uids: Record<string, string[]> = {};
  const ask = async (method: string, path: string, options: Parameters<RunningService['request']>[2] = {}) => {
    const answer = await service.request(method, path, options);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  };
  const add = async (registry: string, options: Parameters<RunningService['request']>[2]): Promise<string> => {
    const { body }: Answer = await ask('POST', `/v1/${registry}`, options);
    uids[registry] = [...(uids[registry] ?? []), body.record.uid];
    return body.record.uid;
  };
  const file = (key: string, more: object = {}) => add('files', { body: upload({ key, ...more }, `of ${key}`) });
  const storage = async (name: string): Promise<string> =>
    (await ask('GET', `/v1/storages?name=${name}`)).body.items[0].uid;
  const trash = (of: string) => ask('DELETE', `/v1/${of}?permanent=false`);
  const purge = (of: string) => ask('DELETE', `/v1/${of}?permanent=true`, { headers: { prefer: 'wait=20' } });
  const hold = (of: string) => ask('PUT', `/v1/${of}/hold`, { json: { reason: 'an audit' } });

  uids['storages'] = (await ask('GET', '/v1/storages')).body.items.map(({ uid }: { uid: string }) => uid);
  for (const registry of ['users', 'transforms', 'runs', 'labels', 'sites']) {
    await add(registry, { json: { name: `a ${registry}` } });
    await hold(`${registry}/${await add(registry, { json: { name: `held ${registry}` } })}`);
    await purge(`${registry}/${await add(registry, { json: { name: `purged ${registry}` } })}`);
  }
  await add('samples', { json: { name: 'a sample', data: { grams: 3 } } });

  const visible = await file('visible.csv');
  const hidden = await file('hidden.csv');
  await ask('PATCH', `/v1/files/${hidden}`, { json: { visibility: 0 } });
  await trash(`files/${await file('trashed.csv')}`);
  const held = await file('held.csv');
  await hold(`files/${held}`);
  await trash(`files/${held}`);
  await purge(`files/${await file('purged.csv')}`);
  await mkdir(join(roots.lab, 'folder'));
  for (const name of ['a', 'b']) await writeFile(join(roots.lab, 'folder', name), name);
  await add('files', { json: { storage: await storage('lab'), path: 'folder/' } });
  await writeFile(join(roots.lake, 'foreign'), 'foreign');
  await add('files', { json: { storage: await storage('lake'), path: 'foreign' } });

  await add('datasets', { json: { name: 'a dataset', files: [visible] } });
  await trash(`datasets/${await add('datasets', { json: { name: 'trashed' } })}`);
  await hold(`datasets/${await add('datasets', { json: { name: 'held' } })}`);
  await purge(`datasets/${await add('datasets', { json: { name: 'purged' } })}`);

  // A storage that is no longer a folder: what lies there can't be deleted, and its purge ends as parked.
  const stuck = await file('stuck.csv', { storage: await storage('broken') });
  await rm(roots.broken, { recursive: true });
  await writeFile(roots.broken, '');
  await ask('DELETE', `/v1/files/${stuck}?permanent=true`);
  await until('the purge is parked', async () => {
    return (await ask('GET', `/v1/purges/files/${stuck}`)).body.state === 'parked';
  });

  await trash(`files/${await file('emptied.csv')}`);
  const { body } = await ask('DELETE', '/v1/trash?permanent=true&registry=files');
  uids['operations'] = [body.id];
  await until('the trash is emptied', async () => {
    return (await ask('GET', `/v1/operations/${body.id}`)).body.state !== 'running';
  });
  await trash(`files/${await file('trashed again.csv')}`);
  return uids;
};
