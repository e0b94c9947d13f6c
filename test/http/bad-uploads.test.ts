import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { breakOff, rawRequest, sendRaw, type RawRequest } from '../harness/raw.js';
import { expectRefused, filesBelow, heldAtRest, heldBy, type Refused } from '../harness/refusing.js';
import {
  discard,
  startService,
  temporaryFolder,
  upload,
  type Answer,
  type RunningService,
} from '../harness/service.js';
import { until } from '../harness/until.js';

/* Multipart bodies that are broken or out of order, and paths that lead where they must not. */

const BOUNDARY = 'lethe-test-boundary';
const MULTIPART = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };

let disk: string;
let service: RunningService;

beforeAll(async () => {
  disk = await temporaryFolder();
  for (const folder of ['lab/inner', 'outside/deep']) await mkdir(join(disk, folder), { recursive: true });
  await writeFile(join(disk, 'outside/secret.txt'), 'a secret');
  await writeFile(join(disk, 'outside/deep/secret.txt'), 'a deep secret');
  await writeFile(join(disk, 'lab/inner/own.txt'), 'its own');
  await symlink(join(disk, 'outside/secret.txt'), join(disk, 'lab/link-to-file'));
  await symlink(join(disk, 'outside'), join(disk, 'lab/link-to-folder'));
  await symlink('inner', join(disk, 'lab/link-inside'));
  await symlink('inner/own.txt', join(disk, 'lab/link-to-own'));
  await symlink(join(disk, 'nowhere'), join(disk, 'lab/link-to-nothing'));
  service = await startService({ config: { storages: [{ name: 'lab', root: `file:${join(disk, 'lab')}` }] } });
  // Its storages are in use from here on: what a service writes once into each is there.
  for (const storage of ['default', 'lab']) {
    const first = await service.request('POST', '/v1/files', { body: upload({ storage }, `first in ${storage}`) });
    expect(first.status, JSON.stringify(first.body)).toBe(201);
  }
});

afterAll(async () => {
  try {
    await discard(service);
  } finally {
    await rm(disk, { recursive: true, force: true });
  }
});

const folders = (): string[] => [join(service.data, 'objects'), disk];
const refused = (expected: Refused): Promise<Answer> => expectRefused(service, folders(), expected);

/** One part, with the line ends that belong around it. */
const part = (headers: readonly string[], content: string | Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ]);
const field = (name: string, content: string | Buffer): Buffer =>
  part([`Content-Disposition: form-data; name="${name}"`], content);
const bytes = (name: string, content: string | Buffer, filename = 'a.bin'): Buffer =>
  part([`Content-Disposition: form-data; name="${name}"; filename="${filename}"`], content);
const LAST = Buffer.from(`--${BOUNDARY}--\r\n`);

const post = (body: Buffer, headers: Record<string, string> = MULTIPART): RawRequest =>
  rawRequest(service, 'POST', '/v1/files', headers, body);
const whole = (...parts: readonly Buffer[]): Buffer => Buffer.concat([...parts, LAST]);

const METADATA = field('metadata', '{"key": "a.bin"}');
const BIG = 'x'.repeat(3 * 1024 * 1024);

