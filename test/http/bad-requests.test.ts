import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rawRequest, sendRaw } from '../harness/raw.js';
import { expectRefused, type Refused } from '../harness/refusing.js';
import { discard, startService, upload, type Answer, type RunningService } from '../harness/service.js';

/* What is wrong with a request as such, whatever it asks for: its headers, who sends it, and what is no HTTP at all. */

type Row = Answer['body'];
const NEVER = 'N0suchRecord00000000';

let service: RunningService;
let file: Row;
let label: Row;

beforeAll(async () => {
  service = await startService();
  file = (await service.request('POST', '/v1/files', { body: upload({ key: 'a.csv' }, '0123456789') })).body.record;
  label = (await service.request('POST', '/v1/labels', { json: { name: 'a label' } })).body.record;
});

afterAll(() => discard(service));

const refused = (expected: Refused): Promise<Answer> =>
  expectRefused(service, [join(service.data, 'objects')], expected);

type Headers = Readonly<Record<string, string | Buffer>>;

/** Every command, each with a body that it would take. */
const commands = (): readonly (readonly [method: string, path: string, body?: string])[] => [
  ['POST', '/v1/labels', '{"name": "x"}'],
  ['POST', '/v1/datasets', '{}'],
  ['PATCH', `/v1/files/${file.uid}`, '{"description": "x"}'],
  ['DELETE', `/v1/files/${file.uid}`],
  ['DELETE', `/v1/files/${file.uid}?permanent=true`],
  ['DELETE', `/v1/labels/${label.uid}`],
  ['POST', `/v1/files/${file.uid}/restore`, '{}'],
  ['PUT', `/v1/files/${file.uid}/hold`, '{}'],
  ['DELETE', `/v1/files/${file.uid}/hold`],
  ['POST', `/v1/purges/files/${file.uid}/retry`, '{}'],
  ['DELETE', '/v1/trash?permanent=true'],
];

const queries = (): readonly (readonly [method: string, path: string])[] => [
  ['GET', '/v1'],
  ['GET', '/v1/files'],
  ['GET', `/v1/files/${file.uid}`],
  ['GET', `/v1/files/${file.uid}/history`],
  ['GET', `/v1/files/${file.uid}/content`],
  ['GET', '/v1/trash'],
  ['GET', '/v1/purges'],
  ['GET', '/v1/operations'],
];

const sending = (headers: Headers, [method, path, body]: readonly [string, string, string?]) => {
  const type: Headers = body === undefined ? {} : { 'content-type': 'application/json' };
  return () => sendRaw(service, rawRequest(service, method, path, { ...type, ...headers }, body));
};

const LATIN1 = Buffer.from('Gr\xfc\xdfe', 'latin1');
const UTF8 = Buffer.from('Grüße 😀');

