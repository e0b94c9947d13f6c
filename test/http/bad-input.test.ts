import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as schemas from '../../src/api/schemas.js';
import { rawRequest, sendRaw } from '../harness/raw.js';
import { expectRefused, type Refused } from '../harness/refusing.js';
import { discard, startService, upload, type Answer, type RunningService } from '../harness/service.js';
import { wrongBodies } from './bad-fields.js';

/*
 * What a caller may get wrong in a body, in the path or in the query: refused with the contract's problem, and nothing is written. Wrong
 * uploads, and requests that are wrong as HTTP, stand in files of their own.
 */

type Row = Answer['body'];
const JSON_TYPE = { 'content-type': 'application/json' };
const NEVER = 'N0suchRecord00000000';

let service: RunningService;
let file: Row;
let dataset: Row;
let label: Row;
let storage: Row;

beforeAll(async () => {
  service = await startService();
  const made = async (registry: string, json: object): Promise<Row> =>
    (await service.request('POST', `/v1/${registry}`, { json })).body.record;
  file = (await service.request('POST', '/v1/files', { body: upload({ key: 'a.csv' }, 'a,b\n') })).body.record;
  dataset = await made('datasets', { name: 'a dataset' });
  label = await made('labels', { name: 'a label', data: { a: 1 } });
  await writeFile(join(service.data, 'objects/here.txt'), 'here');
  storage = await made('storages', { name: 'team', data: { root: `file:${join(service.data, 'objects/team')}` } });
  expect([file, dataset, label, storage].map(({ revision }) => revision)).toEqual([0, 0, 0, 0]);
});

afterAll(() => discard(service));

const refused = (expected: Refused): Promise<Answer> =>
  expectRefused(service, [join(service.data, 'objects')], expected);

const json = (method: string, path: string, body: unknown): (() => Promise<Answer>) => {
  return () => service.request(method, path, { json: body });
};
const text = (method: string, path: string, body: string | Buffer, headers = JSON_TYPE): (() => Promise<Answer>) => {
  return () => sendRaw(service, rawRequest(service, method, path, headers, body));
};