describe('a multipart body that is broken: 400 malformed', () => {
  const BROKEN: readonly (readonly [string, Buffer])[] = [
    ['cut off in the headers of metadata', METADATA.subarray(0, 40)],
    ['cut off in the middle of metadata', METADATA.subarray(0, METADATA.length - 6)],
    ['cut off behind metadata', METADATA],
    ['cut off in the headers of content', Buffer.concat([METADATA, bytes('content', 'x').subarray(0, 50)])],
    ['cut off in the middle of content', Buffer.concat([METADATA, bytes('content', BIG).subarray(0, 2_000_000)])],
    ['cut off at once in content', Buffer.concat([METADATA, bytes('content', '').subarray(0, -2)])],
    ['without its last boundary', Buffer.concat([METADATA, bytes('content', 'short')])],
    ['without its last boundary, and big', Buffer.concat([METADATA, bytes('content', BIG)])],
    ['whose last boundary lacks its end', Buffer.concat([METADATA, bytes('content', 'x'), LAST.subarray(0, -4)])],
    ['whose boundary is another', Buffer.from(whole(METADATA).toString().replaceAll(BOUNDARY, 'another'))],
    ['that is no multipart', Buffer.from('{"key": "a.bin"}')],
    ['with a part more: bytes', whole(METADATA, bytes('content', 'x'), bytes('content', 'y'))],
    ['with a part more: a field', whole(METADATA, bytes('content', 'x'), field('description', 'y'))],
    ['with a part more behind many bytes', whole(METADATA, bytes('content', BIG), bytes('more', BIG))],
    ['with metadata once more at its end', whole(METADATA, bytes('content', 'x'), METADATA)],
    ['whose metadata is no JSON', whole(field('metadata', '{"key": '), bytes('content', 'x'))],
    ['whose metadata is empty', whole(field('metadata', ''), bytes('content', 'x'))],
    [
      'whose metadata is no UTF-8',
      whole(field('metadata', Buffer.from('{"key": "\xff"}', 'latin1')), bytes('content', 'x')),
    ],
    [
      'whose metadata reaches into prototypes',
      whole(field('metadata', '{"__proto__": {"key": "x"}}'), bytes('content', 'x')),
    ],
    ['with a part named __proto__', whole(field('__proto__', '{}'), METADATA, bytes('content', 'x'))],
  ];

  it.each(BROKEN)('%s', async (name, body) => {
    await refused({ name, send: () => sendRaw(service, post(body)), status: 400, code: 'malformed' });
  });

  it.each(['multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary'])(
    'Content-Type: %s, which names no boundary',
    async (type) => {
      const send = () => sendRaw(service, post(whole(METADATA, bytes('content', 'x')), { 'content-type': type }));
      await refused({ name: type, send, status: 400, code: 'malformed', detail: /boundary|ends/ });
    },
  );

  it('no body at all', async () => {
    const send = () => sendRaw(service, post(Buffer.alloc(0)));
    const answer = await send();
    expect([400, 422], JSON.stringify(answer.body)).toContain(answer.status);
  });
});

