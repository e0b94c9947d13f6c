import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openInProcess, type InProcess } from '../../src/client/in-process.js';
import { connect, type Lethe } from '../../src/client/connect.js';
import { temporaryFolder } from '../harness/service.js';
import { until } from '../harness/until.js';

/*
 * The SDK and /openapi.json say the same: a story that uses every method is told to a real service, and what was sent is looked up in the
 * document, both ways.
 */

/** Routes of the document that the SDK has no method for, each with the reason. */
const EXCUSED: Readonly<Record<string, string>> = {
  'get /health/live': 'for whoever runs the process',
  'get /metrics': 'for whoever runs the process',
  'get /openapi.json': 'for programs that are written from it',
};

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly query: string[];
  readonly headers: string[];
  readonly media: string | null;
  readonly body: unknown;
}

interface Operation {
  readonly parameters?: readonly { readonly $ref: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly parameters: Readonly<Record<string, { readonly name: string; readonly in: string }>>;
  };
}

let data = '';
let service: InProcess | null = null;
let document: Document;
const sent: Sent[] = [];

/** What `fetch` sets by itself. */
const PLATFORM_HEADERS = ['content-type', 'accept'];

const recorded = async (request: Request): Promise<Sent> => {
  const url = new URL(request.url);
  const media = request.headers.get('content-type')?.split(';')[0] ?? null;
  return {
    method: request.method.toLowerCase(),
    path: url.pathname,
    query: [...url.searchParams.keys()],
    headers: [...request.headers.keys()].filter((name) => !PLATFORM_HEADERS.includes(name)),
    media,
    body: media === 'application/json' ? await request.clone().json() : null,
  };
};

beforeAll(async () => {
  data = await temporaryFolder();
  await writeFile(join(data, 'lethe.json'), JSON.stringify({ registries: { models: { schema: { type: 'object' } } } }));
  const opened = await openInProcess(data, {});
  service = opened;
  document = JSON.parse(await (await opened.fetch(new Request('http://localhost/openapi.json'))).text());
  const lethe = await connect({
    url: 'http://localhost',
    actor: 'alice',
    fetch: async (request) => {
      sent.push(await recorded(request));
      return opened.fetch(request);
    },
  });
  await tell(lethe);
  await lethe.close();
});

afterAll(async () => {
  await service?.close();
  await rm(data, { recursive: true, force: true });
});

/** What is refused or not there yet was sent all the same. */
const tried = async (work: Promise<unknown>): Promise<void> => {
  await work.catch((error: unknown) => error);
};

const tell = async (lethe: Lethe): Promise<void> => {
  const everything = { reason: 'why', idempotencyKey: 'k' };
  const text = new TextEncoder();
  const file = await lethe.files.add(text.encode('a'), { key: 'a.csv', ...everything });
  await file.update({ description: 'x' }, { ifRevision: 0, reason: 'why' });
  await file.putOnHold({ reason: 'audit' });
  await file.releaseHold({ reason: 'done' });
  await tried(file.at({ revision: 0 }));
  await tried(file.at({ at: new Date(0) }));
  await tried(file.at({ position: '1' }));
  await file.history().all();
  await file.history().count();
  await file.listObjects().all();
  await (await file.content({ range: { start: 0 }, trashed: true })).text();
  await tried(file.content({ path: 'x' }));
  await tried(lethe.files.register({ path: 'nothing', storage: 'default' }));
  await lethe.files
    .filter(
      {
        size: { gte: 0, lt: 10 },
        key: { startsWith: 'a' },
        run: null,
        uid: [file.uid],
        hold: { null: true },
        visibility: [1, 0],
      },
      { sort: ['-size', 'key'] },
    )
    .all();
  await lethe.files.filter({ createdAt: { lt: new Date() }, isLatest: true, suffix: '.csv' }).count();
  await tried(lethe.files.filter({}, { at: new Date() }).all());
  await lethe.registries().all();

  const dataset = await lethe.datasets.add({ name: 'd', files: [file.uid] });
  await dataset.update({ name: 'e' });
  await lethe.datasets.filter({ files: file.uid, visibility: null }).all();
  await dataset.reload();
  await dataset.delete({ permanent: true, storage: 'keep', reason: 'why' });

  for (const registry of [lethe.labels, lethe.registry('models')]) {
    const record = await registry.add({ name: 'l', data: {} });
    await record.update({ data: { a: 1 } });
    await record.reload();
    await registry.filter({ name: { contains: 'l' } }).all();
    await record.delete();
  }
  await tried(lethe.storages.add({ name: 's', data: { root: 'file:/nowhere' } }));
  const [storage] = await lethe.storages.filter().all();
  if (storage === undefined) throw new Error('no storage');
  await storage.reload();
  await storage.update({ description: 's' });
  await tried(storage.delete());

  await file.delete({ dryRun: true });
  await file.delete();
  await lethe.trash.all();
  await lethe.trash.count();
  await lethe.trash.of('files').totals();
  await lethe.trash.of('files').preview({ olderThan: 'P1D' });
  await file.restore({ reason: 'why' });
  await lethe.bulk({ action: 'trash', records: [file], reason: 'why' });
  await lethe.trash.of('files').empty({ permanent: true, reason: 'why', onProgress: () => undefined });
  const [operation] = await lethe.operations.all();
  if (operation === undefined) throw new Error('no operation');
  await lethe.operations.get(operation.id);
  await lethe.purges.filter({ state: ['done', 'parked'] }).all();
  await lethe.purges.get(file);
  await lethe.purges.end(file);
  await tried(lethe.purges.retry(file, { storage: 'keep', reason: 'why' }));
  const day = {
    from: new Date(0),
    to: new Date(),
    actor: 'alice',
    type: 'RecordTrashed',
    registry: 'files',
    uid: file.uid,
    correlationId: 'c',
  };
  await tried(lethe.audit({ ...day, order: 'asc' }).count());
  const stopping = new AbortController();
  const follow = async (): Promise<void> => {
    for await (const event of lethe.events({ ...day, after: '1' }, { signal: stopping.signal }))
      expect(event.uid).toBe(file.uid);
  };
  const following = tried(follow());
  await until('it is asked for', async () => sent.some(({ path }) => path === '/v1/events'));
  stopping.abort();
  await following;
  await tried(lethe.stats());
  await tried(lethe.ready());
};

