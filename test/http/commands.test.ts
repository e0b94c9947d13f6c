import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
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
 * The contract's section 3 and 4 over HTTP: what every command takes, each command's own rules, lists, content, the trash as a whole,
 * registries and storages.
 */

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const NEVER = 'N0suchRecord00000000';
const ENDED = { prefer: 'wait=20' };
const MODEL_SCHEMA = { type: 'object', required: ['framework'], properties: { framework: { type: 'string' } } };

type Row = Answer['body'];
interface Ref {
  readonly registry: string;
  readonly uid: string;
}

let service: RunningService;
let disk: string;
/** A request for a position that nobody will reach, begun at the start: it takes as long as the service's bound. */
let tooFar: Promise<Answer>;

beforeAll(async () => {
  disk = await temporaryFolder();
  await mkdir(join(disk, 'lab'));
  await mkdir(join(disk, 'other'));
  service = await startService({
    config: {
      registries: { models: { schema: MODEL_SCHEMA }, notes: {} },
      storages: [
        { name: 'lab', root: `file:${join(disk, 'lab')}` },
        { name: 'other', root: `file:${join(disk, 'other')}` },
      ],
      purges: { attempts: 1 },
    },
  });
  tooFar = call('GET', '/v1/labels', { headers: { 'x-min-position': '999999999999' } });
});

afterAll(async () => {
  await tooFar;
  try {
    await discard(service);
  } finally {
    await rm(disk, { recursive: true, force: true });
  }
});

const call = (method: string, path: string, options?: RequestOptions): Promise<Answer> =>
  service.request(method, path, options);

const serial = ((): (() => number) => {
  let last = 0;
  return () => (last += 1);
})();

const at = ({ registry, uid }: Ref): string => `/v1/${registry}/${uid}`;
const lab = (path: string): string => join(disk, 'lab', path);

const put = async (path: string, content = `content of ${path}`): Promise<string> => {
  await mkdir(dirname(lab(path)), { recursive: true });
  await writeFile(lab(path), content);
  return path;
};

const created = (answer: Answer): Row => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  expect(answer.body.outcome).toBe('created');
  return answer.body.record;
};

const register = async (registry: string, json: object = {}): Promise<Row> =>
  created(await call('POST', `/v1/${registry}`, { json }));

const send = (
  metadata: object,
  content = `bytes ${serial()}`,
  headers = {},
  filename = 'content.bin',
): Promise<Answer> => call('POST', '/v1/files', { body: upload(metadata, content, filename), headers });

const file = async (metadata: object = {}, content?: string): Promise<Row> => created(await send(metadata, content));

const trashed = async (metadata: object = {}): Promise<Row> =>
  (await call('DELETE', at(await file(metadata)))).body.record;

const historyOf = async (record: Ref): Promise<Row[]> => (await call('GET', `${at(record)}/history`)).body.items;

/** The log's head: every list says it, where nothing else is going on. */
const head = async (): Promise<string> => (await call('GET', '/v1/users?limit=1')).body.position;

const appendsNothing = async <T>(act: () => Promise<T>): Promise<T> => {
  const before = await head();
  const answer = await act();
  expect(await head()).toBe(before);
  return answer;
};

const expectProblem = (answer: Answer, status: number, code: string, errors?: readonly string[]): void => {
  expect(answer.body, JSON.stringify(answer.body)).toMatchObject({ status, code, type: `urn:lethe:${code}` });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(answer.body.correlationId).toBe(answer.headers.get('x-correlation-id'));
  if (errors !== undefined) expect(answer.body.errors.map(({ path }: { path: string }) => path)).toEqual(errors);
};

/** Every file below a folder. */
const filesBelow = async (folder: string): Promise<string[]> => {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
};

const objects = (): Promise<string[]> => filesBelow(join(service.data, 'objects'));

describe('Idempotency-Key: a repeat answers the first status, outcome, ETag and the record as it was then', () => {
  interface Repeatable {
    readonly send: (headers: Record<string, string>) => Promise<Answer>;
    /** What happens between the call and its repeat. */
    readonly since: (first: Answer) => Promise<unknown>;
  }
  const patchLater = (record: Ref): Promise<Answer> =>
    call('PATCH', at(record), { json: { description: `changed since ${serial()}` } });
  const patchWhatCame = (first: Answer): Promise<Answer> => patchLater(first.body.record);
  const onRecord =
    (make: () => Promise<Row>, method: string, path: string, json?: object) => async (): Promise<Repeatable> => {
      const record = await make();
      return {
        send: (headers) => call(method, at(record) + path, json === undefined ? { headers } : { json, headers }),
        since: () => patchLater(record),
      };
    };
  const held = async (): Promise<Row> => {
    const record = await file();
    return (await call('PUT', `${at(record)}/hold`, { json: {} })).body.record;
  };

  const COMMANDS: readonly (readonly [string, () => Promise<Repeatable>])[] = [
    [
      'POST /{registry}, a plain record',
      async () => ({
        send: (headers) => call('POST', '/v1/labels', { json: { name: 'x', data: { a: 1 } }, headers }),
        since: patchWhatCame,
      }),
    ],
    [
      'POST /datasets',
      async () => ({
        send: (headers) => call('POST', '/v1/datasets', { json: { name: 'x' }, headers }),
        since: patchWhatCame,
      }),
    ],
    [
      'POST /storages',
      async () => {
        const name = `store ${serial()}`;
        const json = { name, data: { root: `file:${lab(name)}` } };
        return { send: (headers) => call('POST', '/v1/storages', { json, headers }), since: patchWhatCame };
      },
    ],
    [
      'POST /files with a path',
      async () => {
        const path = await put(`repeat-${serial()}.txt`);
        return {
          send: (headers) => call('POST', '/v1/files', { json: { path, storage: 'lab' }, headers }),
          since: patchWhatCame,
        };
      },
    ],
    [
      'POST /files as multipart/form-data',
      async () => {
        const content = `repeated ${serial()}`;
        return { send: (headers) => send({ key: 'x.txt' }, content, headers), since: patchWhatCame };
      },
    ],
    ['PATCH', onRecord(() => file(), 'PATCH', '', { description: 'once' })],
    ['DELETE', onRecord(() => file(), 'DELETE', '?reason=once')],
    ['POST …/restore', onRecord(() => trashed(), 'POST', '/restore')],
    ['PUT …/hold', onRecord(() => file(), 'PUT', '/hold', { reason: 'once' })],
    ['DELETE …/hold', onRecord(held, 'DELETE', '/hold')],
    [
      'DELETE ?permanent=true under Prefer: wait',
      async () => {
        const record = await file();
        return {
          send: (headers) => call('DELETE', `${at(record)}?permanent=true`, { headers: { ...headers, ...ENDED } }),
          since: () => register('labels'),
        };
      },
    ],
    [
      'DELETE of a plain record',
      async () => {
        const record = await register('labels');
        return { send: (headers) => call('DELETE', at(record), { headers }), since: () => register('labels') };
      },
    ],
  ];

  it.each(COMMANDS)('%s', async (_, prepare) => {
    const { send: once, since } = await prepare();
    const key = { 'idempotency-key': `key ${serial()}` };
    const first = await once(key);
    expect(first.status, JSON.stringify(first.body)).toBeLessThan(300);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    await since(first);
    const stored = await objects();
    const repeat = await appendsNothing(() => once(key));
    expect(repeat.status).toBe(first.status);
    expect(repeat.body).toEqual(first.body);
    expect(repeat.headers.get('idempotent-replayed')).toBe('true');
    for (const name of ['etag', 'location', 'x-position'])
      expect(repeat.headers.get(name), name).toBe(first.headers.get(name));
    expect(await objects()).toEqual(stored);
  });

  it('POST /purges/…/retry', async () => {
    const path = await put(`retried-${serial()}.txt`);
    const record = created(await call('POST', '/v1/files', { json: { path, storage: 'lab' } }));
    await rename(join(disk, 'lab'), join(disk, 'away'));
    try {
      await call('DELETE', `${at(record)}?permanent=true&storage=delete`);
      await until(
        'it is parked',
        async () => (await call('GET', `/v1/purges/files/${record.uid}`)).body.state === 'parked',
      );
    } finally {
      await rename(join(disk, 'away'), join(disk, 'lab'));
    }
    const retry = (): Promise<Answer> =>
      call('POST', `/v1/purges/files/${record.uid}/retry`, { headers: { ...ENDED, 'idempotency-key': 'retry once' } });
    const first = await retry();
    expect(first.body.outcome).toBe('purged');
    const repeat = await appendsNothing(retry);
    expect(repeat.status).toBe(200);
    expect(repeat.body).toEqual(first.body);
    expect(repeat.headers.get('idempotent-replayed')).toBe('true');
  });

  it('a purge that nobody waited for: 202 purging as at first, also once it has ended', async () => {
    const record = await file();
    const purge = (headers: Record<string, string> = {}): Promise<Answer> =>
      call('DELETE', `${at(record)}?permanent=true`, {
        headers: { 'idempotency-key': `not waited for: ${record.uid}`, ...headers },
      });
    const first = await purge();
    expect([first.status, first.body.outcome], JSON.stringify(first.body)).toEqual([202, 'purging']);
    await until(
      'it has ended',
      async () => (await call('GET', `/v1/purges/files/${record.uid}`)).body.state === 'done',
    );
    const repeat = await appendsNothing(purge);
    expect([repeat.status, repeat.body.outcome, repeat.body.purge.state]).toEqual([202, 'purging', 'done']);
    expect(repeat.headers.get('idempotent-replayed')).toBe('true');
    for (const name of ['etag', 'location', 'x-position'])
      expect(repeat.headers.get(name), name).toBe(first.headers.get(name));
    // Who waits, or asks anew, hears how it stands.
    expect((await appendsNothing(() => purge(ENDED))).body.outcome).toBe('purged');
    expect((await call('DELETE', at(record))).body.outcome).toBe('purged');
  });

  it('after the record is purged too', async () => {
    const key = { 'idempotency-key': 'made and gone' };
    const make = (): Promise<Answer> => call('POST', '/v1/labels', { json: { name: 'gone' }, headers: key });
    const first = await make();
    await call('DELETE', at(first.body.record));
    const repeat = await make();
    expect(repeat.status).toBe(201);
    expect(repeat.body).toEqual(first.body);
  });

  it('after the storage of that name was purged too', async () => {
    const json = { name: 'short-lived', data: { root: `file:${lab('short-lived')}` } };
    const make = (): Promise<Answer> =>
      call('POST', '/v1/storages', { json, headers: { 'idempotency-key': 'make the storage' } });
    const first = await make();
    expect((await call('DELETE', at(first.body.record))).body.outcome).toBe('purged');
    const repeat = await appendsNothing(make);
    expect(repeat.status).toBe(201);
    expect(repeat.body).toEqual(first.body);
    expect(repeat.headers.get('idempotent-replayed')).toBe('true');
  });

  it('a command that appended nothing, or was refused, is decided anew', async () => {
    const record = await file();
    const restore = { headers: { 'idempotency-key': 'restore when needed' } };
    expect((await call('POST', `${at(record)}/restore`, restore)).body.outcome).toBe('unchanged');
    await call('DELETE', at(record));
    expect((await call('POST', `${at(record)}/restore`, restore)).body.outcome).toBe('restored');
    await call('PUT', `${at(record)}/hold`, { json: {} });
    const purge = { headers: { 'idempotency-key': 'purge when free', ...ENDED } };
    expectProblem(await call('DELETE', `${at(record)}?permanent=true`, purge), 409, 'on-hold');
    await call('DELETE', `${at(record)}/hold`);
    expect((await call('DELETE', `${at(record)}?permanent=true`, purge)).body.outcome).toBe('purged');
  });

  it('another query: 422 idempotency-mismatch', async () => {
    const record = await file();
    const headers = { 'idempotency-key': 'one query' };
    await call('DELETE', `${at(record)}?reason=one`, { headers });
    for (const query of ['?reason=two', '', '?reason=one&permanent=true']) {
      expectProblem(
        await appendsNothing(() => call('DELETE', at(record) + query, { headers })),
        422,
        'idempotency-mismatch',
      );
    }
  });

  it('another query, with dryRun=true: 422 idempotency-mismatch', async () => {
    const record = await file();
    const headers = { 'idempotency-key': 'no dry run' };
    await call('DELETE', `${at(record)}?permanent=false`, { headers });
    const answer = await appendsNothing(() => call('DELETE', `${at(record)}?permanent=true&dryRun=true`, { headers }));
    expectProblem(answer, 422, 'idempotency-mismatch');
  });

  it('another JSON: 422 idempotency-mismatch; the same in another order is the same', async () => {
    const headers = { 'idempotency-key': 'one body' };
    const first = await call('POST', '/v1/notes', { json: { name: 'a', data: { x: 1, y: [2] } }, headers });
    const same = await call('POST', '/v1/notes', { json: { data: { y: [2], x: 1 }, name: 'a' }, headers });
    expect(same.body).toEqual(first.body);
    expect(same.headers.get('idempotent-replayed')).toBe('true');
    for (const json of [{ name: 'b', data: { x: 1, y: [2] } }, { name: 'a' }, {}]) {
      expectProblem(
        await appendsNothing(() => call('POST', '/v1/notes', { json, headers })),
        422,
        'idempotency-mismatch',
      );
    }
  });

  it('another JSON for a storage, whose uid follows from its name: 422 idempotency-mismatch', async () => {
    const headers = { 'idempotency-key': 'one storage' };
    const make = (name: string): Promise<Answer> =>
      call('POST', '/v1/storages', { json: { name, data: { root: `file:${lab(name)}` } }, headers });
    created(await make('one'));
    expectProblem(await appendsNothing(() => make('two')), 422, 'idempotency-mismatch');
  });

  it('another content or metadata of an upload: 422 idempotency-mismatch, and nothing is stored', async () => {
    const headers = { 'idempotency-key': 'one content' };
    created(await send({ key: 'x' }, 'the first content', headers));
    const stored = await objects();
    for (const [metadata, content] of [
      [{ key: 'x' }, 'another content'],
      [{ key: 'x' }, ''],
      [{ key: 'y' }, 'the first content'],
    ] as const) {
      expectProblem(await appendsNothing(() => send(metadata, content, headers)), 422, 'idempotency-mismatch');
    }
    expect(await objects()).toEqual(stored);
  });

  it('another actor, method or path is another command', async () => {
    const [one, two] = [await file(), await file()];
    const headers = { 'idempotency-key': 'shared' };
    const alice = { ...headers, 'x-actor': 'alice' };
    const first = await call('POST', '/v1/labels', { json: { name: 'x' }, headers: alice });
    const other = await call('POST', '/v1/labels', { json: { name: 'y' }, headers: { ...headers, 'x-actor': 'bob' } });
    expect(created(other).uid).not.toBe(created(first).uid);
    expect((await call('DELETE', at(one), { headers })).body.outcome).toBe('trashed');
    expect((await call('DELETE', at(two), { headers })).body.outcome).toBe('trashed');
    expect((await call('PATCH', at(two), { json: { description: 'x' }, headers })).body.outcome).toBe('updated');
  });

  it.each([
    ['256 characters', 'x'.repeat(256)],
    ['what is not ASCII', 'clé'],
  ])('%s: 422 invalid', async (_, key) => {
    const headers = { 'idempotency-key': key };
    expectProblem(await appendsNothing(() => call('POST', '/v1/labels', { json: {}, headers })), 422, 'invalid');
  });

  it('255 characters: taken', async () => {
    created(await call('POST', '/v1/labels', { json: {}, headers: { 'idempotency-key': '~'.repeat(255) } }));
  });
});

