import { createHash, timingSafeEqual } from 'node:crypto';
import type * as crypto from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fastify, type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { callerOf, demandNeeds, permit } from '../../src/api/access.js';
import { keyOf, type ApiKey, type Right } from '../../src/api/keys.js';
import { Client } from '../../src/client/client.js';
import { readConfig, type Config } from '../../src/config.js';
import { temporaryFolder } from '../harness/service.js';

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof crypto>();
  return { ...real, timingSafeEqual: vi.fn(real.timingSafeEqual) };
});

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const keyFor = (subject: string, key: string, may: readonly Right[] = ['read']): ApiKey => ({
  subject,
  sha256: sha256(key),
  may,
});

describe('a key', () => {
  const keys = [keyFor('first', 'one'), keyFor('second', 'two'), keyFor('last', 'three')];

  beforeEach(() => {
    vi.mocked(timingSafeEqual).mockClear();
  });

  it.each<[string, string, string | null]>([
    ['the first', 'one', 'first'],
    ['one between', 'two', 'second'],
    ['the last', 'three', 'last'],
    ['none', 'four', null],
    ['an empty one', '', null],
    ['a hash', sha256('one'), null],
    ['one with a space after it', 'one ', null],
    ['a very long one', 'x'.repeat(100_000), null],
  ])('is compared in constant time with each, found or not: %s', (_name, token, subject) => {
    expect(keyOf(keys, token)?.subject ?? null).toBe(subject);
    expect(timingSafeEqual).toHaveBeenCalledTimes(keys.length);
    for (const [given, known] of vi.mocked(timingSafeEqual).mock.calls) {
      expect(given).toHaveLength(32);
      expect(known).toHaveLength(32);
    }
  });

  it('is nobody where there are none', () => {
    expect(keyOf([], 'one')).toBeNull();
  });
});

describe('the client', () => {
  it.each(['', 'top secret', 'top-secret\n', 'töp-secret'])('takes no key that no header can carry: %j', (apiKey) => {
    const make = (): Client => new Client({ url: 'http://127.0.0.1:1', apiKey });
    expect(make).toThrow(TypeError);
    expect(make).not.toThrow(/secret/);
  });

  it('sends its key with every request, and X-Actor beside it', async () => {
    const sent: Headers[] = [];
    const send = (request: Request): Promise<Response> => {
      sent.push(request.headers);
      return Promise.resolve(Response.json({ items: [], next: null, position: '1' }));
    };
    const url = 'http://127.0.0.1:1';
    const client = new Client({ url, apiKey: 'top-secret', headers: { 'X-Actor': 'alice' }, fetch: send });
    for await (const { items } of client.registries()) expect(items).toEqual([]);
    expect(sent.map((headers) => [headers.get('authorization'), headers.get('x-actor')])).toEqual([
      ['Bearer top-secret', 'alice'],
    ]);
  });
});

describe('a route', () => {
  let server: FastifyInstance;
  const keys = [keyFor('reader', 'one')];

  beforeEach(() => {
    server = fastify();
  });

  it('that does not say what it needs is not added', () => {
    demandNeeds(server);
    expect(() => server.get('/v1/new', () => 'secret')).toThrow(
      'The route GET /v1/new does not say which right it needs: add @Needs.',
    );
    expect(() => server.get('/docs/page', () => 'page')).toThrow(/add @Needs/);
    server.get('/v1/read', { config: { needs: 'read' } }, () => 'read');
    expect(server.hasRoute({ method: 'HEAD', url: '/v1/read' })).toBe(true);
  });

  it('that came past this nevertheless is closed, to those with a key too', async () => {
    server.get('/v1/new', () => 'secret');
    server.decorateRequest('caller', null);
    server.addHook('onRequest', async (request) => {
      request.caller = callerOf(request, keys);
    });
    server.addHook('preHandler', async (request) => {
      permit(request, keys);
    });
    for (const headers of [{}, { authorization: 'Bearer one' }]) {
      const { statusCode, body } = await server.inject({ method: 'GET', url: '/v1/new', headers });
      expect(statusCode).toBe(500);
      expect(body).not.toContain('secret');
    }
  });
});

