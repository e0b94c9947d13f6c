import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
 * The second table of the contract's section 2: what happens to the object. Each test compares all that lies on the disk, before and after:
 * what a row does not name stays.
 */

const ENDED = { prefer: 'wait=20' };
/** The retry policy of the service below. */
const POLICY = { attempts: 4, firstWaitMs: 50, maxWaitMs: 120 };

type Row = Answer['body'];
interface Ref {
  readonly registry: string;
  readonly uid: string;
}

/** A flag that keeps even root from deleting a file, where the file system knows it and the test may set it. */
const immutable = (path: string, on: boolean): void => {
  execFileSync('chattr', [on ? '+i' : '-i', path], { stdio: 'ignore' });
};

const canRefuse = ((): boolean => {
  const folder = mkdtempSync(join(tmpdir(), 'lethe-test-'));
  const file = join(folder, 'file');
  try {
    writeFileSync(file, '');
    immutable(file, true);
    immutable(file, false);
    return true;
  } catch {
    // Not here: no chattr, another file system, or no right to.
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
})();

let service: RunningService;
let data: string;
let disk: string;

beforeAll(async () => {
  data = await temporaryFolder();
  disk = await temporaryFolder();
  for (const name of ['wing', 'archive', 'public', 'broken']) await mkdir(rootOf(name), { recursive: true });
  const root = (name: string): string => `file:${rootOf(name)}`;
  service = await startService({
    data,
    config: {
      storages: [
        { name: 'lab', root: root('lab') },
        { name: 'wing', root: root('wing') },
        { name: 'public', root: root('public'), managed: false },
        { name: 'archive', root: root('archive'), managed: false },
        { name: 'broken', root: root('broken') },
      ],
      purges: POLICY,
    },
  });
  // What a storage holds of its own from its first use on is there before anything is compared.
  await uploaded({});
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

const at = ({ registry, uid }: Ref): string => `/v1/${registry}/${uid}`;
const refOf = ({ registry, uid }: Ref): Ref => ({ registry, uid });
const rootOf = (storage: string): string =>
  join(disk, ['wing', 'archive'].includes(storage) ? `lab/${storage}` : storage);
const onDisk = (storage: string, path: string): string => join(rootOf(storage), path);
const ownObject = ({ path }: Row): string => join(data, 'objects', path);

const serial = ((): (() => number) => {
  let last = 0;
  return () => (last += 1);
})();

const put = async (storage: string, path: string, content = `content of ${path}`): Promise<void> => {
  const file = onDisk(storage, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
};

/** Registers what lies at a path. */
const register = async (storage: string, path: string, metadata: object = {}): Promise<Row> => {
  const answer = await call('POST', '/v1/files', { json: { path, storage, onDuplicate: 'create', ...metadata } });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.record;
};

/** Puts a new file into a storage and registers it there. */
const lying = async (storage: string, path = `file-${serial()}.txt`): Promise<Row> => {
  await put(storage, path);
  return register(storage, path);
};

const uploaded = async (metadata: object, content = `bytes ${serial()}`): Promise<Row> => {
  const answer = await call('POST', '/v1/files', { body: upload(metadata, content) });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.record;
};

const remove = (record: Ref, query = '', headers: Record<string, string> = ENDED): Promise<Answer> =>
  call('DELETE', `${at(record)}?permanent=true${query}`, { headers });

const retry = (record: Ref, json: object = {}, headers: Record<string, string> = ENDED): Promise<Answer> =>
  call('POST', `/v1/purges/${record.registry}/${record.uid}/retry`, { json, headers });

const purgeOf = async ({ registry, uid }: Ref): Promise<Row> =>
  (await call('GET', `/v1/purges/${registry}/${uid}`)).body;
const parked = (record: Ref): Promise<Row> =>
  until('the purge is parked', async () => {
    const purge = await purgeOf(record);
    return purge.state === 'parked' && purge;
  });

const historyOf = async (record: Ref): Promise<Row[]> => (await call('GET', `${at(record)}/history`)).body.items;
/** The events of a purge, each with what it says. */
const eventsOf = async (record: Ref): Promise<[string, Row][]> => {
  const events = await historyOf(record);
  return events.filter(({ revision }) => revision > 0).map(({ type, data: said }) => [type, said]);
};
const typesOf = async (record: Ref): Promise<string[]> => (await eventsOf(record)).map(([type]) => type);

/** All that lies in the data folder's objects and on the disk, with its content. What a storage says of its owner changes by itself. */
const everything = async (): Promise<Record<string, string>> => {
  const found: Record<string, string> = {};
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (path.endsWith('/.lethe/owner') || path.endsWith('/.lethe/tmp')) continue;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isSymbolicLink()) found[path] = `-> ${await readlink(path)}`;
      else
        found[path] = createHash('md5')
          .update(await readFile(path))
          .digest('hex');
    }
  };
  await walk(disk);
  await walk(join(data, 'objects'));
  return found;
};

/** Of all that lies anywhere, exactly these files go, and nothing comes. */
const onlyTheseGo = async <T>(gone: readonly string[], act: () => Promise<T>): Promise<T> => {
  const before = await everything();
  for (const path of gone) expect(Object.keys(before)).toContain(path);
  const result = await act();
  const left = Object.fromEntries(Object.entries(before).filter(([path]) => !gone.includes(path)));
  expect(await everything()).toEqual(left);
  return result;
};

const nothingGoes = <T>(act: () => Promise<T>): Promise<T> => onlyTheseGo([], act);

const expectKept = async (answer: Answer, record: Row, why: string, sharedWith: Ref[] = []): Promise<void> => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  expect(answer.body.outcome).toBe('purged');
  const { storage, path, objects, size: bytes } = record;
  const by = sharedWith.map(refOf).sort((a, b) => (a.uid < b.uid ? -1 : 1));
  expect(answer.body.receipt.object).toEqual({ storage, path, fate: 'kept', why, objects, bytes, sharedWith: by });
  const request = Number(record.revision) + 1;
  expect((await eventsOf(record)).slice(record.revision)).toEqual([
    ['RecordPurgeRequested', expect.objectContaining({ withdraws: null, operation: null })],
    ['ObjectKept', { request, why, by }],
    ['RecordPurged', { request }],
  ]);
};

