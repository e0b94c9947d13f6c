import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startEventStoreDouble, type EventStoreDouble } from '../doubles/eventstoredb.js';
import type { Proposed } from '../doubles/eventstoredb.log.js';
import { discard, startService, type Answer, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/* One EventStoreDB for several services: of Lethe with other prefixes, and of others. */

let double: EventStoreDouble;
let services: RunningService[];

beforeAll(async () => {
  double = await startEventStoreDouble();
});
beforeEach(() => {
  services = [];
});
afterEach(() => Promise.all(services.map(discard)));
afterAll(() => double.stop());

const start = async (prefix: string): Promise<RunningService> => {
  const env = { LETHE_EVENT_STORE: double.url, LETHE_STREAM_PREFIX: prefix };
  const service = await startService({ env });
  services.push(service);
  return service;
};

const labelled = async (service: RunningService, name: string): Promise<Answer> => {
  const answer = await service.request('POST', '/v1/labels', { json: { name } });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer;
};
const items = ({ status, body }: Answer): { name: string; uid: string }[] => {
  expect(status, JSON.stringify(body)).toBe(200);
  return body.items;
};
const labelsOf = async (service: RunningService): Promise<string[]> => {
  return items(await service.request('GET', '/v1/labels?sort=name')).map(({ name }) => name);
};
const uidsOf = async (service: RunningService): Promise<string[]> => {
  return items(await service.request('GET', '/v1/labels?limit=1000')).map(({ uid }) => uid);
};

/** What another service, or a later Lethe, writes. */
const foreign = (type: string): Proposed => ({
  id: randomUUID(),
  type,
  contentType: 'application/json',
  data: Buffer.from('{"of":"somebody else"}'),
  metadata: Buffer.from('{}'),
});

describe('several logs in one EventStoreDB', () => {
  it.each([
    ['beside each other', 'one.', 'two.'],
    ['one within the other', 'prod.', 'prod.test.'],
  ])('do not see each other’s records: %s', async (_, outer, inner) => {
    const [first, second] = [await start(outer), await start(inner)];
    for (let round = 0; round < 3; round += 1) {
      await labelled(first, `first ${round}`);
      await labelled(second, `second ${round}`);
    }
    expect(await labelsOf(first)).toEqual(['first 0', 'first 1', 'first 2']);
    expect(await labelsOf(second)).toEqual(['second 0', 'second 1', 'second 2']);
    expect(new Set([...(await uidsOf(first)), ...(await uidsOf(second))]).size).toBe(6);
    // Neither are the other's purges anybody's here, whose objects would not be found.
    const { uid } = (await labelled(second, 'to be purged')).body.record;
    expect((await second.request('DELETE', `/v1/labels/${uid}`)).body.outcome).toBe('purged');
    await labelled(first, 'later');
    expect((await first.request('GET', '/v1/purges')).body.items).toEqual([]);
    expect((await second.request('GET', '/v1/purges')).body.items).toMatchObject([{ uid, state: 'done' }]);
    for (const service of [first, second]) {
      expect((await service.request('GET', '/v1')).body.items).toContainEqual(
        expect.objectContaining({ name: 'storages', count: 1 }),
      );
      expect((await service.request('GET', '/health/ready')).body).toEqual({ status: 'ok', notReady: {} });
    }
  });

  it('skip what others write, and do not stall at it', async () => {
    const service = await start('mine.');
    await labelled(service, 'before');
    double.log.addNoise(5_000);
    double.log.addNoise(5_000, (index) => `orders-${index}`);
    // Of a later version, in a stream of this log's prefix: not known here, and passed by.
    double.log.append('mine.labels-ofALaterVersion00', 'no_stream', [foreign('RecordFramed'), foreign('RecordFramed')]);
    const last = double.log.events.at(-1)?.position ?? 0n;
    await until('the checkpoint has passed what is skipped', async () => {
      const { body } = await service.request('GET', '/v1/labels');
      return BigInt(body.position) >= last;
    });
    await labelled(service, 'after');
    expect(await labelsOf(service)).toEqual(['after', 'before']);
    expect((await service.request('GET', '/health/ready')).status).toBe(200);
  });
});
