import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rawRequest, sendRaw } from '../harness/raw.js';
import { expectRefused } from '../harness/refusing.js';
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

/* The bytes of a file over HTTP (RFC 9110): ranges, validators, its name; folders; what is missing; and bytes by the hundred megabytes. */

type Row = Answer['body'];
/** Where the system tells what a process holds. */
const hasProc = existsSync('/proc/self/status');
const at = ({ registry, uid }: Row): string => `/v1/${registry}/${uid}`;
const contentOf = (record: Row): string => `${at(record)}/content`;

let service: RunningService;
let disk: string;

beforeAll(async () => {
  disk = await temporaryFolder();
  service = await startService({ config: { storages: [{ name: 'lab', root: `file:${disk}` }] } });
});

afterAll(async () => {
  try {
    await discard(service);
  } finally {
    await rm(disk, { recursive: true, force: true });
  }
});

const call = (method: string, path: string, options?: RequestOptions): Promise<Answer> =>
  service.request(method, path, options);
const made = (answer: Answer): Row => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.record;
};
const file = async (content: string | Uint8Array, metadata: object = {}, filename?: string): Promise<Row> =>
  made(await call('POST', '/v1/files', { body: upload({ onDuplicate: 'create', ...metadata }, content, filename) }));
const lying = async (path: string, content: string): Promise<Row> => {
  await put(path, content);
  return made(await call('POST', '/v1/files', { json: { path, storage: 'lab' } }));
};
const put = async (path: string, content: string): Promise<void> => {
  await mkdir(dirname(join(disk, path)), { recursive: true });
  await writeFile(join(disk, path), content);
};
const refuse = (path: string, status: number, code: string, options: RequestOptions = {}, errors: string[] = []) =>
  expectRefused(service, [], { name: path, send: () => call('GET', path, options), status, code, errors });

