import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Registries } from '../../src/commands/registries.js';
import { readConfig } from '../../src/config.js';
import { expectRefused, filesBelow } from '../harness/refusing.js';
import {
  discard,
  startService,
  temporaryFolder,
  upload,
  type Answer,
  type RequestOptions,
  type RunningService,
} from '../harness/service.js';

/* Storages and configured registries (the contract's section 5), and what a change of the configuration does to them. */

type Row = Answer['body'];
interface Ref {
  readonly registry: string;
  readonly uid: string;
}

const ENDED = { prefer: 'wait=20' };
const at = ({ registry, uid }: Ref): string => `/v1/${registry}/${uid}`;

let disk: string;
beforeAll(async () => {
  disk = await temporaryFolder();
});
afterAll(() => rm(disk, { recursive: true, force: true }));

/** A folder with these files, each with its own name as content. */
const folderOf = async (...names: readonly string[]): Promise<string> => {
  const folder = await mkdtemp(join(disk, 'storage-'));
  for (const name of names) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), name);
  }
  return folder;
};

const made = (answer: Answer): Row => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.record;
};

/** The calls of this file, on one service. */
const asking = (service: () => RunningService) => {
  const call = (method: string, path: string, options?: RequestOptions): Promise<Answer> =>
    service().request(method, path, options);
  return {
    call,
    storage: (name: string, root: string, managed?: boolean): Promise<Answer> =>
      call('POST', '/v1/storages', { json: { name, data: managed === undefined ? { root } : { root, managed } } }),
    named: async (name: string): Promise<Row> =>
      (await call('GET', `/v1/storages?name=${encodeURIComponent(name)}`)).body.items[0],
    lying: async (storage: string, path: string): Promise<Row> =>
      made(await call('POST', '/v1/files', { json: { storage, path } })),
    sent: (metadata: object, content: string): Promise<Answer> =>
      call('POST', '/v1/files', { body: upload(metadata, content) }),
    purge: (record: Ref, query = ''): Promise<Answer> =>
      call('DELETE', `${at(record)}?permanent=true${query}`, { headers: ENDED }),
    refuse: (name: string, send: () => Promise<Answer>, status: number, code: string, more: object = {}) =>
      expectRefused(service(), [disk], { name, send, status, code, ...more }),
  };
};