describe('a body that is wrong in one field: 422 invalid, with the place', () => {
  interface Command {
    readonly name: string;
    readonly schema: z.ZodType;
    readonly right: Readonly<Record<string, unknown>>;
    readonly send: (body: unknown) => Promise<Answer>;
  }
  const at = ({ registry, uid }: Row): string => `/v1/${registry}/${uid}`;
  const below = (name: string): string => `file:${join(service.data, 'objects', name)}`;
  const to = (method: string, path: () => string) => (body: unknown) => service.request(method, path(), { json: body });

  const COMMANDS: readonly Command[] = [
    {
      name: 'POST /files by path',
      schema: schemas.registerFileSchema,
      right: { path: 'here.txt' },
      send: to('POST', () => '/v1/files'),
    },
    {
      name: 'POST /files as multipart/form-data',
      schema: schemas.uploadSchema,
      right: {},
      send: (body) => service.request('POST', '/v1/files', { body: upload(body as object, 'content') }),
    },
    {
      name: 'POST /datasets',
      schema: schemas.registerDatasetSchema,
      right: {},
      send: to('POST', () => '/v1/datasets'),
    },
    { name: 'POST /labels', schema: schemas.registerPlainSchema, right: {}, send: to('POST', () => '/v1/labels') },
    {
      name: 'POST /storages',
      schema: schemas.registerStorageSchema,
      right: { name: 'new', data: { root: 'file:/ROOT' } },
      send: (body) =>
        service.request('POST', '/v1/storages', {
          ...{ body: JSON.stringify(body).replace('file:/ROOT', below('new')), headers: JSON_TYPE },
        }),
    },
    { name: 'PATCH of a file', schema: schemas.patchFileSchema, right: {}, send: to('PATCH', () => at(file)) },
    { name: 'PATCH of a dataset', schema: schemas.patchDatasetSchema, right: {}, send: to('PATCH', () => at(dataset)) },
    {
      name: 'PATCH of a plain record',
      schema: schemas.patchPlainSchema,
      right: {},
      send: to('PATCH', () => at(label)),
    },
    { name: 'PATCH of a storage', schema: schemas.patchStorageSchema, right: {}, send: to('PATCH', () => at(storage)) },
    { name: 'PUT …/hold', schema: schemas.holdSchema, right: {}, send: to('PUT', () => `${at(file)}/hold`) },
    { name: 'POST …/restore', schema: schemas.nothingSchema, right: {}, send: to('POST', () => `${at(file)}/restore`) },
    {
      name: 'POST …/retry',
      schema: schemas.retrySchema,
      right: {},
      send: to('POST', () => `/v1/purges/files/${file.uid}/retry`),
    },
  ];
  const ROWS = COMMANDS.flatMap(({ name, schema, right, send }) =>
    wrongBodies(schema, right).map((wrong) => ({ ...wrong, name: `${name}: ${wrong.name}`, send })),
  );

  it('there is a row for every command', () => {
    for (const { name } of COMMANDS)
      expect(ROWS.filter((row) => row.name.startsWith(name)).length, name).toBeGreaterThan(5);
  });

  it.each(ROWS)('$name', async ({ name, body, path, send }) => {
    await refused({ name, send: () => send(body), status: 422, code: 'invalid', errors: [path] });
  });

  it('several faults are all named, in one answer', async () => {
    const send = json('PATCH', `/v1/files/${file.uid}`, { key: 7, labels: ['x', 7], colour: 'red', visibility: 9 });
    const answer = await refused({ name: 'several', send, status: 422, code: 'invalid' });
    const places = answer.body.errors.map(({ path }: { path: string }) => path);
    expect(places.toSorted()).toEqual(['/colour', '/key', '/labels/0', '/labels/1', '/visibility']);
    expect(answer.body.errors).toContainEqual({
      path: '/visibility',
      message: 'must be 1 or 0; DELETE moves to the trash',
    });
    expect(answer.body.detail).toContain('5 fields');
  });
});

