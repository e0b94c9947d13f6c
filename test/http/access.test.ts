import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  discard,
  startService,
  temporaryFolder,
  upload,
  type Answer,
  type RequestOptions,
  type RunningService,
} from '../harness/service.js';
import { until } from '../harness/until.js';

/*
 * Who may do what, on the real process: each route with each right, and the ways around it that others have found elsewhere.
 */

const RIGHTS = ['read', 'write', 'purge', 'admin'] as const;
type Right = (typeof RIGHTS)[number];

const NOBODY = 'AAAAAAAAAAAAAAAAAAAA';
const REGISTRIES = ['files', 'datasets', 'labels', 'models', 'storages'];

const newKey = (): string => randomBytes(32).toString('base64url');
const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

const KEYS = { read: newKey(), write: newKey(), purge: newKey(), admin: newKey() };
const ALL = newKey();
const BOB = newKey();
const WRONG = newKey();

const apiKeys = [
  ...RIGHTS.map((right) => ({ subject: `svc:${right}`, sha256: sha256(KEYS[right]), may: [right] })),
  { subject: 'alice', sha256: sha256(ALL), may: [...RIGHTS] },
  { subject: 'bob', sha256: sha256(BOB).toUpperCase(), may: ['read', 'write'] },
];

/** What each route takes. A route that the document knows and this table does not fails. */
const TAKES: Readonly<Record<string, Right | 'nothing' | ((registry: string) => Right)>> = {
  'GET /v1': 'read',
  'GET /v1/{registry}': 'read',
  'POST /v1/{registry}': (registry) => (registry === 'storages' ? 'admin' : 'write'),
  'GET /v1/{registry}/{uid}': 'read',
  'PATCH /v1/{registry}/{uid}': (registry) => (registry === 'storages' ? 'admin' : 'write'),
  // Without permanent=true.
  'DELETE /v1/{registry}/{uid}': (registry) =>
    registry === 'storages' ? 'admin' : ['files', 'datasets'].includes(registry) ? 'write' : 'purge',
  'POST /v1/{registry}/{uid}/restore': (registry) => (registry === 'storages' ? 'admin' : 'write'),
  'PUT /v1/{registry}/{uid}/hold': (registry) => (registry === 'storages' ? 'admin' : 'write'),
  'DELETE /v1/{registry}/{uid}/hold': (registry) => (registry === 'storages' ? 'admin' : 'purge'),
  'GET /v1/{registry}/{uid}/history': 'read',
  'GET /v1/files/{uid}/content': 'read',
  'GET /v1/files/{uid}/objects': 'read',
  'GET /v1/trash': 'read',
  'DELETE /v1/trash': 'purge',
  'POST /v1/bulk': 'write', // With `purge` for action, `purge`.
  'GET /v1/purges': 'read',
  'GET /v1/purges/{registry}/{uid}': 'read',
  'POST /v1/purges/{registry}/{uid}/retry': 'purge',
  'GET /v1/operations': 'read',
  'GET /v1/operations/{id}': 'read',
  'GET /v1/audit': 'read',
  'GET /v1/events': 'read',
  'GET /v1/stats': 'read',
  'GET /metrics': 'read',
  'GET /health/live': 'nothing',
  'GET /health/ready': 'nothing',
  'GET /openapi.json': 'nothing',
};

interface Call {
  readonly method: string;
  readonly path: string;
  readonly takes: Right | 'nothing';
}

/** The routes of the document, each with every registry that can stand in its path. @throws Error for a route that is not in the table */
const callsOf = (paths: Record<string, Record<string, unknown>>): Call[] =>
  Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).flatMap((word) => {
      const method = word.toUpperCase();
      // A registry's own routes (/v1/files/{uid}) go to the same handlers as those of any.
      const own = /^\/v1\/(files|datasets|storages|models)(\/\{uid\})?$/.exec(path)?.[1];
      const row = own === undefined ? path : path.replace(`/v1/${own}`, '/v1/{registry}');
      const takes = TAKES[`${method} ${row}`];
      if (takes === undefined) throw new Error(`say in the table which right ${method} ${path} takes`);
      const registries = own === undefined && path.includes('{registry}') ? REGISTRIES : [own ?? 'files'];
      return registries.map((registry) => ({
        method,
        path: path
          .replace('{registry}', registry)
          .replace(/\{(uid|id)\}/, NOBODY)
          // Whoever is let in gets a stream without an end, unless something else is wrong.
          .replace(/^\/v1\/events$/, '/v1/events?after=none'),
        takes: typeof takes === 'function' ? takes(registry) : takes,
      }));
    }),
  );