const expectDeleted = async (
  answer: Answer,
  record: Row,
  expected: { why: string; objects: number; bytes: number },
): Promise<void> => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  expect(answer.body.outcome).toBe('purged');
  const { storage, path } = record;
  expect(answer.body.receipt.object).toEqual({ storage, path, fate: 'deleted', sharedWith: [], ...expected });
  expect(answer.body.receipt.warnings).toEqual([]);
  const request = Number(record.revision) + 1;
  const { objects, bytes } = expected;
  expect((await eventsOf(record)).slice(record.revision)).toEqual([
    ['RecordPurgeRequested', expect.objectContaining({ withdraws: null, operation: null })],
    ['ObjectDeletionStarted', { request, seen: expect.anything() }],
    ['ObjectDeleted', { request, objects, bytes, changed: false }],
    ['RecordPurged', { request }],
  ]);
};

const previewed = async (record: Ref, query = ''): Promise<Row> =>
  (await remove(record, `&dryRun=true${query}`)).body.preview.object;

describe('the storage is not managed', () => {
  it.each(['', '&storage=keep'])('with %j: kept: ObjectKept {why:"foreign-storage"}', async (query) => {
    const record = await lying('public');
    await nothingGoes(async () => {
      expect(await previewed(record, query)).toMatchObject({ fate: 'keep', why: 'foreign-storage' });
      await expectKept(await remove(record, query), record, 'foreign-storage');
    });
  });

  it('storage=delete is refused with 409 foreign-storage, and appends nothing', async () => {
    const record = await lying('public');
    await nothingGoes(async () => {
      for (const query of ['&storage=delete', '&storage=delete&dryRun=true']) {
        const answer = await remove(record, query);
        expect(answer.status).toBe(409);
        expect(answer.body).toMatchObject({ code: 'foreign-storage', detail: expect.stringContaining('public') });
      }
      expect(await historyOf(record)).toHaveLength(1);
    });
  });

  it('a folder there is kept as well', async () => {
    await put('public', 'zarr/.zarray');
    await put('public', 'zarr/0.0');
    const record = await register('public', 'zarr/');
    await nothingGoes(async () => expectKept(await remove(record), record, 'foreign-storage'));
  });

  it('an upload to it is refused with 409 foreign-storage, and stores nothing', async () => {
    for (const metadata of [{ storage: 'public' }, { storage: 'public', key: 'new.txt', keyIsVirtual: false }]) {
      const answer = await nothingGoes(() => call('POST', '/v1/files', { body: upload(metadata, 'bytes') }));
      expect(answer.status).toBe(409);
      expect(answer.body.code).toBe('foreign-storage');
    }
  });

  it('a storage that a caller makes below it is unmanaged, whatever it says', async () => {
    const root = `file:${onDisk('public', 'inner')}`;
    const made = await call('POST', '/v1/storages', { json: { name: 'inner', data: { root, managed: true } } });
    expect(made.status).toBe(201);
    expect(made.body.record.data).toEqual({ root, managed: false });
    const record = await lying('public', `inner/file-${serial()}.txt`);
    const inner = await register('inner', record.path.slice('inner/'.length));
    await nothingGoes(async () => {
      expect((await remove(inner, '&storage=delete')).body.code).toBe('foreign-storage');
      await expectKept(await remove(inner), inner, 'foreign-storage');
    });
  });
});

describe('an unmanaged storage within a managed one', () => {
  it('is never deleted from through the one around it', async () => {
    await put('archive', 'treasure');
    const record = await register('lab', 'archive/treasure');
    await nothingGoes(async () => {
      expect((await remove(record, '&storage=delete')).body.code).toBe('foreign-storage');
      await expectKept(await remove(record), record, 'foreign-storage');
    });
  });

  it('is never deleted from through a folder that holds it', async () => {
    await put('archive', 'treasure');
    const record = await register('lab', 'archive/');
    await nothingGoes(async () => {
      expect((await remove(record, '&storage=delete')).body.code).toBe('foreign-storage');
      await expectKept(await remove(record), record, 'foreign-storage');
    });
  });
});