describe('storages', () => {
  let service: RunningService;
  let lab: string;
  let open: string;
  const { call, storage, named, lying, sent, purge, refuse } = asking(() => service);

  beforeAll(async () => {
    lab = await folderOf('a.csv', 'team/b.csv', 'team/deep/c.csv', 'zarr/0', 'zarr/1');
    open = await folderOf('public.csv', 'given/public.csv', 'zarr/0');
    service = await startService({
      config: {
        storages: [
          { name: 'lab', root: `file:${lab}` },
          { name: 'public', root: `file:${open}`, managed: false },
        ],
      },
    });
    // Whoever writes into a storage leaves its mark there once.
    await purge(made(await sent({ storage: 'lab' }, 'first')));
  });
  afterAll(() => discard(service));

  it('those of the configuration are there from the start, and the one of LETHE_OBJECT_STORE as default', async () => {
    const rows = (await call('GET', '/v1/storages?sort=name')).body.items;
    expect(rows.map(({ name, data }: Row) => [name, data.managed])).toEqual([
      ['default', true],
      ['lab', true],
      ['public', false],
    ]);
    expect((await named('lab')).data.root).toBe(`file:${lab}`);
  });

  it('a file names its storage by uid or by name, and answers with the uid', async () => {
    const { uid } = await named('lab');
    for (const name of [uid, 'lab']) {
      const record = await lying(name, 'a.csv');
      expect(record.storage).toBe(uid);
      expect((await call('GET', `/v1/files?storage=${uid}`)).body.items).toEqual([record]);
      await purge(record);
    }
    expect((await call('GET', '/v1/files?storage=lab')).body.items).toEqual([]);
    for (const unknown of ['Lab', 'lab ', 'nowhere', 'N0suchRecord00000000', '../lab', `file:${lab}`]) {
      const json = { storage: unknown, path: 'a.csv' };
      const errors = ['/storage'];
      await refuse(unknown, () => call('POST', '/v1/files', { json }), 422, 'invalid', { errors });
      await refuse(unknown, () => sent({ storage: unknown }, 'x'), 422, 'invalid', { errors });
    }
  });

  it('a root only below one of the configuration: 403 forbidden elsewhere', async () => {
    await symlink(disk, join(lab, 'way-out'));
    for (const root of [
      '/',
      '/etc',
      disk,
      `${lab}x`,
      `${lab}/..`,
      join(lab, '../elsewhere'),
      `${lab}/team/../../elsewhere`,
      `${lab}/way-out/elsewhere`,
      service.data,
      join(service.data, 'objects-of-another'),
    ]) {
      await refuse(root, () => storage('beyond', `file:${root}`), 403, 'forbidden');
    }
    for (const root of [
      's3://host:9000/bucket',
      'http://host/',
      lab,
      'file:relative',
      'file:../lab',
      'file:',
      'FILE:/etc',
    ]) {
      const answer = await storage(`odd ${root}`, root);
      // `file:` alone is the folder of the default storage, which may have a second name.
      if (root === 'file:') expect([201, 403]).toContain(answer.status);
      else expect([answer.status, answer.body.code], root).toEqual([403, 'forbidden']);
    }
    await rm(join(lab, 'way-out'));
  });

  it('what lies below a folder .lethe/ belongs to Lethe, at whatever depth and whoever’s it is', async () => {
    const team = made(await storage('owned', `file:${lab}/team`));
    const virtual = made(
      await call('POST', '/v1/files', { body: upload({ storage: 'owned', onDuplicate: 'create' }, 'a virtual one') }),
    );
    const owner = join(lab, 'team/.lethe/owner');
    expect(existsSync(owner)).toBe(true);
    for (const path of ['team/.lethe/owner', `team/${virtual.path}`, 'team/.lethe/', 'team/.lethe/x/']) {
      await refuse(path, () => call('POST', '/v1/files', { json: { storage: 'lab', path } }), 422, 'invalid', {
        errors: ['/path'],
      });
    }
    const key = 'team/.lethe/mine';
    const body = () => upload({ storage: 'lab', key, keyIsVirtual: false }, 'mine');
    await refuse(key, () => call('POST', '/v1/files', { body: body() }), 422, 'invalid', { errors: ['/key'] });
    for (const root of [`${lab}/.lethe`, `${lab}/.lethe/within`, `${lab}/team/.lethe`])
      await refuse(root, () => storage('inside', `file:${root}`), 422, 'invalid', { errors: ['/data/root'] });

    const folder = await lying('lab', 'team/');
    const { items } = (await call('GET', `${at(folder)}/objects`)).body;
    expect(items.map(({ path }: Row) => path).filter((path: string) => path.includes('.lethe'))).toEqual([]);
    for (const inner of ['.lethe/owner', virtual.path, `team/${virtual.path}`]) {
      const content = () => call('GET', `${at(folder)}/content?path=${inner}`);
      await refuse(inner, content, 422, 'invalid', { errors: ['?path'] });
    }
    expect((await call('DELETE', `${at(folder)}?permanent=true&storage=keep`, { headers: ENDED })).status).toBe(200);
    expect((await purge(virtual)).body.receipt.object).toMatchObject({ fate: 'deleted' });
    expect(existsSync(owner)).toBe(true);
    expect((await call('DELETE', at(team))).body.outcome).toBe('purged');
  });

  it('below one that is managed: managed, or not if it says so; below one that is not: never', async () => {
    const record = async (name: string, root: string, managed?: boolean): Promise<boolean> =>
      made(await storage(name, `file:${root}`, managed)).data.managed;
    expect(await record('team', join(lab, 'team'))).toBe(true);
    expect(await record('team, read', join(lab, 'team'), false)).toBe(false);
    expect(await record('given', join(open, 'given'))).toBe(false);
    expect(await record('given, it says', join(open, 'given'), true)).toBe(false);
    expect(await record('the same root', open, true)).toBe(false);
    await symlink(open, join(lab, 'link-to-public'));
    expect(await record('through a link', join(lab, 'link-to-public'), true)).toBe(false);
    await rm(join(lab, 'link-to-public'));
    for (const name of ['team', 'team, read', 'given', 'given, it says', 'the same root', 'through a link'])
      expect((await call('DELETE', at(await named(name)))).body.outcome, name).toBe('purged');
  });

  it('name and data do not change by PATCH: 422; description does', async () => {
    const record = await named('lab');
    for (const [json, path] of [
      [{ name: 'other' }, '/name'],
      [{ data: { managed: false } }, '/data'],
      [{ data: null }, '/data'],
      [{ data: {} }, '/data'],
      [{ visibility: 0 }, '/visibility'],
      [{ place: 'x' }, '/place'],
    ] as const) {
      await refuse(path, () => call('PATCH', at(record), { json }), 422, 'invalid', { errors: [path] });
    }
    const answer = await call('PATCH', at(record), { json: { description: 'the lab' } });
    expect(answer.body).toMatchObject({ outcome: 'updated', record: { description: 'the lab', data: record.data } });
  });

  it('one that the configuration names cannot be purged: 409 conflict, which says where it is named', async () => {
    for (const name of ['default', 'lab', 'public']) {
      const record = await named(name);
      for (const query of ['', '?permanent=true', '?permanent=true&storage=delete', '?dryRun=true']) {
        const detail = new RegExp(`configuration names the storage ${name}`);
        await refuse(name + query, () => call('DELETE', at(record) + query), 409, 'conflict', { detail });
      }
      await refuse(name, () => call('DELETE', `${at(record)}?permanent=false`), 422, 'not-trashable');
    }
  });

  it('a name is free again after a purge; its objects stay', async () => {
    const first = made(await storage('passing', `file:${lab}/passing`));
    await mkdir(join(lab, 'passing'));
    await refuse('taken', () => storage('passing', `file:${lab}/team`), 409, 'duplicate');
    const record = made(await sent({ storage: 'passing' }, 'in passing'));
    await refuse('in use', () => call('DELETE', at(first)), 409, 'referenced');
    await purge(record, '&storage=keep');
    expect((await call('DELETE', at(first))).body.outcome).toBe('purged');
    expect((await call('GET', at(first))).status).toBe(410);
    const refusedNow = await sent({ storage: 'passing' }, 'too late');
    expect([refusedNow.status, refusedNow.body.errors]).toMatchObject([422, [{ path: '/storage' }]]);
    const second = made(await storage('passing', `file:${lab}/team`));
    expect(second.uid).not.toBe(first.uid);
    expect((await named('passing')).uid).toBe(second.uid);
    expect(await readFile(join(lab, 'passing', record.path), 'utf8')).toBe('in passing');
    expect((await call('DELETE', at(second))).body.outcome).toBe('purged');
  });

  describe('one that is not managed', () => {
    it('is read: registered, listed, its content', async () => {
      const record = await lying('public', 'public.csv');
      expect((await call('GET', `${at(record)}/content`)).body).toBe('public.csv');
      const folder = await lying('public', 'zarr/');
      expect((await call('GET', `${at(folder)}/objects`)).body.items).toEqual([{ path: 'zarr/0', size: 6 }]);
      for (const each of [record, folder]) await purge(each);
    });

    it('is never written to: 409 foreign-storage, and not a file in it', async () => {
      const before = await filesBelow(open);
      for (const metadata of [
        {},
        { key: 'new.csv' },
        { key: 'new.csv', keyIsVirtual: false },
        { key: 'public.csv', keyIsVirtual: false },
      ]) {
        const send = () => sent({ storage: 'public', ...metadata }, 'written?');
        await refuse(JSON.stringify(metadata), send, 409, 'foreign-storage', { detail: /public/ });
      }
      expect(await filesBelow(open)).toEqual(before);
    });

    it('is never deleted from: kept as foreign-storage; storage=delete is refused', async () => {
      const before = await filesBelow(open);
      const record = await lying('public', 'public.csv');
      await call('DELETE', at(record));
      const asked = `${at(record)}?permanent=true&storage=delete`;
      await refuse('asked', () => call('DELETE', asked), 409, 'foreign-storage', { detail: /public/ });
      await refuse('asked', () => call('DELETE', `${at(record)}?storage=delete`), 409, 'foreign-storage');
      const answer = await purge(record);
      expect(answer.body.receipt.object).toMatchObject({ fate: 'kept', why: 'foreign-storage' });
      expect(await filesBelow(open)).toEqual(before);
      expect(await readFile(join(open, 'public.csv'), 'utf8')).toBe('public.csv');
    });

    it('not through a storage within it, nor through one around it', async () => {
      const within = made(await storage('within', `file:${open}/given`));
      const before = await filesBelow(open);
      await refuse('within', () => sent({ storage: 'within' }, 'written?'), 409, 'foreign-storage');
      const record = await lying('within', 'public.csv');
      await refuse('within', () => purge(record, '&storage=delete'), 409, 'foreign-storage');
      expect((await purge(record)).body.receipt.object).toMatchObject({ fate: 'kept', why: 'foreign-storage' });
      expect((await call('DELETE', at(within))).body.outcome).toBe('purged');
      expect(await filesBelow(open)).toEqual(before);
    });
  });

  it('nested: one object through two storages is one, and stays while either record lives', async () => {
    const team = made(await storage('nested', `file:${lab}/team`));
    const outer = await lying('lab', 'team/deep/c.csv');
    const inner = made(
      await call('POST', '/v1/files', { json: { storage: 'nested', path: 'deep/c.csv', onDuplicate: 'create' } }),
    );
    const folder = await lying('lab', 'team/');
    const kept = await purge(outer, '&storage=delete');
    expect(kept.body.receipt.object).toMatchObject({ fate: 'kept', why: 'shared' });
    const by = kept.body.receipt.object.sharedWith.map(({ uid }: Row) => uid).toSorted();
    expect(by).toEqual([inner.uid, folder.uid].toSorted());
    expect((await purge(folder, '&storage=delete')).body.receipt.object).toMatchObject({ fate: 'kept', why: 'shared' });
    expect(existsSync(join(lab, 'team/b.csv'))).toBe(true);
    expect((await purge(inner, '&storage=delete')).body.receipt.object).toMatchObject({ fate: 'deleted', objects: 1 });
    expect(existsSync(join(lab, 'team/deep/c.csv'))).toBe(false);
    expect((await call('DELETE', at(team))).body.outcome).toBe('purged');
  });
});