describe('Idempotency-Key: two at once are one command', () => {
  /** All answer the same, and that is what the log holds. */
  const atOnce = async (act: (headers: Record<string, string>) => Promise<Answer>): Promise<Row> => {
    const headers = { 'idempotency-key': `at once ${serial()}` };
    const [first, ...others] = await Promise.all(Array.from({ length: 4 }, () => act(headers)));
    for (const { status, body } of others)
      expect({ status, body }).toEqual({ status: first?.status, body: first?.body });
    const record = first?.body.record;
    expect((await call('GET', at(record))).body).toEqual(record);
    return record;
  };

  it('a registration: one record', async () => {
    const record = await atOnce((headers) => call('POST', '/v1/labels', { json: { name: 'once' }, headers }));
    expect(await historyOf(record)).toHaveLength(1);
  });

  it('a PATCH: one event', async () => {
    const record = await file();
    await atOnce((headers) => call('PATCH', at(record), { json: { description: 'once' }, headers }));
    expect(await historyOf(record)).toHaveLength(2);
  });

  it('a DELETE: one event', async () => {
    const record = await file();
    await atOnce((headers) => call('DELETE', at(record), { headers }));
    expect(await historyOf(record)).toHaveLength(2);
  });

  it('an upload: one record, one object', async () => {
    const before = await objects();
    const content = `at once ${serial()}`;
    const record = await atOnce((headers) => send({ key: 'once.txt' }, content, headers));
    expect(await historyOf(record)).toHaveLength(1);
    expect((await objects()).filter((path) => !before.includes(path))).toEqual([
      join(service.data, 'objects', record.path),
    ]);
  });

  it('a registration by path: one record', async () => {
    const path = await put(`at-once-${serial()}.txt`);
    const record = await atOnce((headers) => call('POST', '/v1/files', { json: { path, storage: 'lab' }, headers }));
    expect(await historyOf(record)).toHaveLength(1);
    expect((await call('GET', `/v1/files?path=${path}`)).body.items).toHaveLength(1);
  });

  it.each(['return', 'create', 'fail'])(
    'an upload that is repeated while its first try still sends (onDuplicate=%s): one record, one object',
    async (onDuplicate) => {
      const before = await objects();
      const headers = { 'idempotency-key': `sent twice, ${onDuplicate}` };
      const content = `sent again before the first try had ended, ${onDuplicate}`;
      const metadata = { key: 'slow.txt', onDuplicate };
      const slow = slowUpload(metadata, content, headers);
      await until(
        'the first try has begun',
        async () => (await filesBelow(join(service.data, 'objects/.lethe/tmp'))).length > 0,
      );
      const second = await send(metadata, content, headers);
      const record = created(second);
      const first = await slow.finish();
      expect({ status: first.status, body: first.body }).toEqual({ status: 201, body: second.body });
      expect(await historyOf(record)).toHaveLength(1);
      const left = (await objects()).filter((path) => !before.includes(path));
      expect(left).toEqual([join(service.data, 'objects', record.path)]);
    },
  );
});

/** An upload that sends all but its last byte, and that when it is asked to. */
const slowUpload = (
  metadata: object,
  content: string,
  headers: Record<string, string>,
): { finish: () => Promise<Answer> } => {
  const boundary = 'a-boundary-of-its-own';
  const request = httpRequest(`${service.url}/v1/files`, {
    method: 'POST',
    headers: { ...headers, 'content-type': `multipart/form-data; boundary=${boundary}` },
  });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  request.write(
    `--${boundary}\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n${JSON.stringify(metadata)}\r\n` +
      `--${boundary}\r\ncontent-disposition: form-data; name="content"; filename="content.bin"\r\n` +
      `content-type: application/octet-stream\r\n\r\n${content.slice(0, -1)}`,
  );
  return {
    finish: async () => {
      request.end(`${content.slice(-1)}\r\n--${boundary}--\r\n`);
      const [response] = await answered;
      return { status: response.statusCode ?? 0, headers: new Headers(), body: JSON.parse(await text(response)) };
    },
  };
};