describe('a body that is no JSON, or none that can be kept', () => {
  const nested = (depth: number, open: string, close: string): string => open.repeat(depth) + close.repeat(depth);
  const data = (value: string): string => `{"name": "x", "data": ${value}}`;
  const post = (body: string | Buffer): (() => Promise<Answer>) => text('POST', '/v1/labels', body);

  it.each([
    ['half of it', '{"name": "x"'],
    ['two of them', '{"name": "x"} {}'],
    ['a comment', '{"name": "x" /* why */}'],
    ['a trailing comma', '{"name": "x",}'],
    ['a word', 'name'],
    ['NaN', data('NaN')],
    ['a control character in a text', '{"name": "a\nb"}'],
    ['no content at all', ''],
    ['blanks', '  \r\n'],
    ['invalid UTF-8 in a text', Buffer.from('{"name": "\xff\xfe"}', 'latin1')],
    ['half a character of UTF-8', Buffer.from('{"name": "\xc3"}', 'latin1')],
    ['a surrogate in UTF-8', Buffer.from('{"name": "\xed\xa0\x80"}', 'latin1')],
    ['UTF-16', Buffer.from('{"name": "x"}', 'utf16le')],
    ['__proto__ at its top', '{"__proto__": {"admin": true}}'],
    ['__proto__ deep inside', data('{"a": [{"__proto__": {"admin": true}}]}')],
    ['constructor.prototype', data('{"constructor": {"prototype": {"admin": true}}}')],
  ])('%s: 400 malformed', async (name, body) => {
    await refused({ name, send: post(body), status: 400, code: 'malformed' });
    const patch = text('PATCH', `/v1/labels/${label.uid}`, body);
    await refused({ name, send: patch, status: 400, code: 'malformed' });
  });

  it.each([
    ['null', 'null', ''],
    ['an array', '[]', ''],
    ['a text', '"name"', ''],
    ['a number', '7', ''],
    ['arrays 10,000 deep', data(nested(10_000, '[', ']')), '/data…'],
    ['objects 10,000 deep', data(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), '/data…'],
    ['arrays 65 deep', data(nested(65, '[', ']')), '/data…'],
    ['a whole that is 10,000 deep', nested(10_000, '[', ']'), '/0…'],
    ['an unknown field that is 10,000 deep', `{"deep": ${nested(10_000, '[', ']')}}`, '/deep…'],
    ['a number that no double holds', data('{"a": [1e400]}'), '/data/a/0'],
    ['its negative', data('-1e400'), '/data'],
    ['half a surrogate in data', data('{"a": "\\ud800"}'), '/data/a'],
    ['half a surrogate in a name within data', data('{"a": {"\\udfff": 1}}'), '/data/a…'],
    ['NUL in data', data('["a\\u0000b"]'), '/data/0'],
    ['NUL in a name within data', data('{"a\\u0000b": 1}'), '/data…'],
  ])('%s: 422 invalid', async (name, body, place) => {
    await refused({ name, send: post(body), status: 422, code: 'invalid', errors: [place] });
    const patch = text('PATCH', `/v1/labels/${label.uid}`, body);
    await refused({ name, send: patch, status: 422, code: 'invalid', errors: [place] });
  });

  it.each([
    ['of 64 levels', data(nested(64, '[', ']'))],
    ['with a member named constructor', data('{"constructor": "x", "toString": 1, "hasOwnProperty": null}')],
    ['with names that are no words', data('{"": 1, "a.b": 2, "$set": {"$x": 3}, "~/": 4, "％": "😀"}')],
    ['with the greatest and the least numbers', data('[1.7976931348623157e308, 5e-324, -0.5, 9007199254740991]')],
  ])('data %s is kept as it is', async (_, body) => {
    const answer = await post(body)();
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    expect(answer.body.record.data).toEqual(JSON.parse(body).data);
    const read = await service.request('GET', `/v1/labels/${answer.body.record.uid}`);
    expect(read.body.data).toEqual(JSON.parse(body).data);
    expect((await service.request('GET', `/v1/labels/${answer.body.record.uid}/history`)).status).toBe(200);
  });

  it('a name that comes twice counts as it comes last, for what is checked and for what is kept', async () => {
    const answer = await post('{"name": 7, "name": "the last", "data": {"a": 1, "a": 2}}')();
    expect(answer.status).toBe(201);
    expect(answer.body.record).toMatchObject({ name: 'the last', data: { a: 2 } });
    const send = post('{"name": "x", "name": 7}');
    await refused({ name: 'the last is wrong', send, status: 422, code: 'invalid', errors: ['/name'] });
  });

  it('a body above 256 KiB: 413 too-large', async () => {
    const send = post(data(JSON.stringify('x'.repeat(256 * 1024))));
    await refused({ name: 'too large', send, status: 413, code: 'too-large', detail: /256 KiB/ });
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonx',
    'application/ld+json',
    'application/octet-stream',
    'multipart/mixed; boundary=x',
    'nonsense',
    '',
  ])('Content-Type: %s: 415 unsupported-media', async (type) => {
    for (const [method, path] of [
      ['POST', '/v1/labels'],
      ['POST', '/v1/files'],
      ['PATCH', `/v1/labels/${label.uid}`],
      ['PUT', `/v1/files/${file.uid}/hold`],
      ['POST', `/v1/files/${file.uid}/restore`],
      ['POST', `/v1/purges/files/${file.uid}/retry`],
    ] as const) {
      const send = text(method, path, '{}', { 'content-type': type });
      await refused({ name: `${method} ${path}`, send, status: 415, code: 'unsupported-media' });
    }
  });

  it('no Content-Type at all: 415 unsupported-media', async () => {
    const send = () => sendRaw(service, rawRequest(service, 'POST', '/v1/labels', {}, '{}'));
    await refused({ name: 'none', send, status: 415, code: 'unsupported-media' });
  });

  it('a charset that is no UTF-8 does not make other bytes of it', async () => {
    const send = text('POST', '/v1/labels', Buffer.from('{"name": "Gr\xfc\xdfe"}', 'latin1'), {
      'content-type': 'application/json; charset=iso-8859-1',
    });
    await refused({ name: 'latin1', send, status: 400, code: 'malformed' });
  });

  it('DELETE with a body: 400 malformed, whatever it is', async () => {
    for (const path of [`/v1/files/${file.uid}`, `/v1/files/${file.uid}/hold`, '/v1/trash', `/v1/files/${NEVER}`]) {
      for (const body of ['{"permanent": true}', ' ', 'x']) {
        const send = text('DELETE', path, body);
        await refused({ name: path, send, status: 400, code: 'malformed', detail: /query/ });
      }
    }
  });
});