describe('headers that every command takes: 422 invalid, with the header', () => {
  const ROWS: readonly (readonly [name: string, header: string, value: string | Buffer])[] = [
    ['empty', 'idempotency-key', ''],
    ['blank', 'idempotency-key', '   '],
    ['of 256 characters', 'idempotency-key', 'k'.repeat(256)],
    ['in Latin-1', 'idempotency-key', LATIN1],
    ['in UTF-8', 'idempotency-key', UTF8],
    ['with a tab', 'idempotency-key', 'a\tb'],
    ['of 256 characters', 'x-actor', 'a'.repeat(256)],
    ['empty', 'x-actor', ''],
    ['in UTF-8', 'x-actor', UTF8],
    ['of 256 characters', 'x-correlation-id', 'c'.repeat(256)],
    ['in UTF-8', 'x-correlation-id', UTF8],
    ['empty', 'x-correlation-id', ''],
    ['no revision', 'if-match', '"x"'],
    ['without quotes', 'if-match', '0'],
    ['weak', 'if-match', 'W/"0"'],
    ['negative', 'if-match', '"-1"'],
    ['several', 'if-match', '"0", "1"'],
    ['huge', 'if-match', `"${'9'.repeat(400)}"`],
    ['a fraction', 'if-match', '"0.5"'],
    ['empty', 'if-match', ''],
    ['no number', 'x-min-position', 'soon'],
    ['negative', 'x-min-position', '-1'],
    ['a fraction', 'x-min-position', '1.5'],
    ['huge', 'x-min-position', '9'.repeat(20)],
    ['hexadecimal', 'x-min-position', '0x10'],
    ['empty', 'x-min-position', ''],
  ];

  it.each(ROWS)('%s: %s', async (_, header, value) => {
    for (const command of commands()) {
      const send = sending({ [header]: value }, command);
      await refused({ name: command.join(' '), send, status: 422, code: 'invalid', errors: [header] });
    }
  });

  it.each([
    ['soon', 'x-min-position', 'soon'],
    ['in UTF-8', 'x-correlation-id', UTF8],
  ])('and every query: %s %s', async (_, header, value) => {
    for (const query of queries()) {
      const send = sending({ [header]: value }, query);
      await refused({ name: query.join(' '), send, status: 422, code: 'invalid', errors: [header] });
    }
  });

  it('twice: neither of them is chosen', async () => {
    for (const header of ['If-Match', 'X-Min-Position']) {
      const request = rawRequest(service, 'POST', '/v1/labels', { 'content-type': 'application/json' }, '{}');
      const twice = { ...request, head: [...request.head, `${header}: "1"`, `${header}: "2"`] };
      const send = () => sendRaw(service, twice);
      await refused({ name: header, send, status: 422, code: 'invalid', errors: [header.toLowerCase()] });
    }
  });

  it('a position that nobody has reached is waited for, up to a bound: 503 projection-behind', async () => {
    const send = sending({ 'x-min-position': '9'.repeat(19) }, ['DELETE', `/v1/files/${file.uid}`]);
    const answer = await refused({ name: 'far', send, status: 503, code: 'projection-behind' });
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    // Who asks whether the process lives, or for the UI, asks for nothing that has a position.
    for (const path of ['/health/live', '/'])
      expect((await sending({ 'x-min-position': '9'.repeat(19) }, ['GET', path])()).status, path).toBe(200);
  });

  it('a revision that the record does not have: 412 revision-changed, with both in the sentence', async () => {
    for (const command of commands().filter(([, path]) => path.startsWith(`/v1/files/${file.uid}`))) {
      if (command[1].endsWith('/hold') && command[0] === 'DELETE') continue;
      const send = sending({ 'if-match': '"999999999999999"' }, command);
      const name = command.join(' ');
      await refused({ name, send, status: 412, code: 'revision-changed', detail: /revision 0, not 999999999999999/ });
    }
  });
});

describe('a body of another kind: 415 unsupported-media, and nothing of it is taken for said', () => {
  const FORM = '--x\r\nContent-Disposition: form-data; name="reason"\r\n\r\nlegal\r\n--x--\r\n';
  const withBody = () => commands().filter(([, , body]) => body !== undefined);
  const refuse = async (headers: Headers, [method, path, body]: readonly [string, string, string?]): Promise<void> => {
    const send = () => sendRaw(service, rawRequest(service, method, path, headers, body));
    await refused({ name: `${method} ${path}`, send, status: 415, code: 'unsupported-media' });
  };

  it('a form, where no file is uploaded', async () => {
    const bulk = ['POST', '/v1/bulk', '{}'] as const;
    for (const [method, path] of [...withBody(), bulk])
      await refuse({ 'content-type': 'multipart/form-data; boundary=x' }, [method, path, FORM]);
    await refuse({ 'content-type': 'multipart/form-data' }, ['PUT', `/v1/files/${file.uid}/hold`, FORM]);
  });

  it('a merge patch, where nothing is patched', async () => {
    for (const command of withBody().filter(([method]) => method !== 'PATCH'))
      await refuse({ 'content-type': 'application/merge-patch+json' }, command);
  });

  it('a coded one', async () => {
    for (const command of withBody())
      await refuse({ 'content-type': 'application/json', 'content-encoding': 'gzip' }, command);
    const identity = { 'content-type': 'application/json', 'content-encoding': 'identity' };
    const { status } = await sendRaw(service, rawRequest(service, 'POST', '/v1/labels', identity, '{"name": "x"}'));
    expect(status).toBe(201);
  });
});

