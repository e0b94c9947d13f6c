import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
 * The first table of the contract's section 2, row by row, and what it says beside the table: dry runs, a purge under way, restore, hold,
 * references, versions, the order of refusals, the headers.
 */

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const POSITION = /^\d+$/;
const NEVER = 'N0suchRecord00000000';
const ENDED = { prefer: 'wait=20' };

// What answers hold is looked into freely; what is expected, is stated.
type Row = Answer['body'];

let service: RunningService;
let disk: string;

beforeAll(async () => {
  disk = await temporaryFolder();
  for (const name of ['lab', 'broken', 'public']) await mkdir(join(disk, name));
  const root = (name: string): string => `file:${join(disk, name)}`;
  service = await startService({
    config: {
      storages: [
        { name: 'lab', root: root('lab') },
        { name: 'broken', root: root('broken') },
        { name: 'public', root: root('public'), managed: false },
      ],
      // A purge that fails once stays under way for as long as a test may need.
      purges: { attempts: 3, firstWaitMs: 600_000, maxWaitMs: 600_000 },
    },
  });
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

const serial = ((): (() => number) => {
  let last = 0;
  return () => (last += 1);
})();

const created = (answer: Answer): Row => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.record;
};

/** A new record, by its registry. */
const register = async (registry: string, json: object = {}): Promise<Row> =>
  created(await call('POST', `/v1/${registry}`, { json }));

/** A new file of Lethe's own. */
const file = async (metadata: object = {}): Promise<Row> =>
  created(await call('POST', '/v1/files', { body: upload(metadata, `content ${serial()}`) }));

/** A new file that lies in a storage under its semantic key. */
const lying = async (storage: string, metadata: object = {}): Promise<Row> => {
  const path = `file-${serial()}.txt`;
  await writeFile(join(disk, storage, path), `content of ${path}`);
  return created(await call('POST', '/v1/files', { json: { path, storage, ...metadata } }));
};

const at = ({ registry, uid }: Row): string => `/v1/${registry}/${uid}`;
const objectOf = ({ path }: Row): string => join(service.data, 'objects', path);

const trash = async (record: Row): Promise<Row> => {
  const answer = await call('DELETE', at(record));
  expect(answer.body.outcome).toBe('trashed');
  return answer.body.record;
};

const trashed = async (metadata: object = {}): Promise<Row> => trash(await file(metadata));

const purged = async (record: Row): Promise<Row> => {
  const answer = await call('DELETE', `${at(record)}?permanent=true`, { headers: ENDED });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  expect(answer.body.outcome).toBe('purged');
  return answer.body.receipt;
};

/** Holds a purge under way: the disk with its object is away for its first try, and the second comes much later. */
const purging = async (
  query = 'permanent=true&storage=delete',
): Promise<{ record: Row; answer: Answer; end: () => Promise<void> }> => {
  const record = await lying('broken');
  await rename(join(disk, 'broken'), join(disk, 'unplugged'));
  try {
    const answer = await call('DELETE', `${at(record)}?${query}`);
    await until('the first try fails', async () => (await purgeOf(record)).state === 'failed');
    return { record, answer, end: () => retry(record) };
  } finally {
    await rename(join(disk, 'unplugged'), join(disk, 'broken'));
  }
};

const purgeOf = async ({ registry, uid }: Row): Promise<Row> =>
  (await call('GET', `/v1/purges/${registry}/${uid}`)).body;

const retry = async ({ registry, uid }: Row): Promise<void> => {
  const answer = await call('POST', `/v1/purges/${registry}/${uid}/retry`, { headers: ENDED });
  expect(answer.body.outcome).toBe('purged');
};

const historyOf = async (record: Row): Promise<Row[]> => (await call('GET', `${at(record)}/history`)).body.items ?? [];
const typesOf = async (record: Row): Promise<string[]> => (await historyOf(record)).map(({ type }) => type);

/** The log's head, and what the record's history is. */
const whatIsWritten = async (record: Row): Promise<unknown> => {
  const { position } = (await call('GET', '/v1/users?limit=1')).body;
  return { position, history: await historyOf(record) };
};

const appendsNothing = async (record: Row, act: () => Promise<Answer>): Promise<Answer> => {
  const before = await whatIsWritten(record);
  const answer = await act();
  expect(await whatIsWritten(record)).toEqual(before);
  return answer;
};

/** A refusal, in the one shape that all have. */
const expectProblem = (answer: Answer, status: number, code: string): void => {
  expect(answer.body, JSON.stringify(answer.body)).toMatchObject({ status, code, type: `urn:lethe:${code}` });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(answer.body.title).toEqual(expect.any(String));
  expect(answer.body.detail).toMatch(/\w.*\.$/);
  expect(answer.body.correlationId).toBe(answer.headers.get('x-correlation-id'));
  if (status === 410) expect(answer.headers.get('cache-control')).toBe('no-store');
};

const uidsOf = async (registry: string, query: string, headers: Record<string, string> = {}): Promise<string[]> => {
  const answer = await call('GET', `/v1/${registry}?limit=1000&${query}`, { headers });
  expect(answer.status).toBe(200);
  return answer.body.items.map(({ uid }: Row) => uid);
};

const VISIBILITIES = ['', 'visibility=1', 'visibility=0', 'visibility=-1', 'visibility=1,0,-1', 'visibility=any'];

/** No query at or past the position shows the record. */
const expectGone = async ({ registry, uid }: Row, position: string | null): Promise<void> => {
  expect(position).toMatch(POSITION);
  const headers = { 'x-min-position': position ?? '' };
  for (const visibility of VISIBILITIES) {
    expect(await uidsOf(registry, visibility, headers), visibility).not.toContain(uid);
    expect(await uidsOf(registry, `${visibility}&uid=${uid}`, headers), `${visibility}&uid=`).toEqual([]);
  }
  const bin = await call('GET', '/v1/trash?limit=1000', { headers });
  expect(bin.body.items.map((item: Row) => item.uid)).not.toContain(uid);
  const paths = registry === 'files' ? ['', '/content', '/content?visibility=any', '/objects'] : [''];
  for (const path of paths)
    expectProblem(await call('GET', `/v1/${registry}/${uid}${path}`, { headers }), 410, 'purged');
};

const noObject = (record: Row): object => ({
  registry: record.registry,
  uid: record.uid,
  revision: record.revision,
  object: null,
});

const virtualPreview = (record: Row, revision: number): object => ({
  registry: 'files',
  uid: record.uid,
  revision,
  object: {
    storage: record.storage,
    path: record.path,
    fate: 'delete',
    why: 'virtual-key',
    objects: 1,
    bytes: record.size,
    sharedWith: [],
  },
});

const expectReceipt = (receipt: Row, record: Row, expected: object): void => {
  expect(receipt).toEqual({
    registry: record.registry,
    uid: record.uid,
    requestedAt: expect.stringMatching(INSTANT),
    purgedAt: expect.stringMatching(INSTANT),
    purgedBy: 'anonymous',
    reason: null,
    object: null,
    commandId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    position: expect.stringMatching(POSITION),
    warnings: [],
    ...expected,
  });
  expect(receipt.purgedAt >= receipt.requestedAt).toBe(true);
};

describe('a plain record', () => {
  it.each(['', '?permanent=true'])('DELETE%s: purged; the call waits for it: 200 purged', async (query) => {
    for (const registry of ['labels', 'users', 'transforms', 'runs']) {
      const record = await register(registry, { name: 'x' });
      const answer = await call('DELETE', at(record) + query);
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({ outcome: 'purged', record: null, warnings: [] });
      expectReceipt(answer.body.receipt, record, {});
      expect(await typesOf(record)).toEqual(['RecordRegistered', 'RecordPurgeRequested', 'RecordPurged']);
      await expectGone(record, answer.headers.get('x-position'));
    }
  });

  it('DELETE with Prefer: wait=0: 202 purging, or 200 where it has ended by then', async () => {
    const record = await register('labels');
    const answer = await call('DELETE', at(record), { headers: { prefer: 'wait=0' } });
    expect([`202 purging`, `200 purged`]).toContain(`${answer.status} ${answer.body.outcome}`);
    if (answer.status === 202) expect(answer.headers.get('location')).toBe(`/v1/purges/labels/${record.uid}`);
    const done = await until('the purge ends', async () => {
      const purge = await purgeOf(record);
      return purge.state === 'done' && purge;
    });
    expectReceipt(done.receipt, record, {});
  });

  it('DELETE ?permanent=false: refused: 422 not-trashable', async () => {
    const record = await register('labels');
    const answer = await appendsNothing(record, () => call('DELETE', `${at(record)}?permanent=false`));
    expectProblem(answer, 422, 'not-trashable');
    expect((await call('GET', at(record))).status).toBe(200);
  });

  it('DELETE ?storage=: there is no object, and so it changes nothing', async () => {
    const record = await register('labels');
    const answer = await call('DELETE', `${at(record)}?storage=delete`);
    expect(answer.body.outcome).toBe('purged');
    expect(answer.body.receipt.object).toBeNull();
  });

  it.each(['', '&permanent=true'])(
    'DELETE ?dryRun=true%s: 200 with the outcome and the preview, appends nothing',
    async (query) => {
      const record = await register('labels');
      const answer = await appendsNothing(record, () => call('DELETE', `${at(record)}?dryRun=true${query}`));
      expect(answer.status).toBe(200);
      expect(answer.body).toEqual({
        outcome: 'purging',
        record: null,
        warnings: [],
        dryRun: true,
        preview: noObject(record),
      });
      expect((await call('GET', at(record))).status).toBe(200);
    },
  );

  it('DELETE ?dryRun=true&permanent=false: the refusal', async () => {
    const record = await register('labels');
    const answer = await appendsNothing(record, () => call('DELETE', `${at(record)}?dryRun=true&permanent=false`));
    expectProblem(answer, 422, 'not-trashable');
  });
});

describe.each([1, 0])('a trashable record of visibility %i', (visibility) => {
  it.each(['', '?permanent=false'])(
    'DELETE%s: RecordTrashed; visibility −1; the object stays: 200 trashed',
    async (query) => {
      const record = await file({ visibility });
      const answer = await call('DELETE', at(record) + query, { headers: { 'x-actor': 'alice' } });
      expect(answer.status).toBe(200);
      expect(answer.body).toEqual({
        outcome: 'trashed',
        record: {
          ...record,
          visibility: -1,
          updatedAt: expect.stringMatching(INSTANT),
          trashedAt: expect.stringMatching(INSTANT),
          trashedBy: 'alice',
          reason: null,
          purgeAfter: null,
          isLatest: expect.any(Boolean),
          revision: 1,
        },
        warnings: [],
      });
      const last = (await historyOf(record)).at(-1);
      expect(last).toMatchObject({
        type: 'RecordTrashed',
        revision: 1,
        actor: 'alice',
        data: { from: visibility, purgeAfter: null },
      });
      expect(await readFile(objectOf(record), 'utf8')).toMatch(/^content/);
      expect(await uidsOf('files', '')).not.toContain(record.uid);
      expect(await uidsOf('files', 'visibility=0')).not.toContain(record.uid);
      expect(await uidsOf('files', 'visibility=-1')).toContain(record.uid);
      expect((await call('GET', at(record))).body).toEqual(answer.body.record);
    },
  );

  it.each(['keep', 'delete'])('DELETE ?storage=%s: has no meaning yet and is named in warnings', async (storage) => {
    const record = await file({ visibility });
    const answer = await call('DELETE', `${at(record)}?storage=${storage}`);
    expect(answer.status).toBe(200);
    expect(answer.body.outcome).toBe('trashed');
    expect(answer.body.warnings).toEqual([{ code: 'storage-ignored', message: expect.stringContaining('storage=') }]);
    expect(existsSync(objectOf(record))).toBe(true);
  });

  it('DELETE ?dryRun=true: 200 with the outcome and the preview, appends nothing', async () => {
    const record = await file({ visibility });
    const answer = await appendsNothing(record, () => call('DELETE', `${at(record)}?dryRun=true&storage=delete`));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ outcome: 'trashed', dryRun: true });
    expect(answer.body.preview).toMatchObject({ registry: 'files', uid: record.uid, revision: 0 });
    expect(answer.body.warnings).toMatchObject([{ code: 'storage-ignored' }]);
    expect((await call('GET', at(record))).body.visibility).toBe(visibility);
  });

  it('POST …/restore after it was trashed: back to the visibility it had before: 200 restored', async () => {
    const record = await trashed({ visibility });
    const answer = await call('POST', `${at(record)}/restore`);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      outcome: 'restored',
      record: { visibility, trashedAt: null, trashedBy: null, reason: null, purgeAfter: null, revision: 2 },
      warnings: [],
    });
    expect((await historyOf(record)).at(-1)).toMatchObject({ type: 'RecordRestored', data: { to: visibility } });
    expect(await uidsOf('files', '')).toEqual(
      visibility === 1 ? expect.arrayContaining([record.uid]) : expect.not.arrayContaining([record.uid]),
    );
    expect(await uidsOf('files', `visibility=${visibility}`)).toContain(record.uid);
  });

  it('POST …/restore while it is not in the trash: 200 unchanged', async () => {
    const record = await file({ visibility });
    const answer = await appendsNothing(record, () => call('POST', `${at(record)}/restore`));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ outcome: 'unchanged', record: { visibility, revision: 0 } });
  });
});