describe('If-Match', () => {
  const description = (value: string): object => ({ description: value });

  it('the revision that is: carried out; another: 412 revision-changed', async () => {
    const record = await file();
    const first = await call('PATCH', at(record), { json: description('a'), headers: { 'if-match': '"0"' } });
    expect(first.headers.get('etag')).toBe('"1"');
    for (const stale of ['"0"', '"2"', '"99"']) {
      const headers = { 'if-match': stale };
      for (const act of [
        () => call('PATCH', at(record), { json: description('b'), headers }),
        () => call('DELETE', at(record), { headers }),
        () => call('POST', `${at(record)}/restore`, { headers }),
        () => call('PUT', `${at(record)}/hold`, { json: {}, headers }),
        () => call('DELETE', `${at(record)}/hold`, { headers }),
      ]) {
        const answer = await appendsNothing(act);
        expectProblem(answer, 412, 'revision-changed');
        expect(answer.body.detail).toContain('revision 1');
      }
    }
  });

  it('*: whatever it is', async () => {
    const record = await file();
    expect((await call('DELETE', at(record), { headers: { 'if-match': '*' } })).body.outcome).toBe('trashed');
  });

  it.each(['0', 'W/"0"', '"a"', '"-1"', '"0", "1"'])('%s: 422 invalid', async (value) => {
    const record = await file();
    const answer = await appendsNothing(() => call('DELETE', at(record), { headers: { 'if-match': value } }));
    expectProblem(answer, 422, 'invalid', ['if-match']);
  });

  it('two at once: one wins, the other gets 412', async () => {
    const record = await file();
    const headers = { 'if-match': '"0"' };
    const answers = await Promise.all(
      ['a', 'b'].map((value) => call('PATCH', at(record), { json: description(value), headers })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    expect(await historyOf(record)).toHaveLength(2);
  });

  it('without it a lost race is decided anew: each is carried out, one after the other', async () => {
    const record = await file();
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((value) => call('PATCH', at(record), { json: description(value) })),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(answers.map(({ headers }) => headers.get('etag')).sort()).toEqual(['"1"', '"2"', '"3"']);
  });
});

describe('X-Min-Position', () => {
  it('one that is reached: the answer, at or past it', async () => {
    const answer = await call('DELETE', at(await file()));
    const headers = { 'x-min-position': answer.headers.get('x-position') ?? '' };
    const list = await call('GET', '/v1/trash', { headers });
    expect(list.status).toBe(200);
    expect(Number(list.body.position)).toBeGreaterThanOrEqual(Number(answer.headers.get('x-position')));
    expect(list.body.items.map(({ uid }: Row) => uid)).toContain(answer.body.record.uid);
    expect(list.headers.get('x-position')).toBe(list.body.position);
    expect((await call('POST', '/v1/labels', { json: {}, headers })).status).toBe(201);
  });

  it('one that is far: 503 projection-behind with Retry-After, past the bound', async () => {
    const answer = await tooFar;
    expectProblem(answer, 503, 'projection-behind');
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
  });

  it.each(['-1', 'x', '1.5', '99999999999999999999'])('%s: 422 invalid', async (value) => {
    expectProblem(await call('GET', '/v1/labels', { headers: { 'x-min-position': value } }), 422, 'invalid', [
      'x-min-position',
    ]);
  });
});

describe('X-Actor', () => {
  it('is in the history of what it did, on the record, and in its hold', async () => {
    const as = (actor: string): { headers: Record<string, string> } => ({ headers: { 'x-actor': actor } });
    const record = created(
      await call('POST', '/v1/files', { body: upload({}, `by ${serial()}`), ...as('svc:ingest') }),
    );
    expect(record.createdBy).toBe('svc:ingest');
    await call('PATCH', at(record), { json: { description: 'x' } });
    expect((await call('DELETE', at(record), as('alice'))).body.record).toMatchObject({
      trashedBy: 'alice',
      createdBy: 'svc:ingest',
    });
    const held = await call('PUT', `${at(record)}/hold`, { json: {}, ...as('carol@lab') });
    expect(held.body.record.hold.by).toBe('carol@lab');
    expect((await historyOf(record)).map(({ actor }) => actor)).toEqual([
      'svc:ingest',
      'anonymous',
      'alice',
      'carol@lab',
    ]);
    await call('DELETE', `${at(record)}/hold`);
  });

  it('more than 255 characters: 422 invalid', async () => {
    const headers = { 'x-actor': 'x'.repeat(256) };
    expectProblem(await appendsNothing(() => call('POST', '/v1/labels', { json: {}, headers })), 422, 'invalid', [
      'x-actor',
    ]);
  });
});

describe('history', () => {
  it('each event with its fields, oldest first, each with the digest of the one before', async () => {
    const record = await file({ description: 'a' });
    await call('PATCH', `${at(record)}?reason=typo`, {
      json: { description: 'b' },
      headers: { 'x-correlation-id': 'c-7' },
    });
    const answer = await call('GET', `${at(record)}/history`);
    const [first, second] = answer.body.items;
    expect(Object.keys(second)).toEqual([
      'position',
      'registry',
      'uid',
      'revision',
      'id',
      'at',
      'actor',
      'type',
      'version',
      'reason',
      'data',
      'commandId',
      'correlationId',
      'previous',
    ]);
    expect(first).toMatchObject({ type: 'RecordRegistered', revision: 0, version: 1, reason: null, previous: null });
    expect(second).toEqual({
      position: answer.body.position,
      registry: 'files',
      uid: record.uid,
      revision: 1,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      at: expect.stringMatching(INSTANT),
      actor: 'anonymous',
      type: 'RecordUpdated',
      version: 1,
      reason: 'typo',
      data: { changes: { description: { from: 'a', to: 'b' } }, withdraws: null },
      commandId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      correlationId: 'c-7',
      previous: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    });
  });

  it('is paged as every list', async () => {
    const record = await file();
    for (const description of ['a', 'b', 'c']) await call('PATCH', at(record), { json: { description } });
    const first = await call('GET', `${at(record)}/history?limit=3&count=true`);
    expect(first.body.total).toBe(4);
    expect(first.body.items.map(({ revision }: Row) => revision)).toEqual([0, 1, 2]);
    const second = await call('GET', `${at(record)}/history?limit=3&cursor=${first.body.next}`);
    expect(second.body.items.map(({ revision }: Row) => revision)).toEqual([3]);
    expect(second.body.next).toBeNull();
    expectProblem(await call('GET', `${at(record)}/history?sort=revision`), 422, 'invalid', ['?sort']);
  });
});

describe('PATCH', () => {
  const patch = (record: Ref, json: unknown, query = ''): Promise<Answer> =>
    call('PATCH', at(record) + query, { json });

  const changed = async (record: Row, name: string, to: unknown): Promise<void> => {
    const before = (await call('GET', at(record))).body;
    const answer = await patch(record, { [name]: to });
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.body).toMatchObject({ outcome: 'updated', warnings: [] });
    expect(answer.body.record).toEqual({
      ...before,
      [name]: to,
      updatedAt: expect.stringMatching(INSTANT),
      revision: Number(before.revision) + 1,
    });
    const last = (await historyOf(record)).at(-1);
    expect(last).toMatchObject({ type: 'RecordUpdated', data: { changes: { [name]: { from: before[name], to } } } });
    const again = await appendsNothing(() => patch(record, { [name]: to }));
    expect(again.body).toEqual({ outcome: 'unchanged', record: answer.body.record, warnings: [] });
    expect(again.headers.get('etag')).toBe(answer.headers.get('etag'));
  };

  it('files: key (virtual), description, accessor, version, labels, run, transform, visibility; each also back to nothing', async () => {
    const record = await file({ key: 'a.txt' });
    const [label, run, transform] = [await register('labels'), await register('runs'), await register('transforms')];
    await changed(record, 'key', 'b/c.txt');
    await changed(record, 'description', 'x');
    await changed(record, 'accessor', 'DataFrame');
    await changed(record, 'version', '2');
    await changed(record, 'labels', [label.uid]);
    await changed(record, 'run', run.uid);
    await changed(record, 'transform', transform.uid);
    await changed(record, 'visibility', 0);
    for (const name of ['key', 'description', 'accessor', 'version', 'run', 'transform'])
      await changed(record, name, null);
    await changed(record, 'labels', []);
    await changed(record, 'visibility', 1);
    expect((await call('GET', at(record))).body.path).toBe(record.path);
  });

  it('datasets: name and files too', async () => {
    const record = await register('datasets', { name: 'a' });
    const one = await file();
    await changed(record, 'name', 'b');
    await changed(record, 'files', [one.uid]);
    await changed(record, 'description', 'x');
    await changed(record, 'visibility', 0);
  });

  it('plain records: name, description, and data as a merge patch', async () => {
    const record = await register('notes', { name: 'a', data: { a: 1, b: { c: 2, d: [1, 2] } } });
    await changed(record, 'name', 'b');
    await changed(record, 'description', 'x');
    const answer = await patch(record, { data: { a: null, b: { d: [3] }, e: 'new' } });
    expect(answer.body.record.data).toEqual({ b: { c: 2, d: [3] }, e: 'new' });
    expect((await appendsNothing(() => patch(record, { data: {} }))).body.outcome).toBe('unchanged');
    expect((await appendsNothing(() => patch(record, { data: { never: null } }))).body.outcome).toBe('unchanged');
    expect((await patch(record, { data: 'all else' })).body.record.data).toBe('all else');
    expect((await patch(record, { data: null })).body.record.data).toBeNull();
  });

  it('several fields are one event', async () => {
    const record = await file();
    await patch(record, { description: 'x', version: '1', accessor: null });
    const history = await historyOf(record);
    expect(history).toHaveLength(2);
    expect(Object.keys(history[1].data.changes).sort()).toEqual(['description', 'version']);
  });

  it('application/merge-patch+json is taken; another type is 415; what is no JSON is 400', async () => {
    const record = await file();
    const as = (type: string, body: string): Promise<Answer> =>
      call('PATCH', at(record), { body, headers: { 'content-type': type } });
    expect((await as('application/merge-patch+json', '{"description":"x"}')).body.outcome).toBe('updated');
    expectProblem(await as('text/plain', '{"description":"y"}'), 415, 'unsupported-media');
    expectProblem(await as('application/json', '{"description":'), 400, 'malformed');
  });

  it('visibility in the trash: 409 trashed; the other fields may change there', async () => {
    const record = await trashed();
    for (const visibility of [1, 0]) {
      expectProblem(await appendsNothing(() => patch(record, { visibility })), 409, 'trashed');
    }
    const answer = await patch(record, { description: 'x' });
    expect(answer.body).toMatchObject({ outcome: 'updated', record: { visibility: -1, description: 'x' } });
  });

  it('another field, or a value of another kind: 422, and nothing is written', async () => {
    const record = await file({ description: 'as it was' });
    const wrong: readonly (readonly [object, readonly string[]])[] = [
      [{ size: 1 }, ['/size']],
      [{ description: 'x', hash: 'y', uid: NEVER }, ['/hash', '/uid']],
      [{ keyIsVirtual: false }, ['/keyIsVirtual']],
      [{ storage: 'lab' }, ['/storage']],
      [{ initialVersion: record.uid }, ['/initialVersion']],
      [{ visibility: -1 }, ['/visibility']],
      [{ visibility: '1' }, ['/visibility']],
      [{ description: 7 }, ['/description']],
      [{ labels: null }, ['/labels']],
      [{ labels: ['short'] }, ['/labels/0']],
      [{ labels: [NEVER] }, ['/labels/0']],
      [{ run: NEVER, transform: NEVER }, ['/run', '/transform']],
      [{ name: 'x' }, ['/name']],
    ];
    for (const [json, paths] of wrong) {
      const answer = await appendsNothing(() => patch(record, json));
      expectProblem(answer, 422, 'invalid');
      expect(answer.body.errors.map(({ path }: Row) => path).sort(), JSON.stringify(json)).toEqual(paths);
    }
    for (const body of [[], 'text', 7, null]) expectProblem(await patch(record, body), 422, 'invalid');
    expect((await call('GET', at(record))).body).toEqual(record);
  });

  it('the key of a semantic one: 422', async () => {
    const path = await put(`semantic-${serial()}`);
    const record = created(await call('POST', '/v1/files', { json: { path, storage: 'lab' } }));
    expectProblem(await appendsNothing(() => patch(record, { key: 'elsewhere' })), 422, 'invalid', ['/key']);
    expect((await patch(record, { key: path })).body.outcome).toBe('unchanged');
  });

  it('reason is in the event', async () => {
    const record = await file();
    await patch(record, { description: 'x' }, '?reason=typo');
    expect((await historyOf(record)).at(-1).reason).toBe('typo');
  });
});

describe('the same content again', () => {
  const metadata = { key: 'a.txt', description: 'the first' };

  it('onDuplicate=return, the default: 200 existing, and warnings naming metadata it did not take', async () => {
    const content = `same ${serial()}`;
    const record = await file(metadata, content);
    const stored = await objects();
    const plain = await appendsNothing(() => send({}, content));
    expect(plain.status).toBe(200);
    expect(plain.body).toEqual({ outcome: 'existing', record, warnings: [] });
    expect(plain.headers.get('etag')).toBe('"0"');
    const label = await register('labels');
    const other = await send(
      { key: 'b.txt', description: 'the first', version: '2', labels: [label.uid], onDuplicate: 'return' },
      content,
    );
    expect(other.body.record).toEqual(record);
    expect(other.body.warnings).toHaveLength(1);
    expect(other.body.warnings[0].message).toMatch(/\bkey\b.*\bversion\b.*\blabels\b/);
    expect(other.body.warnings[0].message).not.toMatch(/\bdescription\b/);
    expect(await objects()).toEqual(stored);
  });

  it('onDuplicate=create: 201, a record and an object of its own', async () => {
    const content = `same ${serial()}`;
    const record = await file(metadata, content);
    const other = await file({ ...metadata, onDuplicate: 'create' }, content);
    expect(other.uid).not.toBe(record.uid);
    expect(other.path).not.toBe(record.path);
    expect(other.hash).toBe(record.hash);
  });

  it('onDuplicate=fail: 409 duplicate, naming it; nothing is stored', async () => {
    const content = `same ${serial()}`;
    const record = await file(metadata, content);
    const stored = await objects();
    const answer = await appendsNothing(() => send({ onDuplicate: 'fail' }, content));
    expectProblem(answer, 409, 'duplicate');
    expect(answer.body.detail).toContain(record.uid);
    expect(await objects()).toEqual(stored);
    created(await send({ onDuplicate: 'fail' }, `${content} but not the same`));
  });

  it.each(['return', 'fail'])(
    'what lies in the trash does not count (onDuplicate=%s): a new record, and warnings names the trashed one',
    async (onDuplicate) => {
      const content = `same ${serial()}`;
      const record = await file(metadata, content);
      await call('DELETE', at(record));
      const answer = await send({ onDuplicate }, content);
      expect(created(answer).uid).not.toBe(record.uid);
      expect(answer.body.warnings).toHaveLength(1);
      expect(answer.body.warnings[0].message).toContain(record.uid);
      expect((await call('GET', at(record))).body.visibility).toBe(-1);
    },
  );

  it('a hidden, a purged one, or one in another storage does not count', async () => {
    const content = `same ${serial()}`;
    const hidden = await file({ visibility: 0 }, content);
    const elsewhere = await file({ storage: 'other' }, content);
    const purged = await file({}, content);
    await call('DELETE', `${at(purged)}?permanent=true`, { headers: ENDED });
    const answer = await send({}, content);
    expect([hidden.uid, elsewhere.uid, purged.uid]).not.toContain(created(answer).uid);
    expect(answer.body.warnings).toEqual([]);
  });

  it('by path: 200 existing; create: another record on the same object', async () => {
    const path = await put(`twice-${serial()}`);
    const json = { path, storage: 'lab' };
    const record = created(await call('POST', '/v1/files', { json }));
    const again = await appendsNothing(() => call('POST', '/v1/files', { json: { ...json, description: 'x' } }));
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({ outcome: 'existing', record: { uid: record.uid } });
    expect(again.body.warnings[0].message).toContain('description');
    const other = created(await call('POST', '/v1/files', { json: { ...json, onDuplicate: 'create' } }));
    expect(other.path).toBe(record.path);
    expectProblem(await call('POST', '/v1/files', { json: { ...json, onDuplicate: 'fail' } }), 409, 'duplicate');
  });

  it('a folder is the same only with the same relative paths', async () => {
    for (const name of ['one', 'two', 'three']) await put(`${name}/${name === 'three' ? 'b' : 'a'}`, 'the same bytes');
    const folder = (name: string): Promise<Answer> =>
      call('POST', '/v1/files', { json: { path: `${name}/`, storage: 'lab' } });
    const one = created(await folder('one'));
    expect((await folder('two')).body).toMatchObject({ outcome: 'existing', record: { uid: one.uid } });
    const three = created(await folder('three'));
    expect([three.hash, three.hashType]).toEqual([one.hash, 'md5-d']);
  });
});

describe('registering a file', () => {
  const md5 = (content: string): Buffer => createHash('md5').update(content).digest();

  it('hash is the base64url MD5, of a folder the MD5 over the MD5s of its files’ hashes, sorted', async () => {
    const content = `hashed ${serial()}`;
    const record = await file({}, content);
    expect(record).toMatchObject({
      hash: md5(content).toString('base64url'),
      hashType: 'md5',
      size: content.length,
      objects: 1,
    });
    for (const name of ['x', 'deep/y']) await put(`hashed/${name}`, `content of ${name}`);
    const folder = created(await call('POST', '/v1/files', { json: { path: 'hashed/', storage: 'lab' } }));
    const hashes = ['content of x', 'content of deep/y'].map((one) => md5(one).toString('base64url')).sort();
    const all = createHash('md5')
      .update(Buffer.concat(hashes.map(md5)))
      .digest('base64url');
    expect(folder).toMatchObject({ hash: all, hashType: 'md5-d', objects: 2, key: 'hashed/', suffix: null });
  });

  it('without suffix it is that of the key, else of the filename; .tar.gz and .ome.tif stay whole', async () => {
    const suffixOf = async (metadata: object, filename: string): Promise<string | null> =>
      created(await send(metadata, undefined, {}, filename)).suffix;
    expect(await suffixOf({}, 'a.parquet')).toBe('.parquet');
    expect(await suffixOf({}, 'a.tar.gz')).toBe('.tar.gz');
    expect(await suffixOf({ key: 'x/y.ome.tif' }, 'a.parquet')).toBe('.ome.tif');
    expect(await suffixOf({ key: 'v1.2/README' }, 'a.parquet')).toBeNull();
    expect(await suffixOf({ key: 'x.csv', suffix: '.tsv' }, 'a')).toBe('.tsv');
    expect(await suffixOf({}, 'noname')).toBeNull();
  });

  it('an empty file is a file', async () => {
    const record = await file({ onDuplicate: 'create' }, '');
    expect(record).toMatchObject({ size: 0, hash: md5('').toString('base64url') });
    const answer = await call('GET', `${at(record)}/content`);
    expect([answer.status, answer.body]).toEqual([200, '']);
  });

  it('an upload under a semantic key lies there under its name', async () => {
    const key = `semantic/${serial()}.csv`;
    const record = await file({ key, keyIsVirtual: false, storage: 'lab' }, 'a,b\n');
    expect(record).toMatchObject({ key, path: key, keyIsVirtual: false });
    expect(await readFile(lab(key), 'utf8')).toBe('a,b\n');
  });

  it('a semantic key under which other content lies: 409 conflict, registered or not; it is not overwritten', async () => {
    const semantic = (key: string, content: string): Promise<Answer> =>
      send({ key, keyIsVirtual: false, storage: 'lab' }, content);
    const found = await put(`found-${serial()}`, 'found');
    expectProblem(await appendsNothing(() => semantic(found, 'other')), 409, 'conflict');
    expect(await readFile(lab(found), 'utf8')).toBe('found');
    const own = `own-${serial()}`;
    created(await semantic(own, 'own'));
    expectProblem(await appendsNothing(() => semantic(own, 'other')), 409, 'conflict');
    const below = await appendsNothing(() => semantic(`${own}/below`, 'other'));
    expectProblem(below, 409, 'conflict');
    expect(below.body.detail).toMatch(/a file where its path needs a folder. Choose another key/);
    expect(await readFile(lab(own), 'utf8')).toBe('own');
    expect(await filesBelow(lab('.lethe/tmp'))).toEqual([]);
  });

  it('a semantic key under which the same content lies: found, not written', async () => {
    const key = await put(`found-${serial()}`, `found ${serial()}`);
    const content = await readFile(lab(key), 'utf8');
    const found = await send({ key, keyIsVirtual: false, storage: 'lab' }, content);
    const record = created(found);
    const again = await appendsNothing(() => send({ key, keyIsVirtual: false, storage: 'lab' }, content));
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({ outcome: 'existing', record: { uid: record.uid }, warnings: [] });
    const other = await file({ key, keyIsVirtual: false, storage: 'lab', onDuplicate: 'create' }, content);
    expect(other.path).toBe(record.path);
  });

  it.each([
    ['a semantic key below .lethe/', { key: '.lethe/x', keyIsVirtual: false }, '/key'],
    ['keyIsVirtual: false without a key', { keyIsVirtual: false }, '/key'],
    ['a semantic key that leads out', { key: '../x', keyIsVirtual: false }, '/key'],
    ['a semantic key that is a folder', { key: 'x/', keyIsVirtual: false }, '/key'],
    ['an unknown storage', { storage: 'nowhere' }, '/storage'],
    ['an unknown label', { labels: [NEVER] }, '/labels/0'],
    ['an unknown field', { size: 3 }, '/size'],
    ['visibility −1', { visibility: -1 }, '/visibility'],
    ['an unknown onDuplicate', { onDuplicate: 'merge' }, '/onDuplicate'],
    ['a suffix that is none', { suffix: 'csv' }, '/suffix'],
  ])('an upload with %s: 422; nothing is stored', async (_, metadata, path) => {
    const stored = await objects();
    expectProblem(await appendsNothing(() => send(metadata)), 422, 'invalid', [path]);
    expect(await objects()).toEqual(stored);
  });

  it.each([
    ['below .lethe/', '.lethe/owner'],
    ['that leads out', '../other/x'],
    ['that is absolute', '/etc/passwd'],
    ['under which nothing lies', 'nothing.txt'],
    ['of a folder without files', 'empty/'],
  ])('a path %s: 422', async (_, path) => {
    await mkdir(lab('empty'), { recursive: true });
    const json = { path, storage: 'lab' };
    expectProblem(await appendsNothing(() => call('POST', '/v1/files', { json })), 422, 'invalid', ['/path']);
  });

  it('an upload that is refused before all of it came: the caller gets the answer, not a broken connection', async () => {
    const content = 'x'.repeat(1 << 20);
    for (let times = 0; times < 8; times += 1)
      expectProblem(await send({ storage: 'nowhere' }, content), 422, 'invalid');
  });

  it('parts in another order, or missing: 422; metadata that is no JSON: 400; another type: 415', async () => {
    const form = (...parts: readonly (readonly [string, string | Blob])[]): FormData => {
      const body = new FormData();
      for (const [name, value] of parts) body.append(name, value);
      return body;
    };
    const content = ['content', new Blob(['x'])] as const;
    const post = (body: FormData): Promise<Answer> => appendsNothing(() => call('POST', '/v1/files', { body }));
    expectProblem(await post(form(content, ['metadata', '{}'])), 422, 'invalid');
    expectProblem(await post(form(['metadata', '{}'])), 422, 'invalid');
    expectProblem(await post(form(['metadata', '{'], content)), 400, 'malformed');
    expectProblem(
      await call('POST', '/v1/files', { body: 'x', headers: { 'content-type': 'text/csv' } }),
      415,
      'unsupported-media',
    );
    expectProblem(
      await call('POST', '/v1/labels', { body: form(['metadata', '{}'], content) }),
      415,
      'unsupported-media',
    );
  });
});

describe('lists', () => {
  let rows: Row[];
  const keys = ['a,b.csv', 'a.csv', 'B.csv', 'dir/x.csv', 'dir/y.parquet', 'dir%_z', '～.csv', '😀.csv', null];
  let label: Row;

  beforeAll(async () => {
    label = await register('labels');
    rows = [];
    for (const [i, key] of keys.entries()) {
      const metadata = {
        key,
        accessor: 'list',
        description: i % 2 === 0 ? `rna ${i}` : null,
        labels: i < 3 ? [label.uid] : [],
      };
      rows.push(await file(metadata, `${'x'.repeat(10 * (i + 1))}${serial()}`));
    }
  });

  const list = (query: string): Promise<Answer> => call('GET', `/v1/files?${query}`);
  /** Which of the rows a query finds, as their numbers. */
  const found = async (query: string): Promise<number[]> => {
    const answer = await list(`accessor=list&sort=createdAt&${query}`);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body.items.map(({ uid }: Row) => rows.findIndex((row) => row.uid === uid));
  };
  const all = keys.map((_, i) => i);
  const where = (condition: (row: Row, i: number) => boolean): number[] => all.filter((i) => condition(rows[i], i));
  const q = encodeURIComponent;

  it('equality, and the operators ne gt gte lt lte in startsWith contains null', async () => {
    const size = rows[4].size;
    expect(await found('suffix=.csv')).toEqual(where(({ suffix }) => suffix === '.csv'));
    expect(await found('key[ne]=a.csv')).toEqual(where(({ key }) => key !== 'a.csv'));
    expect(await found(`size[gt]=${size}`)).toEqual([5, 6, 7, 8]);
    expect(await found(`size[gte]=${size}`)).toEqual([4, 5, 6, 7, 8]);
    expect(await found(`size[lt]=${size}`)).toEqual([0, 1, 2, 3]);
    expect(await found(`size[lte]=${size}`)).toEqual([0, 1, 2, 3, 4]);
    expect(await found(`uid[in]=${rows[7].uid},${rows[2].uid},${NEVER}`)).toEqual([2, 7]);
    expect(await found('key[startsWith]=dir/')).toEqual([3, 4]);
    expect(await found(`key[startsWith]=${q('dir%')}`)).toEqual([5]);
    expect(await found(`key[contains]=${q('%_')}`)).toEqual([5]);
    expect(await found('key[contains]=.csv')).toEqual([0, 1, 2, 3, 6, 7]);
    expect(await found('description[null]=true')).toEqual([1, 3, 5, 7]);
    expect(await found('description[null]=false')).toEqual([0, 2, 4, 6, 8]);
    expect(await found('keyIsVirtual=true&isLatest=true&hold[null]=true')).toEqual(all);
    expect(await found('keyIsVirtual[ne]=true')).toEqual([]);
  });

  it('a \\, is a comma within in', async () => {
    expect(await found(`key[in]=${q('a\\,b.csv,B.csv')}`)).toEqual([0, 2]);
    expect(await found(`key[in]=${q('a,b.csv')}`)).toEqual([]);
  });

  it('conditions are joined by AND', async () => {
    expect(await found(`suffix=.csv&description[contains]=rna&size[gt]=${rows[0].size}`)).toEqual([2, 6]);
    expect(await found(`size[gt]=${rows[1].size}&size[lt]=${rows[4].size}`)).toEqual([2, 3]);
  });

  it('ne matches absent values, the other operators never', async () => {
    expect(await found('description[ne]=rna%200')).toEqual(all.slice(1));
    expect(await found('description[gte]=')).toEqual([0, 2, 4, 6, 8]);
    expect(await found('description[lt]=zzz')).toEqual([0, 2, 4, 6, 8]);
    expect(await found('description[contains]=')).toEqual([0, 2, 4, 6, 8]);
    expect(await found('key[startsWith]=')).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('text compares by code point, and case matters', async () => {
    const answer = await list('accessor=list&sort=key');
    expect(answer.body.items.map(({ key }: Row) => key)).toEqual([
      null,
      'B.csv',
      'a,b.csv',
      'a.csv',
      'dir%_z',
      'dir/x.csv',
      'dir/y.parquet',
      '～.csv',
      '😀.csv',
    ]);
    expect(await found('key=b.csv')).toEqual([]);
    expect(await found(`key[gt]=${q('～.csv')}`)).toEqual([7]);
  });

  it('labels= and files= match a member', async () => {
    expect(await found(`labels=${label.uid}`)).toEqual([0, 1, 2]);
    expect(await found(`labels=${NEVER}`)).toEqual([]);
    const dataset = await register('datasets', { files: [rows[0].uid, rows[1].uid] });
    for (const [uid, uids] of [
      [rows[1].uid, [dataset.uid]],
      [rows[2].uid, []],
    ] as const) {
      const answer = await call('GET', `/v1/datasets?files=${uid}`);
      expect(answer.body.items.map((item: Row) => item.uid)).toEqual(uids);
    }
  });

  it('times are read with any offset', async () => {
    const { createdAt } = rows[4];
    const there = new Date(Date.parse(createdAt) + 2 * 3_600_000).toISOString().replace('Z', '+02:00');
    expect(await found(`createdAt=${q(there)}`)).toContain(4);
    expect(await found(`createdAt[lt]=${createdAt}`)).not.toContain(4);
    expect(await found(`createdAt[gte]=${createdAt}`)).toContain(4);
    // RFC 3339 lets T and Z be small.
    expect(await found(`createdAt=${createdAt.toLowerCase()}`)).toContain(4);
  });

  it.each(['9999-12-31T23:59:59-00:01', '0000-01-01T00:00:00+00:01'])(
    'a time whose offset leads out of the years with four digits does not compare: 422 (%s)',
    async (time) => {
      for (const [path, place] of [
        [`/v1/files?createdAt[lt]=${q(time)}`, '?createdAt[lt]'],
        [`/v1/files?at=${q(time)}`, '?at'],
        [`/v1/audit?to=${q(time)}`, '?to'],
      ] as const)
        expectProblem(await call('GET', path), 422, 'invalid', [place]);
    },
  );

  it('visibility: 1 by default, with uid= too; 0, −1, several with commas, or any', async () => {
    const mark = `visibility ${serial()}`;
    const shown = await file({ accessor: mark });
    const hidden = await file({ accessor: mark, visibility: 0 });
    const binned = await trashed({ accessor: mark });
    const seen = async (query: string): Promise<string[]> =>
      (await list(`accessor=${q(mark)}&sort=createdAt&${query}`)).body.items.map(({ uid }: Row) => uid);
    expect(await seen('')).toEqual([shown.uid]);
    expect(await seen(`uid=${hidden.uid}`)).toEqual([]);
    expect(await seen('visibility=1')).toEqual([shown.uid]);
    expect(await seen('visibility=0')).toEqual([hidden.uid]);
    expect(await seen('visibility=-1')).toEqual([binned.uid]);
    expect(await seen('visibility=0,-1')).toEqual([hidden.uid, binned.uid]);
    expect(await seen('visibility=any')).toEqual([shown.uid, hidden.uid, binned.uid]);
  });

  it('sorts by several fields, uid always last; by default -createdAt', async () => {
    const uids = async (sort: string): Promise<string[]> =>
      (await list(`accessor=list${sort}`)).body.items.map(({ uid }: Row) => uid);
    expect(await uids('')).toEqual(rows.map(({ uid }) => uid).reverse());
    expect(await uids('&sort=-size')).toEqual(rows.map(({ uid }) => uid).reverse());
    const bySuffix = [...rows].sort((a, b) => {
      const [x, y] = [a.suffix ?? '', b.suffix ?? ''];
      return x === y ? b.size - a.size : x < y ? -1 : 1;
    });
    expect(await uids('&sort=suffix,-size')).toEqual(bySuffix.map(({ uid }) => uid));
    const ascending = await uids('&sort=isLatest,uid');
    expect(ascending).toEqual([...ascending].sort());
  });

  it.each(['', '&sort=key', '&sort=-description', '&sort=suffix,-size', '&sort=hashType'])(
    'a walk through all pages%s: each record exactly once, and next also as Link',
    async (sort) => {
      const whole = (await list(`accessor=list${sort}`)).body.items.map(({ uid }: Row) => uid);
      const seen: string[] = [];
      let path: string | null = `/v1/files?accessor=list${sort}&limit=2&count=true`;
      for (let pages = 0; path !== null && pages < 10; pages += 1) {
        const answer: Answer = await call('GET', path);
        expect(answer.body.total).toBe(keys.length);
        expect(answer.body.items.length).toBeLessThanOrEqual(2);
        seen.push(...answer.body.items.map(({ uid }: Row) => uid));
        const link = answer.headers.get('link');
        const target = link === null ? null : (/^<([^>]+)>; rel="next"$/.exec(link)?.[1] ?? '');
        if (answer.body.next === null) expect(target).toBeNull();
        else expect(new URL(target ?? '', service.url).searchParams.get('cursor')).toBe(answer.body.next);
        path = target;
      }
      expect(seen).toEqual(whole);
      expect(seen).toHaveLength(keys.length);
    },
  );

  it('a record that comes or goes between pages disturbs no other', async () => {
    const first = await list('accessor=list&sort=size&limit=3');
    const late = await file({ accessor: 'list', key: 'late' }, 'y');
    const gone = rows[1];
    await call('DELETE', at(gone));
    const rest = await list(`accessor=list&sort=size&limit=1000&cursor=${first.body.next}`);
    const uids = [...first.body.items, ...rest.body.items].map(({ uid }: Row) => uid);
    expect(uids).toEqual(rows.map(({ uid }) => uid));
    await call('DELETE', `${at(late)}?permanent=true`, { headers: ENDED });
    await call('POST', `${at(gone)}/restore`);
  });

  it('another query’s cursor, or what is none: 422 invalid', async () => {
    const { next } = (await list('accessor=list&limit=2')).body;
    expect(next).toEqual(expect.any(String));
    expect((await list(`accessor=list&limit=5&cursor=${next}`)).status).toBe(200);
    for (const query of [
      '',
      'accessor=other',
      'accessor=list&sort=size',
      'accessor=list&visibility=any',
      'accessor=list&suffix=.csv',
    ]) {
      expectProblem(await list(`${query}&cursor=${next}`), 422, 'invalid', ['?cursor']);
    }
    expectProblem(await call('GET', `/v1/trash?cursor=${next}`), 422, 'invalid', ['?cursor']);
    for (const cursor of ['', 'x', 'W10', '!!!'])
      expectProblem(await list(`accessor=list&cursor=${cursor}`), 422, 'invalid', ['?cursor']);
  });

  it.each([
    ['an unknown field', 'colour=red', '?colour'],
    ['a field inside data', 'data.framework=x', '?data.framework'],
    ['another registry’s field', 'name=x', '?name'],
    ['an unknown operator', 'size[between]=1', '?size[between]'],
    ['an operator that the field does not have', 'labels[in]=x', '?labels[in]'],
    ['a number that is none', 'size[gt]=big', '?size[gt]'],
    ['a time that is none', 'createdAt[lt]=yesterday', '?createdAt[lt]'],
    ['null= that is neither', 'run[null]=maybe', '?run[null]'],
    ['the same one twice', 'size[gt]=1&size[gt]=2', '?size[gt]'],
    ['an unknown visibility', 'visibility=2', '?visibility'],
    ['an unknown sort', 'sort=colour', '?sort'],
    ['the same sort twice', 'sort=size,-size', '?sort'],
    ['limit 0', 'limit=0', '?limit'],
    ['limit 1001', 'limit=1001', '?limit'],
    ['count=yes', 'count=yes', '?count'],
  ])('%s: 422 invalid, not an empty list', async (_, query, path) => {
    expectProblem(await list(query), 422, 'invalid', [path]);
  });

  it('the same field with two operators is no repetition', async () => {
    expect((await list('size=1&size[gt]=0')).status).toBe(200);
  });
});

describe('GET /files/{uid}/content', () => {
  const CONTENT = '0123456789';
  let record: Row;
  let path: string;
  const get = (headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
    call(method, path, { headers });

  beforeAll(async () => {
    record = await file({ key: 'dir/Grüße "2026" 100%.csv' }, CONTENT);
    path = `${at(record)}/content`;
  });

  it('the bytes as an attachment', async () => {
    const answer = await get();
    expect(answer.status).toBe(200);
    expect(answer.body).toBe(CONTENT);
    const headers = Object.fromEntries(answer.headers);
    expect(headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'x-content-type-options': 'nosniff',
      'content-length': '10',
      'accept-ranges': 'bytes',
      etag: `"${record.hash}"`,
    });
    expect(headers['content-disposition']).toMatch(/^attachment;/);
    expect(headers['content-disposition']).toContain(`filename*=UTF-8''${encodeURIComponent('Grüße "2026" 100%.csv')}`);
  });

  it('without a key the attachment has the uid and the suffix for a name', async () => {
    const nameless = created(await send({}, undefined, {}, 'x.tar.gz'));
    const answer = await call('GET', `${at(nameless)}/content`);
    expect(answer.headers.get('content-disposition')).toContain(`filename*=UTF-8''${nameless.uid}.tar.gz`);
  });

  it.each([
    ['bytes=0-3', '0123', 'bytes 0-3/10'],
    ['bytes=4-', '456789', 'bytes 4-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=8-99', '89', 'bytes 8-9/10'],
    ['bytes=-99', CONTENT, 'bytes 0-9/10'],
  ])('Range: %s', async (range, part, contentRange) => {
    const answer = await get({ range });
    expect([answer.status, answer.body]).toEqual([206, part]);
    expect(answer.headers.get('content-range')).toBe(contentRange);
    expect(answer.headers.get('content-length')).toBe(String(part.length));
  });

  it.each(['bytes=10-', 'bytes=99-100', 'bytes=-0'])('Range: %s: 416 range', async (range) => {
    const answer = await get({ range });
    expectProblem(answer, 416, 'range');
    expect(answer.headers.get('content-range')).toBe('bytes */10');
  });

  it.each(['bytes=5-2', 'bytes=x-y', 'lines=0-1', 'bytes=0-1,3-4'])('Range: %s is none: the whole', async (range) => {
    const answer = await get({ range });
    expect([answer.status, answer.body]).toEqual([200, CONTENT]);
  });

  it('If-Range: the range where it still is that entity, else the whole', async () => {
    const range = 'bytes=0-3';
    expect((await get({ range, 'if-range': `"${record.hash}"` })).status).toBe(206);
    expect((await get({ range, 'if-range': '"another"' })).status).toBe(200);
    expect((await get({ range, 'if-range': `W/"${record.hash}"` })).status).toBe(200);
  });

  it('If-None-Match: 304 without a body', async () => {
    for (const etag of [`"${record.hash}"`, `"a", "${record.hash}"`, '*', `W/"${record.hash}"`]) {
      const answer = await get({ 'if-none-match': etag });
      expect([answer.status, answer.body], etag).toEqual([304, '']);
      expect(answer.headers.get('etag')).toBe(`"${record.hash}"`);
    }
    expect((await get({ 'if-none-match': '"another"' })).status).toBe(200);
  });

  it('HEAD: as GET, without the bytes', async () => {
    const answer = await get({}, 'HEAD');
    expect([answer.status, answer.body]).toEqual([200, '']);
    const { headers } = await get();
    for (const name of ['content-length', 'etag', 'content-type', 'content-disposition', 'accept-ranges']) {
      expect(answer.headers.get(name), name).toBe(headers.get(name));
    }
  });

  it('trashed: 409 trashed; with visibility=any the bytes; hidden: the bytes', async () => {
    const binned = await trashed();
    expectProblem(await call('GET', `${at(binned)}/content`), 409, 'trashed');
    expectProblem(await call('GET', `${at(binned)}/content?visibility=1`), 422, 'invalid', ['?visibility']);
    expect((await call('GET', `${at(binned)}/content?visibility=any`)).status).toBe(200);
    const hidden = await file({ visibility: 0 });
    expect((await call('GET', `${at(hidden)}/content`)).status).toBe(200);
  });

  it('missing in the store: 404 object-missing; the record is untouched', async () => {
    const lost = await file();
    await unlink(join(service.data, 'objects', lost.path));
    expectProblem(await call('GET', `${at(lost)}/content`), 404, 'object-missing');
    expect((await call('GET', at(lost))).body).toEqual(lost);
  });

  it('what lies there is not what was registered: its bytes, under another ETag than the hash', async () => {
    const name = await put(`replaced-${serial()}`, 'before');
    const replaced = created(await call('POST', '/v1/files', { json: { path: name, storage: 'lab' } }));
    await put(`${name}~`, 'after, and longer');
    await rename(lab(`${name}~`), lab(name));
    const answer = await call('GET', `${at(replaced)}/content`);
    expect(answer.body).toBe('after, and longer');
    expect(answer.headers.get('etag')).not.toBe(`"${replaced.hash}"`);
  });

  it('the store is away: 503 store-unavailable with Retry-After', async () => {
    const name = await put(`away-${serial()}`);
    const away = created(await call('POST', '/v1/files', { json: { path: name, storage: 'lab' } }));
    await rename(join(disk, 'lab'), join(disk, 'away'));
    try {
      const answer = await call('GET', `${at(away)}/content`);
      expectProblem(answer, 503, 'store-unavailable');
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    } finally {
      await rename(join(disk, 'away'), join(disk, 'lab'));
    }
    expect((await call('GET', `${at(away)}/content`)).status).toBe(200);
  });

  it('of no file: 404', async () => {
    expectProblem(await call('GET', `/v1/files/${NEVER}/content`), 404, 'not-found');
    expectProblem(await call('GET', `/v1/files/${NEVER}/objects`), 404, 'not-found');
  });
});

describe('a folder', () => {
  let record: Row;
  const names = ['zarr/.zarray', 'zarr/0.0', 'zarr/0.1', 'zarr/a-b', 'zarr/a/x', 'zarr/b', 'zarr/～', 'zarr/😀'];

  beforeAll(async () => {
    for (const name of names) await put(name, `content of ${name}`);
    await put('zarrx', 'not in it');
    record = created(await call('POST', '/v1/files', { json: { path: 'zarr/', storage: 'lab' } }));
  });

  it('GET …/objects: path and size of each object behind it', async () => {
    const answer = await call('GET', `${at(record)}/objects`);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      items: names.map((path) => ({ path, size: Buffer.byteLength(`content of ${path}`) })),
      next: null,
      position: expect.stringMatching(/^\d+$/),
    });
  });

  it('GET …/objects is paged as every list: next, Link and count', async () => {
    const seen: string[] = [];
    let path: string | null = `${at(record)}/objects?limit=3&count=true`;
    for (let pages = 0; path !== null && pages < 5; pages += 1) {
      const answer: Answer = await call('GET', path);
      expect(answer.status, JSON.stringify(answer.body)).toBe(200);
      expect(answer.body.total).toBe(names.length);
      seen.push(...answer.body.items.map((item: Row) => item.path));
      const link = answer.headers.get('link');
      expect(link === null).toBe(answer.body.next === null);
      path = link === null ? null : (/^<([^>]+)>; rel="next"$/.exec(link)?.[1] ?? null);
    }
    expect(seen).toEqual(names);
  });

  it('GET …/objects by cursor: each object exactly once', async () => {
    const seen: string[] = [];
    let cursor = '';
    for (let pages = 0; pages < 5; pages += 1) {
      const answer: Answer = await call('GET', `${at(record)}/objects?limit=7${cursor}`);
      seen.push(...answer.body.items.map((item: Row) => item.path));
      if (answer.body.next === null) break;
      cursor = `&cursor=${answer.body.next}`;
    }
    expect(seen).toEqual(names);
    const other = await file();
    expectProblem(await call('GET', `${at(other)}/objects?limit=7${cursor}`), 422, 'invalid', ['?cursor']);
  });

  it('GET …/objects of one file: itself', async () => {
    const one = await file({}, 'abc');
    expect((await call('GET', `${at(one)}/objects`)).body.items).toEqual([{ path: one.path, size: 3 }]);
  });

  it('GET …/content?path= names one file; without it 422', async () => {
    const answer = await call('GET', `${at(record)}/content?path=zarr/a/x`);
    expect([answer.status, answer.body]).toEqual([200, 'content of zarr/a/x']);
    expect(answer.headers.get('content-disposition')).toContain("filename*=UTF-8''x");
    const ranged = await call('GET', `${at(record)}/content?path=zarr/a/x`, { headers: { range: 'bytes=0-6' } });
    expect([ranged.status, ranged.body]).toEqual([206, 'content']);
    expectProblem(await call('GET', `${at(record)}/content`), 422, 'invalid', ['?path']);
    const one = await file();
    expectProblem(await call('GET', `${at(one)}/content?path=x`), 422, 'invalid', ['?path']);
  });

  it('?path= never leads out of the folder', async () => {
    for (const path of ['../zarrx', 'zarr/../zarrx', 'zarr/../../other/x', '/etc/passwd']) {
      const answer = await call('GET', `${at(record)}/content?path=${encodeURIComponent(path)}`);
      expect([404, 422], path).toContain(answer.status);
      expect(['object-missing', 'invalid']).toContain(answer.body.code);
    }
    expectProblem(await call('GET', `${at(record)}/content?path=zarrx`), 404, 'object-missing');
    expectProblem(await call('GET', `${at(record)}/content?path=zarr/a/`), 404, 'object-missing');
  });
});

describe('GET /v1', () => {
  it('the registries: name, kind, count, JSON Schema if any', async () => {
    const answer = await call('GET', '/v1');
    expect((await call('GET', '/v1/')).body).toEqual(answer.body);
    expect(answer.status).toBe(200);
    const byName = new Map<string, Row>(answer.body.items.map((item: Row) => [item.name, item]));
    expect([...byName.keys()].sort()).toEqual([
      'datasets',
      'files',
      'labels',
      'models',
      'notes',
      'runs',
      'storages',
      'transforms',
      'users',
    ]);
    for (const [name, item] of byName) {
      expect(item.kind, name).toBe(['files', 'datasets'].includes(name) ? 'trashable' : 'plain');
      expect(item.schema, name).toEqual(name === 'models' ? MODEL_SCHEMA : null);
      const { total } = (await call('GET', `/v1/${name}?limit=1&count=true`)).body;
      expect(item.count, name).toBe(total);
    }
  });
});

describe('plain registries', () => {
  it('data is checked against the registry’s JSON Schema: 422 with the place', async () => {
    const post = (json: object): Promise<Answer> => call('POST', '/v1/models', { json });
    expectProblem(await appendsNothing(() => post({ name: 'a' })), 422, 'invalid', ['/data']);
    expectProblem(await appendsNothing(() => post({ name: 'a', data: {} })), 422, 'invalid', ['/data']);
    expectProblem(await appendsNothing(() => post({ name: 'a', data: { framework: 7 } })), 422, 'invalid', [
      '/data/framework',
    ]);
    const record = created(await post({ name: 'a', data: { framework: 'torch' } }));
    expect(Object.keys(record)).toEqual([
      'registry',
      'uid',
      'name',
      'description',
      'data',
      'createdAt',
      'updatedAt',
      'revision',
    ]);
    const wrong = await appendsNothing(() => call('PATCH', at(record), { json: { data: { framework: null } } }));
    expectProblem(wrong, 422, 'invalid', ['/data']);
    const right = await call('PATCH', at(record), { json: { data: { layers: 3 } } });
    expect(right.body.record.data).toEqual({ framework: 'torch', layers: 3 });
  });

  it('without one, data is any JSON; name need not be unique', async () => {
    for (const data of [null, 7, 'x', [1, { a: null }], { deep: { er: true } }]) {
      expect((await register('notes', { name: 'the same', data })).data).toEqual(data);
    }
  });

  it('a dataset has its own fields, in the contract’s order', async () => {
    const one = await file();
    const record = await register('datasets', { name: 'd', files: [one.uid] });
    expect(Object.keys(record)).toEqual([
      'registry',
      'uid',
      'name',
      'description',
      'version',
      'initialVersion',
      'isLatest',
      'files',
      'transform',
      'run',
      'labels',
      'visibility',
      'hold',
      'createdBy',
      'createdAt',
      'updatedAt',
      'trashedAt',
      'trashedBy',
      'reason',
      'purgeAfter',
      'revision',
    ]);
    expectProblem(await call('POST', '/v1/datasets', { json: { files: [one.uid, NEVER] } }), 422, 'invalid', [
      '/files/1',
    ]);
  });

  it('an unknown registry: 404; an unknown field: 422', async () => {
    expectProblem(await call('POST', '/v1/nothings', { json: {} }), 404, 'not-found');
    expectProblem(await call('POST', '/v1/labels', { json: { colour: 'red' } }), 422, 'invalid', ['/colour']);
    expectProblem(await call('PUT', '/v1/labels', { json: {} }), 405, 'method-not-allowed');
  });
});

describe('storages', () => {
  const make = (name: string, root: string, managed?: boolean): Promise<Answer> =>
    call('POST', '/v1/storages', { json: { name, data: { root, ...(managed === undefined ? {} : { managed }) } } });
  const named = async (name: string): Promise<Row> => (await call('GET', `/v1/storages?name=${name}`)).body.items[0];

  it('those of the configuration are registered at the start', async () => {
    expect((await named('lab')).data).toEqual({ root: `file:${join(disk, 'lab')}`, managed: true });
    expect((await named('default')).data.managed).toBe(true);
  });

  it('POST below a configured root: 201; its files are stored below it; requests take name and uid', async () => {
    await mkdir(lab('team'));
    const storage = created(await make('team', `file:${lab('team')}`));
    expect(storage.data).toEqual({ root: `file:${lab('team')}`, managed: true });
    for (const name of ['team', storage.uid]) {
      const record = await file({ storage: name, onDuplicate: 'create' });
      expect(record.storage).toBe(storage.uid);
      expect(existsSync(lab(join('team', record.path)))).toBe(true);
    }
  });

  it('elsewhere: 403 forbidden', async () => {
    const roots = ['/etc', '/', disk, `${join(disk, 'lab')}ben`, lab('../elsewhere'), service.data];
    for (const root of roots)
      expectProblem(await appendsNothing(() => make(`s${serial()}`, `file:${root}`)), 403, 'forbidden');
    expectProblem(await make('bucket', 's3://host:9000/bucket'), 403, 'forbidden');
  });

  it('name is unique: 409 duplicate; after a purge it is free again', async () => {
    expectProblem(await appendsNothing(() => make('lab', `file:${lab('x')}`)), 409, 'duplicate');
    const first = created(await make('passing', `file:${lab('passing')}`));
    expectProblem(await make('passing', `file:${lab('other')}`), 409, 'duplicate');
    expect((await call('DELETE', at(first))).body.outcome).toBe('purged');
    const second = created(await make('passing', `file:${lab('other')}`));
    expect(second.uid).not.toBe(first.uid);
    expect((await call('GET', at(first))).status).toBe(410);
  });

  it('two at once with one name: one is registered, the other gets 409 duplicate', async () => {
    const answers = await Promise.all([make('race', `file:${lab('r')}`), make('race', `file:${lab('s')}`)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    expect((await call('GET', '/v1/storages?name=race')).body.items).toHaveLength(1);
  });

  it('one that the configuration names cannot be purged: 409 conflict', async () => {
    const other = await named('other');
    for (const query of ['', '?permanent=true', '?dryRun=true']) {
      const answer = await appendsNothing(() => call('DELETE', at(other) + query));
      expect(['conflict', 'referenced']).toContain(answer.body.code);
      expect(answer.status).toBe(409);
    }
  });

  it('name and data do not change by PATCH: 422; description does', async () => {
    const storage = await named('lab');
    expectProblem(await appendsNothing(() => call('PATCH', at(storage), { json: { name: 'x' } })), 422, 'invalid', [
      '/name',
    ]);
    const managed = { data: { managed: false } };
    expectProblem(await appendsNothing(() => call('PATCH', at(storage), { json: managed })), 422, 'invalid', ['/data']);
    expect((await call('PATCH', at(storage), { json: { description: 'x' } })).body.outcome).toBe('updated');
  });

  it('data that is not {"root", "managed"}: 422', async () => {
    for (const data of [null, {}, { root: 7 }, { root: `file:${lab('x')}`, secret: 'x' }]) {
      expectProblem(await call('POST', '/v1/storages', { json: { name: 'x', data } }), 422, 'invalid');
    }
    expectProblem(
      await call('POST', '/v1/storages', { json: { data: { root: `file:${lab('x')}` } } }),
      422,
      'invalid',
      ['/name'],
    );
  });
});

describe('the trash as a whole', () => {
  const empty = (query: string, headers = {}): Promise<Answer> => call('DELETE', `/v1/trash${query}`, { headers });
  const ended = (id: string): Promise<Row> =>
    until('the operation ends', async () => {
      const { body } = await call('GET', `/v1/operations/${id}`);
      return body.state === 'done' && body;
    });

  it('GET /trash: all trashed records, newest first; totals of records and bytes cover every page', async () => {
    const before: { records: number; bytes: number } = (await call('GET', '/v1/trash?limit=1')).body.totals;
    const path = await put(`kept-${serial()}`);
    const semantic = created(await call('POST', '/v1/files', { json: { path, storage: 'lab' } }));
    await call('DELETE', at(semantic));
    const dataset = await register('datasets');
    await call('DELETE', at(dataset));
    const virtual = await trashed();
    const answer = await call('GET', '/v1/trash?limit=3&count=true');
    expect(answer.body.items.map(({ uid }: Row) => uid)).toEqual([virtual.uid, dataset.uid, semantic.uid]);
    expect(answer.body.items[0]).toEqual(virtual);
    expect(answer.body.total).toBe(before.records + 3);
    // A semantic key's object stays: purging it would free nothing.
    expect(answer.body.totals).toEqual({ records: before.records + 3, bytes: before.bytes + Number(virtual.size) });
    expect((await call('GET', '/v1/trash?registry=datasets')).body.items.map(({ uid }: Row) => uid)).toEqual([
      dataset.uid,
    ]);
    expect((await call('GET', '/v1/trash?registry=datasets')).body.totals).toEqual({ records: 1, bytes: 0 });
    // Nor would that of one on hold, which is no reason to leave it out of the records.
    const { totals } = answer.body;
    await call('PUT', `${at(virtual)}/hold`);
    expect((await call('GET', '/v1/trash')).body.totals).toEqual({
      records: totals.records,
      bytes: totals.bytes - Number(virtual.size),
    });
    await call('DELETE', `${at(virtual)}/hold`);
    expectProblem(await call('GET', '/v1/trash?registry=labels'), 422, 'invalid', ['?registry']);
  });

  it('DELETE /trash without permanent=true: 409 confirmation-required with totals', async () => {
    const { totals } = (await call('GET', '/v1/trash')).body;
    for (const query of ['', '?permanent=false']) {
      const answer = await appendsNothing(() => empty(query));
      expectProblem(answer, 409, 'confirmation-required');
      expect(answer.body.totals).toEqual(totals);
    }
  });

  it('DELETE /trash?dryRun=true: 200 with totals, appends nothing', async () => {
    const { totals } = (await call('GET', '/v1/trash')).body;
    for (const query of ['?dryRun=true', '?dryRun=true&permanent=true']) {
      const answer = await appendsNothing(() => empty(query));
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({ dryRun: true, totals });
    }
    const few = await empty('?dryRun=true&registry=datasets');
    expect(few.body.totals.records).toBe(1);
    expect((await empty('?dryRun=true&olderThan=P1D')).body.totals).toEqual({ records: 0, bytes: 0 });
  });

  it.each(['30', 'P', 'P1M', 'P1Y', 'PT', 'P-1D', 'soon'])('olderThan=%s: 422 invalid', async (duration) => {
    expectProblem(await empty(`?permanent=true&olderThan=${duration}`), 422, 'invalid', ['?olderThan']);
  });

  it('olderThan: what was trashed since stays', async () => {
    const record = await trashed();
    const answer = await empty('?permanent=true&olderThan=PT1H');
    expect(answer.status).toBe(202);
    const done = await ended(answer.body.id);
    expect(done).toMatchObject({
      criteria: { olderThan: 'PT1H' },
      total: { records: 0 },
      counts: { purged: 0, skipped: 0, remaining: 0 },
    });
    expect((await call('GET', at(record))).body.visibility).toBe(-1);
  });

  it('registry: the others stay; from what points to what is pointed at; what is held is skipped', async () => {
    const dataset = await register('datasets');
    await call('DELETE', at(dataset));
    const record = await trashed();
    const done = await ended((await empty('?permanent=true&registry=datasets')).body.id);
    expect(done).toMatchObject({ criteria: { registry: 'datasets' }, total: { records: 2 }, counts: { purged: 2 } });
    expect((await call('GET', at(dataset))).status).toBe(410);
    expect((await call('GET', at(record))).body.visibility).toBe(-1);
  });

  it('DELETE /trash?permanent=true: 202 with an operation, that comes to done; it covers what was in the trash at its position', async () => {
    const one = await file();
    const later = await file({ initialVersion: one.uid });
    const dataset = await register('datasets', { files: [one.uid, later.uid] });
    const held = await file();
    await call('PUT', `${at(held)}/hold`, { json: { reason: 'audit' } });
    const needed = await file();
    await register('datasets', { files: [needed.uid] });
    for (const record of [one, later, dataset, held, needed]) await call('DELETE', at(record));
    const { totals } = (await call('GET', '/v1/trash')).body;
    const answer = await empty('?permanent=true&reason=spring%20cleaning', {
      'x-actor': 'alice',
      'x-correlation-id': 'spring',
    });
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/v1/operations/${answer.body.id}`);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(answer.body).toMatchObject({ kind: 'empty-trash', criteria: {}, total: totals, startedBy: 'alice' });
    const after = await trashed();
    const done = await ended(answer.body.id);
    expect(done).toEqual({
      id: answer.body.id,
      kind: 'empty-trash',
      state: 'done',
      criteria: {},
      position: expect.stringMatching(/^\d+$/),
      total: totals,
      counts: { purged: totals.records - 2, purging: 0, skipped: 2, remaining: 0 },
      skipped: expect.arrayContaining([
        { registry: 'files', uid: held.uid, code: 'on-hold' },
        { registry: 'files', uid: needed.uid, code: 'referenced' },
      ]),
      startedBy: 'alice',
      startedAt: expect.stringMatching(INSTANT),
      endedAt: expect.stringMatching(INSTANT),
    });
    for (const record of [one, later, dataset]) expect((await call('GET', at(record))).status).toBe(410);
    const left = (await call('GET', '/v1/trash')).body;
    expect(left.items.map(({ uid }: Row) => uid).sort()).toEqual([after.uid, held.uid, needed.uid].sort());
    const request = (await historyOf(one)).find(({ type }) => type === 'RecordPurgeRequested');
    expect(request).toMatchObject({
      actor: 'alice',
      reason: 'spring cleaning',
      correlationId: 'spring',
      data: { operation: answer.body.id },
    });
    expect((await call('GET', `/v1/purges/files/${one.uid}`)).body).toMatchObject({
      state: 'done',
      operation: answer.body.id,
    });
    expect(existsSync(join(service.data, 'objects', one.path))).toBe(false);
  });

  it('one that is restored meanwhile is skipped, or was purged: never both', async () => {
    const records = await Promise.all(Array.from({ length: 20 }, () => trashed()));
    const [answer, ...restored] = await Promise.all([
      empty('?permanent=true'),
      ...records.map((record) => call('POST', `${at(record)}/restore`)),
    ]);
    await ended(answer.body.id);
    for (const [i, { status }] of restored.entries()) {
      const record = records[i];
      expect([200, 410]).toContain(status);
      expect((await call('GET', at(record))).status).toBe(status);
      expect(existsSync(join(service.data, 'objects', record.path))).toBe(status === 200);
    }
  });

  it('a repeat with the same Idempotency-Key is the same operation', async () => {
    const headers = { 'idempotency-key': 'empty it once' };
    const first = await empty('?permanent=true', headers);
    await ended(first.body.id);
    const record = await trashed();
    const repeat = await appendsNothing(() => empty('?permanent=true', headers));
    expect(repeat.status).toBe(202);
    expect(repeat.body.id).toBe(first.body.id);
    expect(repeat.headers.get('idempotent-replayed')).toBe('true');
    expectProblem(
      await appendsNothing(() => empty('?permanent=true&registry=files', headers)),
      422,
      'idempotency-mismatch',
    );
    expect((await call('GET', at(record))).body.visibility).toBe(-1);
  });

  it('GET /operations: the newest first; an unknown one: 404', async () => {
    const { body } = await call('GET', '/v1/operations?count=true');
    expect(body.total).toBe(body.items.length);
    const starts = body.items.map(({ startedAt }: Row) => startedAt);
    expect(starts).toEqual([...starts].sort().reverse());
    expect(body.items.every(({ state }: Row) => state === 'done')).toBe(true);
    expectProblem(await call('GET', `/v1/operations/${NEVER}`), 404, 'not-found');
  });
});

describe('storages when the configuration changes', () => {
  const root = (name: string): string => `file:${join(disk, name)}`;
  let data: string;
  let running: RunningService;
  let records: Record<'outer' | 'inner' | 'left', Row>;
  const ask = (method: string, path: string, options?: RequestOptions): Promise<Answer> =>
    running.request(method, path, options);

  beforeAll(async () => {
    data = await temporaryFolder();
    for (const name of ['moving/team', 'leaving']) await mkdir(join(disk, name), { recursive: true });
    for (const name of ['moving/outer', 'moving/team/inner', 'leaving/left']) await writeFile(join(disk, name), name);
    const storages = [
      { name: 'moving', root: root('moving') },
      { name: 'leaving', root: root('leaving') },
    ];
    running = await startService({ data, config: { storages } });
    const team = { name: 'team', data: { root: root('moving/team') } };
    expect(created(await ask('POST', '/v1/storages', { json: team })).data.managed).toBe(true);
    const lying = async (storage: string, path: string): Promise<Row> =>
      created(await ask('POST', '/v1/files', { json: { path, storage } }));
    records = {
      outer: await lying('moving', 'outer'),
      inner: await lying('team', 'inner'),
      left: await lying('leaving', 'left'),
    };
    expect(await running.stop()).toBe(0);
  });

  afterAll(async () => {
    await running.kill();
    await rm(data, { recursive: true, force: true });
  });

  it('another root for a known name stops the start, and says both', async () => {
    const elsewhere = startService({ data, config: { storages: [{ name: 'moving', root: root('elsewhere') }] } });
    await expect(elsewhere).rejects.toThrow(/moving[^]*elsewhere/);
  });

  describe('after the next start', () => {
    beforeAll(async () => {
      const storages = [{ name: 'moving', root: root('moving'), managed: false }];
      running = await startService({ data, config: { storages } });
    });

    it('managed follows the configuration', async () => {
      const [storage] = (await ask('GET', '/v1/storages?name=moving')).body.items;
      expect(storage.data).toEqual({ root: root('moving'), managed: false });
      const [, followed] = (await ask('GET', `${at(storage)}/history`)).body.items;
      expect(followed).toMatchObject({ type: 'RecordUpdated', actor: 'system:configuration' });
    });

    it.each(['outer', 'inner'] as const)(
      'nothing is deleted from it, nor from a storage below it: %s',
      async (name) => {
        const purge = `${at(records[name])}?permanent=true&storage=delete`;
        expectProblem(await ask('DELETE', purge, { headers: ENDED }), 409, 'foreign-storage');
        const path = name === 'outer' ? 'moving/outer' : 'moving/team/inner';
        expect(await readFile(join(disk, path), 'utf8')).toBe(path);
      },
    );

    it('one that was taken out deletes nothing; its files answer 503 store-unavailable with its name', async () => {
      const { left } = records;
      const answer = await ask('GET', `${at(left)}/content`);
      expectProblem(answer, 503, 'store-unavailable');
      expect(answer.body.detail).toContain('leaving');
      expect((await ask('GET', at(left))).body).toEqual(left);
      expect(await readFile(join(disk, 'leaving/left'), 'utf8')).toBe('leaving/left');
    });

    it('one that was taken out can be purged once nothing points to it', async () => {
      const [storage] = (await ask('GET', '/v1/storages?name=leaving')).body.items;
      expectProblem(await ask('DELETE', at(storage)), 409, 'referenced');
      expect((await ask('DELETE', `${at(records.left)}?permanent=true`, { headers: ENDED })).body).toMatchObject({
        outcome: 'purged',
        receipt: { object: { fate: 'kept', why: 'semantic-key' } },
      });
      expect((await ask('DELETE', at(storage))).body.outcome).toBe('purged');
      expect(await readFile(join(disk, 'leaving/left'), 'utf8')).toBe('leaving/left');
    });
  });
});