describe('registries of the configuration', () => {
  const MODELS = {
    type: 'object',
    required: ['framework'],
    properties: {
      framework: { enum: ['torch', 'jax'] },
      layers: { type: 'array', items: { type: 'object', properties: { width: { type: 'integer', minimum: 1 } } } },
    },
    additionalProperties: false,
  };
  let service: RunningService;
  const { call, refuse } = asking(() => service);

  beforeAll(async () => {
    service = await startService({
      config: { registries: { models: { schema: MODELS }, notes: {}, a: {}, [`z${'9'.repeat(39)}`]: {} } },
    });
  });
  afterAll(() => discard(service));

  it('are listed with kind, count and schema, and take part in all that plain registries do', async () => {
    const record = made(await call('POST', '/v1/models', { json: { name: 'm', data: { framework: 'jax' } } }));
    const { items } = (await call('GET', '/v1')).body;
    expect(items.find(({ name }: Row) => name === 'models')).toEqual({
      name: 'models',
      kind: 'plain',
      count: 1,
      schema: MODELS,
    });
    expect(items.find(({ name }: Row) => name === 'notes')).toEqual({
      name: 'notes',
      kind: 'plain',
      count: 0,
      schema: null,
    });
    expect((await call('GET', '/v1/models')).body.items).toEqual([record]);
    expect((await call('GET', `/v1/z${'9'.repeat(39)}`)).status).toBe(200);
    expect((await call('DELETE', at(record))).body.outcome).toBe('purged');
  });

  it.each([
    [null, '/data'],
    [{}, '/data'],
    [[], '/data'],
    [{ framework: 'keras' }, '/data/framework'],
    [{ framework: 'jax', colour: 'red' }, '/data'],
    [{ framework: 'jax', layers: [{ width: 1 }, { width: 0 }] }, '/data/layers/1/width'],
    [{ framework: 'jax', layers: {} }, '/data/layers'],
  ])('data %j: 422 with its place, in POST and in PATCH', async (data, path) => {
    const json = { name: 'm', data };
    await refuse('POST', () => call('POST', '/v1/models', { json }), 422, 'invalid', { errors: [path] });
    const record = made(await call('POST', '/v1/models', { json: { data: { framework: 'jax' } } }));
    // A merge patch of null, or of nothing, takes the fields as they are.
    const patch = data === null || Object.keys(data).length === 0 ? { framework: null } : data;
    await refuse('PATCH', () => call('PATCH', at(record), { json: { data: patch } }), 422, 'invalid', {
      errors: [path === '/data/framework' || path === '/data' ? '/data…' : path],
    });
    expect((await call('GET', at(record))).body.data).toEqual({ framework: 'jax' });
  });

  it('a merge patch is checked as the whole that it leads to', async () => {
    const data = { framework: 'jax', layers: [] };
    const record = made(await call('POST', '/v1/models', { json: { data } }));
    const patched = await call('PATCH', at(record), { json: { data: { layers: null } } });
    expect(patched.body.record.data).toEqual({ framework: 'jax' });
    const send = () => call('PATCH', at(record), { json: { data: { framework: null } } });
    await refuse('taken away', send, 422, 'invalid', { errors: ['/data'] });
  });
});