describe('apiKeys in the configuration', () => {
  let folder: string;
  const hash = sha256('one');
  const key = { subject: 'svc:ingest', sha256: hash, may: ['read', 'write'] };

  beforeAll(async () => {
    folder = await temporaryFolder();
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const configOf = async (apiKeys: unknown, env: Record<string, string> = {}): Promise<Config> => {
    await writeFile(join(folder, 'lethe.json'), JSON.stringify({ apiKeys }));
    return readConfig({ LETHE_DATA: folder, ...env });
  };

  it('are read, in either case of hex', async () => {
    expect((await configOf([{ ...key, sha256: hash.toUpperCase() }])).apiKeys).toEqual([key]);
  });

  it('are none by default', () => {
    expect(readConfig({ LETHE_DATA: join(folder, 'not-there') }).apiKeys).toEqual([]);
  });

  it('may give a subject two keys', async () => {
    expect((await configOf([key, { ...key, sha256: sha256('two') }])).apiKeys).toHaveLength(2);
  });

  it.each<[string, unknown, RegExp]>([
    [
      'a key that comes twice',
      [key, { ...key, subject: 'svc:other' }],
      /twice: apiKeys\[0\] .*at apiKeys\[1\]\.sha256/s,
    ],
    ['it in another case', [key, { ...key, sha256: hash.toUpperCase() }], /must not come twice/],
    ['too few digits', [{ ...key, sha256: hash.slice(1) }], /64 hex digits.*at apiKeys\[0\]\.sha256/s],
    ['too many', [{ ...key, sha256: `${hash}0` }], /64 hex digits/],
    ['a line break after them', [{ ...key, sha256: `${hash}\n` }], /64 hex digits/],
    ['what is no hex', [{ ...key, sha256: hash.replace(/^./, 'g') }], /64 hex digits/],
    ['base64', [{ ...key, sha256: Buffer.from(hash, 'hex').toString('base64') }], /64 hex digits/],
    ['the hash of an empty key', [{ ...key, sha256: sha256('') }], /no key at all/],
    ['no rights', [{ ...key, may: [] }], /at least one of read, write, purge, admin/],
    ['a right that there is not', [{ ...key, may: ['delete'] }], /at apiKeys\[0\]\.may/],
    ['a right twice', [{ ...key, may: ['read', 'read'] }], /a right twice/],
    ['no subject', [{ ...key, subject: '' }], /printable ASCII/],
    ['a subject that no history can show', [{ ...key, subject: 'a\nb' }], /printable ASCII/],
    ["the service's own name", [{ ...key, subject: 'system:purge' }], /must not begin with system:/],
    ['the key itself', [{ ...key, key: 'one' }], /Unrecognized key: "key"/],
    ['what is no list', key, /at apiKeys/],
  ])('stop the start with %s', async (_name, apiKeys, message) => {
    await expect(configOf(apiKeys)).rejects.toThrow(message);
    await expect(configOf(apiKeys)).rejects.toMatchObject({ name: 'ConfigError' });
  });

  it.each(['0.0.0.0', '::', '192.0.2.7', 'fe80::1', 'lethe.example', '127.0.0.1'])(
    'let the service listen on %s',
    async (address) => {
      expect((await configOf([key], { LETHE_HOST: address })).host).toBe(address);
    },
  );

  it.each(['', 'http://0.0.0.0', '0.0.0.0:80', 'a b'])('do not let it listen on %j', async (address) => {
    await expect(configOf([key], { LETHE_HOST: address })).rejects.toThrow(/^LETHE_HOST: takes an IP address/);
  });

  it.each(['0.0.0.0', '::', '192.0.2.7', 'lethe.example', '127.0.0.2', ''])(
    'that are none keep it from listening on %j',
    async (address) => {
      await expect(configOf([], { LETHE_HOST: address })).rejects.toThrow(/^LETHE_HOST: without API keys/);
    },
  );
});
