import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Overheard } from '../harness/overheard.js';
import { inBucket } from '../harness/places.js';
import { ALL, lacksServers, NEEDS_SERVERS, Servers } from '../harness/servers.js';
import {
  discard,
  launchService,
  startService,
  upload,
  type Answer,
  type RequestOptions,
  type RunningService,
} from '../harness/service.js';
import { until } from '../harness/until.js';
import { startMongod } from '../servers/mongod.js';

/* Servers that are not there: at the start, and later. Nothing is restarted but they. */

const STORES = ['eventStore', 'readModel', 'objectStore'] as const;
type Store = (typeof STORES)[number];
const SPOKEN = { eventStore: 'the event store', readModel: 'the read model', objectStore: 'the object store' };
const PURGES = { attempts: 100, firstWaitMs: 50, maxWaitMs: 500 };

describe.skipIf(lacksServers)(`servers that are down ${NEEDS_SERVERS}`, () => {
  let servers: Servers;
  let overheard: Overheard;
  let service: RunningService;

  beforeAll(async () => {
    servers = await Servers.start();
    overheard = new Overheard(servers.secrets);
  });
  afterEach(async () => {
    await discard(service);
    await Promise.all([...down].map(start));
  });
  afterAll(async () => {
    await servers.stop();
    overheard.expectNoSecret();
  });

  const down = new Set<Store>();
  const stop = async (store: Store): Promise<void> => {
    down.add(store);
    if (store === 'eventStore') await servers.eventStore.stop();
    else await (store === 'readModel' ? servers.mongod : servers.minio).kill();
  };
  const start = async (store: Store): Promise<void> => {
    if (store === 'eventStore') await servers.eventStore.start();
    else await (store === 'readModel' ? servers.mongod : servers.minio).start();
    down.delete(store);
  };

  const ask = (method: string, path: string, options?: RequestOptions): Promise<Answer> =>
    overheard.ask(service, method, path, options);
  const add = (content: string): Promise<Answer> =>
    ask('POST', '/v1/files', { body: upload({ key: `${content}.txt` }, content) });
  const added = async (content: string): Promise<Answer['body']> => {
    const answer = await add(content);
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    return answer.body.record;
  };

  const notReady = async (): Promise<Record<string, string> | null> => {
    const { status, body } = await ask('GET', '/health/ready');
    return status === 503 ? body.notReady : null;
  };
  const isReady = async (): Promise<boolean> => (await ask('GET', '/health/ready')).status === 200;
  const expectUnavailable = (answer: Answer): void => {
    expect([answer.status, answer.body.code], JSON.stringify(answer.body)).toEqual([503, 'store-unavailable']);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(answer.body.detail).not.toBe('');
  };

  describe.each(STORES)('at the start: %s', (store) => {
    it('is waited for, named, and gone on with when it is there', async () => {
      await stop(store);
      const launched = overheard.listen(await launchService({ env: servers.mix(ALL).env }));
      service = launched;
      const waits = (): number[] =>
        [...service.log().matchAll(/"waitsFor":"([^"]*)".*"waitMs":(\d+)/g)]
          .filter(([, name]) => name === SPOKEN[store])
          .map(([, , waitMs]) => Number(waitMs));
      await until('it has waited three times', async () => waits().length >= 3, 4_000);
      expect(waits()[2]).toBeGreaterThan(waits()[0] ?? 0);
      const why = await notReady();
      expect(why).toMatchObject({ [store]: expect.stringMatching(/./) });
      expect(why?.[store === 'objectStore' ? store : 'start']).toMatch(/127\.0\.0\.1|ECONNREFUSED/);
      expect((await ask('GET', '/health/live')).status).toBe(200);
      // Without bytes there is still all that is known of them.
      const listed = await ask('GET', '/v1/files');
      if (store === 'objectStore') expect(listed.status).toBe(200);
      else expectUnavailable(listed);
      expectUnavailable(await add('too early'));

      await start(store);
      await launched.ready;
      await until('it is ready', isReady);
      const { uid } = await added(`after ${store}`);
      expect((await ask('GET', `/v1/files/${uid}/content`)).body).toBe(`after ${store}`);
      await until('it says that it is there', async () => service.log().includes(`${SPOKEN[store]} is there`));
    });
  });

  describe('later', () => {
    let name: string;
    const startOnAll = async (): Promise<void> => {
      const mix = servers.mix(ALL);
      name = mix.name;
      service = overheard.listen(await startService({ env: mix.env, config: { purges: PURGES } }));
    };

    it('without the log: lists and gets go on, commands wait for it', async () => {
      await startOnAll();
      const { uid } = await added('before');
      await stop('eventStore');
      expectUnavailable(await ask('DELETE', `/v1/files/${uid}`));
      expectUnavailable(await add('meanwhile'));
      expectUnavailable(await ask('POST', '/v1/datasets', { json: { name: 'meanwhile', files: [] } }));
      for (const path of ['', `/${uid}`, `/${uid}/history`, `?uid=${uid}`, `/${uid}/objects`]) {
        const answer = await ask('GET', `/v1/files${path}`);
        expect(answer.status, path).toBe(200);
      }
      expect((await ask('GET', `/v1/files/${uid}/content`)).body).toBe('before');
      expect(await notReady()).toMatchObject({ eventStore: expect.any(String) });
      await start('eventStore');
      await until('it is ready', isReady);
      expect((await ask('DELETE', `/v1/files/${uid}`)).body.outcome).toBe('trashed');
      expect((await ask('GET', '/v1/files')).body.items).toEqual([]);
      expect(await servers.keysIn(name)).toHaveLength(2); // the owner's mark, and what was added before
    });

    it('without the read model: nothing is answered from nowhere, and what was written shows later', async () => {
      await startOnAll();
      const { uid } = await added('before');
      await stop('readModel');
      expectUnavailable(await ask('GET', '/v1/files'));
      expectUnavailable(await ask('GET', `/v1/files/${uid}`));
      expectUnavailable(await add('meanwhile'));
      expectUnavailable(await ask('DELETE', `/v1/files/${uid}?permanent=true`));
      expect(await notReady()).toMatchObject({ readModel: expect.any(String) });
      await start('readModel');
      await until('it is ready', isReady);
      const { items } = (await ask('GET', '/v1/files')).body;
      expect(items.map((item: { key: string }) => item.key)).toEqual(['before.txt']);
      expect((await ask('DELETE', `/v1/files/${uid}?permanent=true`, { headers: { prefer: 'wait=20' } })).status).toBe(
        200,
      );
    });

    it('without the objects: records go on, and a purge is carried out when they are back', async () => {
      await startOnAll();
      const [{ uid, path }, other] = [await added('first'), await added('second')];
      await stop('objectStore');
      expect((await ask('GET', '/v1/files')).body.items).toHaveLength(2);
      expect((await ask('DELETE', `/v1/files/${other.uid}`)).body.outcome).toBe('trashed');
      expect((await ask('GET', '/v1/trash')).body.items).toHaveLength(1);
      expect((await ask('POST', `/v1/files/${other.uid}/restore`)).body.outcome).toBe('restored');
      expectUnavailable(await add('meanwhile'));
      expectUnavailable(await ask('GET', `/v1/files/${uid}/content`));
      expect(await notReady()).toMatchObject({ objectStore: expect.any(String) });

      expect((await ask('DELETE', `/v1/files/${uid}?permanent=true`)).status).toBe(202);
      const failed = await until('it has failed twice', async () => {
        const { body } = await ask('GET', `/v1/purges/files/${uid}`);
        return body.state === 'failed' && body.attempts >= 2 && body;
      });
      expect(failed).toMatchObject({ error: expect.stringMatching(/./), nextTryAt: expect.any(String), receipt: null });
      await start('objectStore');
      const done = await until('it is done', async () => {
        const { body } = await ask('GET', `/v1/purges/files/${uid}`);
        return body.state === 'done' && body;
      });
      expect(done.receipt.object).toMatchObject({ fate: 'deleted', objects: 1 });
      expect(await inBucket(servers.s3(), name).bytesAt(path)).toBeNull();
      expect((await ask('GET', `/v1/files/${other.uid}/content`)).body).toBe('second');
    });
  });
});

describe.skipIf(lacksServers)(`a mongod that stands alone ${NEEDS_SERVERS}`, () => {
  it('stops the start with the command that mends it', async () => {
    const alone = await startMongod({ replicaSet: false });
    const service = await launchService({ env: { LETHE_READ_MODEL: alone.urlOf('lethe') } });
    try {
      await expect(service.ready).rejects.toThrow(
        /ended at its start \(1\)[^]*mongod --replSet rs0[^]*rs\.initiate\(\)/,
      );
    } finally {
      await discard(service);
      await alone.cleanup();
    }
  });
});