describe('a start with a configuration that cannot stand', () => {
  /** What the start says of a configuration file. Asked of the parts that read it: a process for each would take its time. */
  const said = async (config: object): Promise<string> => {
    const path = join(disk, 'lethe.json');
    await writeFile(path, JSON.stringify(config));
    try {
      new Registries(readConfig({ LETHE_DATA: disk, LETHE_CONFIG: path }).registries);
      return 'it starts';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
  const storages = (...named: object[]): object => ({ storages: named });
  const registries = (name: string, of: object = {}): object => ({ registries: { [name]: of } });

  it.each([
    ['a relative root', storages({ name: 'lab', root: 'file:lab' }), /of lab must be file:\/an\/absolute\/folder/],
    ['a root of another kind', storages({ name: 'lab', root: 'ftp://host/lab' }), /root of lab/],
    ['a name twice', storages({ name: 'x', root: 'file:/a' }, { name: 'x', root: 'file:/b' }), /name x comes twice/],
    ['a storage without a root', storages({ name: 'lab' }), /storages\[0\]\.root/],
    ['a storage without a name', storages({ root: 'file:/a' }), /storages\[0\]\.name/],
    ['managed that is no boolean', storages({ name: 'x', root: 'file:/a', managed: 'no' }), /storages\[0\]\.managed/],
    ['an unknown field', storages({ name: 'x', root: 'file:/a', readonly: true }), /readonly/],
    ['an unknown part', { storage: [] }, /storage/],
    ['a registry of a reserved name', registries('trash'), /registries\.trash.*taken/],
    ['a registry of a built-in name', registries('files'), /registries\.files.*taken/],
    ['a registry of no name', registries('Models'), /registries\.Models.*\[a-z\]/],
    ['a registry of 41 characters', registries('x'.repeat(41)), /must match/],
    ['a schema that is none', registries('models', { schema: { type: 'objekt' } }), /registries\.models\.schema/],
    [
      'a schema that refers to nothing',
      registries('models', { schema: { $ref: '#/$defs/none' } }),
      /registries\.models\.schema/,
    ],
  ])('%s: it says what and where', async (_, config, sentence) => {
    expect(await said(config)).toMatch(sentence);
  });

  it('ends the process, and does not print what may be a secret in an address', async () => {
    const data = await temporaryFolder();
    const start = startService({ data, config: storages({ name: 'lab', root: 's3://key:secret@host/lab?tls=false' }) });
    await expect(start).rejects.toThrow(/ended at its start \(1\)[^]*root of lab/);
    await expect(start).rejects.not.toThrow('secret');
    await rm(data, { recursive: true, force: true });
  });
});

describe('a configuration that changes', () => {
  let data: string;
  let service: RunningService;
  let roots: Record<'stays' | 'leaves' | 'turns', string>;
  let records: Record<'inner' | 'leaves' | 'uploaded' | 'turns', Row>;
  const { call, storage, named, lying, sent, purge, refuse } = asking(() => service);

  beforeAll(async () => {
    data = await temporaryFolder();
    roots = {
      stays: await folderOf('team/x.csv'),
      leaves: await folderOf('left.csv'),
      turns: await folderOf('turned.csv'),
    };
    service = await startService({
      data,
      config: { storages: Object.entries(roots).map(([name, root]) => ({ name, root: `file:${root}` })) },
    });
    made(await storage('team', `file:${roots.stays}/team`));
    records = {
      inner: await lying('team', 'x.csv'),
      leaves: await lying('leaves', 'left.csv'),
      uploaded: made(await sent({ storage: 'leaves', key: 'uploaded.csv' }, 'uploaded')),
      turns: made(await sent({ storage: 'turns', key: 'turned.csv' }, 'turned')),
    };
    expect(await service.stop()).toBe(0);
  });
  afterAll(async () => {
    await service.kill();
    await rm(data, { recursive: true, force: true });
  });

  it('another root for a known name stops the start, and says both and what to do', async () => {
    const config = { storages: [{ name: 'stays', root: `file:${roots.leaves}` }] };
    const start = startService({ data, config });
    await expect(start).rejects.toThrow(/ended at its start \(1\)/);
    await expect(start).rejects.toThrow(`The storage stays has the root file:${roots.stays}`);
    await expect(start).rejects.toThrow(`the configuration says file:${roots.leaves}`);
    await expect(start).rejects.toThrow(/a name of its own, or set the old one again/);
  });

  describe('one taken out, one no longer managed', () => {
    beforeAll(async () => {
      const config = {
        storages: [
          { name: 'stays', root: `file:${roots.stays}` },
          { name: 'turns', root: `file:${roots.turns}`, managed: false },
        ],
      };
      service = await startService({ data, config });
    });

    it('managed follows, once', async () => {
      const turned = await named('turns');
      expect(turned.data).toEqual({ root: `file:${roots.turns}`, managed: false });
      const history = (await call('GET', `${at(turned)}/history`)).body.items;
      expect(history.map(({ type, actor }: Row) => [type, actor])).toEqual([
        ['RecordRegistered', 'system:configuration'],
        ['RecordUpdated', 'system:configuration'],
      ]);
      expect((await named('stays')).revision).toBe(0);
    });

    it('what Lethe itself once wrote there is foreign now: kept', async () => {
      await refuse('asked', () => purge(records.turns, '&storage=delete'), 409, 'foreign-storage');
      const answer = await purge(records.turns);
      expect(answer.body.receipt.object).toMatchObject({ fate: 'kept', why: 'foreign-storage' });
      expect(await readFile(join(roots.turns, records.turns.path), 'utf8')).toBe('turned');
    });

    it('the files of one that was taken out: 503 store-unavailable with its name; the records are there', async () => {
      const leaving = await named('leaves');
      const record = records.leaves;
      const busy = { detail: /storage leaves/ };
      for (const path of [`${at(record)}/content`, `${at(record)}/objects`, `${at(records.uploaded)}/content`]) {
        const answer = await refuse(path, () => call('GET', path), 503, 'store-unavailable', busy);
        expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
      }
      for (const name of ['leaves', leaving.uid]) {
        const json = { storage: name, path: 'left.csv', onDuplicate: 'create' };
        await refuse(name, () => call('POST', '/v1/files', { json }), 503, 'store-unavailable', busy);
        await refuse(name, () => sent({ storage: name }, 'x'), 503, 'store-unavailable', busy);
      }
      expect((await call('GET', at(record))).body).toEqual(record);
      expect((await call('GET', `/v1/files?storage=${leaving.uid}`)).body.items).toHaveLength(2);
      // What does not touch the store goes on.
      expect((await call('PATCH', at(record), { json: { description: 'still known' } })).body.outcome).toBe('updated');
      expect((await call('DELETE', at(record))).body.outcome).toBe('trashed');
      expect((await call('POST', `${at(record)}/restore`)).body.outcome).toBe('restored');
    });

    it('taking it out deleted nothing; below one that stays all goes on', async () => {
      expect(await readFile(join(roots.leaves, 'left.csv'), 'utf8')).toBe('left.csv');
      expect(await readFile(join(roots.leaves, records.uploaded.path), 'utf8')).toBe('uploaded');
      expect((await call('GET', `${at(records.inner)}/content`)).body).toBe('team/x.csv');
    });
  });

  it('set again as it was, the files are there again, and can be purged with their objects', async () => {
    expect(await service.stop()).toBe(0);
    service = await startService({
      data,
      config: { storages: Object.entries(roots).map(([name, root]) => ({ name, root: `file:${root}` })) },
    });
    expect((await call('GET', `${at(records.uploaded)}/content`)).body).toBe('uploaded');
    expect((await named('turns')).data.managed).toBe(true);
    const answer = await purge(records.uploaded);
    expect(answer.body.receipt.object).toMatchObject({ fate: 'deleted', objects: 1 });
    expect(existsSync(join(roots.leaves, records.uploaded.path))).toBe(false);
  });
});
