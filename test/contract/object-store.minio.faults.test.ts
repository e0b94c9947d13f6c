import type { IncomingMessage } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Client } from 'minio';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Exists, Full, InvalidPath, OutcomeUnknown, Unavailable } from '../../src/storage/errors.js';
import { openMinioStore } from '../../src/storage/object-store/minio.js';
import type { ObjectStore } from '../../src/storage/object-store/port.js';
import { startProxy, type Fate, type Proxy } from '../harness/s3-proxy.js';
import { until } from '../harness/until.js';
import { findMinio, startMinio } from '../servers/minio.js';
import { bodyOf, pattern } from './object-store.contract.js';

/* An S3 server that fails, and a network that does. What a real MinIO answers goes through a proxy that does to it what a test says. */

const MIB = 1024 * 1024;
const SILENCE_MS = 1_000;
const binary = await findMinio();
const server = binary === null ? null : await startMinio(binary);
afterAll(async () => server?.stop());

let number = 0;
const random = () => `fault${String((number += 1))}`;

describe.skipIf(server === null)('a bucket behind a failing network [needs minio]', () => {
  if (server === null) return;
  const { accessKey, secretKey, port } = server;
  const client = new Client({ endPoint: '127.0.0.1', port, useSSL: false, region: 'us-east-1', accessKey, secretKey });
  let proxy: Proxy;
  let bucket: string;
  /** Behind the proxy. */
  let store: ObjectStore;
  /** The same to whoever waits a second for a sign of life, and no longer. */
  let hasty: ObjectStore;
  /** Beside it. */
  let direct: ObjectStore;

  beforeEach(async () => {
    bucket = `bucket-${random()}`;
    await client.makeBucket(bucket);
    proxy = await startProxy(port);
    store = await open(proxy.port);
    hasty = await open(proxy.port, SILENCE_MS);
    direct = await open(port);
  });

  afterEach(async () => {
    await store.close();
    await hasty.close();
    await direct.close();
    await proxy.close();
  });

  const open = async (at: number, silenceMs?: number) =>
    openMinioStore({
      root: `s3://127.0.0.1:${at}/${bucket}?tls=false`,
      accessKey,
      secretKey,
      random,
      create: false,
      ...(silenceMs === undefined ? {} : { silenceMs }),
    });

  describe('reading', () => {
    describe('what is replaced between a look at it and a look at its versions', () => {
      let replaced: number;
      beforeEach(async () => {
        await client.setBucketVersioning(bucket, { Status: 'Enabled' });
        await direct.replace('.lethe/owner', '0');
        replaced = 0;
      });
      /** Before each look at the versions, so many times; the older ones go, as `replace` does it. */
      const replaces = (times: number): void => {
        proxy.decide = async ({ method, url = '' }): Promise<Fate> => {
          if (method === 'GET' && url.includes('versions=') && replaced < times) {
            replaced += 1;
            await direct.replace('.lethe/owner', `${replaced}`);
          }
          return 'pass';
        };
      };

      it('is opened again', async () => {
        replaces(2);
        const found = await store.get('.lethe/owner');
        expect(found === null ? null : (await buffer(found.body)).toString()).toBe('2');
        expect(found?.seen.versions).toHaveLength(1);
        expect(replaced).toBe(2);
      });

      it('is Unavailable where that does not end', async () => {
        replaces(100);
        await expect(store.get('.lethe/owner')).rejects.toThrow(/was replaced each time/);
        expect(replaced).toBe(5);
      });
    });

    it.each([
      ['stall the answer', /gave nothing for 1000 ms/],
      ['cut the answer', /broke off/],
    ] as const)('is an error where they %s', async (fate, says) => {
      await direct.put('a', bodyOf(pattern(2 * MIB)));
      proxy.decide = decideFor('GET', fate, isObject);
      const found = await hasty.get('a');
      expect(found?.seen.size).toBe(2 * MIB);
      const reading = found === null ? null : buffer(found.body);
      await expect(reading).rejects.toThrow(Unavailable);
      await expect(reading).rejects.toThrow(says);
    });

    it('waits as long as the reader takes', async () => {
      const content = pattern(4 * MIB);
      await direct.put('a', bodyOf(content));
      const found = await hasty.get('a');
      const chunks: Buffer[] = [];
      const began = performance.now();
      for await (const chunk of found?.body ?? []) {
        chunks.push(Buffer.from(chunk));
        if (chunks.length === 1)
          await until('a reader who is slow', async () => performance.now() - began > 2 * SILENCE_MS);
      }
      expect(Buffer.concat(chunks).equals(content)).toBe(true);
    });

    it('gives up on a server that answers nothing, and says so', async () => {
      proxy.decide = () => 'keep silent';
      await expect(hasty.stat('a')).rejects.toThrow(Unavailable);
      await expect(hasty.get('a')).rejects.toThrow(/^TimedOut: s3:GetObject of "a" in the bucket/);
    });

    it('tries again after what passes, and only a few times', async () => {
      await direct.put('a', bodyOf('x'));
      const refusals: Fate[] = [{ status: 503, code: 'SlowDown' }, 'lose the answer'];
      proxy.decide = ({ method }) => (method === 'HEAD' ? (refusals.shift() ?? 'pass') : 'pass');
      expect(await store.stat('a')).toEqual(await direct.stat('a'));
      proxy.decide = decideFor('HEAD', { status: 503 });
      proxy.seen.length = 0;
      await expect(store.stat('a')).rejects.toThrow(/^SlowDown: s3:GetObject/);
      expect(proxy.seen.filter((line) => line.startsWith('HEAD'))).toHaveLength(3);
    });

    it('ends a wait for the next try when the signal says so', async () => {
      const control = new AbortController();
      const reason = new Error('stopping');
      proxy.decide = () => {
        setImmediate(() => control.abort(reason));
        return { status: 503 };
      };
      await expect(store.get('a', undefined, control.signal)).rejects.toBe(reason);
      proxy.decide = () => {
        setImmediate(() => control.abort(reason));
        return 'keep silent';
      };
      await expect(store.get('a', undefined, control.signal)).rejects.toBe(reason);
    });

    it('never takes a bucket for one without versions because they may not be listed', async () => {
      await client.setBucketVersioning(bucket, { Status: 'Enabled' });
      const seen = await direct.put('a', bodyOf('x'));
      proxy.decide = ({ url }) =>
        /[?&]versions(&|=|$)/.test(url ?? '') ? { status: 403, code: 'AccessDenied' } : 'pass';
      const calls = [
        async () => store.stat('a'),
        async () => store.get('a'),
        async () => collect(store.list('')),
        async () => store.delete('a', seen),
      ];
      for (const call of calls) {
        await expect(call()).rejects.toThrow(Unavailable);
        await expect(call()).rejects.toThrow(/^AccessDenied: s3:ListBucketVersions/);
      }
      expect(await direct.stat('a')).toEqual(seen);
    });

    it('takes no answer that is not from an S3 server', async () => {
      proxy.decide = () => ({ status: 200 });
      await expect(store.stat('a')).rejects.toThrow(/is this an S3 server/);
    });
  });

  describe('storing', () => {
    it.each([1, 20])('finds out what became of %i MiB when the answer is lost', async (mib) => {
      proxy.decide = (request) => (isCommit(request) ? 'lose the answer' : 'pass');
      const seen = await store.put('a', bodyOf(pattern(mib * MIB)));
      expect(seen.size).toBe(mib * MIB);
      expect(await direct.stat('a')).toEqual(seen);
    });

    it('does not take for its own what another stored, when the answer is lost', async () => {
      proxy.decide = async (request) => {
        if (!isCommit(request)) return 'pass';
        await direct.replace('.lethe/a', 'same');
        return { status: 500, code: 'InternalError' };
      };
      await expect(store.put('.lethe/a', bodyOf('same'))).rejects.toBeInstanceOf(Exists);
      expect((await direct.stat('.lethe/a'))?.size).toBe(4);
    });

    it('does not know what became of a small body where nothing lies there yet', async () => {
      proxy.decide = (request) => (isCommit(request) ? { status: 502 } : 'pass');
      await expect(store.put('a', bodyOf('x'))).rejects.toBeInstanceOf(OutcomeUnknown);
    });

    it('knows that parts which were not put together never will be', async () => {
      proxy.decide = (request) => (isCommit(request) ? { status: 500, code: 'InternalError' } : 'pass');
      const put = store.put('a', bodyOf(pattern(20 * MIB)));
      await expect(put).rejects.toThrow(Unavailable);
      await expect(put).rejects.toThrow(/nothing was stored/);
      expect(await direct.stat('a')).toBeNull();
    });

    it('says that it does not know, where nobody can be asked any more', async () => {
      proxy.decide = (request) => {
        if (!isCommit(request)) return 'pass';
        proxy.decide = () => ({ status: 503 });
        return 'lose the answer';
      };
      await expect(store.put('a', bodyOf('x'))).rejects.toBeInstanceOf(OutcomeUnknown);
      await until('it came to be all the same', async () => direct.stat('a'));
    });

    it.each([
      [507, undefined],
      [507, 'XMinioStorageFull'],
      [400, 'XMinioAdminBucketQuotaExceeded'],
      [403, 'QuotaExceeded'],
    ])('is Full where the server says %i %s, with small bodies and large ones', async (status, code) => {
      proxy.decide = ({ method, url }) =>
        method === 'PUT' && !(url ?? '').includes('partNumber=1&') ? { status, ...(code && { code }) } : 'pass';
      for (const mib of [1, 20]) {
        const put = store.put('a', bodyOf(pattern(mib * MIB)));
        await expect(put).rejects.toThrow(Full);
        await expect(put).rejects.toThrow(/s3:PutObject of "a".*Nothing was stored/);
      }
      await expect(store.replace('.lethe/owner', 'x')).rejects.toBeInstanceOf(Full);
      expect(await collect(direct.list(''))).toEqual([]);
    });

    it('does without conditions on a server that refuses them', async () => {
      proxy.decide = (request) => (isCommit(request) ? { status: 501, code: 'NotImplemented' } : 'pass');
      for (const mib of [1, 9]) {
        const seen = await store.put(`${mib}`, bodyOf(pattern(mib * MIB)));
        expect(await direct.stat(`${mib}`)).toEqual(seen);
      }
    });

    it.each([1, 9])('asks right before the last request, for servers that ignore conditions: %i MiB', async (mib) => {
      const publish = async () => direct.replace('.lethe/late', 'theirs');
      await expect(store.put('.lethe/late', bodyOf(pattern(mib * MIB)), { publish })).rejects.toBeInstanceOf(Exists);
      expect(proxy.seen.filter((line) => /^PUT (?!.*partNumber)|^POST (?!.*uploads)/.test(line))).toEqual([]);
      expect((await direct.stat('.lethe/late'))?.size).toBe(6);
    });

    it.each([
      ['KeyTooLongError', InvalidPath],
      ['XMinioInvalidObjectName', InvalidPath],
      ['XMinioParentIsObject', Exists],
      ['PermanentRedirect', Unavailable],
    ])('says what %s means', async (code, error) => {
      proxy.decide = (request) => (isCommit(request) ? { status: 400, code } : 'pass');
      await expect(store.put('a', bodyOf('x'))).rejects.toBeInstanceOf(error);
    });

    it('takes an error that comes after 200 for one', async () => {
      proxy.decide = (request) => (isCommit(request) ? { status: 200, code: 'InternalError' } : 'pass');
      await expect(store.put('a', bodyOf(pattern(9 * MIB)))).rejects.toBeInstanceOf(Unavailable);
      expect(await direct.stat('a')).toBeNull();
    });

    it('sends a part again that got lost', async () => {
      const fates: Fate[] = [{ status: 503 }, 'lose the answer'];
      proxy.decide = ({ url }) => ((url ?? '').includes('partNumber=2&') ? (fates.shift() ?? 'pass') : 'pass');
      const content = pattern(20 * MIB);
      await store.put('a', bodyOf(content));
      const found = await direct.get('a');
      expect(found === null ? null : (await buffer(found.body)).equals(content)).toBe(true);
    });
  });

  describe('deleting', () => {
    it('asks again, and does not say "deleted" of what is still there', async () => {
      const seen = await direct.put('a', bodyOf('x'));
      proxy.decide = decideFor('DELETE', { status: 204 });
      await expect(store.delete('a', seen)).rejects.toThrow(/still there/);
      await client.setBucketVersioning(bucket, { Status: 'Enabled' });
      const versioned = await direct.put('b', bodyOf('x'));
      await expect(store.delete('b', versioned)).rejects.toThrow(/still there/);
      expect(await direct.stat('b')).toEqual(versioned);
    });

    it('deletes though the answer is lost', async () => {
      const seen = await direct.put('a', bodyOf('x'));
      const fates: Fate[] = ['lose the answer'];
      proxy.decide = ({ method }) => (method === 'DELETE' ? (fates.shift() ?? 'pass') : 'pass');
      expect(await store.delete('a', seen)).toBe('deleted');
      expect(await direct.stat('a')).toBeNull();
    });

    it('gives the condition to a server that knows it, and believes its refusal', async () => {
      const seen = await direct.put('a', bodyOf('x'));
      const conditions: unknown[] = [];
      proxy.decide = ({ method, headers }) => {
        if (method !== 'DELETE') return 'pass';
        conditions.push(headers['if-match']);
        return { status: 412, code: 'PreconditionFailed' };
      };
      await expect(store.delete('a', seen)).rejects.toThrow(Unavailable);
      expect(conditions).toEqual([`"${seen.etag}"`]);
    });
  });

  it('is Unavailable while nobody listens, and works when the server is back', async () => {
    const seen = await direct.put('a', bodyOf('x'));
    await server.kill();
    for (const call of [
      async () => direct.put('b', bodyOf('x')),
      async () => direct.get('a'),
      async () => direct.stat('a'),
      async () => direct.delete('a', seen),
      async () => collect(direct.list('')),
      async () => direct.replace('.lethe/owner', 'x'),
    ]) {
      await expect(call()).rejects.toBeInstanceOf(Unavailable);
    }
    await server.start();
    expect(await direct.stat('a')).toEqual(seen);
  });

  it.each([
    ['in the middle of the bytes', 20],
    ['when all bytes are in', 40],
  ])('leaves nothing visible where the server is killed %s', async (_, at) => {
    const chunk = Buffer.alloc(MIB, 1);
    let asked = false;
    const chunks = async function* () {
      for (let mib = 0; mib < 40; mib += 1) {
        if (mib === at) await server.kill();
        yield chunk;
      }
    };
    const publish = async () => {
      asked = true;
      if (at === 40) await server.kill();
    };
    const put = direct.put('big', Readable.from(chunks(), { objectMode: false }), { publish });
    await expect(put).rejects.toBeInstanceOf(Unavailable);
    expect(asked).toBe(at === 40);
    await server.start();
    expect(await direct.stat('big')).toBeNull();
    expect(await collect(direct.list(''))).toEqual([]);
    await direct.put('big', bodyOf('the path is free'));
  });

  const isObject = ({ url }: IncomingMessage) => /^\/[^/]+\/[^?]/.test(url ?? '');
});

describe('an S3 server that is none', () => {
  it('is given up on where it takes the connection and says nothing', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const port = address === null || typeof address === 'string' ? 0 : address.port;
    const keys = { accessKey: 'somebody', secretKey: 'something' };
    const root = `s3://127.0.0.1:${port}/bucket?tls=false`;
    const store = await openMinioStore({ ...keys, root, random, create: false, silenceMs: 100 });
    await expect(store.put('a', bodyOf('x'))).rejects.toThrow(Unavailable);
    await expect(openMinioStore({ ...keys, root, random, create: true, silenceMs: 100 })).rejects.toThrow(/TimedOut/);
    await store.close();
    for (const socket of sockets) socket.destroy();
    silent.close();
    await once(silent, 'close');
  });
});

const decideFor =
  (method: string, fate: Fate, matching: (request: IncomingMessage) => boolean = () => true) =>
  (request: IncomingMessage): Fate =>
    request.method === method && matching(request) ? fate : 'pass';

/** The one request that makes an object visible. */
const isCommit = ({ method, url, headers }: IncomingMessage) =>
  headers['if-none-match'] !== undefined && (method === 'PUT' || (url ?? '').includes('uploadId='));

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
