import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inBucket, onDisk } from '../harness/places.js';
import { ALL, lacksServers, NEEDS_SERVERS, Servers, type Mix } from '../harness/servers.js';
import {
  discard,
  startService,
  temporaryFolder,
  upload,
  type Answer,
  type RunningService,
} from '../harness/service.js';
import { deletionStory, type StoryPlace } from './deletion-story.js';

/* The story of deleting on servers, in the mixes that users choose, and what is S3's own. */

const MIB = 1024 * 1024;
const ENDED = { prefer: 'wait=20' };

describe.skipIf(lacksServers)(`on servers ${NEEDS_SERVERS}`, () => {
  let servers: Servers;

  beforeAll(async () => {
    servers = await Servers.start();
  });
  afterAll(() => servers.stop());

  const setUp = async (mix: Mix): Promise<StoryPlace> => {
    const { name, env } = servers.mix(mix);
    const s3 = servers.s3();
    const folder = await temporaryFolder();
    const bucket = `${name}-lab`;
    if (mix.objectStore === true) await s3.makeBucket(bucket);
    const root = mix.objectStore === true ? servers.root(bucket) : `file:${folder}`;
    const service = await startService({ env, config: { storages: [{ name: 'lab', root }] } });
    return {
      service,
      objects: mix.objectStore === true ? inBucket(s3, name) : onDisk(join(service.data, 'objects')),
      lab: mix.objectStore === true ? inBucket(s3, bucket) : onDisk(folder),
      discard: async () => {
        await discard(service);
        await rm(folder, { recursive: true, force: true });
      },
    };
  };

  deletionStory('EventStoreDB, MongoDB and S3', () => setUp(ALL));
  deletionStory('an embedded log with MongoDB and S3', () => setUp({ readModel: true, objectStore: true }));
  deletionStory('EventStoreDB with the rest embedded', () => setUp({ eventStore: true }));

  describe('what is S3’s own', () => {
    let service: RunningService;
    let bucket: string;
    const [lab, open, versioned] = ['own-lab', 'own-open', 'own-versioned'];

    beforeAll(async () => {
      const { name, env } = servers.mix(ALL);
      bucket = name;
      const s3 = servers.s3();
      for (const each of [lab, open, versioned]) await s3.makeBucket(each);
      await s3.setBucketVersioning(versioned, { Status: 'Enabled' });
      const storages = [
        { name: 'lab', root: servers.root(lab) },
        { name: 'open', root: servers.root(open), managed: false },
        { name: 'versioned', root: servers.root(versioned) },
      ];
      service = await startService({ env, config: { storages } });
    });
    afterAll(() => discard(service));

    const register = async (path: string, storage: string): Promise<Answer['body']> => {
      const answer = await service.request('POST', '/v1/files', { json: { path, storage } });
      expect(answer.status, JSON.stringify(answer.body)).toBe(201);
      return answer.body.record;
    };
    const purge = (uid: string, query = ''): Promise<Answer> =>
      service.request('DELETE', `/v1/files/${uid}?permanent=true${query}`, { headers: ENDED });

    it('deletes every object of a folder, and none beside it', async () => {
      const place = inBucket(servers.s3(), lab);
      const inside = ['run.zarr/.zattrs', 'run.zarr/0/0.0', 'run.zarr/0/0.1', 'run.zarr/ü n/%41?'];
      const beside = ['run.zarr2/0', 'run.zar', 'run.zarr.bak'];
      for (const path of [...inside, ...beside]) await place.put(path, path);
      const { uid, objects, size, hashType } = await register('run.zarr/', 'lab');
      expect({ objects, size, hashType }).toEqual({
        objects: inside.length,
        size: Buffer.byteLength(inside.join('')),
        hashType: 'md5-d',
      });
      const answer = await purge(uid, '&storage=delete');
      expect(answer.status, JSON.stringify(answer.body)).toBe(200);
      expect(answer.body.receipt).toMatchObject({
        object: { fate: 'deleted', why: 'asked', objects: inside.length, bytes: size },
        warnings: [],
      });
      for (const path of inside) expect(await place.bytesAt(path), path).toBeNull();
      for (const path of beside) expect(await place.bytesAt(path), path).not.toBeNull();
    });

    it('keeps what lies in a storage that is not managed, and refuses to delete there', async () => {
      const place = inBucket(servers.s3(), open);
      await place.put('a.csv', 'a');
      const { uid } = await register('a.csv', 'open');
      const refused = await purge(uid, '&storage=delete');
      expect(refused.status).toBe(409);
      expect(refused.body.code).toBe('foreign-storage');
      const answer = await purge(uid);
      expect(answer.status).toBe(200);
      expect(answer.body.receipt.object).toMatchObject({ fate: 'kept', why: 'foreign-storage', objects: 1 });
      // Neither the object nor a mark of Lethe's.
      expect(await servers.keysIn(open)).toEqual(['a.csv']);
    });

    it('deletes every version of an object in a bucket with versions', async () => {
      const place = inBucket(servers.s3(), versioned);
      for (const content of ['first', 'second', 'third']) await place.put('v.csv', content);
      const { uid } = await register('v.csv', 'versioned');
      const answer = await purge(uid, '&storage=delete');
      expect(answer.status, JSON.stringify(answer.body)).toBe(200);
      expect(answer.body.receipt.object).toMatchObject({ fate: 'deleted', objects: 1, bytes: 5 });
      const left: string[] = [];
      for await (const { name } of servers.s3().listObjects(versioned, 'v.csv', true, { IncludeVersion: true })) {
        left.push(name);
      }
      expect(left).toEqual([]);
    });

    it('keeps a virtual key’s object where that was asked for', async () => {
      const place = inBucket(servers.s3(), bucket);
      const added = await service.request('POST', '/v1/files', { body: upload({ key: 'kept.txt' }, 'to be kept') });
      const { uid, path } = added.body.record;
      const answer = await purge(uid, '&storage=keep');
      expect(answer.body.receipt.object).toMatchObject({ fate: 'kept', why: 'asked', path });
      expect(await place.bytesAt(path)).toEqual(Buffer.from('to be kept'));
    });

    it('takes an upload of many parts, gives it back whole, and deletes it', async () => {
      const place = inBucket(servers.s3(), bucket);
      const content = Buffer.alloc(60 * MIB);
      for (let at = 0; at < content.length; at += 4_096) content.writeUInt32LE(at, at);
      const added = await service.request('POST', '/v1/files', { body: upload({ key: 'large.bin' }, content) });
      expect(added.status, JSON.stringify(added.body)).toBe(201);
      const { uid, path, size } = added.body.record;
      expect(size).toBe(content.length);
      const download = await fetch(`${service.url}/v1/files/${uid}/content`);
      expect(content.equals(Buffer.from(await download.arrayBuffer()))).toBe(true);
      const range = await fetch(`${service.url}/v1/files/${uid}/content`, {
        headers: { range: `bytes=${59 * MIB}-${59 * MIB + 3}` },
      });
      expect(range.status).toBe(206);
      expect(Buffer.from(await range.arrayBuffer()).readUInt32LE()).toBe(59 * MIB);
      expect((await purge(uid)).body.receipt.object).toMatchObject({ fate: 'deleted', objects: 1, bytes: size });
      expect(await place.bytesAt(path)).toBeNull();
    });
  });
});