describe('storage=keep', () => {
  it('a virtual key: kept: ObjectKept {why:"asked"}', async () => {
    const record = await uploaded({ key: 'a.txt' });
    await nothingGoes(async () => {
      expect(await previewed(record, '&storage=keep')).toMatchObject({ fate: 'keep', why: 'asked' });
      await expectKept(await remove(record, '&storage=keep'), record, 'asked');
    });
  });

  it('a semantic key: kept: ObjectKept {why:"asked"}', async () => {
    const record = await lying('lab');
    await nothingGoes(async () => expectKept(await remove(record, '&storage=keep'), record, 'asked'));
  });

  it('comes before shared', async () => {
    const record = await lying('lab');
    await register('lab', record.path);
    await nothingGoes(async () => expectKept(await remove(record, '&storage=keep'), record, 'asked'));
  });
});

describe('another live record shares the object', () => {
  /** [what, the record that is purged, the other that shares its object] */
  const WAYS: readonly (readonly [string, () => Promise<readonly [Row, Row]>])[] = [
    [
      'the same place',
      async () => {
        const one = await lying('lab');
        return [one, await register('lab', one.path)];
      },
    ],
    [
      'inside it',
      async () => {
        const folder = `folder-${serial()}/`;
        await put('lab', `${folder}a`);
        await put('lab', `${folder}deep/b`);
        return [await register('lab', folder), await register('lab', `${folder}deep/b`)];
      },
    ],
    [
      'a folder around it',
      async () => {
        const folder = `folder-${serial()}/`;
        await put('lab', `${folder}deep/b`);
        return [await register('lab', `${folder}deep/b`), await register('lab', folder)];
      },
    ],
    [
      'a folder around its folder',
      async () => {
        const folder = `folder-${serial()}/`;
        await put('lab', `${folder}deep/b`);
        return [await register('lab', `${folder}deep/`), await register('lab', folder)];
      },
    ],
    [
      'the same place, through a storage inside',
      async () => {
        const inner = await lying('wing');
        return [await register('lab', `wing/${inner.path}`), inner];
      },
    ],
    [
      'the same place, through a storage around',
      async () => {
        const inner = await lying('wing');
        const outer = await register('lab', `wing/${inner.path}`);
        return [inner, outer];
      },
    ],
    [
      'inside it, through another storage',
      async () => {
        const folder = `folder-${serial()}/`;
        await put('wing', `${folder}x`);
        return [await register('lab', `wing/${folder}`), await register('wing', `${folder}x`)];
      },
    ],
    [
      'a folder around it, that holds the whole other storage',
      async () => {
        const inner = await lying('wing', `deep-${serial()}/x`);
        return [inner, await register('lab', 'wing/')];
      },
    ],
  ];

  it.each(WAYS)('%s: kept: ObjectKept {why:"shared", by}', async (_, make) => {
    const [record, other] = await make();
    await nothingGoes(async () => {
      const object = await previewed(record);
      expect(object).toMatchObject({ fate: 'keep', why: 'shared' });
      expect(object.sharedWith).toContainEqual(refOf(other));
      const answer = await remove(record);
      expect(answer.body.receipt.object.sharedWith).toContainEqual(refOf(other));
      await expectKept(answer, record, 'shared', object.sharedWith);
      expect(answer.body.warnings).toEqual([]);
    });
    // Or else it shares with all that comes after.
    await remove(other, '&storage=keep');
  });

  it.each(WAYS)('%s, with storage=delete: kept; warnings says so', async (_, make) => {
    const [record, other] = await make();
    await nothingGoes(async () => {
      const object = await previewed(record, '&storage=delete');
      expect(object).toMatchObject({ fate: 'keep', why: 'shared' });
      expect(object.sharedWith).toContainEqual(refOf(other));
      const answer = await remove(record, '&storage=delete');
      await expectKept(answer, record, 'shared', object.sharedWith);
      const warning = { code: 'shared', message: expect.any(String), by: answer.body.receipt.object.sharedWith };
      expect(answer.body.warnings).toEqual([warning]);
      expect(answer.body.receipt.warnings).toEqual([warning]);
    });
    await remove(other, '&storage=keep');
  });

  it('a virtual key, in a storage that a folder lies around: kept', async () => {
    await put('wing', `file-${serial()}.txt`);
    const record = await uploaded({ storage: 'wing' });
    const other = await register('lab', 'wing/');
    await nothingGoes(async () => expectKept(await remove(record), record, 'shared', [other]));
    await remove(other, '&storage=keep');
  });

  it.each([
    ['hidden', { visibility: 0 }, false],
    ['in the trash', {}, true],
  ])('one that is %s is live', async (_, metadata, intoTrash) => {
    const record = await lying('lab');
    const other = await register('lab', record.path, metadata);
    if (intoTrash) await call('DELETE', at(other));
    await nothingGoes(async () => expectKept(await remove(record, '&storage=delete'), record, 'shared', [other]));
  });

  it('one that is purged is not', async () => {
    const record = await lying('lab');
    const other = await register('lab', record.path);
    await nothingGoes(async () => expectKept(await remove(other), other, 'shared', [record]));
    await onlyTheseGo([onDisk('lab', record.path)], async () => {
      await expectDeleted(await remove(record, '&storage=delete'), record, {
        why: 'asked',
        objects: 1,
        bytes: record.size,
      });
    });
  });

  it('two purges of records on one object: the later one’s fate decides', async () => {
    const one = await lying('lab');
    const two = await register('lab', one.path);
    await nothingGoes(async () => expectKept(await remove(one, '&storage=delete'), one, 'shared', [two]));
    await nothingGoes(async () => expectKept(await remove(two), two, 'semantic-key'));
    const three = await register('lab', one.path);
    const four = await register('lab', one.path);
    await nothingGoes(async () => expectKept(await remove(three, '&storage=keep'), three, 'asked'));
    await onlyTheseGo([onDisk('lab', one.path)], () => remove(four, '&storage=delete'));
  });

  it('two purges at once of records on one object: the first in the log keeps it, the second deletes it', async () => {
    const one = await lying('lab');
    const two = await register('lab', one.path);
    await onlyTheseGo([onDisk('lab', one.path)], async () => {
      const answers = await Promise.all([remove(one, '&storage=delete'), remove(two, '&storage=delete')]);
      const fates = answers.map(({ body }) => `${body.receipt.object.fate} ${body.receipt.object.why}`);
      expect(fates.sort()).toEqual(['deleted asked', 'kept shared']);
    });
  });

  it('a name that only begins the same shares nothing', async () => {
    const name = `name-${serial()}`;
    const record = await lying('lab', name);
    await lying('lab', `${name}b`);
    await put('lab', `${name}.d/x`);
    await register('lab', `${name}.d/`);
    await put('wing', name);
    await register('wing', name);
    await onlyTheseGo([onDisk('lab', name)], () => remove(record, '&storage=delete'));
  });
});