describe('Prefer (RFC 7240): what is none is ignored', () => {
  const purge = async (prefer: string): Promise<Answer> => {
    const { record } = (await service.request('POST', '/v1/datasets', { json: {} })).body;
    const path = `/v1/datasets/${record.uid}?permanent=true`;
    return sendRaw(service, rawRequest(service, 'DELETE', path, { prefer }));
  };

  it.each([
    '',
    'wait',
    'wait=',
    'wait=soon',
    'wait=-1',
    'wait=1.5',
    'respond-async',
    `x${'='.repeat(4_000)}`,
    'x-wait=9',
  ])('%s: as without it', async (prefer) => {
    const answer = await purge(prefer);
    expect([200, 202], JSON.stringify(answer.body)).toContain(answer.status);
    expect(answer.headers.get('preference-applied')).toBeNull();
  });

  it.each([
    ['wait=20', 20],
    ['wait="20"', 20],
    ['respond-async, wait=20', 20],
    ['wait=31', 30],
    ['wait=99999999999999999999999', 30],
  ])('%s: waits %i s at the most, and says so', async (prefer, seconds) => {
    const answer = await purge(prefer);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.body.outcome).toBe('purged');
    expect(answer.headers.get('preference-applied')).toBe(`wait=${seconds}`);
  });
});

describe('Range on the content: what is none is ignored, what lies behind the end is 416', () => {
  const content = (range: string | Buffer): Promise<Answer> =>
    sendRaw(service, rawRequest(service, 'GET', `/v1/files/${file.uid}/content`, { range }));

  it.each([
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=3-1',
    'bytes=0x1-2',
    'items=0-1',
    'bytes=0-1,5-6',
    '0-1',
  ])('%s: the whole', async (range) => {
    const answer = await content(range);
    expect([answer.status, answer.body]).toEqual([200, '0123456789']);
  });

  it.each(['bytes=10-', 'bytes=10-20', 'bytes=999999999999-', 'bytes=-0'])('%s: 416 range', async (range) => {
    const answer = await refused({ name: range, send: () => content(range), status: 416, code: 'range', detail: /10/ });
    expect(answer.headers.get('content-range')).toBe('bytes */10');
  });

  it.each([`bytes=0-${'9'.repeat(30)}`, `bytes=-${'9'.repeat(30)}`])('%s: as far as there is', async (range) => {
    const answer = await content(range);
    expect([200, 206]).toContain(answer.status);
    expect(answer.body).toBe('0123456789');
  });
});

describe('who may talk to a service without keys: 403 forbidden', () => {
  const everything = (): readonly (readonly [string, string, string?])[] => [
    ...commands(),
    ...queries(),
    ['GET', `/v1/files/${NEVER}`],
    ['GET', '/health/ready'],
    ['GET', '/openapi.json'],
    ['GET', '/nothing/here'],
    ['OPTIONS', '/v1/labels'],
  ];
  const some = (): readonly (readonly [string, string, string?])[] => [
    ['GET', '/v1/files'],
    ['POST', '/v1/labels', '{"name": "x"}'],
  ];

  it('whatever is asked for', async () => {
    const strangers: Headers[] = [{ host: 'lethe.example' }, { origin: 'http://lethe.example' }];
    for (const headers of strangers) {
      for (const request of everything()) {
        const send = sending(headers, request);
        await refused({ name: request.join(' '), send, status: 403, code: 'forbidden' });
      }
    }
  });

  it.each([
    'lethe.example',
    'lethe.example:4270',
    '127.0.0.1.example',
    'localhost.example:80',
    '10.0.0.1',
    '128.0.0.1',
    '0.0.0.0:4270',
    '[::2]',
    'evil@localhost',
    'localhost:4270@evil.example',
    'localhost/',
    '',
  ])('the Host %s', async (host) => {
    for (const request of some()) {
      const send = sending({ host }, request);
      await refused({ name: request.join(' '), send, status: 403, code: 'forbidden', detail: /Host|loopback/ });
    }
  });

  it.each(['localhost', 'LOCALHOST:1', '127.0.0.1', '127.1.2.3:9', '[::1]', '[::1]:4270'])(
    'the Host %s is loopback',
    async (host) => {
      const answer = await sending({ host }, ['GET', '/v1/labels'])();
      expect(answer.status).toBe(200);
    },
  );

  it.each([
    'http://lethe.example',
    'https://127.0.0.1.example',
    'null',
    'http://localhost:1',
    'file://',
    '',
    'HOST.example',
    'http://HOST.example',
    'http://evil.example http://HOST',
  ])('the Origin %s', async (origin) => {
    const host = new URL(service.url).host;
    for (const request of some()) {
      const send = sending({ origin: origin.replace('HOST', host) }, request);
      await refused({ name: request.join(' '), send, status: 403, code: 'forbidden', detail: /Pages|may not call/ });
    }
  });

  it('its own pages may', async () => {
    const answer = await sending({ origin: service.url }, ['POST', '/v1/labels', '{"name": "own"}'])();
    expect(answer.status).toBe(201);
  });
});