describe('a range', () => {
  const BYTES = Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 256));
  let record: Row;
  let path: string;

  /** Bytes as they come: the harness reads text. */
  const bytesOf = async (
    headers: Record<string, string>,
  ): Promise<{ status: number; headers: Headers; bytes: Buffer }> => {
    const response = await fetch(service.url + path, { headers });
    return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
  };

  beforeAll(async () => {
    record = await file(BYTES, { key: 'bytes.bin' });
    path = contentOf(record);
  });

  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=0-', 0, 999],
    ['bytes=0-999', 0, 999],
    ['bytes=0-1000', 0, 999],
    ['bytes=999-', 999, 999],
    ['bytes=999-999', 999, 999],
    ['bytes=500-600', 500, 600],
    ['bytes=-1', 999, 999],
    ['bytes=-1000', 0, 999],
    ['bytes=-1001', 0, 999],
    ['bytes= 0 - 9 ', 0, 9],
  ])('%s', async (range, start, end) => {
    const answer = await bytesOf({ range });
    expect(answer.status).toBe(206);
    expect(answer.bytes).toEqual(BYTES.subarray(start, end + 1));
    expect(answer.headers.get('content-range')).toBe(`bytes ${start}-${end}/1000`);
    expect(answer.headers.get('content-length')).toBe(String(end - start + 1));
    expect(answer.headers.get('etag')).toBe(`"${record.hash}"`);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it.each(['bytes=1000-', 'bytes=1000-1001', 'bytes=-0'])('%s: 416 range, with the length', async (range) => {
    const answer = await refuse(path, 416, 'range', { headers: { range } });
    expect(answer.headers.get('content-range')).toBe('bytes */1000');
    expect(answer.headers.get('content-disposition')).toBeNull();
  });

  it('several at once: the whole', async () => {
    const answer = await bytesOf({ range: 'bytes=0-1,5-6' });
    expect([answer.status, answer.bytes.length, answer.headers.get('content-range')]).toEqual([200, 1_000, null]);
  });

  it('of nothing at all: 416, and the whole is empty', async () => {
    const empty = await file('', { key: 'empty.bin' });
    const whole = await call('GET', contentOf(empty));
    expect([whole.status, whole.body, whole.headers.get('content-length')]).toEqual([200, '', '0']);
    for (const range of ['bytes=0-', 'bytes=0-0', 'bytes=-1'])
      expect((await refuse(contentOf(empty), 416, 'range', { headers: { range } })).headers.get('content-range')).toBe(
        'bytes */0',
      );
  });

  it('If-Range: strong and the same, or the whole', async () => {
    const range = 'bytes=0-9';
    const etag = `"${record.hash}"`;
    for (const [value, status] of [
      [etag, 206],
      [`W/${etag}`, 200],
      ['"another"', 200],
      [record.hash, 200],
      [`"x", ${etag}`, 200],
      [new Date().toUTCString(), 200],
      ['*', 200],
    ] as const) {
      expect((await bytesOf({ range, 'if-range': value })).status, value).toBe(status);
    }
    // Behind the end of what it no longer is: the whole, and no 416.
    expect((await bytesOf({ range: 'bytes=5000-', 'if-range': '"another"' })).status).toBe(200);
  });

  it('If-None-Match goes before Range, and before reading the object', async () => {
    const etag = `"${record.hash}"`;
    for (const value of [etag, `W/${etag}`, '*', `"a", ${etag} , "b"`]) {
      const answer = await bytesOf({ 'if-none-match': value, range: 'bytes=5000-' });
      expect([answer.status, answer.bytes.length], value).toEqual([304, 0]);
      expect(answer.headers.get('etag')).toBe(etag);
      expect(answer.headers.get('content-length')).toBeNull();
    }
    for (const value of ['"another"', record.hash, ''])
      expect((await bytesOf({ 'if-none-match': value })).status, value).toBe(200);
  });

  it('HEAD: as GET, without the bytes; with a range too', async () => {
    const requests: Record<string, string>[] = [
      {},
      { range: 'bytes=0-9' },
      { range: 'bytes=5000-' },
      { 'if-none-match': '*' },
    ];
    for (const headers of requests) {
      const head = await sendRaw(service, rawRequest(service, 'HEAD', path, headers));
      const got = await bytesOf(headers);
      expect([head.status, head.body]).toEqual([got.status, '']);
      for (const name of ['content-length', 'content-range', 'etag', 'content-type', 'accept-ranges', 'cache-control'])
        if (got.status !== 416) expect(head.headers.get(name), name).toBe(got.headers.get(name));
    }
  });

  it('takes no other method', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await call(method, path);
      expect([answer.status, answer.body.code]).toEqual([405, 'method-not-allowed']);
      expect(answer.headers.get('allow')).toBe('GET, HEAD');
    }
  });
});

describe('the name of the attachment', () => {
  it.each([
    ['plain.csv', 'plain.csv', 'plain.csv'],
    ['sales/2026/q1.csv', 'q1.csv', 'q1.csv'],
    ['a "quoted" name.csv', 'a _quoted_ name.csv', 'a%20%22quoted%22%20name.csv'],
    ['Grüße.csv', 'Gr__e.csv', 'Gr%C3%BC%C3%9Fe.csv'],
    ['😀.csv', '__.csv', '%F0%9F%98%80.csv'],
    ["it's (1)*!.csv", "it's (1)*!.csv", 'it%27s%20%281%29%2A!.csv'],
    ['a\\b;c=d,e.csv', 'a_b;c=d,e.csv', 'a%5Cb%3Bc%3Dd%2Ce.csv'],
    ['line\r\nX-Evil: 1', 'line__X-Evil: 1', 'line%0D%0AX-Evil%3A%201'],
    ['100%.csv', '100_.csv', '100%25.csv'],
    ['folder/', 'folder', 'folder'],
    ['<script>.html', '<script>.html', '%3Cscript%3E.html'],
  ])('of the key %j', async (key, ascii, encoded) => {
    const answer = await call('GET', contentOf(await file('x', { key })));
    expect(answer.headers.get('content-disposition')).toBe(
      `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`,
    );
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('x-evil')).toBeNull();
  });

  it('without a key: the uid and the suffix', async () => {
    const record = await file('x', {}, 'reads.tar.gz');
    const answer = await call('GET', contentOf(record));
    expect(answer.headers.get('content-disposition')).toContain(`filename="${record.uid}.tar.gz"`);
    const bare = await file('x', {}, 'README');
    expect((await call('GET', contentOf(bare))).headers.get('content-disposition')).toContain(`filename="${bare.uid}"`);
  });
});