let service: RunningService;
let home: string;

beforeAll(async () => {
  home = await temporaryFolder();
  service = await startService({
    config: {
      apiKeys,
      registries: { models: { schema: { type: 'object' } } },
      storages: [{ name: 'lab', root: `file:${home}` }],
    },
  });
});

afterAll(async () => {
  try {
    await discard(service);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

const as = (key: string, method: string, path: string, options: RequestOptions = {}): Promise<Answer> =>
  service.request(method, path, { ...options, headers: { ...bearer(key), ...options.headers } });

const document = async () => (await service.request('GET', '/openapi.json')).body;
const bodyOf = (method: string): RequestOptions =>
  ['POST', 'PUT', 'PATCH'].includes(method) ? { json: { none: 'of ours' } } : {};

/** Where the log stands. */
const position = async (): Promise<string> => (await as(ALL, 'GET', '/v1')).body.position;

const newLabel = async (key = ALL, headers: Record<string, string> = {}): Promise<Answer> =>
  as(key, 'POST', '/v1/labels', { json: { name: 'a' }, headers });
const newFile = async (): Promise<string> => {
  const answer = await as(ALL, 'POST', '/v1/files', { body: upload({ onDuplicate: 'create' }, 'some bytes') });
  expect(answer.status).toBe(201);
  return answer.body.record.uid;
};
const typesOf = async (registry: string, uid: string): Promise<string[]> =>
  (await as(ALL, 'GET', `/v1/${registry}/${uid}/history`)).body.items.map(({ type }: { type: string }) => type);

/** A request to an address as it is written: `fetch` would tidy it. */
const raw = (
  method: string,
  path: string,
  headers: Record<string, string | string[]> = {},
): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(service.url);
    const request = httpRequest({ host: hostname, port, method, path, headers, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => (body += text));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    request.on('error', reject).end();
  });

describe('each route', () => {
  it('takes one right: a key that has only another is refused, by name, and nothing is written', async () => {
    const calls = callsOf((await document()).paths);
    expect(calls.length).toBeGreaterThan(60);
    const before = await position();
    for (const { method, path, takes } of calls) {
      for (const right of RIGHTS) {
        const answer = await as(KEYS[right], method, path, bodyOf(method));
        const what = `${method} ${path} with ${right}`;
        if (takes === 'nothing' || takes === right) expect([401, 403], what).not.toContain(answer.status);
        else {
          expect(answer.status, what).toBe(403);
          expect(answer.body.code, what).toBe('forbidden');
          expect(answer.body.detail, what).toContain(`'${takes}'`);
        }
      }
    }
    expect(await position()).toBe(before);
  });

  it('answers 401 without a key, and with one that is not known', async () => {
    for (const { method, path, takes } of callsOf((await document()).paths)) {
      for (const headers of [{}, bearer(WRONG)]) {
        const answer = await service.request(method, path, { ...bodyOf(method), headers });
        const what = `${method} ${path} ${'authorization' in headers ? 'with a wrong key' : 'without a key'}`;
        if (takes === 'nothing') expect(answer.status, what).toBe(200);
        else {
          expect(answer.status, what).toBe(401);
          expect(answer.body.code, what).toBe('unauthenticated');
        }
      }
    }
  });

  it('takes for HEAD what it takes for GET', async () => {
    for (const { method, path, takes } of callsOf((await document()).paths)) {
      if (method !== 'GET') continue;
      expect((await service.request('HEAD', path)).status, path).toBe(takes === 'nothing' ? 200 : 401);
      const refused = (await as(KEYS.write, 'HEAD', path)).status;
      if (takes === 'nothing') expect(refused, path).toBe(200);
      else expect(refused, path).toBe(403);
      expect((await as(KEYS.read, 'HEAD', path)).status, path).not.toBe(403);
    }
  });

  it('is said to take it by the document', async () => {
    const { paths, components } = await document();
    expect(components.securitySchemes).toEqual({ apiKey: expect.objectContaining({ type: 'http', scheme: 'bearer' }) });
    for (const [path, operations] of Object.entries<
      Record<string, { security: { apiKey: Right[] }[]; responses: object }>
    >(paths)) {
      for (const [method, { security, responses }] of Object.entries(operations)) {
        const said = new Set(security.flatMap(({ apiKey }) => apiKey));
        const taken = new Set(
          callsOf({ [path]: { [method]: {} } }).flatMap(({ takes }) => (takes === 'nothing' ? [] : [takes])),
        );
        // The document's routes of any plain registry stand beside those of files, datasets and storages.
        const plain = /^\/v1\/\{registry\}(\/\{uid\})?$/.test(path);
        if (plain)
          for (const right of method === 'delete' ? ['write', 'admin'] : ['admin']) taken.delete(right as Right);
        if (method === 'delete' && /^\/v1\/(files|datasets)\/\{uid\}$/.test(path)) taken.add('purge');
        if (path === '/v1/bulk') for (const right of ['purge', 'admin'] as const) taken.add(right);
        expect([...said].sort(), `${method} ${path}`).toEqual([...taken].sort());
        expect('401' in responses, `${method} ${path}`).toBe(said.size > 0);
      }
    }
  });
});

describe('DELETE on a file', () => {
  const switches: readonly [query: string, right: Right][] = [
    ['', 'write'],
    ['?permanent=false', 'write'],
    ['?dryRun=true', 'write'],
    ['?permanent=true', 'purge'],
    ['?permanent=true&storage=keep', 'purge'],
    ['?permanent=true&dryRun=true', 'purge'],
    ['?dryRun=true&permanent=true', 'purge'],
    ['?%70ermanent=%74rue', 'purge'],
  ];
  it.each(switches)('%s takes %s', async (query, right) => {
    const uid = await newFile();
    for (const other of RIGHTS.filter((one) => one !== right)) {
      const refused = await as(KEYS[other], 'DELETE', `/v1/files/${uid}${query}`);
      expect(refused.status, other).toBe(403);
      expect(refused.body.detail).toContain(`'${right}'`);
    }
    expect(await typesOf('files', uid)).toEqual(['RecordRegistered']);
    const done = await as(KEYS[right], 'DELETE', `/v1/files/${uid}${query}`);
    expect([200, 202]).toContain(done.status);
  });

  it.each([
    '?permanent=true&permanent=false',
    '?permanent=false&permanent=true',
    '?permanent=TRUE',
    '?permanent=1',
    '?Permanent=true',
    '?permanent[]=true',
  ])('%s is wrong, and deletes nothing', async (query) => {
    const uid = await newFile();
    for (const key of [KEYS.write, KEYS.purge]) {
      const answer = await as(key, 'DELETE', `/v1/files/${uid}${query}`);
      expect([403, 422]).toContain(answer.status);
    }
    expect(await typesOf('files', uid)).toEqual(['RecordRegistered']);
    expect((await as(KEYS.read, 'GET', `/v1/files/${uid}`)).body.visibility).toBe(1);
  });

  it('takes of many what it takes of one: purge to purge, and admin of each storage', async () => {
    const uid = await newFile();
    const many = (key: string, action: string, records: object[]) =>
      as(key, 'POST', '/v1/bulk', { json: { action, records } });
    const file = { registry: 'files', uid };
    expect((await many(KEYS.write, 'purge', [file])).status).toBe(403);
    expect((await many(KEYS.purge, 'trash', [file])).status).toBe(403);
    expect((await many(KEYS.admin, 'purge', [file])).status).toBe(403);
    const storage = (await as(ALL, 'GET', '/v1/storages?name=lab')).body.items[0];
    const { results } = (await many(KEYS.purge, 'purge', [{ registry: 'storages', uid: storage.uid }, file])).body;
    expect(results).toMatchObject([{ status: 403, error: { code: 'forbidden' } }, { status: 202 }]);
    expect((await as(ALL, 'GET', `/v1/storages/${storage.uid}`)).status).toBe(200);
  });

  it('never purges with write alone, from the trash either', async () => {
    const uid = await newFile();
    expect((await as(KEYS.write, 'DELETE', `/v1/files/${uid}`)).body.outcome).toBe('trashed');
    expect((await as(KEYS.write, 'DELETE', `/v1/files/${uid}`)).body.code).toBe('confirmation-required');
    expect((await as(KEYS.write, 'DELETE', `/v1/files/${uid}?permanent=true`)).status).toBe(403);
    expect((await as(KEYS.write, 'DELETE', '/v1/trash?permanent=true')).status).toBe(403);
    expect(await typesOf('files', uid)).toEqual(['RecordRegistered', 'RecordTrashed']);
    expect((await as(KEYS.write, 'POST', `/v1/files/${uid}/restore`)).status).toBe(200);
  });
});

describe('an API key', () => {
  it.each<[string, string, boolean]>([
    ['nothing but the scheme', 'Bearer', true],
    ['another scheme', `Basic ${Buffer.from(`svc:${ALL}`).toString('base64')}`, false],
    ['no scheme', ALL, false],
    ['two keys', `Bearer ${ALL} ${ALL}`, true],
    ['a key and more', `Bearer ${ALL}, Bearer ${ALL}`, true],
    ['a key without its end', `Bearer ${ALL.slice(0, -1)}`, true],
    ['a key with one character more', `Bearer ${ALL}A`, true],
    ['the hash of a key', `Bearer ${sha256(ALL)}`, true],
    ['a subject', 'Bearer alice', true],
    ['quotes', `Bearer "${ALL}"`, true],
    ['another scheme that begins alike', `BearerX ${ALL}`, false],
    ['a tab', `Bearer\t${ALL}`, false],
  ])('is not accepted as %s', async (_name, authorization, sent) => {
    const answer = await service.request('GET', '/v1/files', { headers: { authorization } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.headers.get('www-authenticate')).toBe(
      sent ? 'Bearer realm="lethe", error="invalid_token"' : 'Bearer realm="lethe"',
    );
    expect(JSON.stringify(answer.body)).not.toContain(ALL);
  });

  it('is asked for where none came', async () => {
    const answer = await service.request('GET', '/v1/files');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="lethe"');
    expect(answer.body).toMatchObject({ type: 'urn:lethe:unauthenticated', title: 'Not authenticated', status: 401 });
    expect(answer.body.detail).toContain('Authorization: Bearer <key>');
  });

  it.each(['bearer', 'BEARER', 'Bearer '])('comes after the scheme however that is written: %j', async (scheme) => {
    const answer = await service.request('GET', '/v1/files', { headers: { authorization: `${scheme} ${ALL}` } });
    expect(answer.status).toBe(200);
  });

  it('is taken from the header alone', async () => {
    for (const query of [`access_token=${ALL}`, `key=${ALL}`, `authorization=Bearer+${ALL}`])
      expect((await service.request('GET', `/v1/files?${query}`)).status).toBe(401);
    expect(
      (await service.request('GET', '/v1/files', { headers: { cookie: `key=${ALL}`, 'x-api-key': ALL } })).status,
    ).toBe(401);
  });

  it('of which two are sent, counts once: the first', async () => {
    expect((await raw('GET', '/v1/files', { Authorization: [`Bearer ${WRONG}`, `Bearer ${ALL}`] })).status).toBe(401);
  });

  it('is asked for before anything of the body is looked at', async () => {
    const wrong: RequestOptions = { body: '{"name": ', headers: { 'content-type': 'application/json' } };
    expect((await service.request('POST', '/v1/labels', wrong)).status).toBe(401);
    const large: RequestOptions = { body: 'x'.repeat(512 * 1024), headers: { 'content-type': 'text/plain' } };
    expect((await service.request('POST', '/v1/labels', large)).status).toBe(401);
    expect((await service.request('DELETE', '/v1/trash', { body: 'x' })).status).toBe(401);
  });

  it('is asked for before the projection is waited for', async () => {
    const answer = await service.request('GET', '/v1/files', { headers: { 'x-min-position': '999999999' } });
    expect(answer.status).toBe(401);
    const forbidden = await as(KEYS.write, 'GET', '/v1/files', { headers: { 'x-min-position': '999999999' } });
    expect(forbidden.status).toBe(403);
  });

  it('that may not write uploads nothing, and hears so although it sends megabytes', async () => {
    const before = await position();
    const objects = async (): Promise<string[]> =>
      (await readdir(join(service.data, 'objects'), { recursive: true })).sort();
    const there = await objects();
    for (const [key, status] of [
      [WRONG, 401],
      [KEYS.read, 403],
      [KEYS.admin, 403],
    ] as const) {
      const answer = await as(key, 'POST', '/v1/files', { body: upload({}, Buffer.alloc(8 * 1024 * 1024)) });
      expect(answer.status).toBe(status);
    }
    expect(await position()).toBe(before);
    expect(await objects()).toEqual(there);
  });
});

describe('the actor', () => {
  it("is the key's subject, whatever X-Actor says", async () => {
    const { body } = await newLabel(KEYS.write, { 'x-actor': 'somebody else' });
    expect(body.record.name).toBe('a');
    const history = await as(KEYS.read, 'GET', `/v1/labels/${body.record.uid}/history`);
    expect(history.body.items).toMatchObject([{ type: 'RecordRegistered', actor: 'svc:write' }]);
  });

  it('is it where X-Actor makes no sense, too', async () => {
    const { status } = await newLabel(KEYS.write, { 'x-actor': 'a'.repeat(300) });
    expect(status).toBe(201);
  });

  it('stands in createdBy, trashedBy and hold', async () => {
    const answer = await as(BOB, 'POST', '/v1/files', { body: upload({}, "bob's") });
    const { uid } = answer.body.record;
    await as(ALL, 'PUT', `/v1/files/${uid}/hold`, { json: { reason: 'mine' } });
    await as(KEYS.write, 'DELETE', `/v1/files/${uid}`);
    const { body } = await as(KEYS.read, 'GET', `/v1/files/${uid}`);
    expect(body).toMatchObject({ createdBy: 'bob', trashedBy: 'svc:write', hold: { by: 'alice' } });
  });

  it('has idempotency keys of its own', async () => {
    const headers = { 'idempotency-key': 'the-same' };
    const first = await newLabel(ALL, headers);
    const other = await newLabel(BOB, headers);
    const again = await newLabel(ALL, headers);
    expect(other.body.record.uid).not.toBe(first.body.record.uid);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.body.record.uid).toBe(first.body.record.uid);
  });
});

describe('a way around', () => {
  /** Addresses that some server or proxy takes for another. */
  const ways = (path: string): string[] => [
    `/${path}`,
    `${path}/`,
    path.replace('/v1', '/V1'),
    path.replace('/v1', '/v1/'),
    path.replace('/v1/', '/v1%2F'),
    path.replace('/v1/', '/v1%2f'),
    path.replace('/v1/', '/v1/./'),
    path.replace('/v1/', '/v1/../v1/'),
    path.replace('/v1/', '/v1/%2e/'),
    path.replace('/v1/', '/v1;a=b/'),
    path.replace('/v1/', '/%761/'),
    path.replace('/v1/', '\\v1\\'),
    `/health/live/..${path}`,
    `/health/..${path}`,
    `/docs/..${path}`,
    `/docs/%2e%2e${path}`,
    `/openapi.json/..${path}`,
    `/openapi.json${path}`,
    `${path}%20`,
    `${path}%00`,
    `${path}.json`,
    `${path};a=b`,
    `${path}%3Fa=b`,
    `${path}#/health/live`,
    `${path}?/health/live`,
    `${service.url}${path}`,
  ];

  it('to read does not exist', async () => {
    const uid = await newFile();
    for (const path of ['/v1/files', `/v1/files/${uid}`, `/v1/files/${uid}/content`]) {
      for (const way of ways(path)) {
        const { status, body } = await raw('GET', way);
        expect(status, way).toBeGreaterThanOrEqual(400);
        expect(body, way).not.toContain('"createdAt"');
        expect(body, way).not.toContain('some bytes');
      }
    }
  });

  it('to purge does not exist', async () => {
    const uid = await newFile();
    for (const way of ways(`/v1/files/${uid}`)) {
      for (const query of ['?permanent=true', '?permanent=true&permanent=true', '?a&permanent=true']) {
        const [before = '', after] = way.split('?', 2);
        const target = `${before}${query}${after === undefined ? '' : `&${after}`}`;
        const { status } = await raw('DELETE', target, bearer(KEYS.write));
        expect(status, target).toBeGreaterThanOrEqual(400);
      }
    }
    for (const header of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'])
      await raw('GET', `/v1/files/${uid}?permanent=true`, { ...bearer(KEYS.read), [header]: 'DELETE' });
    for (const header of ['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Uri'])
      await raw('DELETE', `/v1/files/${NOBODY}`, {
        ...bearer(KEYS.write),
        [header]: `/v1/files/${uid}?permanent=true`,
      });
    expect(await typesOf('files', uid)).toEqual(['RecordRegistered']);
  });

  it('to storages by another spelling does not exist', async () => {
    for (const path of ['/v1/%73torages', '/v1/storage%73', '/v1/%73%74%6f%72%61%67%65%73']) {
      const post = await raw('POST', path, bearer(KEYS.write));
      expect(post.status, path).toBe(403);
      const remove = await raw('DELETE', `${path}/${NOBODY}`, bearer(KEYS.purge));
      expect(remove.status, path).toBe(403);
    }
  });

  it('to delete a plain record with write does not exist', async () => {
    const { uid } = (await newLabel()).body.record;
    for (const query of ['', '?permanent=true', '?permanent=false', '?dryRun=true'])
      expect((await as(KEYS.write, 'DELETE', `/v1/labels/${uid}${query}`)).status, query).toBe(403);
    expect(await typesOf('labels', uid)).toEqual(['RecordRegistered']);
    expect((await as(KEYS.purge, 'DELETE', `/v1/labels/${uid}`)).body.outcome).toBe('purged');
  });

  it('by another method does not exist', async () => {
    for (const method of ['OPTIONS', 'TRACE', 'PROPFIND', 'COPY', 'QUERY', 'LINK', 'get'])
      expect((await raw(method, '/v1/files')).status, method).toBeGreaterThanOrEqual(400);
  });

  it('by a page from elsewhere does not exist, with a key either', async () => {
    const headers = { origin: 'https://evil.example' };
    const answer = await as(ALL, 'GET', '/v1/files', { headers });
    expect(answer.status).toBe(403);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('is not needed under another name than localhost', async () => {
    expect((await raw('GET', '/v1/files', { ...bearer(KEYS.read), host: 'lethe.example' })).status).toBe(200);
    const origin = { host: 'lethe.example', origin: 'https://lethe.example' };
    expect((await raw('GET', '/v1/files', { ...bearer(KEYS.read), ...origin })).status).toBe(200);
    expect((await raw('GET', '/v1/files', { host: 'lethe.example' })).status).toBe(401);
  });
});

describe('what is open to all', () => {
  it.each(['/health/live', '/health/ready', '/openapi.json', '/docs', '/docs/swagger-ui.css'])(
    '%s is, with a wrong key too',
    async (path) => {
      expect((await service.request('GET', path)).status).toBe(200);
      expect((await service.request('GET', path, { headers: bearer(WRONG) })).status).toBe(200);
    },
  );
});

describe('a storage', () => {
  it('is registered, changed and deleted with admin alone', async () => {
    const json = { name: 'inner', data: { root: `file:${home}/inner` } };
    for (const right of ['read', 'write', 'purge'] as const)
      expect((await as(KEYS[right], 'POST', '/v1/storages', { json })).status).toBe(403);
    const created = await as(KEYS.admin, 'POST', '/v1/storages', { json });
    expect(created.status).toBe(201);
    const { uid } = created.body.record;
    const description = { json: { description: 'x' } };
    expect((await as(KEYS.write, 'PATCH', `/v1/storages/${uid}`, description)).status).toBe(403);
    expect((await as(KEYS.admin, 'PATCH', `/v1/storages/${uid}`, description)).status).toBe(200);
    expect((await as(KEYS.purge, 'DELETE', `/v1/storages/${uid}`)).status).toBe(403);
    expect((await as(KEYS.admin, 'DELETE', `/v1/storages/${uid}`)).body.outcome).toBe('purged');
  });
});

describe('the log', () => {
  it('names who was refused, and holds no key', async () => {
    await service.request('GET', '/v1/files', { headers: { ...bearer(WRONG), 'x-correlation-id': 'not-known' } });
    await as(KEYS.read, 'DELETE', '/v1/trash', { headers: { 'x-correlation-id': 'not-allowed' } });
    await service.request('GET', `/v1/files?access_token=${ALL}`);
    await as(ALL, 'GET', '/v1/files', { headers: { 'x-min-position': '999999999999' } });
    await raw('GET', `/v1/%zz?${ALL}`, bearer(ALL));
    // A line may come later than the answer that it is about.
    await until('the last of these is in the log', async () => service.log().includes('is at position'));
    const lines = service
      .log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.find(({ correlationId }) => correlationId === 'not-known')).toMatchObject({
      code: 'unauthenticated',
      subject: 'unknown',
      method: 'GET',
      route: '/v1/:registry',
    });
    expect(lines.find(({ correlationId }) => correlationId === 'not-allowed')).toMatchObject({
      code: 'forbidden',
      subject: 'svc:read',
      route: '/v1/trash',
    });
    expect(lines.some(({ msg }) => String(msg).includes('position'))).toBe(true);
    for (const key of [...Object.values(KEYS), ALL, BOB, WRONG]) {
      expect(service.log()).not.toContain(key);
      expect(service.log()).not.toContain(sha256(key));
    }
  });
});

describe('the service', () => {
  it('listens beyond loopback with keys, and not without', async () => {
    await expect(startService({ env: { LETHE_HOST: '0.0.0.0' } })).rejects.toThrow(/LETHE_HOST: without API keys/);
    const open = await startService({ config: { apiKeys }, env: { LETHE_HOST: '0.0.0.0' } });
    try {
      expect(open.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      expect((await open.request('GET', '/v1')).status).toBe(401);
      expect((await open.request('GET', '/v1', { headers: bearer(ALL) })).status).toBe(200);
    } finally {
      await discard(open);
    }
  });

  it('without keys takes whoever is here, and says nothing of keys', async () => {
    const bare = await startService();
    try {
      const headers = { 'x-actor': 'carol', ...bearer(WRONG) };
      const answer = await bare.request('POST', '/v1/labels', { json: { name: 'a' }, headers });
      expect(answer.status).toBe(201);
      const { body } = await bare.request('GET', `/v1/labels/${answer.body.record.uid}/history`);
      expect(body.items).toMatchObject([{ actor: 'carol' }]);
      const said = (await bare.request('GET', '/openapi.json')).body;
      expect(said.components.securitySchemes).toBeUndefined();
      expect(said.paths['/v1/files'].get).not.toHaveProperty('security');
      expect(said.paths['/v1/files'].get.responses).not.toHaveProperty('401');
    } finally {
      await discard(bare);
    }
  });
});

describe('the command line', () => {
  const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js');

  const lethe = (
    args: readonly string[],
    env: Record<string, string>,
  ): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const path = process.env['PATH'] ?? '';
      execFile(process.execPath, [MAIN, ...args], { env: { PATH: path, ...env } }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      });
    });

  it('sends LETHE_API_KEY, and fails with 1 where it does not do', async () => {
    const url = ['--url', service.url];
    const without = await lethe(['ls', 'labels', ...url], {});
    expect(without.code).toBe(1);
    expect(without.err).toContain('LETHE_API_KEY');
    const wrong = await lethe(['ls', 'labels', ...url], { LETHE_API_KEY: WRONG });
    expect(wrong.code).toBe(1);
    expect(wrong.err).not.toContain(WRONG);
    const created = await lethe(['create', 'labels', '{"name": "from the shell"}', '--json', ...url], {
      LETHE_API_KEY: KEYS.write,
    });
    expect(created).toMatchObject({ code: 0, err: '' });
    const { uid } = JSON.parse(created.out).record;
    const listed = await lethe(['history', `labels/${uid}`, '--json', ...url], { LETHE_API_KEY: KEYS.read });
    expect(JSON.parse(listed.out)).toMatchObject([{ actor: 'svc:write' }]);
    const forbidden = await lethe(['delete', `labels/${uid}`, '--yes', ...url], { LETHE_API_KEY: KEYS.write });
    expect(forbidden.code).toBe(1);
    expect(forbidden.err).toContain("'purge'");
  });

  it('sends it to the service that holds the folder', async () => {
    const data = ['--data', service.data];
    expect((await lethe(['ls', 'labels', ...data], {})).code).toBe(1);
    expect((await lethe(['ls', 'labels', ...data], { LETHE_API_KEY: KEYS.read })).code).toBe(0);
  });

  it('refuses one that no header can carry, and does not show it', async () => {
    const { code, err } = await lethe(['ls', '--url', service.url], { LETHE_API_KEY: `${ALL}\n` });
    expect(code).toBe(2);
    expect(err).toContain('LETHE_API_KEY');
    expect(err).not.toContain(ALL);
  });

  it('needs none where it opens the folder itself', async () => {
    const folder = join(home, 'data');
    await mkdir(folder);
    await writeFile(join(folder, 'lethe.json'), JSON.stringify({ apiKeys }));
    const { code, out } = await lethe(['create', 'labels', '{"name": "mine"}', '--json', '--data', folder], {});
    expect(code).toBe(0);
    expect(JSON.parse(out).outcome).toBe('created');
  });
});
