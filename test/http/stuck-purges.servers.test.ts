import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Overheard } from '../harness/overheard.js';
import { inBucket } from '../harness/places.js';
import { startProxy, type Fate, type Proxy } from '../harness/s3-proxy.js';
import { ALL, lacksServers, NEEDS_SERVERS, Servers } from '../harness/servers.js';
import {
  discard,
  startService,
  upload,
  type Answer,
  type RequestOptions,
  type RunningService,
} from '../harness/service.js';
import { until } from '../harness/until.js';

/* An object store that is there and does not do what it is asked: it refuses deletions, has lost objects, or is full. */

const ENDED = { headers: { prefer: 'wait=20' } };
const PURGES = { attempts: 3, firstWaitMs: 40, maxWaitMs: 200 };

describe.skipIf(lacksServers)(`an object store in the way ${NEEDS_SERVERS}`, () => {
  let servers: Servers;
  let overheard: Overheard;
  let proxy: Proxy;
  let service: RunningService;
  let bucket: string;

  beforeAll(async () => {
    servers = await Servers.start();
    overheard = new Overheard(servers.secrets);
    proxy = await startProxy(servers.minio.port);
    const { name, env } = servers.mix(ALL);
    bucket = name;
    const root = servers.root(bucket, proxy.port);
    service = await startService({ env: { ...env, LETHE_OBJECT_STORE: root }, config: { purges: PURGES } });
    overheard.listen(service);
  });
  afterEach(() => {
    proxy.decide = () => 'pass';
  });
  afterAll(async () => {
    await discard(service);
    await proxy.close();
    await servers.stop();
    overheard.expectNoSecret();
  });

  const ask = (method: string, path: string, options?: RequestOptions): Promise<Answer> =>
    overheard.ask(service, method, path, options);
  const added = async (content: string): Promise<Answer['body']> => {
    const answer = await ask('POST', '/v1/files', { body: upload({ key: `${content}.txt` }, content) });
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    return answer.body.record;
  };
  const bytesAt = (path: string): Promise<Buffer | null> => inBucket(servers.s3(), bucket).bytesAt(path);
  const purge = (uid: string): Promise<Answer> => ask('DELETE', `/v1/files/${uid}?permanent=true`, ENDED);
  const purgeIn = (uid: string, state: string): Promise<Answer['body']> =>
    until(`the purge is ${state}`, async () => {
      const { body } = await ask('GET', `/v1/purges/files/${uid}`);
      return body.state === state && body;
    });
  const failuresOf = async (uid: string): Promise<Answer['body'][]> => {
    const { items } = (await ask('GET', `/v1/files/${uid}/history`)).body;
    return items.filter(({ type }: { type: string }) => type === 'ObjectDeletionFailed');
  };
  const refuse = (method: string, fate: Fate): void => {
    proxy.decide = (request) => (request.method === method ? fate : 'pass');
  };

  describe('that refuses deletions', () => {
    let uid: string;
    let path: string;

    beforeEach(async () => {
      ({ uid, path } = await added(`refused ${Math.random()}`));
      refuse('DELETE', { status: 403, code: 'AccessDenied' });
      expect((await purge(uid)).status).toBe(202);
    });

    it('is tried again with growing waits, then parked for a person; a retry mends it', async () => {
      const parked = await purgeIn(uid, 'parked');
      expect(parked).toMatchObject({
        attempts: PURGES.attempts,
        error: expect.stringMatching(/AccessDenied: s3:DeleteObject/),
        nextTryAt: null,
        receipt: null,
      });
      const waits = (await failuresOf(uid)).map(({ data }) => data.waitMs);
      expect(waits).toEqual([expect.any(Number), expect.any(Number), null]);
      expect(waits[0]).toBeLessThanOrEqual(PURGES.firstWaitMs);
      expect(waits[1]).toBeGreaterThanOrEqual(PURGES.firstWaitMs);
      expect((await ask('GET', '/v1/purges?state=parked')).body.items).toContainEqual(parked);
      expect(await bytesAt(path)).not.toBeNull();
      expect((await ask('GET', '/v1/files?visibility=any')).body.items).toEqual([]);

      // Still refused: parked again, and the call does not wait in vain.
      expect((await ask('POST', `/v1/purges/files/${uid}/retry`, ENDED)).body.outcome).toBe('purging');
      await until('it was tried again', async () => (await failuresOf(uid)).length > PURGES.attempts);
      await purgeIn(uid, 'parked');
      proxy.decide = () => 'pass';
      const mended = await ask('POST', `/v1/purges/files/${uid}/retry`, ENDED);
      expect([mended.status, mended.body.outcome], JSON.stringify(mended.body)).toEqual([200, 'purged']);
      expect(mended.body.receipt.object).toMatchObject({ fate: 'deleted', objects: 1 });
      expect(await bytesAt(path)).toBeNull();
    });

    it('is told to keep the object after all: the bytes stay', async () => {
      await purgeIn(uid, 'parked');
      const deletions = proxy.seen.filter((line) => line.startsWith('DELETE')).length;
      const kept = await ask('POST', `/v1/purges/files/${uid}/retry`, { json: { storage: 'keep' } });
      // A deletion had begun: an hour has to pass before the receipt, so that no late call can still remove the object.
      expect(kept.body.outcome, JSON.stringify(kept.body)).toBe('purging');
      proxy.decide = () => 'pass';
      expect((await purgeIn(uid, 'pending')).receipt).toBeNull();
      expect(await bytesAt(path)).not.toBeNull();
      expect(proxy.seen.filter((line) => line.startsWith('DELETE'))).toHaveLength(deletions);
    });
  });

  it('that has lost an object: it counts as deleted, with none', async () => {
    const { uid, path } = await added('lost');
    await servers.s3().removeObject(bucket, path);
    expect((await ask('GET', `/v1/files/${uid}/content`)).body.code).toBe('object-missing');
    const answer = await purge(uid);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.body.receipt).toMatchObject({ object: { fate: 'deleted', objects: 0, bytes: 0 }, warnings: [] });
  });

  it('that holds something else by now: that stays, and the receipt says so', async () => {
    const { uid, path } = await added('replaced');
    const started = await ask('GET', `/v1/files/${uid}`);
    expect(started.status).toBe(200);
    // It is another object once the deletion has named the first.
    let named = false;
    proxy.decide = async ({ method }) => {
      if (method !== 'DELETE' || named) return 'pass';
      named = true;
      await inBucket(servers.s3(), bucket).put(path, 'something else, of other bytes');
      return { status: 412, code: 'PreconditionFailed' };
    };
    const answer = await purge(uid);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.body.receipt.warnings).toMatchObject([{ code: 'object-changed' }]);
    expect((await bytesAt(path))?.toString()).toBe('something else, of other bytes');
  });

  it('that is full: 507, and nothing is registered or left', async () => {
    const before = await servers.keysIn(bucket);
    refuse('PUT', { status: 507, code: 'XMinioStorageFull' });
    const answer = await ask('POST', '/v1/files', { body: upload({ key: 'full.txt' }, 'no room') });
    expect([answer.status, answer.body.code], JSON.stringify(answer.body)).toEqual([507, 'storage-full']);
    proxy.decide = () => 'pass';
    expect((await ask('GET', '/v1/files?visibility=any&key=full.txt')).body.items).toEqual([]);
    expect(await servers.keysIn(bucket)).toEqual(before);
    await added('room again');
  });

  it('that refuses uploads: 503, and nothing is registered', async () => {
    refuse('PUT', { status: 403, code: 'AccessDenied' });
    const answer = await ask('POST', '/v1/files', { body: upload({ key: 'refused.txt' }, 'refused') });
    expect([answer.status, answer.body.code], JSON.stringify(answer.body)).toEqual([503, 'store-unavailable']);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(answer.body.detail).toMatch(/AccessDenied: s3:PutObject/);
    expect((await ask('GET', '/v1/files?visibility=any&key=refused.txt')).body.items).toEqual([]);
  });
});
