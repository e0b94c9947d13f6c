import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { startService, upload, type Answer, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/*
 * Data folders as versions of Lethe left them, each with a few records in every state, and what a service on it answers. The folders are
 * never edited. Answers may gain a field, when the API does.
 *
 * `LETHE_GOLDEN=write npx vitest run test/data-folder.test.ts` writes today's where it is missing, and no other. Raise TODAY where what lies
 * in a data folder changes.
 */

const TODAY = 1;
const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const ANSWERS = 'answers.json';
/** Where today's is made. Storages remember where they lay, so it is a place that tells nothing. */
const MADE_AT = '/tmp/lethe-data-folder';

const nameOf = (version: number): string => `data-folder-v${version}`;
export const expectedNames = (): string[] => Array.from({ length: TODAY }, (_, index) => nameOf(index + 1));
export const presentNames = async (): Promise<string[]> =>
  (await readdir(FOLDER)).filter((name) => name.startsWith('data-folder-v')).sort();

/** Copies one to where a service may work on it. */
export const copyTo = async (name: string, data: string): Promise<void> => {
  await cp(join(FOLDER, name, 'data'), data, { recursive: true });
};

export const goldenAnswers = async (name: string): Promise<Readonly<Record<string, unknown>>> =>
  JSON.parse(await readFile(join(FOLDER, name, ANSWERS), 'utf8')) as Record<string, unknown>;

const READ_BY_ALL = ['/v1', '/v1/trash', '/v1/purges', '/v1/operations'];

/** All that a service has to say of its records, by address. What differs from start to start, and from place to place, is left out. */
export const answersOf = async (service: RunningService): Promise<Record<string, unknown>> => {
  const answers: Record<string, unknown> = {};
  const ask = async (path: string): Promise<Answer['body']> => {
    const { status, body } = await service.request('GET', path);
    answers[path] = { status, body: typeof body === 'object' ? lasting(body) : body };
    return body;
  };
  for (const path of READ_BY_ALL) await ask(path);
  const refs: { registry: string; uid: string }[] = [...(await ask('/v1/purges')).items];
  for (const { name } of (await ask('/v1')).items) {
    const query = ['files', 'datasets'].includes(name) ? '?visibility=any&' : '?';
    refs.push(...(await ask(`/v1/${name}${query}sort=createdAt`)).items);
  }
  for (const { registry, uid } of refs) {
    await ask(`/v1/${registry}/${uid}`);
    await ask(`/v1/${registry}/${uid}/history`);
    if (registry !== 'files') continue;
    const objects: { items?: { path: string }[] } = await ask(`/v1/files/${uid}/objects`);
    for (const { path } of objects.items ?? [])
      await ask(`/v1/files/${uid}/content?visibility=any${path.startsWith('zarr/') ? `&path=${path}` : ''}`);
  }
  return answers;
};

/** A list's position and a problem's id are this start's own; the storage `default` is told where it lies now. */
const lasting = (body: Answer['body']): unknown => {
  const { correlationId: _, position, ...rest } = body;
  if (body.items === undefined) return isDefault(rest) ? unplaced(rest) : { ...rest, ...(position && { position }) };
  const items = body.items.filter((item: Answer['body']) => !isMove(item));
  return { ...rest, items: items.map((item: Answer['body']) => (isDefault(item) ? unplaced(item) : item)) };
};

const isDefault = (record: Answer['body']): boolean => record.registry === 'storages' && record.name === 'default';
const unplaced = ({ updatedAt: _u, revision: _r, ...rest }: Answer['body']): unknown => rest;
const isMove = ({ type, actor }: Answer['body']): boolean =>
  type === 'RecordUpdated' && actor === 'system:configuration';

/** Writes today's where it is missing. */
export const writeMissing = async (): Promise<void> => {
  const target = join(FOLDER, nameOf(TODAY));
  if (existsSync(target)) return;
  await rm(MADE_AT, { recursive: true, force: true });
  await mkdir(MADE_AT);
  try {
    const service = await startService({ data: MADE_AT, env: { LETHE_CONFIG: await configuration() } });
    await furnish(service);
    const answers = await answersOf(service);
    if ((await service.stop()) !== 0) throw new Error(`the service did not end well:\n${service.log()}`);
    for (const name of ['events.sqlite', 'read-model.sqlite']) intoOneFile(join(MADE_AT, name));
    await cp(MADE_AT, join(target, 'data'), { recursive: true });
    await writeFile(join(target, ANSWERS), `${JSON.stringify(answers, null, 2)}\n`);
  } finally {
    await rm(MADE_AT, { recursive: true, force: true });
    await rm(`${MADE_AT}.json`, { force: true });
  }
};

/** A purge is parked at its first failure. It lies beside the folder: whoever opens the folder has a configuration of its own. */
const configuration = async (): Promise<string> => {
  await writeFile(`${MADE_AT}.json`, JSON.stringify({ purges: { attempts: 1 } }));
  return `${MADE_AT}.json`;
};

const intoOneFile = (file: string): void => {
  const db = new Database(file);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
};

/** What a caller says of one upload, again and again: a repeat is recognised as long as the log is there. */
export const REPEATED = { metadata: { key: 'repeated.csv' }, content: 'once', key: 'golden upload' };

/** Records in every state that there is. */
const furnish = async (service: RunningService): Promise<void> => {
  const headers = { 'x-actor': 'alice', 'x-correlation-id': 'golden', prefer: 'wait=20' };
  const ok = async (method: string, path: string, json?: object): Promise<Answer['body']> => {
    const answer = await service.request(method, path, json === undefined ? { headers } : { headers, json });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const register = async (registry: string, json: object): Promise<Answer['body']> =>
    (await ok('POST', `/v1/${registry}`, json)).record;
  const file = async (metadata: object, content: string, key: Record<string, string> = {}): Promise<Answer['body']> => {
    const body = upload(metadata, content, 'golden.csv');
    return (await service.request('POST', '/v1/files', { body, headers: { ...headers, ...key } })).body.record;
  };
  const put = async (path: string, content: string): Promise<void> => {
    await mkdir(join(MADE_AT, 'objects', path, '..'), { recursive: true });
    await writeFile(join(MADE_AT, 'objects', path), content);
  };

  const label = await register('labels', { name: 'a label', description: 'Grüße 😀', data: { n: [1, 2.5, null] } });
  await ok('PATCH', `/v1/labels/${label.uid}`, { data: { n: null, more: { deep: true } } });
  const run = await register('runs', { name: 'a run' });
  const transform = await register('transforms', { name: 'a transform' });
  await register('users', { name: 'alice' });
  await register('storages', { name: 'team', data: { root: `file:${MADE_AT}/objects/team`, managed: false } });

  const described = {
    description: 'all of it',
    version: '1',
    labels: [label.uid],
    run: run.uid,
    transform: transform.uid,
  };
  const visible = await file({ ...described, key: 'sales/2026.csv', accessor: 'table' }, 'a,b\n1,2\n');
  await file({ key: 'sales/2026.csv', version: '2', initialVersion: visible.uid }, 'a,b\n3,4\n');
  await file(REPEATED.metadata, REPEATED.content, { 'idempotency-key': REPEATED.key });
  await file({ key: 'hidden.csv', visibility: 0 }, 'hidden');
  const trashed = await file({ key: 'trashed.csv' }, 'trashed');
  await ok('DELETE', `/v1/files/${trashed.uid}?reason=no%20longer%20needed`);
  const wasHidden = await file({ visibility: 0 }, 'hidden, then trashed');
  await ok('DELETE', `/v1/files/${wasHidden.uid}`);
  const restored = await file({ key: 'restored.csv' }, 'restored');
  await ok('DELETE', `/v1/files/${restored.uid}`);
  await ok('POST', `/v1/files/${restored.uid}/restore`);
  const held = await file({ key: 'held.csv' }, 'held');
  await ok('PUT', `/v1/files/${held.uid}/hold`, { reason: 'an audit' });
  const released = await file({ key: 'released.csv' }, 'released');
  await ok('PUT', `/v1/files/${released.uid}/hold`, {});
  await ok('DELETE', `/v1/files/${released.uid}/hold`);

  await put('plain.csv', 'where it lies');
  const semantic = await register('files', { path: 'plain.csv', description: 'semantic' });
  for (const name of ['.zattrs', '0.0', 'a/x']) await put(`zarr/${name}`, `chunk ${name}`);
  await register('files', { path: 'zarr/' });
  await register('datasets', { name: 'a dataset', files: [visible.uid, held.uid], labels: [label.uid] });

  const purged = await file({ key: 'purged.csv' }, 'purged');
  await ok('DELETE', `/v1/files/${purged.uid}?permanent=true&reason=wrong%20upload`);
  await ok('DELETE', `/v1/files/${semantic.uid}?permanent=true`);
  const gone = await register('labels', { name: 'a purged label' });
  await ok('DELETE', `/v1/labels/${gone.uid}`);

  const emptied = await register('datasets', { name: 'emptied' });
  await ok('DELETE', `/v1/datasets/${emptied.uid}`);
  const { id } = await ok('DELETE', '/v1/trash?permanent=true&registry=datasets');
  await until('the trash is empty', async () => (await ok('GET', `/v1/operations/${id}`)).state === 'done');

  const parked = await file({ key: 'parked.csv' }, 'parked');
  await rename(join(MADE_AT, 'objects'), join(MADE_AT, 'away'));
  await ok('DELETE', `/v1/files/${parked.uid}?permanent=true`);
  await until('it is parked', async () => (await ok('GET', `/v1/purges/files/${parked.uid}`)).state === 'parked');
  await rename(join(MADE_AT, 'away'), join(MADE_AT, 'objects'));
};