describe('a multipart body whose parts are not those two: 422 invalid', () => {
  const WRONG: readonly (readonly [string, Buffer, string])[] = [
    ['content before metadata', whole(bytes('content', 'x'), METADATA), '/metadata'],
    ['much content before metadata', whole(bytes('content', BIG), METADATA), '/metadata'],
    ['no metadata', whole(bytes('content', 'x')), '/metadata'],
    ['no part', LAST, '/metadata'],
    ['metadata of another name', whole(field('Metadata', '{}'), bytes('content', 'x')), '/metadata'],
    ['no content', whole(METADATA), '/content'],
    ['content of another name', whole(METADATA, bytes('file', 'x')), '/content'],
    ['content as a field', whole(METADATA, field('content', 'x')), '/content'],
    [
      'metadata that says it is JSON and is none',
      whole(
        part(['Content-Disposition: form-data; name="metadata"', 'Content-Type: application/json'], '{'),
        bytes('content', 'x'),
      ),
      '/metadata',
    ],
    ['metadata once more', whole(METADATA, METADATA, bytes('content', 'x')), '/content'],
    ['metadata that is null', whole(field('metadata', 'null'), bytes('content', 'x')), ''],
    ['metadata that is an array', whole(field('metadata', '[]'), bytes('content', 'x')), ''],
    [
      'metadata nested deep',
      whole(field('metadata', `{"a": ${'['.repeat(9_999)}${']'.repeat(9_999)}}`), bytes('content', 'x')),
      '/a…',
    ],
    [
      'metadata that says it is JSON, nested deep',
      whole(
        part(
          ['Content-Disposition: form-data; name="metadata"', 'Content-Type: application/json'],
          `{"a": ${'['.repeat(99_999)}${']'.repeat(99_999)}}`,
        ),
        bytes('content', 'x'),
      ),
      '/a…',
    ],
    ['metadata with half a surrogate', whole(field('metadata', '{"key": "\\ud800"}'), bytes('content', 'x')), '/key'],
  ];

  it.each(WRONG)('%s', async (name, body, path) => {
    await refused({ name, send: () => sendRaw(service, post(body)), status: 422, code: 'invalid', errors: [path] });
  });

  it('metadata above 256 KiB: 413 too-large', async () => {
    const metadata = JSON.stringify({ description: 'x'.repeat(256 * 1024) });
    const send = () => sendRaw(service, post(whole(field('metadata', metadata), bytes('content', 'x'))));
    await refused({ name: 'metadata', send, status: 413, code: 'too-large', detail: /256 KiB/ });
  });

  it('metadata with a filename is read as any other, with the same bounds', async () => {
    const send = (metadata: string | Buffer, ...more: Buffer[]) =>
      sendRaw(service, post(whole(bytes('metadata', metadata, 'blob'), bytes('content', 'blob'), ...more)));
    const answer = await send('{"key": "with-a-name.txt", "onDuplicate": "create"}');
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    expect(answer.body.record).toMatchObject({ key: 'with-a-name.txt', size: 4 });
    const large = JSON.stringify({ description: 'x'.repeat(256 * 1024) });
    const latin = Buffer.from('{"key": "\xff"}', 'latin1');
    await refused({ name: 'large', send: () => send(large), status: 413, code: 'too-large', detail: /256 KiB/ });
    await refused({ name: 'latin', send: () => send(latin), status: 400, code: 'malformed', detail: /UTF-8/ });
    await refused({ name: 'none', send: () => send('{'), status: 400, code: 'malformed' });
    const third = () => send('{}', bytes('content', 'x'));
    await refused({ name: 'third', send: third, status: 400, code: 'malformed', detail: /more parts/ });
  });

  it('metadata that says it is JSON is read as any other', async () => {
    const json = part(
      ['Content-Disposition: form-data; name="metadata"', 'Content-Type: application/json'],
      '{"key": "json.csv"}',
    );
    const answer = await sendRaw(service, post(whole(json, bytes('content', 'said to be JSON'))));
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    expect(answer.body.record.key).toBe('json.csv');
  });

  it.each(['', '.', '..', '../../etc/passwd', '/etc/passwd', 'a\\b', '.csv', 'C:\\a.b.c.d'])(
    'the filename %j is no path: the object lies where every upload does',
    async (filename) => {
      const before = await filesBelow(disk);
      const body = whole(field('metadata', '{"onDuplicate": "create"}'), bytes('content', 'named', filename));
      const answer = await sendRaw(service, post(body));
      expect(answer.status, JSON.stringify(answer.body)).toBe(201);
      const { path, uid, key } = answer.body.record;
      expect(key).toBeNull();
      expect(path).toMatch(new RegExp(`^\\.lethe/${uid}-[0-9A-Za-z]{6}(\\.[A-Za-z0-9_+-]+)*$`));
      expect(await readFile(join(service.data, 'objects', path), 'utf8')).toBe('named');
      expect(await filesBelow(disk)).toEqual(before);
    },
  );

  it('what looks like a boundary in the content is content', async () => {
    const content = `\r\n--${BOUNDARY.slice(0, -1)}\r\n\r\n--`;
    const answer = await sendRaw(service, post(whole(METADATA, bytes('content', content))));
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    expect(answer.body.record.size).toBe(Buffer.byteLength(content));
  });
});