describe('what is no request: a problem all the same, before any route', () => {
  const raw = (...head: readonly string[]) => {
    return () => sendRaw(service, { head });
  };
  const host = (): string => `Host: ${new URL(service.url).host}`;

  it('headers above 16 KiB: 413 too-large', async () => {
    const send = sending({ 'x-filler': 'x'.repeat(20_000) }, ['GET', '/v1/labels']);
    await refused({ name: 'headers', send, status: 413, code: 'too-large', detail: /16 KiB/ });
  });

  it('an address above 16 KiB: 413 too-large', async () => {
    const send = sending({}, ['GET', `/v1/labels?name=${'x'.repeat(20_000)}`]);
    await refused({ name: 'address', send, status: 413, code: 'too-large', detail: /16 KiB/ });
  });

  it.each([
    ['no HTTP', ['hello']],
    ['a method that there is not', ['BREW /v1/labels HTTP/1.1']],
    ['another protocol', ['GET /v1/labels HTTPS/1.1']],
    ['a header without a name', ['GET /v1/labels HTTP/1.1', ': x']],
    ['a NUL in a header', ['GET /v1/labels HTTP/1.1', 'X-Actor: a\0b']],
    ['two lengths', ['POST /v1/labels HTTP/1.1', 'Content-Length: 2', 'Content-Length: 3']],
    ['a length beside chunks', ['POST /v1/labels HTTP/1.1', 'Content-Length: 2', 'Transfer-Encoding: chunked']],
    ['a length that is none', ['POST /v1/labels HTTP/1.1', 'Content-Length: x']],
    ['a blank in the address', ['GET /v1/la bels HTTP/1.1']],
  ])('%s: 400 malformed', async (name, [line = '', ...more]) => {
    await refused({ name, send: raw(line, host(), 'Connection: close', ...more), status: 400, code: 'malformed' });
  });

  it('no Host: 400 malformed', async () => {
    const send = raw('GET /v1/labels HTTP/1.1', 'Connection: close');
    await refused({ name: 'no Host', send, status: 400, code: 'malformed', detail: /Host/ });
  });

  it('an expectation that nobody knows is passed over', async () => {
    expect((await sending({ expect: 'a-miracle' }, ['GET', '/v1/labels?limit=1'])()).status).toBe(200);
  });

  it('no Host in HTTP/1.0, which knows none: an answer', async () => {
    const answer = await raw('GET /v1/labels?limit=1 HTTP/1.0')();
    expect(answer.status).toBe(200);
  });

  it('a chunk that is none: 400 malformed, and nothing is registered', async () => {
    const head = ['POST /v1/labels HTTP/1.1', host(), 'Content-Type: application/json', 'Transfer-Encoding: chunked'];
    const send = () => sendRaw(service, { head, body: 'zz\r\n{}\r\n0\r\n\r\n' });
    await refused({ name: 'chunk', send, status: 400, code: 'malformed' });
  });
});