describe('a semantic key', () => {
  it('of what lay there, no storage=: kept: ObjectKept {why:"semantic-key"}', async () => {
    const record = await lying('lab');
    await nothingGoes(async () => {
      expect(await previewed(record)).toMatchObject({ fate: 'keep', why: 'semantic-key' });
      await expectKept(await remove(record), record, 'semantic-key');
    });
  });

  it('of an upload, no storage=: kept as well', async () => {
    const record = await uploaded({ key: `sales/${serial()}.csv`, keyIsVirtual: false, storage: 'lab' });
    expect(record.path).toBe(record.key);
    await nothingGoes(async () => expectKept(await remove(record), record, 'semantic-key'));
  });

  it('storage=delete: deleted: ObjectDeleted', async () => {
    const record = await lying('lab', `deep/er/file-${serial()}.txt`);
    await onlyTheseGo([onDisk('lab', record.path)], async () => {
      expect(await previewed(record, '&storage=delete')).toMatchObject({ fate: 'delete', why: 'asked' });
      await expectDeleted(await remove(record, '&storage=delete'), record, {
        why: 'asked',
        objects: 1,
        bytes: record.size,
      });
    });
  });

  it('of an upload, storage=delete: deleted', async () => {
    const record = await uploaded({ key: `up-${serial()}.csv`, keyIsVirtual: false });
    await onlyTheseGo([ownObject(record)], async () => {
      await expectDeleted(await remove(record, '&storage=delete'), record, {
        why: 'asked',
        objects: 1,
        bytes: record.size,
      });
    });
  });

  it('from the trash: the storage= of the purge counts, not that of the trashing', async () => {
    const record = await lying('lab');
    await call('DELETE', `${at(record)}?storage=delete`);
    const inTrash = { ...record, revision: 1 };
    await nothingGoes(async () => expectKept(await remove(record), inTrash, 'semantic-key'));
  });
});

describe('a virtual key, or no key', () => {
  it.each([
    ['a virtual key', { key: 'sales/2026.csv' }, ''],
    ['no key', {}, ''],
    ['a virtual key, with storage=delete', { key: 'x.tar.gz' }, '&storage=delete'],
    ['a virtual key in another storage', { key: 'x.csv', storage: 'lab' }, ''],
  ])('%s: deleted: ObjectDeleted', async (_, metadata, query) => {
    const record = await uploaded(metadata);
    expect(record.path).toMatch(/^\.lethe\//);
    const object = 'storage' in metadata ? onDisk('lab', record.path) : ownObject(record);
    await onlyTheseGo([object], async () => {
      expect(await previewed(record, query)).toMatchObject({ fate: 'delete', why: 'virtual-key' });
      await expectDeleted(await remove(record, query), record, { why: 'virtual-key', objects: 1, bytes: record.size });
    });
  });

  it('two uploads of the same bytes have an object each', async () => {
    const one = await uploaded({}, 'twice the same');
    const two = await uploaded({ onDuplicate: 'create' }, 'twice the same');
    await onlyTheseGo([ownObject(one)], () => remove(one));
    await onlyTheseGo([ownObject(two)], () => remove(two));
  });

  it('ObjectDeletionStarted names what goes: etag, size and time', async () => {
    const record = await uploaded({});
    await remove(record);
    const [, started] = (await eventsOf(record)).find(([type]) => type === 'ObjectDeletionStarted') ?? [];
    expect(started).toEqual({
      request: 1,
      seen: {
        kind: 'file',
        etag: expect.any(String),
        size: record.size,
        modifiedAt: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T/),
        versions: null,
      },
    });
  });
});