describe('where it lies no more, or not any longer as it was', () => {
  it('in the trash: 409 trashed unless visibility=any; HEAD too; after the purge 410', async () => {
    const record = await file('trashed', { key: 'trashed.csv' });
    await call('DELETE', at(record));
    await refuse(contentOf(record), 409, 'trashed');
    expect((await call('HEAD', contentOf(record))).status).toBe(409);
    expect((await call('GET', `${contentOf(record)}?visibility=any`)).body).toBe('trashed');
    for (const visibility of ['1', '0', '-1', '1,0,-1', ''])
      await refuse(`${contentOf(record)}?visibility=${visibility}`, 422, 'invalid', {}, ['?visibility']);
    await call('DELETE', `${at(record)}?permanent=true`, { headers: { prefer: 'wait=20' } });
    for (const query of ['', '?visibility=any'])
      expect((await refuse(contentOf(record) + query, 410, 'purged')).headers.get('cache-control')).toBe('no-store');
  });

  it('hidden: the bytes', async () => {
    expect((await call('GET', contentOf(await file('hidden', { visibility: 0 })))).body).toBe('hidden');
  });

  it('deleted behind its back: 404 object-missing; the record stays', async () => {
    const record = await file('lost', {});
    await rm(join(service.data, 'objects', record.path));
    await refuse(contentOf(record), 404, 'object-missing');
    await refuse(contentOf(record), 404, 'object-missing', { headers: { range: 'bytes=0-1', 'if-none-match': '*' } });
    expect((await call('GET', `${at(record)}/objects`)).body.items).toEqual([]);
    expect((await call('GET', at(record))).body).toEqual(record);
  });

  it('replaced by a folder: 404 object-missing', async () => {
    const record = await lying('becomes-folder', 'a file');
    await rm(join(disk, 'becomes-folder'));
    await put('becomes-folder/inner', 'not asked for');
    await refuse(contentOf(record), 404, 'object-missing');
  });

  it('written anew: the bytes that are there, under an ETag of their own; the old one no longer holds', async () => {
    const record = await lying('rewritten.csv', 'before');
    const before = (await call('GET', contentOf(record))).headers.get('etag') ?? '';
    expect(before).toBe(`"${record.hash}"`);
    await put('rewritten.csv.new', 'after!');
    await rename(join(disk, 'rewritten.csv.new'), join(disk, 'rewritten.csv'));
    const answer = await call('GET', contentOf(record), { headers: { 'if-none-match': before } });
    expect([answer.status, answer.body]).toEqual([200, 'after!']);
    const etag = answer.headers.get('etag') ?? '';
    expect(etag).not.toBe(before);
    const ranged = await call('GET', contentOf(record), { headers: { range: 'bytes=0-1', 'if-range': before } });
    expect(ranged.status).toBe(200);
    expect((await call('GET', contentOf(record), { headers: { 'if-none-match': etag } })).status).toBe(304);
  });

  it('touched: the same bytes at another time are another entity', async () => {
    const record = await lying('touched.csv', 'same');
    const path = join(disk, 'touched.csv');
    await utimes(path, new Date(0), new Date(0));
    const answer = await call('GET', contentOf(record));
    expect([answer.status, answer.body]).toEqual([200, 'same']);
    expect(answer.headers.get('etag')).not.toBe(`"${record.hash}"`);
  });

  it('cut short while it is sent: the answer breaks off, it does not end well', async () => {
    const record = await lying('cut.bin', 'x'.repeat(64 * 1024 * 1024));
    const request = httpRequest(service.url + contentOf(record));
    request.end();
    const [response]: IncomingMessage[] = await once(request, 'response');
    if (response === undefined) throw new Error('no answer');
    await once(response, 'readable');
    await truncate(join(disk, 'cut.bin'), 1_000);
    let received = 0;
    const reading = (async () => {
      for await (const chunk of response as AsyncIterable<Buffer>) received += chunk.length;
    })();
    await expect(reading).rejects.toThrow(/aborted/);
    expect(received).toBeLessThan(64 * 1024 * 1024);
    expect((await call('GET', at(record))).status).toBe(200);
  });

  it.skipIf(!hasProc)('a caller that goes away in the middle leaves no file open [needs proc]', async () => {
    const record = await lying('left.bin', 'y'.repeat(64 * 1024 * 1024));
    for (let times = 0; times < 5; times += 1) {
      const leave = new AbortController();
      const response = await fetch(service.url + contentOf(record), { signal: leave.signal });
      await response.body?.getReader().read();
      leave.abort();
    }
    const folder = `/proc/${service.process.pid ?? 0}/fd`;
    await until('every file is closed', async () => {
      const names = await readdir(folder);
      const open = await Promise.all(names.map((name) => readlink(join(folder, name)).catch(() => '')));
      return open.every((path) => !path.endsWith('left.bin'));
    });
  });
});