describe('a dataset', () => {
  it('DELETE: it is trashed as a file is; its files are untouched', async () => {
    const one = await file();
    const dataset = await register('datasets', { name: 'both', files: [one.uid] });
    const answer = await call('DELETE', at(dataset));
    expect(answer.body).toMatchObject({ outcome: 'trashed', record: { registry: 'datasets', visibility: -1 } });
    expect((await call('GET', at(one))).body).toEqual(one);
    expect((await call('POST', `${at(dataset)}/restore`)).body.record).toMatchObject({
      visibility: 1,
      files: [one.uid],
    });
  });

  it('DELETE ?permanent=true under Prefer: wait: 200 purged; its files stay', async () => {
    const one = await file();
    const dataset = await register('datasets', { files: [one.uid] });
    const answer = await call('DELETE', `${at(dataset)}?permanent=true`, { headers: ENDED });
    expect(answer.body.outcome).toBe('purged');
    expectReceipt(answer.body.receipt, dataset, {});
    await expectGone(dataset, answer.headers.get('x-position'));
    expect((await call('GET', at(one))).body).toEqual(one);
  });
});

describe('a record in the trash', () => {
  it('DELETE: nothing: it needs a yes: 409 confirmation-required, with preview', async () => {
    const record = await trashed();
    const answer = await appendsNothing(record, () => call('DELETE', at(record)));
    expectProblem(answer, 409, 'confirmation-required');
    expect(answer.body.title).toBe('Confirmation required');
    expect(answer.body.preview).toEqual(virtualPreview(record, 1));
    expect(existsSync(objectOf(record))).toBe(true);
  });

  it('DELETE of one with a semantic key: the preview says what is kept and why, and what storage= would do', async () => {
    const record = await trash(await lying('lab'));
    const previewWith = async (query: string): Promise<Row> => {
      const answer = await call('DELETE', at(record) + query);
      expectProblem(answer, 409, 'confirmation-required');
      return answer.body.preview.object;
    };
    const { storage, path, size: bytes } = record;
    const object = { storage, path, objects: 1, bytes, sharedWith: [] };
    expect(await previewWith('')).toEqual({ ...object, fate: 'keep', why: 'semantic-key' });
    expect(await previewWith('?storage=keep')).toEqual({ ...object, fate: 'keep', why: 'asked' });
    expect(await previewWith('?storage=delete')).toEqual({ ...object, fate: 'delete', why: 'asked' });
  });

  it('DELETE of a dataset: the preview has no object', async () => {
    const dataset = await trash(await register('datasets'));
    const answer = await call('DELETE', at(dataset));
    expectProblem(answer, 409, 'confirmation-required');
    expect(answer.body.preview).toEqual(noObject(dataset));
  });

  it('DELETE ?dryRun=true: the refusal', async () => {
    const record = await trashed();
    const answer = await appendsNothing(record, () => call('DELETE', `${at(record)}?dryRun=true`));
    expectProblem(answer, 409, 'confirmation-required');
    expect(answer.body.preview).toEqual(virtualPreview(record, 1));
  });

  it('DELETE ?permanent=false: nothing: 200 unchanged', async () => {
    const record = await trashed();
    const answer = await appendsNothing(record, () => call('DELETE', `${at(record)}?permanent=false`));
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ outcome: 'unchanged', record, warnings: [] });
    expect(answer.headers.get('etag')).toBe('"1"');
  });

  it('DELETE ?permanent=false&dryRun=true: 200 unchanged', async () => {
    const record = await trashed();
    const answer = await appendsNothing(record, () => call('DELETE', `${at(record)}?permanent=false&dryRun=true`));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      outcome: 'unchanged',
      dryRun: true,
      preview: { uid: record.uid, revision: 1 },
    });
  });

  it('DELETE with If-Match of the preview: purges just what one saw, and nothing else', async () => {
    const record = await trashed();
    const { preview } = (await call('DELETE', at(record))).body;
    await call('PATCH', at(record), { json: { description: 'changed since' } });
    const headers = { ...ENDED, 'if-match': `"${preview.revision}"` };
    const stale = await appendsNothing(record, () => call('DELETE', `${at(record)}?permanent=true`, { headers }));
    expectProblem(stale, 412, 'revision-changed');
    const again = (await call('DELETE', at(record))).body.preview;
    expect(again.revision).toBe(2);
    const fresh = { ...ENDED, 'if-match': `"${again.revision}"` };
    expect((await call('DELETE', `${at(record)}?permanent=true`, { headers: fresh })).body.outcome).toBe('purged');
  });
});

