import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Client } from 'minio';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Exists, InvalidPath, Unavailable } from '../../src/storage/errors.js';
import { openMinioStore } from '../../src/storage/object-store/minio.js';
import { parseS3Root } from '../../src/storage/object-store/minio.root.js';
import type { ObjectStore, SeenFile, SeenObject } from '../../src/storage/object-store/port.js';
import { findMinio, startMinio } from '../servers/minio.js';
import { bodyOf, objectStoreContract, pattern, stalling } from './object-store.contract.js';

/*
 * On a MinIO of its own. `LETHE_TEST_S3=s3://key:secret@host:port/bucket?tls=false` runs the contract on a live server instead: in that bucket,
 * and in `<bucket>-versioned`, which has versions.
 */

const MIB = 1024 * 1024;
const live = process.env['LETHE_TEST_S3'];
const binary = await findMinio();
const server = binary === null ? null : await startMinio(binary);
afterAll(async () => server?.stop());

let number = 0;
const random = () => `upload${String((number += 1))}`;

interface Place {
  /** Up to the bucket: `s3://host:port/`. */
  readonly base: string;
  readonly query: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

const own: Place | null =
  server === null
    ? null
    : {
        base: `s3://127.0.0.1:${server.port}/`,
        query: '?tls=false',
        accessKey: server.accessKey,
        secretKey: server.secretKey,
      };

function placeFrom(url: URL): Place {
  const { host, search, username, password } = url;
  return { base: `s3://${host}/`, query: search, accessKey: username, secretKey: decodeURIComponent(password) };
}

const place = live === undefined ? own : placeFrom(new URL(live));
const needs = live === undefined ? '[needs minio]' : '[needs LETHE_TEST_S3]';

describe.skipIf(place === null)(`S3 ${needs}`, () => {
  if (place === null) return;
  for (const versioned of [false, true]) {
    objectStoreContract(versioned ? 'a bucket with versions' : 'a bucket without versions', async () => {
      const bucket = live === undefined ? null : new URL(live).pathname.slice(1) + (versioned ? '-versioned' : '');
      const opened = await openBucket(place, { versioned, bucket });
      const { client, prefix } = opened;
      const key = (path: string) => `${prefix}${path}`;
      return {
        store: opened.store,
        outside: {
          write: async (path, content) => {
            await client.putObject(opened.bucket, key(path), content);
          },
          remove: async (path) => client.removeObject(opened.bucket, key(path)),
          read: async (path) => readOrNull(client, opened.bucket, key(path)),
          list: async () => (await stored(opened)).map((name) => name.slice(prefix.length)),
        },
        cleanup: async () => {
          expect(await unfinished()).toEqual([]);
          if (live !== undefined) await removeAll(opened);
        },
      };
    });
  }
});

describe.skipIf(own === null)('a bucket as an object store [needs minio]', () => {
  if (own === null || server === null) return;
  let opened: OpenedBucket;
  let store: ObjectStore;
  let client: Client;
  let bucket: string;

  beforeEach(async () => {
    opened = await openBucket(own, { versioned: false, bucket: null });
    ({ store, client, bucket } = opened);
  });

  afterEach(async () => {
    await store.close();
    expect(await unfinished()).toEqual([]);
  });

  describe('put', () => {
    it('lets one of two uploads of 100 MiB to one name win, whole, and leaves nothing of the other', async () => {
      const { put, publish } = together(2);
      const results = await Promise.allSettled([1, 2].map(async (byte) => put(() => repeated(byte, 100), publish)));
      const lost = results.filter((result) => result.status === 'rejected');
      expect(lost.map(({ reason }) => reason)).toEqual([expect.any(Exists)]);
      const winner = results.findIndex((result) => result.status === 'fulfilled') + 1;
      const found = await store.get('big');
      expect(found?.seen).toMatchObject({ size: 100 * MIB });
      for await (const chunk of found?.body ?? []) expect(Buffer.alloc(chunk.length, winner).equals(chunk)).toBe(true);
    });

    it('lets one of many small uploads to one name win', async () => {
      const { put, publish } = together(8);
      const results = await Promise.allSettled(
        [1, 2, 3, 4, 5, 6, 7, 8].map(async (byte) => put(() => bodyOf(Buffer.alloc(10, byte)), publish)),
      );
      const lost = results.filter((result) => result.status === 'rejected');
      expect(lost.map(({ reason }) => reason)).toEqual(Array.from({ length: 7 }, () => expect.any(Exists)));
      const winner = results.findIndex((result) => result.status === 'fulfilled') + 1;
      expect(await readOrNull(client, bucket, `${opened.prefix}big`)).toEqual(Buffer.alloc(10, winner));
    });

    it('takes 200 MiB, and gives them, in little memory', async () => {
      const before = process.memoryUsage().arrayBuffers;
      let peak = 0;
      const body = repeated(7, 200, () => (peak = Math.max(peak, process.memoryUsage().arrayBuffers)));
      const seen = await store.put('big', body);
      expect(seen.size).toBe(200 * MIB);
      const found = await store.get('big');
      let size = 0;
      for await (const chunk of found?.body ?? []) {
        size += Buffer.byteLength(chunk);
        peak = Math.max(peak, process.memoryUsage().arrayBuffers);
      }
      expect(size).toBe(200 * MIB);
      // What waits to be collected counts too; the whole body would be twice this.
      expect(peak - before).toBeLessThan(100 * MIB);
    });

    it.each([8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 17 * MIB])(
      'stores %i bytes around the size of a part',
      async (size) => {
        const content = pattern(size + 4).subarray(0, size);
        const seen = await store.put('a', bodyOf(content));
        expect(seen).toMatchObject({ size });
        expect(await store.stat('a')).toEqual(seen);
        expect((await readOrNull(client, bucket, `${opened.prefix}a`))?.equals(content)).toBe(true);
      },
    );

    it('asks publish before anything of a large body is visible, and leaves nothing where it throws', async () => {
      const refusal = new Error('the record was purged meanwhile');
      let visible: unknown = 'not asked';
      const publish = async () => {
        visible = [await store.stat('big'), await collect(store.list(''))];
        throw refusal;
      };
      await expect(store.put('big', repeated(1, 20), { publish })).rejects.toBe(refusal);
      expect(visible).toEqual([null, []]);
      expect(await stored(opened)).toEqual([]);
    });

    it('leaves nothing of a large body that fails, or whose signal speaks', async () => {
      const lost = new Error('connection lost');
      await expect(store.put('big', failingAfter(20, lost))).rejects.toBe(lost);
      const control = new AbortController();
      const reason = new Error('the client went away');
      const body = repeated(1, 40, (mib) => {
        // Not within the body's own turn: it could not be ended there.
        if (mib === 20) queueMicrotask(() => control.abort(reason));
      });
      await expect(store.put('big', body, { signal: control.signal })).rejects.toBe(reason);
      expect(await stored(opened)).toEqual([]);
    });

    it('makes no path that is both a file and a folder', async () => {
      await store.put('a/b/c', bodyOf('x'));
      for (const path of ['a', 'a/b', 'a/b/c/d', 'a/b/c/d/e'])
        await expect(store.put(path, bodyOf('x'))).rejects.toBeInstanceOf(Exists);
      await store.put('a/b/c-d', bodyOf('x'));
      await store.put('a/b-', bodyOf('x'));
      expect((await collect(store.list(''))).map(({ path }) => path)).toEqual(['a/b-', 'a/b/c', 'a/b/c-d']);
    });

    it('counts the prefix of the storage into what a key may have', async () => {
      const path = `${'a/'.repeat(500)}${'b'.repeat(24)}`;
      expect(path.length).toBe(1024);
      await expect(store.put(path, bodyOf('x'))).rejects.toBeInstanceOf(InvalidPath);
      await expect(store.stat(path)).rejects.toThrow(/1032 bytes/);
    });

    async function putBig(body: Readable, publish: () => Promise<void>): Promise<SeenFile> {
      return store.put('big', body, { publish });
    }

    /** Puts that are all in before the first is published. */
    function together(count: number) {
      let waiting = 0;
      let go: () => void = () => undefined;
      const all = new Promise<void>((resolve) => (go = resolve));
      const publish = async () => {
        waiting += 1;
        if (waiting === count) go();
        await all;
      };
      return { publish, put: async (body: () => Readable, ask: () => Promise<void>) => putBig(body(), ask) };
    }
  });

  describe('list', () => {
    const NAMES = [
      ' lead',
      '0',
      '00',
      '0x1F',
      '1.0',
      '1e5',
      'NaN',
      'a&amp;b',
      'false',
      'null',
      'trail ',
      'true',
      '%41',
      '+',
      '<Key>',
      'a+b',
    ];

    it.each([false, true])('gives each name as it is, whatever it looks like (versions: %j)', async (versioned) => {
      const { store: here } = await openBucket(own, { versioned, bucket: null });
      for (const name of NAMES) await here.put(name, bodyOf(name));
      expect((await collect(here.list(''))).map(({ path }) => path)).toEqual([...NAMES].sort(byBytes));
      await here.close();
    });

    it('leaves out what is no path: it was written behind its back', async () => {
      for (const key of ['a/', 'a/b/', 'a/back\\slash', 'a/ok'])
        await client.putObject(bucket, opened.prefix + key, 'x').catch(() => undefined);
      expect((await collect(store.list('a/'))).map(({ path }) => path)).toEqual(['a/ok']);
    });

    it.each([false, true])('jumps over what lies below .lethe/ (versions: %j)', async (versioned) => {
      const { store: here, client: there, bucket: name, prefix } = await openBucket(own, { versioned, bucket: null });
      for (let at = 0; at < 1_100; at += 50)
        await Promise.all(
          Array.from({ length: 50 }, async (_, index) => there.putObject(name, `${prefix}.lethe/${at + index}`, 'x')),
        );
      for (const path of ['.lethe-', '.lethe0', '!', 'a']) await there.putObject(name, prefix + path, 'x');
      expect((await collect(here.list(''))).map(({ path }) => path)).toEqual(['!', '.lethe-', '.lethe0', 'a']);
      expect(await collect(here.list('.lethe/'))).toHaveLength(1_100);
      await here.close();
    });
  });

  it('sees nothing beside its prefix', async () => {
    for (const key of ['pre/fixed/a', 'pre/a', 'a', 'pre/fix', 'pre/fix-/a']) await client.putObject(bucket, key, 'x');
    expect(await collect(store.list(''))).toEqual([]);
    expect(await store.stat('a')).toBeNull();
  });

  describe('with versions', () => {
    beforeEach(async () => {
      await store.close();
      opened = await openBucket(own, { versioned: true, bucket: null });
      ({ store, client, bucket } = opened);
    });

    const key = () => `${opened.prefix}a`;
    const write = async (content: string) => client.putObject(bucket, key(), content);
    const mark = async () => client.removeObject(bucket, key());

    it('sees every version and marker below a key, newest first, and deletes them all', async () => {
      const first = await write('one');
      await mark();
      const second = await write('two');
      const third = await write('three');
      const seen = await looked('a');
      expect(seen.versions).toEqual([third.versionId, second.versionId, expect.any(String), first.versionId]);
      expect(await collect(store.list(''))).toEqual([{ path: 'a', ...seen }]);
      expect((await store.get('a'))?.seen).toEqual(seen);
      expect(await store.delete('a', seen)).toBe('deleted');
      expect(await versionIds(client, bucket, key())).toEqual([]);
      expect(await store.delete('a', seen)).toBe('missing');
    });

    it('names them all where they fill many pages', async () => {
      const count = 230;
      for (let at = 0; at < count; at += 1) await write(String(at));
      await client.putObject(bucket, `${key()}-neighbour`, 'x');
      const seen = await looked('a');
      expect(new Set(seen.versions).size).toBe(count);
      expect(await store.delete('a', seen)).toBe('deleted');
      expect((await stored(opened)).map((name) => name.slice(opened.prefix.length))).toEqual(['a-neighbour']);
    });

    it('leaves a version that came after, and says so', async () => {
      const seen = await store.put('a', bodyOf('ours'));
      const later = await write('theirs');
      expect(await store.delete('a', seen)).toBe('changed');
      expect(await versionIds(client, bucket, key())).toEqual([later.versionId]);
    });

    it('deletes what was seen below a marker that came after', async () => {
      const seen = await store.put('a', bodyOf('ours'));
      await mark();
      expect(await store.stat('a')).toBeNull();
      expect(await collect(store.list(''))).toEqual([]);
      expect(await store.delete('a', seen)).toBe('deleted');
      expect(await versionIds(client, bucket, key())).toHaveLength(1);
    });

    it('takes the id "null" for what it was, not for what uses it now', async () => {
      await client.setBucketVersioning(bucket, { Status: 'Suspended' });
      await write('first');
      const seen = await looked('a');
      expect(seen.versions).toHaveLength(1);
      await write('second');
      expect(await store.delete('a', seen)).toBe('changed');
      expect(await readOrNull(client, bucket, key())).toEqual(Buffer.from('second'));
      expect(await store.delete('a', await looked('a'))).toBe('deleted');
      expect(await versionIds(client, bucket, key())).toEqual([]);
    });

    it('stores in a bucket whose versions are suspended, and never overwrites there', async () => {
      await client.setBucketVersioning(bucket, { Status: 'Suspended' });
      const seen = await store.put('a', repeated(1, 9));
      await expect(store.put('a', bodyOf('x'))).rejects.toBeInstanceOf(Exists);
      expect(await store.stat('a')).toEqual(seen);
    });

    it('deletes what was seen before the bucket had versions', async () => {
      const plain = await openBucket(own, { versioned: false, bucket: null });
      const seen = await plain.store.put('a', bodyOf('x'));
      expect(seen.versions).toBeNull();
      await plain.client.setBucketVersioning(plain.bucket, { Status: 'Enabled' });
      expect(await plain.store.delete('a', seen)).toBe('deleted');
      expect(await versionIds(plain.client, plain.bucket, `${plain.prefix}a`)).toEqual([]);
      await plain.store.close();
    });

    it('keeps one version of a file that is replaced', async () => {
      for (const position of ['1', '2', '3']) await store.replace('.lethe/owner', position);
      expect(await versionIds(client, bucket, `${opened.prefix}.lethe/owner`)).toHaveLength(1);
    });

    async function looked(path: string): Promise<SeenFile> {
      const seen = await store.stat(path);
      if (seen === null) throw new Error(`nothing at ${path}`);
      return seen;
    }
  });

  describe('rights', () => {
    it('reads what an anonymous caller may read, and names the action that is refused', async () => {
      const seen = await store.put('a/b', bodyOf('x'));
      const reader = await readOnly(opened, ['s3:GetBucketVersioning']);
      expect(await reader.stat('a/b')).toEqual(seen);
      expect(await collect(reader.list(''))).toEqual([{ path: 'a/b', ...seen }]);
      const found = await reader.get('a/b');
      expect(found === null ? null : (await buffer(found.body)).toString()).toBe('x');
      await expect(reader.delete('a/b', seen)).rejects.toThrow(Unavailable);
      await expect(reader.delete('a/b', seen)).rejects.toThrow(/^AccessDenied: s3:DeleteObject of "a\/b"/);
      await expect(reader.put('c', bodyOf('x'))).rejects.toThrow(/^AccessDenied: s3:PutObject of "c"/);
      await expect(reader.put('c', repeated(1, 9))).rejects.toThrow(/^AccessDenied: s3:PutObject of "c"/);
      await expect(reader.replace('.lethe/owner', 'x')).rejects.toThrow(/^AccessDenied: s3:PutObject/);
      expect(await store.stat('a/b')).toEqual(seen);
      await reader.close();
    });

    it('reads where it may not know of versions, and deletes nothing there', async () => {
      const seen = await store.put('a/b', bodyOf('x'));
      const reader = await readOnly(opened, []);
      expect(await reader.stat('a/b')).toEqual(seen);
      expect((await reader.get('a/b'))?.seen).toEqual(seen);
      expect(await collect(reader.list(''))).toEqual([{ path: 'a/b', ...seen }]);
      await expect(reader.delete('a/b', seen)).rejects.toThrow(/^AccessDenied: s3:GetBucketVersioning/);
      expect(await store.stat('a/b')).toEqual(seen);
      await reader.close();
    });

    it('says what a lock on an object refuses', async () => {
      const locked = `locked-${random()}`;
      await client.makeBucket(locked, '', { ObjectLocking: true });
      const store = await openMinioStore({ ...own, root: `${own.base}${locked}${own.query}`, random, create: false });
      const seen = await store.put('a', bodyOf('x'));
      const versionId = seen.versions?.[0] ?? '';
      const legalHold = async (status: 'ON' | 'OFF') => client.setObjectLegalHold(locked, 'a', { status, versionId });
      await legalHold('ON');
      await expect(store.delete('a', seen)).rejects.toThrow(/^\w+: s3:DeleteObjectVersion of "a"/);
      await expect(store.delete('a', seen)).rejects.toThrow(Unavailable);
      expect(await store.stat('a')).toEqual(seen);
      await legalHold('OFF');
      expect(await store.delete('a', seen)).toBe('deleted');
      await store.close();
    });

    it('tells no key in any error', async () => {
      const wrong = { ...own, secretKey: 'a-secret-that-is-wrong' };
      const refused = await openMinioStore({ ...wrong, root: opened.root, random, create: false });
      const stranger = await openMinioStore({
        ...own,
        accessKey: 'nobody-known',
        root: opened.root,
        random,
        create: false,
      });
      const said = [
        await refused.put('a', bodyOf('x')).catch(String),
        await refused.stat('a').catch(String),
        await collect(refused.list('')).catch(String),
        await stranger.get('a').catch(String),
      ]
        .map(String)
        .join('\n');
      expect(said).toMatch(/SignatureDoesNotMatch: s3:ListBucket/);
      expect(said).toMatch(/InvalidAccessKeyId: s3:GetObject/);
      for (const secret of [wrong.secretKey, own.secretKey, own.accessKey, 'nobody-known'])
        expect(said).not.toContain(secret);
    });
  });

  describe('the bucket', () => {
    it('is made if that is asked for, and else missing until it is there', async () => {
      const root = `${own.base}later-${random()}/x${own.query}`;
      const waiting = await openMinioStore({ ...own, root, random, create: false });
      const seen = { etag: 'x', size: 1, modifiedAt: '2026-01-01T00:00:00.000Z', versions: null };
      const calls = [
        async () => waiting.put('a', bodyOf('x')),
        async () => waiting.get('a'),
        async () => waiting.stat('a'),
        async () => waiting.delete('a', seen),
        async () => waiting.delete('a', { ...seen, versions: ['1'] }),
        async () => collect(waiting.list('')),
        async () => waiting.replace('.lethe/owner', 'x'),
      ];
      for (const call of calls) {
        await expect(call()).rejects.toThrow(Unavailable);
        await expect(call()).rejects.toThrow(/NoSuchBucket: .*later-/);
      }
      for (let time = 0; time < 2; time += 1)
        await (await openMinioStore({ ...own, root, random, create: true })).close();
      expect(await waiting.stat('a')).toBeNull();
      await waiting.put('a', bodyOf('x'));
      await waiting.close();
    });
  });

  it('lists the uploads of parts that broke off below its root, and throws them away', async () => {
    const { prefix } = opened;
    const begin = (key: string): Promise<string> => client.initiateNewMultipartUpload(bucket, key, {});
    const ids = new Map<string, string>();
    for (const path of ['.lethe/AAAAAAAAAAAAAAAAAAAA-abcdef.bin', 'raw/ä b+c.bin', 'raw/x']) {
      ids.set(path, await begin(`${prefix}${path}`));
    }
    const beside = await begin('beside/it');
    const listed = async () => {
      const found = new Map<string, string>();
      for await (const { path, id, startedAt } of store.unfinished()) {
        expect(Math.abs(Date.now() - Date.parse(startedAt))).toBeLessThan(60_000);
        found.set(path, id);
      }
      return found;
    };
    expect(await listed()).toEqual(ids);
    for await (const upload of store.unfinished()) {
      await store.abandon(upload);
      await store.abandon(upload);
    }
    expect((await listed()).size).toBe(0);
    await client.abortMultipartUpload(bucket, 'beside/it', beside);
  });

  it('takes no nonsense for a range', async () => {
    await store.put('a', bodyOf('abc'));
    for (const range of [
      { start: -1, end: 1 },
      { start: 2, end: 1 },
      { start: 0.5, end: 1 },
    ])
      await expect(store.get('a', range)).rejects.toBeInstanceOf(RangeError);
  });

  it('ends what it still sends or receives when it is closed', async () => {
    await store.put('a', repeated(1, 40));
    const found = await store.get('a');
    const body = stalling();
    const put = store.put('b', body);
    await body.asked;
    await store.close();
    body.destroy(new Error('closing'));
    await expect(put).rejects.toThrow('closing');
    await expect(found === null ? null : buffer(found.body)).rejects.toThrow(Unavailable);
  });
});

interface OpenedBucket {
  readonly store: ObjectStore;
  readonly client: Client;
  readonly bucket: string;
  readonly prefix: string;
  readonly root: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** @param bucket null: a new one */
async function openBucket(
  { base, query, accessKey, secretKey }: Place,
  { versioned, bucket: given }: { versioned: boolean; bucket: string | null },
): Promise<OpenedBucket> {
  const bucket = given ?? `bucket-${random()}`;
  const prefix = given === null ? 'pre/fix/' : `lethe-test-${process.pid}/${random()}/`;
  const root = `${base}${bucket}/${prefix}${query}`;
  const { host, port, tls, region } = parseS3Root(root);
  const client = new Client({ endPoint: host, port, useSSL: tls, region, accessKey, secretKey });
  if (given === null) await client.makeBucket(bucket);
  if (given === null && versioned) await client.setBucketVersioning(bucket, { Status: 'Enabled' });
  const store = await openMinioStore({ root, accessKey, secretKey, random, create: false });
  return { store, client, bucket, prefix, root, accessKey, secretKey };
}

/** The same storage for somebody without keys, to whom the bucket's policy lets read. */
async function readOnly({ client, bucket, root }: OpenedBucket, more: readonly string[]): Promise<ObjectStore> {
  const Principal = { AWS: ['*'] };
  const objects = { Effect: 'Allow', Principal, Action: ['s3:GetObject'], Resource: [`arn:aws:s3:::${bucket}/*`] };
  const itself = {
    Effect: 'Allow',
    Principal,
    Action: ['s3:ListBucket', ...more],
    Resource: [`arn:aws:s3:::${bucket}`],
  };
  const policy = { Version: '2012-10-17', Statement: [objects, itself] };
  await client.setBucketPolicy(bucket, JSON.stringify(policy));
  return openMinioStore({ root, accessKey: '', secretKey: '', random, create: false });
}

/** The keys of a storage of which any version is there. */
async function stored({ client, bucket, prefix }: OpenedBucket): Promise<string[]> {
  const names = new Set<string>();
  for await (const { name } of client.listObjects(bucket, prefix, true, { IncludeVersion: true })) names.add(name);
  return [...names];
}

async function versionIds(client: Client, bucket: string, key: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { name, versionId } of client.listObjects(bucket, key, true, { IncludeVersion: true }))
    if (name === key) ids.push(versionId);
  return ids;
}

/** Our own server goes with all that is in it; a live one stays. */
async function removeAll({ root, accessKey, secretKey }: OpenedBucket): Promise<void> {
  const store = await openMinioStore({ root, accessKey, secretKey, random, create: false });
  for (const prefix of ['', '.lethe/'])
    for await (const { path, ...seen } of store.list(prefix)) await store.delete(path, seen);
  await store.close();
}

async function readOrNull(client: Client, bucket: string, key: string): Promise<Buffer | null> {
  try {
    return await buffer(await client.getObject(bucket, key));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'NoSuchKey') return null;
    throw error;
  }
}

/** What our own server still holds of uploads that did not come to an end: it lists none unless it is asked for one key. */
async function unfinished(): Promise<string[]> {
  const folder = join(server?.folder ?? '/nonexistent', 'data', '.minio.sys', 'multipart');
  if (!existsSync(folder)) return [];
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []));
}

/** `mib` MiB of one byte; `each` is told how many there were so far. */
function repeated(byte: number, mib: number, each: (mib: number) => void = () => undefined): Readable {
  const chunk = Buffer.alloc(MIB, byte);
  const chunks = function* () {
    for (let at = 0; at < mib; at += 1) {
      each(at);
      yield chunk;
    }
  };
  return Readable.from(chunks(), { objectMode: false });
}

function failingAfter(mib: number, error: Error): Readable {
  return repeated(1, mib + 1, (at) => {
    if (at === mib) throw error;
  });
}

async function collect(items: AsyncIterable<SeenObject>): Promise<SeenObject[]> {
  const all: SeenObject[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const byBytes = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));