describe('a caller that goes away', () => {
  const inProgress = (): Promise<string[]> => readdir(join(service.data, 'objects/.lethe/tmp'));

  it.each([
    ['in the middle of metadata', METADATA.subarray(0, METADATA.length - 6), false],
    ['in the middle of content', Buffer.concat([METADATA, bytes('content', BIG).subarray(0, 2_000_000)]), true],
    ['before the last boundary', Buffer.concat([METADATA, bytes('content', BIG)]), true],
  ])('%s leaves nothing behind', async (_, body, writes) => {
    const before = await heldAtRest(service, folders());
    const request = rawRequest(service, 'POST', '/v1/files', { ...MULTIPART, 'content-length': '9000000' }, body);
    await breakOff(service, request, () =>
      until('it is being written', async () => !writes || (await inProgress()).length > 0),
    );
    await until('nothing is left of it', async () => {
      const { files } = await heldBy(service, folders());
      return JSON.stringify(files) === JSON.stringify(before.files);
    });
    expect(await heldAtRest(service, folders())).toEqual(before);
    expect(service.log()).not.toContain('nobody expected');
  });

  it('many at once leave nothing behind, and the service goes on', async () => {
    const before = await heldAtRest(service, folders());
    const body = Buffer.concat([METADATA, bytes('content', BIG)]);
    const request = rawRequest(service, 'POST', '/v1/files', { ...MULTIPART, 'content-length': '9000000' }, body);
    const begun = until('several are being written', async () => (await inProgress()).length > 3);
    await Promise.all(Array.from({ length: 8 }, () => breakOff(service, request, () => begun)));
    await until('nothing is left of them', async () => (await inProgress()).length === 0);
    expect(await heldAtRest(service, folders())).toEqual(before);
    expect(service.process.exitCode).toBeNull();
  });
});