describe('a trashable record that is not yet purged', () => {
  const STATES: readonly (readonly [string, () => Promise<Row>])[] = [
    ['visible', () => file()],
    ['hidden', () => file({ visibility: 0 })],
    ['in the trash', () => trashed()],
  ];

  it.each(STATES)('%s | DELETE ?permanent=true under Prefer: wait: 200 purged with its receipt', async (_, make) => {
    const record = await make();
    const headers = { ...ENDED, 'x-actor': 'bob' };
    const answer = await call('DELETE', `${at(record)}?permanent=true&reason=no%20longer%20needed`, { headers });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ outcome: 'purged', record: null, warnings: [] });
    const { object } = virtualPreview(record, 0) as { object: object };
    expectReceipt(answer.body.receipt, record, {
      purgedBy: 'bob',
      reason: 'no longer needed',
      object: { ...object, fate: 'deleted' },
    });
    expect((await typesOf(record)).slice(Number(record.revision) + 1)).toEqual([
      'RecordPurgeRequested',
      'ObjectDeletionStarted',
      'ObjectDeleted',
      'RecordPurged',
    ]);
    const [request] = (await historyOf(record)).slice(Number(record.revision) + 1);
    expect(request).toMatchObject({ actor: 'bob', reason: 'no longer needed', data: { storage: null } });
    expect(request.commandId).toBe(answer.body.receipt.commandId);
    await expectGone(record, answer.headers.get('x-position'));
    expect(existsSync(objectOf(record))).toBe(false);
  });

  it('DELETE ?permanent=true: RecordPurgeRequested; gone from every query at or past X-Position: 202 purging', async () => {
    const { record, answer, end } = await purging();
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/v1/purges/files/${record.uid}`);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(answer.body).toEqual({
      outcome: 'purging',
      record: null,
      purge: {
        registry: 'files',
        uid: record.uid,
        state: expect.stringMatching(/^(pending|failed)$/),
        requestedAt: expect.stringMatching(INSTANT),
        requestedBy: 'anonymous',
        reason: null,
        storage: 'delete',
        attempts: expect.any(Number),
        error: answer.body.purge.error,
        nextTryAt: answer.body.purge.nextTryAt,
        by: [],
        operation: null,
        receipt: null,
      },
      warnings: [],
    });
    const requested = (await historyOf(record)).find(({ type }) => type === 'RecordPurgeRequested');
    expect(answer.headers.get('x-position')).toBe(requested.position);
    await expectGone(record, answer.headers.get('x-position'));
    const location = answer.headers.get('location') ?? '';
    expect((await call('GET', location)).body).toMatchObject({ state: 'failed', attempts: 1, receipt: null });
    await end();
    expect((await call('GET', location)).body).toMatchObject({ state: 'done', receipt: { uid: record.uid } });
    expect(await typesOf(record)).toEqual([
      'RecordRegistered',
      'RecordPurgeRequested',
      'ObjectDeletionFailed',
      'RecordPurgeRetried',
      'ObjectDeletionStarted',
      'ObjectDeleted',
      'RecordPurged',
    ]);
  });

  it('DELETE ?permanent=true under a Prefer: wait that is over before it ends: 202 purging', async () => {
    const { record, end } = await purging();
    const answer = await call('DELETE', `${at(record)}?permanent=true`, { headers: { prefer: 'wait=1' } });
    expect(answer.status).toBe(202);
    expect(answer.body.purge.state).toBe('failed');
    await end();
  });

  it.each(STATES)(
    '%s | DELETE ?permanent=true&dryRun=true: 200 with the outcome and the preview, appends nothing',
    async (_, make) => {
      const record = await make();
      const answer = await appendsNothing(record, () => call('DELETE', `${at(record)}?permanent=true&dryRun=true`));
      expect(answer.status).toBe(200);
      expect(answer.body).toEqual({
        outcome: 'purging',
        record: null,
        warnings: [],
        dryRun: true,
        preview: virtualPreview(record, record.revision),
      });
      const kept = await call('DELETE', `${at(record)}?permanent=true&dryRun=true&storage=keep`);
      expect(kept.body.preview.object).toMatchObject({ fate: 'keep', why: 'asked' });
      expect((await call('GET', at(record))).body).toEqual(record);
      expect(existsSync(objectOf(record))).toBe(true);
    },
  );
});

describe('a record that is purging or purged', () => {
  const SWITCHES = [
    '',
    '?permanent=true',
    '?permanent=false',
    '?permanent=true&reason=again',
    '?dryRun=true',
    '?permanent=true&dryRun=true',
  ];

  it('purging | DELETE, any switches: nothing: 202, the outcome as it stands', async () => {
    const { record, end } = await purging();
    for (const query of SWITCHES) {
      const answer = await appendsNothing(record, () => call('DELETE', at(record) + query));
      expect(answer.status, query).toBe(202);
      expect(answer.body, query).toMatchObject({
        outcome: 'purging',
        record: null,
        purge: { state: 'failed', reason: null },
        warnings: [],
      });
      expect(answer.headers.get('location')).toBe(`/v1/purges/files/${record.uid}`);
    }
    await end();
  });

  it('purged | DELETE, any switches: nothing: 200, the outcome as it stands', async () => {
    const record = await file();
    const receipt = await purged(record);
    for (const query of SWITCHES) {
      const answer = await appendsNothing(record, () => call('DELETE', at(record) + query));
      expect(answer.status, query).toBe(200);
      expect(answer.body, query).toMatchObject({ outcome: 'purged', record: null, receipt, warnings: [] });
    }
  });

  it('a plain one that is purged | DELETE, any switches: 200, the outcome as it stands', async () => {
    const record = await register('labels');
    await purged(record);
    for (const query of SWITCHES) {
      const answer = await appendsNothing(record, () => call('DELETE', at(record) + query));
      expect(`${answer.status} ${answer.body.outcome}`, query).toBe('200 purged');
    }
  });

  it('DELETE with a storage= other than the first: it is named in warnings', async () => {
    const { record, end } = await purging('permanent=true&storage=delete');
    const other = await appendsNothing(record, () => call('DELETE', `${at(record)}?permanent=true&storage=keep`));
    expect(other.status).toBe(202);
    expect(other.body.warnings).toEqual([
      { code: 'storage-ignored', message: expect.stringContaining('storage=delete') },
    ]);
    const same = await call('DELETE', `${at(record)}?permanent=true&storage=delete`);
    expect(same.body.warnings).toEqual([]);
    const withoutPermanent = await call('DELETE', `${at(record)}?storage=keep`);
    expect(withoutPermanent.body.warnings).toMatchObject([{ code: 'storage-ignored' }]);
    await end();
    const after = await call('DELETE', `${at(record)}?storage=keep`);
    expect(after.status).toBe(200);
    expect(after.body.receipt.object).toMatchObject({ fate: 'deleted', why: 'asked' });
    expect(after.body.warnings).toMatchObject([{ code: 'storage-ignored' }]);
  });

  it('DELETE with a storage= where the first had none: it is named in warnings', async () => {
    const record = await file();
    await purged(record);
    const answer = await call('DELETE', `${at(record)}?permanent=true&storage=keep`);
    expect(answer.status).toBe(200);
    expect(answer.body.warnings).toEqual([
      { code: 'storage-ignored', message: expect.stringContaining('no storage=') },
    ]);
  });

  it('while purging, GET, PATCH, restore and hold answer 410 with tombstone.state "purging"', async () => {
    const { record, end } = await purging();
    const calls: readonly (readonly [string, string, RequestOptions?])[] = [
      ['GET', ''],
      ['GET', '/content'],
      ['GET', '/content?visibility=any'],
      ['GET', '/objects'],
      ['PATCH', '', { json: { description: 'late' } }],
      ['POST', '/restore'],
      ['PUT', '/hold', { json: { reason: 'late' } }],
      ['DELETE', '/hold'],
    ];
    for (const [method, path, options] of calls) {
      const answer = await appendsNothing(record, () => call(method, at(record) + path, options));
      expectProblem(answer, 410, 'purged');
      expect(answer.body.tombstone, `${method} ${path}`).toEqual({
        registry: 'files',
        uid: record.uid,
        state: 'purging',
        key: record.key,
        revision: 2,
        receipt: null,
      });
    }
    const head = await call('HEAD', at(record));
    expect(head.status).toBe(410);
    expect(head.headers.get('cache-control')).toBe('no-store');
    expect((await call('GET', `${at(record)}/history`)).status).toBe(200);
    await end();
  });

  it('after the purge, GET, PATCH, restore and hold answer 410 with tombstone.state "purged" and the receipt', async () => {
    const record = await file({ key: 'sales/2026.bin' });
    const receipt = await purged(record);
    const calls: readonly (readonly [string, string, RequestOptions?])[] = [
      ['GET', ''],
      ['GET', '/content'],
      ['GET', '/objects'],
      ['PATCH', '', { json: { description: 'late' } }],
      ['POST', '/restore'],
      ['PUT', '/hold', { json: {} }],
      ['DELETE', '/hold'],
    ];
    for (const [method, path, options] of calls) {
      const answer = await appendsNothing(record, () => call(method, at(record) + path, options));
      expectProblem(answer, 410, 'purged');
      expect(answer.body.detail).toContain(`/v1/files/${record.uid}/history`);
      expect(answer.body.tombstone).toEqual({
        registry: 'files',
        uid: record.uid,
        state: 'purged',
        key: 'sales/2026.bin',
        revision: 4,
        receipt,
      });
    }
  });

  it('cannot be registered back into being: an upload of the same bytes is another record', async () => {
    const body = (): FormData => upload({ key: 'again.txt' }, 'the same bytes');
    const first = created(await call('POST', '/v1/files', { body: body() }));
    await purged(first);
    const second = created(await call('POST', '/v1/files', { body: body() }));
    expect(second.uid).not.toBe(first.uid);
    expectProblem(await call('GET', at(first)), 410, 'purged');
  });
});

describe('a record that never existed', () => {
  it.each(['files', 'datasets', 'labels'])(
    '%s | DELETE, any switches, and every other command: 404 not-found',
    async (registry) => {
      const record = { registry, uid: NEVER };
      const before = (await call('GET', '/v1/users?limit=1')).body.position;
      for (const query of [
        '',
        '?permanent=true',
        '?permanent=false',
        '?dryRun=true',
        '?permanent=true&storage=delete',
      ]) {
        expectProblem(await call('DELETE', at(record) + query), 404, 'not-found');
      }
      expectProblem(await call('GET', at(record)), 404, 'not-found');
      expectProblem(await call('GET', `${at(record)}/history`), 404, 'not-found');
      expectProblem(await call('PATCH', at(record), { json: { description: 'x' } }), 404, 'not-found');
      expectProblem(await call('POST', `${at(record)}/restore`), 404, 'not-found');
      expectProblem(await call('PUT', `${at(record)}/hold`, { json: { reason: 'x' } }), 404, 'not-found');
      expectProblem(await call('DELETE', `${at(record)}/hold`), 404, 'not-found');
      expectProblem(await call('GET', `/v1/purges/${registry}/${NEVER}`), 404, 'not-found');
      expectProblem(await call('POST', `/v1/purges/${registry}/${NEVER}/retry`), 404, 'not-found');
      expect((await call('GET', '/v1/users?limit=1')).body.position).toBe(before);
    },
  );

  it('what is no uid, and what is no registry: 404 not-found', async () => {
    expectProblem(await call('DELETE', '/v1/files/short'), 404, 'not-found');
    expectProblem(await call('DELETE', `/v1/nothings/${NEVER}`), 404, 'not-found');
    const label = await register('labels');
    expectProblem(await call('DELETE', `/v1/files/${label.uid}`), 404, 'not-found');
  });
});

describe('what a DELETE takes', () => {
  it('reason is a query parameter of up to 1,000 characters: in the event, and on the record in the trash', async () => {
    const record = await file();
    const reason = 'é'.repeat(1_000);
    const answer = await call('DELETE', `${at(record)}?reason=${encodeURIComponent(reason)}`);
    expect(answer.body.record.reason).toBe(reason);
    expect((await historyOf(record)).at(-1).reason).toBe(reason);
    expect((await call('POST', `${at(record)}/restore`)).body.record.reason).toBeNull();
  });

  it('a longer reason: 422 invalid', async () => {
    const record = await file();
    const answer = await appendsNothing(record, () => call('DELETE', `${at(record)}?reason=${'x'.repeat(1_001)}`));
    expectProblem(answer, 422, 'invalid');
    expect(answer.body.errors).toEqual([{ path: '?reason', message: expect.any(String) }]);
  });

  it.each([
    ['a body', { json: { reason: 'x' } }],
    ['an empty object', { json: {} }],
    ['a body of another type', { body: 'x', headers: { 'content-type': 'text/plain' } }],
  ])('%s: 400 malformed', async (_, options) => {
    const record = await file();
    for (const query of ['', '?permanent=true', '?dryRun=true']) {
      expectProblem(await appendsNothing(record, () => call('DELETE', at(record) + query, options)), 400, 'malformed');
    }
  });

  it.each([
    ['?permanent=yes', '?permanent'],
    ['?permanent=', '?permanent'],
    ['?storage=shred', '?storage'],
    ['?dryRun=1', '?dryRun'],
    ['?force=true', '?force'],
    ['?permanent=true&permanent=true', '?permanent'],
  ])('%s: 422 invalid, naming the parameter', async (query, path) => {
    const record = await file();
    const answer = await appendsNothing(record, () => call('DELETE', at(record) + query));
    expectProblem(answer, 422, 'invalid');
    expect(answer.body.errors).toEqual([{ path, message: expect.any(String) }]);
  });
});

describe('restore', () => {
  it('in the trash: 200 restored; twice: 200 unchanged', async () => {
    const record = await trashed();
    expect((await call('POST', `${at(record)}/restore?reason=mistake`)).body.outcome).toBe('restored');
    expect((await historyOf(record)).at(-1)).toMatchObject({ type: 'RecordRestored', reason: 'mistake' });
    const again = await appendsNothing(record, () => call('POST', `${at(record)}/restore`));
    expect(again.body.outcome).toBe('unchanged');
  });

  it('a record that was hidden before it was trashed twice stays hidden', async () => {
    const record = await file({ visibility: 0 });
    for (let times = 0; times < 2; times += 1) {
      await trash(record);
      expect((await call('POST', `${at(record)}/restore`)).body.record.visibility).toBe(0);
    }
  });

  it('on a plain record: 200 unchanged', async () => {
    const record = await register('labels');
    const answer = await appendsNothing(record, () => call('POST', `${at(record)}/restore`));
    expect(answer.body).toEqual({ outcome: 'unchanged', record, warnings: [] });
  });

  it('purged: 410', async () => {
    const record = await file();
    await purged(record);
    expectProblem(await call('POST', `${at(record)}/restore`), 410, 'purged');
  });
});

describe('hold', () => {
  const hold = async (record: Row, reason: string | null): Promise<Answer> =>
    call('PUT', `${at(record)}/hold`, { json: { reason } });

  it('PUT …/hold: 200 held, with reason, actor and time', async () => {
    const record = await file();
    const answer = await call('PUT', `${at(record)}/hold`, {
      json: { reason: 'audit 2026' },
      headers: { 'x-actor': 'carol' },
    });
    expect(answer.status).toBe(200);
    expect(answer.body.outcome).toBe('held');
    expect(answer.body.record.hold).toEqual({ reason: 'audit 2026', by: 'carol', at: expect.stringMatching(INSTANT) });
    expect(answer.body.record.updatedAt).toBe(answer.body.record.hold.at);
    expect((await historyOf(record)).at(-1)).toMatchObject({
      type: 'RecordHeld',
      reason: 'audit 2026',
      actor: 'carol',
    });
  });

  it('PUT again with the same reason: 200 unchanged; with another: 200 held', async () => {
    const record = await file();
    await hold(record, 'one');
    expect((await appendsNothing(record, () => hold(record, 'one'))).body.outcome).toBe('unchanged');
    const other = await hold(record, 'two');
    expect(other.body).toMatchObject({ outcome: 'held', record: { hold: { reason: 'two' } } });
  });

  it('a held record can be trashed and restored, but not purged: 409 on-hold; released, it can', async () => {
    const record = await file();
    await hold(record, 'audit');
    await trash(record);
    for (const query of ['', '?permanent=true', '?permanent=true&dryRun=true', '?permanent=true&storage=keep']) {
      const answer = await appendsNothing(record, () => call('DELETE', at(record) + query));
      expectProblem(answer, 409, 'on-hold');
      expect(answer.body.detail).toContain('audit');
    }
    const unchanged = await call('DELETE', `${at(record)}?permanent=false`);
    expect(unchanged.body.outcome).toBe('unchanged');
    expect((await call('POST', `${at(record)}/restore`)).body.record).toMatchObject({
      visibility: 1,
      hold: { reason: 'audit' },
    });
    expectProblem(await call('DELETE', `${at(record)}?permanent=true`), 409, 'on-hold');
    const released = await call('DELETE', `${at(record)}/hold?reason=over`);
    expect(released.status).toBe(200);
    expect(released.body).toMatchObject({ outcome: 'released', record: { hold: null } });
    expect((await historyOf(record)).at(-1)).toMatchObject({ type: 'RecordHoldReleased', reason: 'over' });
    await purged(record);
  });

  it('a held plain record cannot be purged either', async () => {
    const record = await register('labels');
    await hold(record, null);
    expectProblem(await call('DELETE', at(record)), 409, 'on-hold');
    expect((await call('DELETE', `${at(record)}/hold`)).body.outcome).toBe('released');
    await purged(record);
  });

  it('DELETE …/hold where there is none: 200 unchanged', async () => {
    const record = await file();
    expect((await appendsNothing(record, () => call('DELETE', `${at(record)}/hold`))).body.outcome).toBe('unchanged');
  });
});

describe('references', () => {
  const expectReferenced = async (record: Row, by: Row[]): Promise<void> => {
    for (const query of ['?permanent=true', '?permanent=true&dryRun=true']) {
      const answer = await appendsNothing(record, () => call('DELETE', at(record) + query));
      expectProblem(answer, 409, 'referenced');
      expect(answer.body.count).toBe(by.length);
      expect(answer.body.by).toEqual(expect.arrayContaining(by.map(({ registry, uid }) => ({ registry, uid }))));
      expect(answer.body.by).toHaveLength(Math.min(by.length, 100));
    }
  };

  it('a file in a live dataset, in the trash too, cannot be purged: 409 referenced; once the dataset is purged, it can', async () => {
    const one = await file();
    const dataset = await register('datasets', { files: [one.uid] });
    await expectReferenced(one, [dataset]);
    await trash(dataset);
    await expectReferenced(one, [dataset]);
    await purged(dataset);
    await purged(one);
  });

  it('a label, run, transform or storage of a file or dataset cannot be purged: 409 referenced', async () => {
    const [label, run, transform] = await Promise.all(
      ['labels', 'runs', 'transforms'].map((registry) => register(registry)),
    );
    const storage = await register('storages', { name: 'inner', data: { root: `file:${join(disk, 'lab/inner')}` } });
    await mkdir(join(disk, 'lab/inner'));
    const pointing = await file({ labels: [label.uid], run: run.uid, transform: transform.uid, storage: 'inner' });
    const dataset = await register('datasets', { labels: [label.uid], run: run.uid });
    await expectReferenced(label, [pointing, dataset]);
    await expectReferenced(run, [pointing, dataset]);
    await expectReferenced(transform, [pointing]);
    await expectReferenced(storage, [pointing]);
    expectProblem(await call('DELETE', at(label)), 409, 'referenced');
    await call('PATCH', at(dataset), { json: { labels: [], run: null } });
    await purged(pointing);
    for (const record of [label, run, transform, storage]) await purged(record);
  });

  it('the refusal names the first 100, and the count', async () => {
    const label = await register('labels');
    const pointing = await Promise.all(
      Array.from({ length: 101 }, () => register('datasets', { labels: [label.uid] })),
    );
    const answer = await call('DELETE', at(label));
    expectProblem(answer, 409, 'referenced');
    expect(answer.body.count).toBe(101);
    expect(answer.body.by).toHaveLength(100);
    const known = new Set(pointing.map(({ uid }) => uid));
    expect(answer.body.by.every(({ registry, uid }: Row) => registry === 'datasets' && known.has(uid))).toBe(true);
  });

  it('nothing can point to what is purging or purged: 409 conflict, naming it', async () => {
    const { record, end } = await purging();
    const early = await call('POST', '/v1/datasets', { json: { files: [record.uid] } });
    expectProblem(early, 409, 'conflict');
    expect(early.body.detail).toContain(`files/${record.uid}`);
    await end();
    const label = await register('labels');
    await purged(label);
    expectProblem(await call('POST', '/v1/datasets', { json: { labels: [label.uid] } }), 409, 'conflict');
    const dataset = await register('datasets');
    expectProblem(await call('PATCH', at(dataset), { json: { files: [record.uid] } }), 409, 'conflict');
  });
});

describe('versions', () => {
  const latest = async (...records: Row[]): Promise<boolean[]> =>
    Promise.all(records.map(async (record) => (await call('GET', at(record))).body.isLatest));

  it('trashing, hiding, purging and restoring elect the latest again', async () => {
    const first = await file({ version: '1' });
    const second = await file({ version: '2', initialVersion: first.uid });
    const third = await file({ version: '3', initialVersion: first.uid });
    expect(await latest(first, second, third)).toEqual([false, false, true]);
    await trash(third);
    expect(await latest(first, second, third)).toEqual([false, true, false]);
    await call('PATCH', at(second), { json: { visibility: 0 } });
    expect(await latest(first, second, third)).toEqual([true, false, false]);
    await call('POST', `${at(third)}/restore`);
    expect(await latest(first, second, third)).toEqual([false, false, true]);
    await purged(third);
    expect(await latest(first, second)).toEqual([true, false]);
    await trash(first);
    expect(await latest(first, second)).toEqual([false, false]);
  });

  it('the initial version cannot be purged while live others of its line exist: 409 referenced', async () => {
    const first = await register('datasets');
    const second = await register('datasets', { initialVersion: first.uid });
    await trash(second);
    const answer = await call('DELETE', `${at(first)}?permanent=true`);
    expectProblem(answer, 409, 'referenced');
    expect(answer.body.by).toEqual([{ registry: 'datasets', uid: second.uid }]);
    await purged(second);
    await purged(first);
  });

  it('an initialVersion that is not a first one: 422 invalid', async () => {
    const first = await register('datasets');
    const second = await register('datasets', { initialVersion: first.uid });
    const answer = await call('POST', '/v1/datasets', { json: { initialVersion: second.uid } });
    expectProblem(answer, 422, 'invalid');
    expect(answer.body.errors).toMatchObject([{ path: '/initialVersion' }]);
  });
});

describe('refusals come in this order', () => {
  const permanent = (record: Row, query = '', headers: Record<string, string> = {}): Promise<Answer> =>
    call('DELETE', `${at(record)}?permanent=true${query}`, { headers });
  const STALE = { 'if-match': '"99"' };

  it('invalid before not-found', async () => {
    expectProblem(await call('DELETE', `/v1/files/${NEVER}?permanent=maybe`), 422, 'invalid');
    expectProblem(await call('PATCH', `/v1/files/${NEVER}`, { json: { size: 1 } }), 422, 'invalid');
  });

  it('not-found before revision-changed', async () => {
    expectProblem(await permanent({ registry: 'files', uid: NEVER }, '', STALE), 404, 'not-found');
  });

  it('a repeated idempotency key answers before purged and before revision-changed', async () => {
    const record = await file();
    const headers = { 'idempotency-key': 'trash it' };
    const first = await call('DELETE', at(record), { headers: { ...headers, 'if-match': '"0"' } });
    expect(first.body.outcome).toBe('trashed');
    const stale = await call('DELETE', at(record), { headers: { ...headers, ...STALE } });
    expect(stale.body).toEqual(first.body);
    const restoring = { headers: { 'idempotency-key': 'restore it' } };
    const restored = await call('POST', `${at(record)}/restore`, restoring);
    await purged(record);
    const repeat = await call('DELETE', at(record), { headers });
    expect(repeat.status).toBe(200);
    expect(repeat.body).toEqual(first.body);
    expect(repeat.headers.get('idempotent-replayed')).toBe('true');
    expect((await call('POST', `${at(record)}/restore`, restoring)).body).toEqual(restored.body);
    expectProblem(await call('POST', `${at(record)}/restore`), 410, 'purged');
  });

  it('purged before revision-changed', async () => {
    const record = await file();
    await purged(record);
    expectProblem(await call('POST', `${at(record)}/restore`, { headers: STALE }), 410, 'purged');
    expectProblem(await call('PATCH', at(record), { json: {}, headers: STALE }), 410, 'purged');
    expect((await permanent(record, '', STALE)).body.outcome).toBe('purged');
  });

  it('revision-changed before on-hold', async () => {
    const record = await file();
    await call('PUT', `${at(record)}/hold`, { json: {} });
    expectProblem(await permanent(record, '', STALE), 412, 'revision-changed');
    expectProblem(await permanent(record, '&dryRun=true', STALE), 412, 'revision-changed');
  });

  it('on-hold before referenced', async () => {
    const record = await file();
    await register('datasets', { files: [record.uid] });
    await call('PUT', `${at(record)}/hold`, { json: {} });
    expectProblem(await permanent(record), 409, 'on-hold');
    await call('DELETE', `${at(record)}/hold`);
    expectProblem(await permanent(record), 409, 'referenced');
  });

  it('referenced before foreign-storage', async () => {
    const record = await lying('public');
    const dataset = await register('datasets', { files: [record.uid] });
    expectProblem(await permanent(record, '&storage=delete'), 409, 'referenced');
    await purged(dataset);
    expectProblem(await permanent(record, '&storage=delete'), 409, 'foreign-storage');
  });

  it('on-hold, referenced and foreign-storage before confirmation-required', async () => {
    const record = await trash(await lying('public'));
    const dataset = await register('datasets', { files: [record.uid] });
    await call('PUT', `${at(record)}/hold`, { json: {} });
    const ask = (query = ''): Promise<Answer> => appendsNothing(record, () => call('DELETE', `${at(record)}${query}`));
    expectProblem(await ask(), 409, 'on-hold');
    await call('DELETE', `${at(record)}/hold`);
    expectProblem(await ask(), 409, 'referenced');
    await purged(dataset);
    expectProblem(await ask('?storage=delete'), 409, 'foreign-storage');
    expectProblem(await ask('?storage=delete&dryRun=true'), 409, 'foreign-storage');
    expectProblem(await ask(), 409, 'confirmation-required');
  });

  it('revision-changed before confirmation-required', async () => {
    const record = await trashed();
    expectProblem(await call('DELETE', at(record), { headers: STALE }), 412, 'revision-changed');
    expectProblem(await call('DELETE', `${at(record)}?permanent=false`, { headers: STALE }), 412, 'revision-changed');
  });
});

describe('the headers of every answer', () => {
  it('a command answers with ETag of the new revision, X-Position of its event, and the correlation id', async () => {
    const record = await file();
    const headers = { 'x-correlation-id': 'cleaning up 7' };
    const steps: readonly (readonly [string, string, object?])[] = [
      ['DELETE', ''],
      ['POST', '/restore'],
      ['PATCH', '', { description: 'x' }],
      ['PUT', '/hold', { reason: 'x' }],
      ['DELETE', '/hold'],
    ];
    let revision = 0;
    for (const [method, path, json] of steps) {
      revision += 1;
      const answer = await call(method, at(record) + path, json === undefined ? { headers } : { json, headers });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('etag')).toBe(`"${revision}"`);
      expect(answer.body.record.revision).toBe(revision);
      expect(answer.headers.get('x-correlation-id')).toBe('cleaning up 7');
      const last = (await historyOf(record)).at(-1);
      expect(last).toMatchObject({
        revision,
        correlationId: 'cleaning up 7',
        position: answer.headers.get('x-position'),
      });
    }
    const purge = await call('DELETE', `${at(record)}?permanent=true`, { headers: { ...headers, ...ENDED } });
    expect(purge.headers.get('etag')).toMatch(/^"\d+"$/);
    const events = await historyOf(record);
    expect(events.every(({ correlationId, revision: own }) => own === 0 || correlationId === 'cleaning up 7')).toBe(
      true,
    );
  });

  it('without X-Correlation-Id each request gets one of its own', async () => {
    const record = await file();
    const [one, two] = [await call('GET', at(record)), await call('GET', at(record))];
    expect(one.headers.get('x-correlation-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(one.headers.get('x-correlation-id')).not.toBe(two.headers.get('x-correlation-id'));
  });

  it('records and lists say no-cache and never answer 304', async () => {
    const record = await file();
    for (const path of [at(record), '/v1/files', `${at(record)}/history`, '/v1/trash', '/v1/purges', '/v1']) {
      const answer = await call('GET', path);
      expect(answer.headers.get('cache-control'), path).toBe('no-cache');
      const again = await call('GET', path, { headers: { 'if-none-match': answer.headers.get('etag') ?? '*' } });
      expect(again.status, path).toBe(200);
    }
  });

  it('HEAD of a record answers as GET does, without the body', async () => {
    const record = await file();
    const answer = await call('HEAD', at(record));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('etag')).toBe('"0"');
    expect(answer.body).toBe('');
    expect((await call('HEAD', `/v1/files/${NEVER}`)).status).toBe(404);
  });
});