describe('the object is already missing', () => {
  const missing = async (record: Row, query: string, why: string): Promise<void> => {
    const answer = await nothingGoes(() => remove(record, query));
    const { storage, path } = record;
    expect(answer.status).toBe(200);
    expect(answer.body.receipt.object).toEqual({
      storage,
      path,
      fate: 'deleted',
      why,
      objects: 0,
      bytes: 0,
      sharedWith: [],
    });
    expect(answer.body.warnings).toEqual([]);
    expect((await eventsOf(record)).slice(1)).toEqual([
      ['ObjectDeletionStarted', { request: 1, seen: null }],
      ['ObjectDeleted', { request: 1, objects: 0, bytes: 0, changed: false }],
      ['RecordPurged', { request: 1 }],
    ]);
  };

  it('a virtual key: counts as deleted, objects: 0', async () => {
    const record = await uploaded({});
    await unlink(ownObject(record));
    await missing(record, '', 'virtual-key');
  });

  it('a semantic key with storage=delete: counts as deleted, objects: 0', async () => {
    const record = await lying('lab');
    await unlink(onDisk('lab', record.path));
    await missing(record, '&storage=delete', 'asked');
  });

  it('a folder: counts as deleted, objects: 0', async () => {
    await put('lab', 'gone/a');
    const record = await register('lab', 'gone/');
    await rm(onDisk('lab', 'gone'), { recursive: true });
    await missing(record, '&storage=delete', 'asked');
  });
});

describe('folders', () => {
  it('storage=delete: every object below goes, with the empty folders; a/ never takes ab', async () => {
    for (const path of ['a/x', 'a/deep/y', 'a/deep/.hidden', 'ab', 'ab.d/x', 'b/a/x', 'A/x', 'a.txt'])
      await put('lab', path);
    const record = await register('lab', 'a/');
    expect(record).toMatchObject({ objects: 3, hashType: 'md5-d', path: 'a/', key: 'a/' });
    await onlyTheseGo(
      ['a/x', 'a/deep/y', 'a/deep/.hidden'].map((path) => onDisk('lab', path)),
      async () => {
        expect(await previewed(record, '&storage=delete')).toMatchObject({
          fate: 'delete',
          objects: 3,
          bytes: record.size,
        });
        const answer = await remove(record, '&storage=delete');
        await expectDeleted(answer, record, { why: 'asked', objects: 3, bytes: record.size });
      },
    );
    expect(existsSync(onDisk('lab', 'a'))).toBe(false);
    const [, started] = (await eventsOf(record)).find(([type]) => type === 'ObjectDeletionStarted') ?? [];
    expect(started?.seen).toMatchObject({ kind: 'folder', objects: 3, bytes: record.size, digest: expect.any(String) });
  });

  it('no storage=: kept: ObjectKept {why:"semantic-key"}', async () => {
    await put('lab', 'kept.zarr/.zarray');
    const record = await register('lab', 'kept.zarr/');
    await nothingGoes(async () => expectKept(await remove(record), record, 'semantic-key'));
  });

  it('what lies below when the deletion starts is the object: what came after the registration goes, what went does not count', async () => {
    for (const path of ['grown/1', 'grown/2']) await put('lab', path);
    const record = await register('lab', 'grown/');
    await unlink(onDisk('lab', 'grown/1'));
    await put('lab', 'grown/3', 'abc');
    const bytes = record.size / 2 + 3;
    await onlyTheseGo([onDisk('lab', 'grown/2'), onDisk('lab', 'grown/3')], async () => {
      await expectDeleted(await remove(record, '&storage=delete'), record, { why: 'asked', objects: 2, bytes });
    });
  });

  it('a link below is not followed: neither it nor what it points to goes', async () => {
    await put('lab', 'links/x');
    await put('lab', 'outside/y');
    await symlink(onDisk('lab', 'outside'), onDisk('lab', 'links/to'));
    const record = await register('lab', 'links/');
    await onlyTheseGo([onDisk('lab', 'links/x')], () => remove(record, '&storage=delete'));
  });

  it('a new file that comes after the deletion started stays, and so does one that was replaced: object-changed', async () => {
    const FILES = 400;
    const intervened = await until(
      'a deletion is caught in the middle',
      async () => {
        const folder = `big-${serial()}/`;
        const names = Array.from({ length: FILES }, (_, i) => `${folder}${String(i).padStart(4, '0')}`);
        for (const name of names) await put('lab', name, 'x');
        const record = await register('lab', folder);
        const deletions = onDisk('lab', '.lethe/deletions');
        await remove(record, '&storage=delete', {});
        // The listing of what goes is laid down before the first file does: the service is stopped as soon as it is there.
        const caught = await until('the listing lies there, or all is over', async () => {
          const found = existsSync(deletions) ? await readdir(deletions) : [];
          if (found.some((name) => name.startsWith(record.uid))) return { inTime: true };
          return (await purgeOf(record)).state === 'done' && { inTime: false };
        });
        if (!caught.inTime) return null;
        service.process.kill('SIGSTOP');
        try {
          const last = onDisk('lab', names.at(-1) ?? '');
          if (!existsSync(last)) return null;
          await writeFile(`${last}~`, 'another, in its place');
          await rename(`${last}~`, last);
          await put('lab', `${folder}new/one`);
          return { record, folder, last };
        } finally {
          service.process.kill('SIGCONT');
        }
      },
      5,
    );
    const { record, folder, last } = intervened;
    const answer = await remove(record, '&storage=delete');
    expect(answer.status).toBe(200);
    const warning = { code: 'object-changed', message: expect.any(String) };
    expect(answer.body.receipt.warnings).toEqual([warning]);
    expect(answer.body.warnings).toEqual([warning]);
    expect(answer.body.receipt.object).toMatchObject({ fate: 'deleted', objects: FILES - 1, bytes: FILES - 1 });
    const [, deleted] = (await eventsOf(record)).find(([type]) => type === 'ObjectDeleted') ?? [];
    expect(deleted).toEqual({ request: 1, objects: FILES - 1, bytes: FILES - 1, changed: true });
    const left = Object.keys(await everything()).filter((path) => path.startsWith(onDisk('lab', folder)));
    expect(left.sort()).toEqual([last, onDisk('lab', `${folder}new/one`)]);
    expect(await readFile(last, 'utf8')).toBe('another, in its place');
    expect(await readdir(onDisk('lab', '.lethe/deletions'))).toEqual([]);
  });
});