/** Words that no registry is named. */
const RESERVED = '(?!(?:trash|bulk|purges|audit|events|stats|operations)(?:/|$))';

/** The path of the document that a request took: the one with the fewest parameters. */
const pathOf = (path: string): string | undefined =>
  Object.keys(document.paths)
    .filter((known) =>
      new RegExp(`^${known.replace('{registry}', `${RESERVED}[^/]+`).replace(/\{\w+\}/g, '[^/]+')}$`).test(path),
    )
    .sort((a, b) => a.split('{').length - b.split('{').length)[0];

/** As `pathOf`, also of routes that are still to come. */
const named = ({ method, path }: Sent): string => `${method} ${pathOf(path) ?? path}`;
const operationOf = (request: Sent): Operation | undefined =>
  document.paths[pathOf(request.path) ?? '']?.[request.method];

describe('the SDK and /openapi.json', () => {
  it('know the same routes', () => {
    const unknown = sent.filter((request) => operationOf(request) === undefined).map(named);
    expect(unknown).toEqual([]);
    const used = new Set(sent.map(named));
    const known = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(known.filter((route) => !used.has(route) && !Object.hasOwn(EXCUSED, route))).toEqual([]);
    expect([...used].filter((route) => Object.hasOwn(EXCUSED, route))).toEqual([]);
  });

  it('know the same parameters and headers', () => {
    const unknown = sent.flatMap((request) => {
      const operation = operationOf(request);
      if (operation === undefined) return [];
      const known = (operation.parameters ?? []).map(({ $ref }) => {
        const parameter = document.components.parameters[$ref.replace('#/components/parameters/', '')];
        return `${parameter?.in ?? ''} ${parameter?.name.toLowerCase() ?? ''}`;
      });
      const mine = [
        ...request.query.map((name) => ['query', name] as const),
        ...request.headers.map((name) => ['header', name] as const),
      ];
      return mine
        .filter(([where, name]) => !known.includes(`${where} ${name.toLowerCase()}`))
        .map(([where, name]) => `${named(request)} ${where === 'query' ? '?' : ''}${name}`);
    });
    expect([...new Set(unknown)]).toEqual([]);
  });

  it('know the same bodies', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema({ ...document, $id: 'lethe' });
    const wrong: unknown[] = [];
    let checked = 0;
    for (const request of sent) {
      if (request.media === null) continue;
      const content = operationOf(request)?.requestBody?.content[request.media];
      if (content === undefined) {
        wrong.push(`${named(request)}: takes no ${request.media}`);
        continue;
      }
      if (request.media !== 'application/json') continue;
      const schema: object = JSON.parse(JSON.stringify(content.schema).replaceAll('"#/', '"lethe#/'));
      const validate: ValidateFunction = ajv.compile(schema);
      checked += 1;
      if (!validate(request.body)) wrong.push([named(request), request.body, validate.errors]);
    }
    expect(wrong).toEqual([]);
    expect(checked).toBeGreaterThan(10);
  });
});