describe('ids and addresses that name nothing', () => {
  const SHORT = 'abc';
  const WRONG = [SHORT, `${NEVER}0`, 'N0suchRecord-0000000', '%00', '%2e%2e%2f%2e%2e', 'N0suchRecord0000000%20', NEVER];

  it.each(WRONG)('the uid %s: 404 not-found', async (uid) => {
    for (const [method, path, body] of [
      ['GET', `/v1/files/${uid}`],
      ['GET', `/v1/files/${uid}/history`],
      ['GET', `/v1/files/${uid}/content`],
      ['GET', `/v1/files/${uid}/objects`],
      ['GET', `/v1/purges/files/${uid}`],
      ['PATCH', `/v1/files/${uid}`, '{}'],
      ['PATCH', `/v1/labels/${uid}`, '{}'],
      ['DELETE', `/v1/files/${uid}`],
      ['DELETE', `/v1/files/${uid}?permanent=true`],
      ['DELETE', `/v1/labels/${uid}`],
      ['POST', `/v1/files/${uid}/restore`, '{}'],
      ['PUT', `/v1/files/${uid}/hold`, '{}'],
      ['DELETE', `/v1/files/${uid}/hold`],
      ['POST', `/v1/purges/files/${uid}/retry`, '{}'],
      ['GET', `/v1/operations/${uid}`],
    ] as const) {
      const send =
        body === undefined ? () => sendRaw(service, rawRequest(service, method, path)) : text(method, path, body);
      await refused({ name: `${method} ${path}`, send, status: 404, code: 'not-found' });
    }
  });

  it.each(['Files', 'nothing', 'labels%20', '..', '__proto__', 'constructor', 'x'.repeat(600), '%F0%9F%98%80', '%00'])(
    'the registry %s: 404 not-found',
    async (registry) => {
      for (const path of [registry, `${registry}/${NEVER}`, `${registry}/${NEVER}/history`]) {
        const send = () => sendRaw(service, rawRequest(service, 'GET', `/v1/${path}`));
        await refused({ name: path, send, status: 404, code: 'not-found' });
      }
    },
  );

  it.each(['/v1/files/%', '/v1/files/%zz', '/v1/%c3%28', `/v1/files/%ff/content`])(
    '%s: 400 malformed',
    async (path) => {
      const send = () => sendRaw(service, rawRequest(service, 'GET', path));
      await refused({ name: path, send, status: 400, code: 'malformed' });
    },
  );

  it.each([
    ['PUT', '/v1/files', 'GET, HEAD, POST'],
    ['POST', '/v1/files/N0suchRecord00000000', 'DELETE, GET, HEAD, PATCH'],
    ['DELETE', '/v1/labels', 'GET, HEAD, POST'],
    ['PATCH', '/v1/trash', 'DELETE, GET, HEAD'],
    ['GET', '/v1/files/N0suchRecord00000000/restore', 'POST'],
    ['POST', '/v1/purges', 'GET, HEAD'],
    ['POST', '/v1/operations', 'GET, HEAD'],
    ['DELETE', '/health/live', 'GET, HEAD'],
    ['QUERY', '/v1', 'GET, HEAD'],
  ])('%s %s: 405 method-not-allowed, with Allow, whatever its body', async (method, path, allow) => {
    const bodies: readonly (readonly [Record<string, string>, string])[] = [
      [{}, ''],
      [{ 'content-type': 'application/json' }, '{"name": "x"}'],
      [{ 'content-type': 'application/json' }, '{'],
      [{ 'content-type': 'text/xml' }, '<x/>'],
    ];
    for (const [headers, body] of bodies) {
      const send = () => sendRaw(service, rawRequest(service, method, path, headers, body));
      const answer = await refused({ name: `${path} ${body}`, send, status: 405, code: 'method-not-allowed' });
      expect(answer.headers.get('allow')).toBe(allow);
    }
  });
});