describe('the store refuses or is down', () => {
  /** Runs with the disk of the storage `broken` away. */
  const unplugged = async <T>(act: () => Promise<T>): Promise<T> => {
    const away = join(disk, 'unplugged');
    await rename(join(disk, 'broken'), away);
    try {
      return await act();
    } finally {
      await rename(away, join(disk, 'broken'));
    }
  };

  /** Requests a purge while the disk is away. @returns its row once it has failed; null where it was parked before anybody looked */
  const failing = async (record: Row): Promise<Row> => {
    await remove(record, '&storage=delete', {});
    const purge = await until('it fails', async () => {
      const now = await purgeOf(record);
      return now.state !== 'pending' && now;
    });
    return purge.state === 'failed' ? purge : null;
  };

  const parkedRecord = async (): Promise<Row> => {
    const record = await lying('broken');
    await unplugged(async () => {
      expect((await remove(record, '&storage=delete', {})).status).toBe(202);
      await parked(record);
    });
    return record;
  };

  const inState = async (state: string): Promise<string[]> => {
    const answer = await call('GET', `/v1/purges?state=${state}&limit=1000`);
    expect(answer.status).toBe(200);
    return answer.body.items.map(({ uid }: Row) => uid);
  };

  it('retried with growing, jittered waits; after the last try parked for a person', async () => {
    const spare: Row[] = [];
    while (spare.length < 10) spare.push(await lying('broken'));
    const record = await unplugged(async () => {
      const { record, failed, listed } = await until(
        'a purge is seen before its last try',
        async () => {
          const record = spare.pop();
          const failed = await failing(record);
          const listed = await inState('failed');
          return (await purgeOf(record)).state === 'failed' && { record, failed, listed };
        },
        spare.length,
      );
      expect(failed).toMatchObject({ error: expect.stringMatching(/\w/), receipt: null });
      expect(failed.nextTryAt).toMatch(/^\d{4}-\d{2}-\d{2}T.*Z$/);
      expect(listed).toContain(record.uid);
      const end = await parked(record);
      expect(end).toMatchObject({ attempts: POLICY.attempts, nextTryAt: null, error: failed.error, receipt: null });
      expect(await inState('parked')).toContain(record.uid);
      expect(await inState('failed,parked')).toContain(record.uid);
      for (const state of ['pending', 'failed', 'done', 'cancelled']) {
        expect(await inState(state), state).not.toContain(record.uid);
      }
      return record;
    });
    const failures = (await eventsOf(record))
      .filter(([type]) => type === 'ObjectDeletionFailed')
      .map(([, said]) => said);
    expect(failures.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
    expect(failures.every(({ error, request }) => error !== '' && request === 1)).toBe(true);
    expect(failures.at(-1)?.waitMs).toBeNull();
    failures.slice(0, -1).forEach(({ attempt, waitMs }) => {
      const full = Math.min(POLICY.firstWaitMs * 2 ** (attempt - 1), POLICY.maxWaitMs);
      expect(waitMs).toBeGreaterThanOrEqual(full / 2);
      expect(waitMs).toBeLessThanOrEqual(full);
    });
    const times = (await historyOf(record))
      .filter(({ type }) => type === 'ObjectDeletionFailed')
      .map(({ at: time }) => Date.parse(time));
    failures.slice(0, -1).forEach(({ waitMs }, i) => {
      expect((times[i + 1] ?? 0) - (times[i] ?? 0)).toBeGreaterThanOrEqual(waitMs - 2);
    });
    expect(existsSync(onDisk('broken', record.path))).toBe(true);
  });

  it('a store that comes back before the last try: the purge ends by itself', async () => {
    const record = await until(
      'the disk is back before the last try',
      async () => {
        const record = await lying('broken');
        await unplugged(() => failing(record));
        return (await purgeOf(record)).state !== 'parked' && record;
      },
      20,
    );
    const done = await until('it ends', async () => {
      const { state, receipt } = await purgeOf(record);
      return state === 'done' && receipt;
    });
    expect(done.object).toMatchObject({ fate: 'deleted', objects: 1 });
    expect(existsSync(onDisk('broken', record.path))).toBe(false);
  });

  it('parked: the record stays purging; Prefer: wait answers 202 with that state at once', async () => {
    const record = await parkedRecord();
    const answer = await remove(record, '', { prefer: 'wait=30' });
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({ outcome: 'purging', purge: { state: 'parked', attempts: POLICY.attempts } });
    const gone = await call('GET', at(record));
    expect(gone.status).toBe(410);
    expect(gone.body.tombstone).toMatchObject({ state: 'purging', receipt: null });
    // The disk was back at once: nobody but a person tries again.
    expect(existsSync(onDisk('broken', record.path))).toBe(true);
    expect(await typesOf(record)).toEqual([
      'RecordPurgeRequested',
      ...Array<string>(POLICY.attempts).fill('ObjectDeletionFailed'),
    ]);
  });

  it('POST …/retry tries now, and mends it: RecordPurgeRetried', async () => {
    const record = await parkedRecord();
    const answer = await onlyTheseGo([onDisk('broken', record.path)], () => retry(record));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      outcome: 'purged',
      record: null,
      receipt: { object: { fate: 'deleted', why: 'asked', objects: 1 } },
    });
    expect((await eventsOf(record)).slice(-4)).toEqual([
      ['RecordPurgeRetried', { request: 1, storage: null }],
      ['ObjectDeletionStarted', expect.objectContaining({ request: 1 })],
      ['ObjectDeleted', { request: 1, objects: 1, bytes: record.size, changed: false }],
      ['RecordPurged', { request: 1 }],
    ]);
    expect(await purgeOf(record)).toMatchObject({ state: 'done', error: null, nextTryAt: null });
  });

  it('a retry that fails again counts its tries anew, and is parked again', async () => {
    const record = await parkedRecord();
    await unplugged(async () => {
      const answer = await retry(record, {}, {});
      expect(answer.status).toBe(202);
      expect(answer.headers.get('location')).toBe(`/v1/purges/files/${record.uid}`);
      const end = await until('it is parked again', async () => {
        const failures = (await typesOf(record)).filter((type) => type === 'ObjectDeletionFailed');
        return failures.length === 2 * POLICY.attempts && purgeOf(record);
      });
      expect(end).toMatchObject({ state: 'parked', attempts: POLICY.attempts });
    });
    await retry(record);
  });

  it('POST …/retry {"storage":"keep"}: the purge ends with ObjectKept {why:"asked"}, the store still away', async () => {
    const record = await parkedRecord();
    await unplugged(async () => {
      const answer = await retry(record, { storage: 'keep' });
      expect(answer.status).toBe(200);
      expect(answer.body.receipt.object).toMatchObject({ fate: 'kept', why: 'asked', objects: 1 });
    });
    expect((await eventsOf(record)).slice(-3)).toEqual([
      ['RecordPurgeRetried', { request: 1, storage: 'keep' }],
      ['ObjectKept', { request: 1, why: 'asked', by: [] }],
      ['RecordPurged', { request: 1 }],
    ]);
    expect(existsSync(onDisk('broken', record.path))).toBe(true);
  });

  it('POST …/retry of what is not failed or parked: 409 conflict', async () => {
    const live = await lying('lab');
    expect((await retry(live)).body).toMatchObject({ status: 409, code: 'conflict' });
    const record = await uploaded({});
    await remove(record);
    expect((await retry(record)).body).toMatchObject({ status: 409, code: 'conflict' });
    expect(await typesOf(record)).toHaveLength(4);
  });

  it('POST …/retry with anything but {"storage":"keep"}: 422 invalid', async () => {
    const record = await parkedRecord();
    for (const json of [{ storage: 'delete' }, { force: true }]) {
      expect((await retry(record, json)).body).toMatchObject({ status: 422, code: 'invalid' });
    }
    await retry(record, { storage: 'keep' });
  });

  it('GET /purges of an unknown state: 422 invalid', async () => {
    expect((await call('GET', '/v1/purges?state=lost')).body).toMatchObject({
      code: 'invalid',
      errors: [{ path: '?state' }],
    });
  });

  it.skipIf(!canRefuse)('it refuses after the deletion has begun: parked, and a retry mends it', async () => {
    const record = await lying('lab');
    const object = onDisk('lab', record.path);
    immutable(object, true);
    try {
      await remove(record, '&storage=delete', {});
      expect(await parked(record)).toMatchObject({ error: expect.stringContaining('EPERM') });
      expect((await typesOf(record)).slice(0, 3)).toEqual([
        'RecordPurgeRequested',
        'ObjectDeletionStarted',
        'ObjectDeletionFailed',
      ]);
    } finally {
      immutable(object, false);
    }
    await onlyTheseGo([object], async () => {
      expect((await retry(record)).body.receipt.object).toMatchObject({
        fate: 'deleted',
        objects: 1,
        bytes: record.size,
      });
    });
  });

  it.skipIf(!canRefuse)('a folder of which one file is refused: the others go, and the rest at a retry', async () => {
    for (const name of ['a', 'b', 'c']) await put('lab', `partly/${name}`, name);
    const record = await register('lab', 'partly/');
    const object = onDisk('lab', 'partly/b');
    immutable(object, true);
    try {
      await remove(record, '&storage=delete', {});
      await parked(record);
    } finally {
      immutable(object, false);
    }
    expect(await readFile(object, 'utf8')).toBe('b');
    const answer = await retry(record);
    expect(answer.body.receipt.object).toMatchObject({ fate: 'deleted', objects: 3, bytes: 3 });
    expect(existsSync(onDisk('lab', 'partly'))).toBe(false);
    expect(await readdir(onDisk('lab', '.lethe/deletions'))).toEqual([]);
  });

  it.skipIf(!canRefuse)(
    'something else lies there by the next try: it stays, and the receipt’s warnings says object-changed',
    async () => {
      const record = await lying('lab');
      const object = onDisk('lab', record.path);
      immutable(object, true);
      try {
        await remove(record, '&storage=delete', {});
        await parked(record);
      } finally {
        immutable(object, false);
      }
      await writeFile(`${object}~`, 'another, in its place');
      await rename(`${object}~`, object);
      const answer = await nothingGoes(() => retry(record));
      const warning = { code: 'object-changed', message: expect.any(String) };
      expect(answer.status).toBe(200);
      expect(answer.body.receipt.warnings).toEqual([warning]);
      expect(answer.body.warnings).toEqual([warning]);
      expect(answer.body.receipt.object).toMatchObject({ fate: 'deleted', objects: 0, bytes: 0 });
      expect((await eventsOf(record)).slice(-2)).toEqual([
        ['ObjectDeleted', { request: 1, objects: 0, bytes: 0, changed: true }],
        ['RecordPurged', { request: 1 }],
      ]);
      expect(await readFile(object, 'utf8')).toBe('another, in its place');
    },
  );

  it.skipIf(!canRefuse)(
    'retry {"storage":"keep"} where a deletion had begun: nothing is deleted, and it ends an hour later',
    async () => {
      const record = await lying('lab');
      const object = onDisk('lab', record.path);
      immutable(object, true);
      try {
        await remove(record, '&storage=delete', {});
        await parked(record);
      } finally {
        immutable(object, false);
      }
      const answer = await nothingGoes(() => retry(record, { storage: 'keep' }, { prefer: 'wait=1' }));
      expect(answer.status).toBe(202);
      expect(answer.body.purge).toMatchObject({ state: 'pending', receipt: null });
      expect((await typesOf(record)).at(-1)).toBe('RecordPurgeRetried');
      // Its place stays taken as long as the deletion stands.
      const again = await call('POST', '/v1/files', { json: { path: record.path, storage: 'lab' } });
      expect(again.body).toMatchObject({ status: 409, code: 'conflict', detail: expect.stringContaining(record.uid) });
    },
  );

  it('while the deletion stands, nobody can come to point at the object: 409 conflict naming the target', async () => {
    const record = await parkedRecord();
    const again = await call('POST', '/v1/files', { json: { path: record.path, storage: 'broken' } });
    expect(again.body).toMatchObject({
      status: 409,
      code: 'conflict',
      detail: expect.stringContaining(`files/${record.uid}`),
    });
    const metadata = { key: record.path, keyIsVirtual: false, storage: 'broken' };
    const uploadThere = await call('POST', '/v1/files', { body: upload(metadata, 'other bytes') });
    expect(uploadThere.body).toMatchObject({ status: 409, code: 'conflict' });
    const around = await call('POST', '/v1/files', { json: { path: `${record.path}/`, storage: 'broken' } });
    expect(around.status).toBe(422);
    await retry(record);
    await put('broken', record.path, 'new bytes');
    await register('broken', record.path);
  });

  it('a purge that is under way protects nothing: another on the same object may delete it', async () => {
    const record = await lying('broken');
    const other = await register('broken', record.path);
    await unplugged(async () => {
      await remove(record, '', {});
      // It keeps by the other, which needs no store.
      await until('it ends', async () => (await purgeOf(record)).state === 'done');
      await remove(other, '&storage=delete', {});
      await parked(other);
    });
    expect((await purgeOf(record)).receipt.object).toMatchObject({ fate: 'kept', why: 'shared' });
    await onlyTheseGo([onDisk('broken', record.path)], () => retry(other));
  });
});