describe('a folder', () => {
  const NAMES = [
    'zarr/.zattrs',
    'zarr/0.0',
    'zarr/a b/ü.csv',
    'zarr/a-b',
    'zarr/a/x',
    'zarr/a/y',
    'zarr/～',
    'zarr/😀',
  ];
  let record: Row;

  beforeAll(async () => {
    for (const name of NAMES) await put(name, `content of ${name}`);
    await put('zarr-beside/x', 'beside');
    record = made(await call('POST', '/v1/files', { json: { path: 'zarr/', storage: 'lab' } }));
  });

  it('its objects, by code point, in pages', async () => {
    const sorted = NAMES.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const whole = (await call('GET', `${at(record)}/objects?count=true`)).body;
    expect(whole.items.map(({ path }: Row) => path)).toEqual(sorted);
    expect(whole).toMatchObject({ next: null, total: NAMES.length });
    expect(whole.items.reduce((sum: number, { size }: { size: number }) => sum + size, 0)).toBe(record.size);
    for (const limit of [1, 3, NAMES.length]) {
      const seen: Row[] = [];
      let path: string | null = `${at(record)}/objects?limit=${limit}`;
      for (let pages = 0; path !== null && pages < 20; pages += 1) {
        const answer: Answer = await call('GET', path);
        seen.push(...answer.body.items);
        path = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1] ?? null;
      }
      expect(seen).toEqual(whole.items);
    }
  });

  it('its objects while others come and go: what stays appears exactly once', async () => {
    const first = (await call('GET', `${at(record)}/objects?limit=3`)).body;
    await put('zarr/!early', 'x');
    await put('zarr/a/late', 'x');
    const rest = (await call('GET', `${at(record)}/objects?limit=1000&cursor=${first.next}`)).body;
    const seen = [...first.items, ...rest.items].map(({ path }: Row) => path);
    expect(seen.filter((path) => NAMES.includes(path))).toHaveLength(NAMES.length);
    expect(new Set(seen).size).toBe(seen.length);
    await rm(join(disk, 'zarr/!early'));
    await rm(join(disk, 'zarr/a/late'));
  });

  it.each(NAMES)('?path=%s: that file, by its path in the storage and in the folder', async (name) => {
    for (const path of [name, name.slice('zarr/'.length)]) {
      const answer = await call('GET', `${contentOf(record)}?path=${encodeURIComponent(path)}`);
      expect([answer.status, answer.body]).toEqual([200, `content of ${name}`]);
      expect(answer.headers.get('content-disposition')).toContain(
        `filename*=UTF-8''${encodeURIComponent(name.split('/').at(-1) ?? '')}`,
      );
      expect(answer.headers.get('etag')).not.toBe(`"${record.hash}"`);
    }
  });

  it('without ?path=, or with one for a single file: 422; a path that is not there: 404', async () => {
    await refuse(contentOf(record), 422, 'invalid', {}, ['?path']);
    await refuse(`${contentOf(record)}?path=`, 404, 'object-missing');
    await refuse(`${contentOf(record)}?path=nothing`, 404, 'object-missing');
    await refuse(`${contentOf(record)}?path=a/`, 404, 'object-missing');
    await refuse(`${contentOf(record)}?path=a`, 404, 'object-missing');
    await refuse(`${contentOf(record)}?path=zarr-beside/x`, 404, 'object-missing');
    await refuse(`${contentOf(await file('x', {}))}?path=x`, 422, 'invalid', {}, ['?path']);
  });
});

