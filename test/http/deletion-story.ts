import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Place } from '../harness/places.js';
import { upload, type Answer, type RunningService } from '../harness/service.js';

/** The contract's file record, in its order. */
const COLUMNS = [
  'registry',
  'uid',
  'key',
  'keyIsVirtual',
  'path',
  'suffix',
  'accessor',
  'description',
  'version',
  'initialVersion',
  'isLatest',
  'size',
  'hash',
  'hashType',
  'objects',
  'storage',
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
];

const FIXTURE = new URL('../fixtures/mydf.parquet', import.meta.url);
const BYTES = 2111;
const MD5 = /^[A-Za-z0-9_-]{22}$/;
const UID = /^[0-9A-Za-z]{20}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** A running service with a storage `lab` beside `default`, and a look at the bytes in both. */
export interface StoryPlace {
  readonly service: RunningService;
  readonly objects: Place;
  readonly lab: Place;
  discard(): Promise<void>;
}

/** The whole story of deleting, from a registration to its tombstone, wherever the three stores are. */
export const deletionStory = (name: string, setUp: () => Promise<StoryPlace>): void => {
  describe(name, () => {
    let place: StoryPlace;
    let mydf: Buffer;

    beforeAll(async () => {
      mydf = await readFile(FIXTURE);
      place = await setUp();
      await place.lab.put('sales/2026.parquet', mydf);
    });

    afterAll(() => place.discard());

    const get = (path: string): Promise<Answer> => place.service.request('GET', path);
    const alice = { 'x-actor': 'alice' };

    const uidsOf = async (query: string): Promise<string[]> => {
      const answer = await get(`/v1/files?${query}`);
      expect(answer.status).toBe(200);
      return answer.body.items.map(({ uid }: { uid: string }) => uid);
    };

    /** Every query that could show the record. */
    const expectGone = async (uid: string, key: string | null): Promise<void> => {
      for (const visibility of [
        '',
        'visibility=1',
        'visibility=0',
        'visibility=-1',
        'visibility=1,0,-1',
        'visibility=any',
      ]) {
        expect(await uidsOf(visibility), visibility).not.toContain(uid);
        expect(await uidsOf(`${visibility}&uid=${uid}`), `${visibility}&uid=`).toEqual([]);
      }
      expect(await uidsOf(`visibility=any&uid[in]=${uid}`)).toEqual([]);
      expect((await get('/v1/trash')).body.items).toEqual([]);
      expect((await get('/v1/trash')).body.totals).toEqual({ records: 0, bytes: 0 });
      for (const path of [uid, `${uid}/content`, `${uid}/content?visibility=any`, `${uid}/objects`]) {
        const answer = await get(`/v1/files/${path}`);
        expect(answer.status, path).toBe(410);
        expect(answer.headers.get('cache-control')).toBe('no-store');
        expect(answer.body).toMatchObject({ type: 'urn:lethe:purged', code: 'purged', status: 410 });
        expect(answer.body.tombstone).toMatchObject({ registry: 'files', uid, state: 'purged', key });
      }
    };

    const typesOf = async (uid: string): Promise<string[]> => {
      const answer = await get(`/v1/files/${uid}/history`);
      expect(answer.status).toBe(200);
      return answer.body.items.map(({ type }: { type: string }) => type);
    };

    describe('the story of mydf: registered without a key', () => {
      let uid: string;
      let object: string;
      let registered: Record<string, unknown>;

      it('is registered from its bytes, with a description and no key', async () => {
        const body = upload({ description: 'mydf' }, mydf, 'mydf.parquet');
        const answer = await place.service.request('POST', '/v1/files', { body, headers: alice });
        expect(answer.status).toBe(201);
        expect(answer.body.outcome).toBe('created');
        expect(answer.body.warnings).toEqual([]);
        uid = answer.body.record.uid;
        expect(answer.headers.get('location')).toBe(`/v1/files/${uid}`);
        expect(answer.headers.get('etag')).toBe('"0"');
        expect(answer.headers.get('x-position')).toMatch(/^\d+$/);
        registered = answer.body.record;
      });

      it('is listed with every column of a file record', async () => {
        const answer = await get('/v1/files');
        expect(answer.body.next).toBeNull();
        expect(answer.body.items).toHaveLength(1);
        const [row] = answer.body.items;
        expect(Object.keys(row)).toEqual(COLUMNS);
        expect(row).toEqual(registered);
        const [storage] = (await get('/v1/storages?name=default')).body.items;
        expect(row).toEqual({
          registry: 'files',
          uid: expect.stringMatching(UID),
          key: null,
          keyIsVirtual: true,
          path: expect.stringMatching(new RegExp(`^\\.lethe/${uid}-[0-9A-Za-z]{6}\\.parquet$`)),
          suffix: '.parquet',
          accessor: null,
          description: 'mydf',
          version: null,
          initialVersion: null,
          isLatest: true,
          size: BYTES,
          hash: expect.stringMatching(MD5),
          hashType: 'md5',
          objects: 1,
          storage: storage.uid,
          transform: null,
          run: null,
          labels: [],
          visibility: 1,
          hold: null,
          createdBy: 'alice',
          createdAt: expect.stringMatching(INSTANT),
          updatedAt: row.createdAt,
          trashedAt: null,
          trashedBy: null,
          reason: null,
          purgeAfter: null,
          revision: 0,
        });
        object = row.path;
        expect(await place.objects.bytesAt(object)).toEqual(mydf);
      });

      it('is moved to the trash: no longer listed by default, listed as -1 with visibility=any, its bytes still there', async () => {
        const answer = await place.service.request('DELETE', `/v1/files/${uid}?reason=wrong%20upload`, {
          headers: alice,
        });
        expect(answer.status).toBe(200);
        expect(answer.body.outcome).toBe('trashed');
        expect(await uidsOf('')).toEqual([]);
        expect(await uidsOf(`uid=${uid}`)).toEqual([]);
        const [row] = (await get('/v1/files?visibility=any')).body.items;
        expect(Object.keys(row)).toEqual(COLUMNS);
        expect(row).toEqual({
          ...registered,
          visibility: -1,
          updatedAt: expect.stringMatching(INSTANT),
          trashedAt: expect.stringMatching(INSTANT),
          trashedBy: 'alice',
          reason: 'wrong upload',
          revision: 1,
        });
        expect((await get('/v1/trash')).body).toMatchObject({ items: [row], totals: { records: 1, bytes: BYTES } });
        expect(await place.objects.bytesAt(object)).toEqual(mydf);
      });

      it('is restored: listed with 1', async () => {
        const answer = await place.service.request('POST', `/v1/files/${uid}/restore`, { headers: alice });
        expect(answer.status).toBe(200);
        expect(answer.body.outcome).toBe('restored');
        const [row] = (await get('/v1/files')).body.items;
        expect(row).toEqual({ ...registered, updatedAt: expect.stringMatching(INSTANT), revision: 2 });
        expect(await uidsOf('visibility=-1')).toEqual([]);
      });

      it('is deleted permanently: gone from every query, and its object with it', async () => {
        const headers = { ...alice, prefer: 'wait=10' };
        const answer = await place.service.request('DELETE', `/v1/files/${uid}?permanent=true`, { headers });
        expect(answer.status).toBe(200);
        expect(answer.body).toMatchObject({ outcome: 'purged', record: null, warnings: [] });
        expect(answer.body.receipt.object).toEqual({
          storage: registered['storage'],
          path: registered['path'],
          fate: 'deleted',
          why: 'virtual-key',
          objects: 1,
          bytes: BYTES,
          sharedWith: [],
        });
        await expectGone(uid, null);
        expect(await place.objects.bytesAt(object)).toBeNull();
      });

      it('keeps its history and its tombstone', async () => {
        expect(await typesOf(uid)).toEqual([
          'RecordRegistered',
          'RecordTrashed',
          'RecordRestored',
          'RecordPurgeRequested',
          'ObjectDeletionStarted',
          'ObjectDeleted',
          'RecordPurged',
        ]);
        const { tombstone } = (await get(`/v1/files/${uid}`)).body;
        expect(tombstone).toMatchObject({ registry: 'files', uid, state: 'purged', key: null });
        expect(tombstone.receipt).toMatchObject({
          uid,
          purgedBy: 'alice',
          object: { fate: 'deleted', why: 'virtual-key' },
        });
      });
    });

    describe('the story of a semantic key: registered where it lies', () => {
      let uid: string;
      let registered: Record<string, unknown>;

      it('is registered by its path in a configured storage', async () => {
        const json = { path: 'sales/2026.parquet', storage: 'lab', description: 'sales' };
        const answer = await place.service.request('POST', '/v1/files', { json, headers: alice });
        expect(answer.status).toBe(201);
        registered = answer.body.record;
        uid = answer.body.record.uid;
        expect(Object.keys(registered)).toEqual(COLUMNS);
        const [storage] = (await get('/v1/storages?name=lab')).body.items;
        expect(registered).toMatchObject({
          key: 'sales/2026.parquet',
          keyIsVirtual: false,
          path: 'sales/2026.parquet',
          suffix: '.parquet',
          size: BYTES,
          hashType: 'md5',
          objects: 1,
          storage: storage.uid,
          visibility: 1,
        });
        expect(await uidsOf('')).toEqual([uid]);
      });

      it('is trashed and restored as any other', async () => {
        expect((await place.service.request('DELETE', `/v1/files/${uid}`)).body.outcome).toBe('trashed');
        expect(await uidsOf('')).toEqual([]);
        expect(await uidsOf('visibility=any')).toEqual([uid]);
        expect((await place.service.request('POST', `/v1/files/${uid}/restore`)).body.record.visibility).toBe(1);
        expect(await uidsOf('')).toEqual([uid]);
      });

      it('is deleted permanently: the record goes, the file stays, and the receipt says why', async () => {
        const headers = { ...alice, prefer: 'wait=10' };
        const answer = await place.service.request('DELETE', `/v1/files/${uid}?permanent=true`, { headers });
        expect(answer.status).toBe(200);
        expect(answer.body.receipt.object).toEqual({
          storage: registered['storage'],
          path: 'sales/2026.parquet',
          fate: 'kept',
          why: 'semantic-key',
          objects: 1,
          bytes: BYTES,
          sharedWith: [],
        });
        await expectGone(uid, 'sales/2026.parquet');
        expect(await place.lab.bytesAt('sales/2026.parquet')).toEqual(mydf);
        expect(await typesOf(uid)).toEqual([
          'RecordRegistered',
          'RecordTrashed',
          'RecordRestored',
          'RecordPurgeRequested',
          'ObjectKept',
          'RecordPurged',
        ]);
      });

      it('can be registered anew: what stayed is an object like any other', async () => {
        const json = { path: 'sales/2026.parquet', storage: 'lab' };
        const answer = await place.service.request('POST', '/v1/files', { json });
        expect(answer.status).toBe(201);
        expect(answer.body.record.uid).not.toBe(uid);
        expect(answer.body.record.hash).toBe(registered['hash']);
        expect(await typesOf(uid)).toHaveLength(6);
      });
    });
  });
};
