import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { letHoursPass } from '../harness/log-time.js';
import { inBucket } from '../harness/places.js';
import { startProxy, type Fate, type Proxy } from '../harness/s3-proxy.js';
import { lacksServers, NEEDS_SERVERS, Servers } from '../harness/servers.js';
import { discard, startService, upload, type Answer, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/* A call of a deletion that is held up on its way to a bucket without versions, until long after the deletion has ended. */

describe.skipIf(lacksServers)(`a deletion's call that comes late ${NEEDS_SERVERS}`, () => {
  let servers: Servers;
  let proxy: Proxy;
  let env: Record<string, string>;
  let service: RunningService;
  let bytesAt: (path: string) => Promise<Buffer | null>;

  beforeAll(async () => {
    servers = await Servers.start();
    proxy = await startProxy(servers.minio.port);
    const mix = servers.mix({ objectStore: true });
    env = { ...mix.env, LETHE_OBJECT_STORE: servers.root(mix.name, proxy.port) };
    service = await startService({ env });
    bytesAt = (path) => inBucket(servers.s3(), mix.name).bytesAt(path);
  });
  afterAll(async () => {
    await discard(service);
    await proxy.close();
    await servers.stop();
  });

  const restart = async (hours = 0): Promise<void> => {
    const { data } = service;
    await service.kill();
    if (hours > 0) await letHoursPass(data, hours, false);
    service = await startService({ data, env });
  };
  const add = (content: string): Promise<Answer> =>
    service.request('POST', '/v1/files', { body: upload({ key: 'a/o.txt', keyIsVirtual: false }, content) });

  it('takes nothing that was put there since: for an hour of the log’s time nothing may be', async () => {
    const first = await add('the same');
    expect(first.status).toBe(201);
    const { uid } = first.body.record;

    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const arrived = new Promise<void>((resolve) => {
      proxy.decide = async ({ method, url }): Promise<Fate> => {
        if (method !== 'DELETE' || url?.includes('o.txt') !== true) return 'pass';
        resolve();
        await held;
        return 'pass';
      };
    });
    await service.request('DELETE', `/v1/files/${uid}?permanent=true&storage=delete`);
    await arrived;
    // Another worker ends what that one had begun.
    proxy.decide = () => 'pass';
    await restart();
    await until('the purge is done', async () => {
      const { body } = await service.request('GET', `/v1/purges/files/${uid}`);
      return body.state === 'done';
    });
    expect(await bytesAt('a/o.txt')).toBeNull();

    for (const hours of [0, 1]) {
      await restart(hours);
      const refused = await add('the same');
      expect(refused.status, JSON.stringify(refused.body)).toBe(409);
      expect(refused.body).toMatchObject({ code: 'conflict', detail: expect.stringContaining(`files/${uid}`) });
      expect(await bytesAt('a/o.txt')).toBeNull();
    }
    release();
    await restart(1);
    expect((await add('the same')).status).toBe(201);
    expect(await bytesAt('a/o.txt')).toEqual(Buffer.from('the same'));
  });
});