describe('many bytes', () => {
  let fresh: RunningService;

  beforeAll(async () => {
    fresh = await startService();
  });
  afterAll(() => discard(fresh));

  const MIB = 1024 * 1024;
  const SIZE = 300 * MIB;
  const CHUNK = Buffer.alloc(256 * 1024, 'lethe ');
  /** The most memory that the service's process ever had, in bytes. */
  const peak = async (): Promise<number> => {
    const status = await readFile(`/proc/${fresh.process.pid ?? 0}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  };

  function* body(metadata: object, size: number): Generator<Buffer> {
    yield Buffer.from(
      `--part\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n${JSON.stringify(metadata)}\r\n` +
        '--part\r\nContent-Disposition: form-data; name="content"; filename="big.bin"\r\n\r\n',
    );
    for (let sent = 0; sent < size; sent += CHUNK.length) yield CHUNK;
    yield Buffer.from('\r\n--part--\r\n');
  }

  const post = async (metadata: object, size: number): Promise<Answer> => {
    const request = httpRequest(`${fresh.url}/v1/files`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=part' },
    });
    const answered = once(request, 'response') as Promise<IncomingMessage[]>;
    await pipeline(Readable.from(body(metadata, size)), request);
    const [response] = await answered;
    if (response === undefined) throw new Error('no answer');
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode ?? 0, headers: new Headers(), body: JSON.parse(text) };
  };

  it.skipIf(!hasProc)(
    'an upload of 300 MiB, and reading it back, let the memory of the process grow by little [needs proc]',
    async () => {
      // What a service needs for any upload, it needs for a small one.
      for (const key of ['small.bin', 'as-small.bin']) made(await post({ key, onDuplicate: 'create' }, 16 * MIB));
      const before = await peak();
      const record = made(await post({ key: 'big.bin' }, SIZE));
      expect(record.size).toBe(SIZE);
      const hash = createHash('md5');
      for (let sent = 0; sent < SIZE; sent += CHUNK.length) hash.update(CHUNK);
      expect(record.hash).toBe(hash.digest('base64url'));
      expect((await stat(join(fresh.data, 'objects', record.path))).size).toBe(SIZE);

      const read = createHash('md5');
      const response = await fetch(fresh.url + contentOf(record));
      await pipeline(Readable.from(response.body ?? []), read);
      expect(read.digest('base64url')).toBe(record.hash);
      const stored = createHash('md5');
      await pipeline(createReadStream(join(fresh.data, 'objects', record.path)), stored);
      expect(stored.digest('base64url')).toBe(record.hash);
      expect((await peak()) - before).toBeLessThan(96 * MIB);
    },
  );
});