describe('queries that are wrong: 422 invalid, with the parameter', () => {
  const long = 'x'.repeat(1_001);
  const ROWS: readonly (readonly [string, string, string])[] = [
    ['DELETE', '/v1/files/UID?permanent=yes', '?permanent'],
    ['DELETE', '/v1/files/UID?permanent=', '?permanent'],
    ['DELETE', '/v1/files/UID?permanent=true&permanent=false', '?permanent'],
    ['DELETE', '/v1/files/UID?storage=shred', '?storage'],
    ['DELETE', '/v1/files/UID?dryRun=1', '?dryRun'],
    ['DELETE', `/v1/files/UID?reason=${long}`, '?reason'],
    ['DELETE', '/v1/files/UID?reason=', '?reason'],
    ['DELETE', '/v1/files/UID?reason=a&reason=b', '?reason'],
    ['DELETE', '/v1/files/UID?reason=%ff', '?reason'],
    ['DELETE', '/v1/files/UID?reason=a%00b', '?reason'],
    ['DELETE', '/v1/files/UID?force=true', '?force'],
    ['DELETE', '/v1/files/UID?__proto__=x', '?__proto__'],
    ['DELETE', '/v1/trash?permanent=maybe', '?permanent'],
    ['DELETE', '/v1/trash?registry=labels', '?registry'],
    ['DELETE', '/v1/trash?olderThan=30', '?olderThan'],
    ['DELETE', '/v1/trash?older=P30D', '?older'],
    ['DELETE', `/v1/trash?reason=${long}`, '?reason'],
    ['GET', '/v1?x=1', '?x'],
    ['GET', '/v1/files/UID?x=1', '?x'],
    ['GET', '/v1/files/UID/history?sort=at', '?sort'],
    ['GET', '/v1/files/UID/objects?limit=0', '?limit'],
    ['GET', '/v1/files/UID/content?visibility=1', '?visibility'],
    ['GET', '/v1/files/UID/content?download=1', '?download'],
    ['GET', '/v1/purges?state=lost', '?state'],
    ['GET', '/v1/purges/files/UID?x=1', '?x'],
    ['GET', '/v1/operations?state=done', '?state'],
    ['GET', '/v1/trash?sort=key', '?sort'],
  ];

  it.each(ROWS)('%s %s', async (method, path, place) => {
    const send = () => sendRaw(service, rawRequest(service, method, path.replace('UID', file.uid)));
    await refused({ name: path, send, status: 422, code: 'invalid', errors: [place] });
  });

  it('a reason that is too long, also beside the one of the body', async () => {
    const request = rawRequest(
      service,
      'PUT',
      `/v1/files/${file.uid}/hold?reason=${long}`,
      { 'content-type': 'application/json' },
      '{"reason": "an audit"}',
    );
    const send = () => sendRaw(service, request);
    await refused({ name: 'hold', send, status: 422, code: 'invalid', errors: ['?reason'] });
  });

  it('a POST takes its own parameters only', async () => {
    for (const [method, path] of [
      ['POST', '/v1/labels'],
      ['PATCH', `/v1/labels/${label.uid}`],
      ['POST', `/v1/files/${file.uid}/restore`],
      ['PUT', `/v1/files/${file.uid}/hold`],
      ['POST', `/v1/purges/files/${file.uid}/retry`],
    ] as const) {
      const send = json(method, `${path}?dryRun=true`, {});
      await refused({ name: path, send, status: 422, code: 'invalid', errors: ['?dryRun'] });
    }
  });
});