describe('paths that lead where they must not: 422 invalid', () => {
  const PATHS: readonly (readonly [string, string])[] = [
    ['..', '..'],
    ['a way out', '../outside/secret.txt'],
    ['a way out further in', 'inner/../../outside/secret.txt'],
    ['a way out and in again', '../lab/inner/own.txt'],
    ['a way that stays inside', 'inner/../inner/own.txt'],
    ['a single dot', './inner/own.txt'],
    ['an absolute path', '/etc/passwd'],
    ['its own absolute path', 'ROOT/inner/own.txt'],
    ['a file: address', 'file:ROOT/inner/own.txt'],
    ['NUL at its end', 'inner/own.txt\0'],
    ['NUL before a suffix', 'inner/own.txt\0.csv'],
    ['a line end', 'inner/own.txt\n'],
    ['a backslash', 'inner\\own.txt'],
    ['a way out with backslashes', '..\\outside\\secret.txt'],
    ['two slashes', 'inner//own.txt'],
    ['half a surrogate', 'inner/\udc00'],
    ['a part of 256 bytes', `inner/${'x'.repeat(256)}`],
    ['1,025 bytes in fewer characters', 'ü'.repeat(513)],
    ['a link to a file outside', 'link-to-file'],
    ['a file through a link to a folder outside', 'link-to-folder/secret.txt'],
    ['a file deep below a link', 'link-to-folder/deep/secret.txt'],
    ['a link within the storage', 'link-to-own'],
    ['a file through a link within the storage', 'link-inside/own.txt'],
    ['a link to nothing', 'link-to-nothing'],
    ['.lethe itself', '.lethe'],
    ['the owner of the storage', '.lethe/owner'],
    ['another upload', '.lethe/tmp/x'],
    ['.lethe by another way', '.lethe//owner'],
    ['.lethe with a dot', './.lethe/owner'],
    ['the folder .lethe', '.lethe/'],
    ['the root', '/'],
  ];
  const FOLDERS: readonly (readonly [string, string])[] = [
    ['a folder outside', '../outside/'],
    ['a link to a folder outside', 'link-to-folder/'],
    ['a folder below such a link', 'link-to-folder/deep/'],
    ['a link to a folder within', 'link-inside/'],
    ['an absolute folder', '/etc/'],
    ['a file as a folder', 'inner/own.txt/'],
  ];
  const named = (path: string): string => path.replace('ROOT', join(disk, 'lab'));

  it.each([...PATHS, ...FOLDERS])('registering %s', async (name, path) => {
    const send = () => service.request('POST', '/v1/files', { json: { path: named(path), storage: 'lab' } });
    const answer = await refused({ name, send, status: 422, code: 'invalid', errors: ['/path'] });
    expect(JSON.stringify(answer.body)).not.toContain('a secret');
  });

  // An upload makes what is not there: these names are merely odd, or taken.
  const ODD = ['a link to nothing', 'a file: address'];
  it.each(PATHS.filter(([name]) => !ODD.includes(name)))('an upload to %s', async (name, path) => {
    const metadata = { key: named(path), keyIsVirtual: false, storage: 'lab' };
    const send = () => service.request('POST', '/v1/files', { body: upload(metadata, 'overwritten?') });
    await refused({ name, send, status: 422, code: 'invalid', errors: ['/key'] });
    expect(await readFile(join(disk, 'outside/secret.txt'), 'utf8')).toBe('a secret');
    expect(await readFile(join(disk, 'lab/inner/own.txt'), 'utf8')).toBe('its own');
  });

  it('an upload to a link that leads nowhere does not make what it names', async () => {
    const metadata = { key: 'link-to-nothing', keyIsVirtual: false, storage: 'lab' };
    const before = await filesBelow(disk);
    const answer = await service.request('POST', '/v1/files', { body: upload(metadata, 'made?') });
    expect([409, 422], JSON.stringify(answer.body)).toContain(answer.status);
    expect(await filesBelow(disk)).toEqual(before);
  });

  const addressable = [...PATHS, ...FOLDERS].filter(([, path]) => path.isWellFormed());
  it.each(addressable)('the content of a folder, by %s', async (_, path) => {
    await writeFile(join(disk, 'lab/inner/zarr'), 'x');
    const listed = await service.request('GET', '/v1/files?path=inner/');
    const folder =
      listed.body.items[0] ??
      (await service.request('POST', '/v1/files', { json: { path: 'inner/', storage: 'lab' } })).body.record;
    for (const inner of [named(path), `inner/${named(path)}`]) {
      const answer = await service.request('GET', `/v1/files/${folder.uid}/content?path=${encodeURIComponent(inner)}`);
      expect([404, 422], JSON.stringify(answer.body)).toContain(answer.status);
      expect(['object-missing', 'invalid']).toContain(answer.body.code);
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    }
  });

  it('a folder does not take in what its links lead to', async () => {
    await mkdir(join(disk, 'lab/linked'), { recursive: true });
    await symlink(join(disk, 'outside/secret.txt'), join(disk, 'lab/linked/secret'));
    await symlink(join(disk, 'outside'), join(disk, 'lab/linked/outside'));
    await writeFile(join(disk, 'lab/linked/own'), 'own');
    const answer = await service.request('POST', '/v1/files', { json: { path: 'linked/', storage: 'lab' } });
    expect(answer.body.record, JSON.stringify(answer.body)).toMatchObject({ objects: 1, size: 3 });
    const { items } = (await service.request('GET', `/v1/files/${answer.body.record.uid}/objects`)).body;
    expect(items).toEqual([{ path: 'linked/own', size: 3 }]);
  });

  it('a virtual key is a name and no path: it leads nowhere', async () => {
    const before = await filesBelow(disk);
    for (const key of [
      '../outside/new.txt',
      '/etc/new.txt',
      '.lethe/owner',
      'link-to-folder/new.txt',
      'a\\b',
      'a//b',
    ]) {
      const answer = await service.request('POST', '/v1/files', { body: upload({ key }, `under ${key}`) });
      expect(answer.status, JSON.stringify(answer.body)).toBe(201);
      expect(answer.body.record).toMatchObject({ key, keyIsVirtual: true });
      const { path } = answer.body.record;
      expect(await readFile(join(service.data, 'objects', path), 'utf8')).toBe(`under ${key}`);
    }
    expect(await filesBelow(disk)).toEqual(before);
  });
});
