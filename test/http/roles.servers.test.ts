import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EventStreamReader } from '../harness/event-stream.js';
import { Overheard } from '../harness/overheard.js';
import { inBucket } from '../harness/places.js';
import { ALL, lacksServers, NEEDS_SERVERS, Servers, type MixedServers } from '../harness/servers.js';
import { discard, launchService, startService, upload, type Answer, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/* One process that answers and one that works, on servers that both share. */

/** How long a process may take to end, in milliseconds. */
const ENDS_WITHIN_MS = 10_000;

describe.skipIf(lacksServers)(`api and worker apart ${NEEDS_SERVERS}`, () => {
  let servers: Servers;
  let overheard: Overheard;
  let mix: MixedServers;
  let api: RunningService;
  let worker: RunningService;

  beforeAll(async () => {
    servers = await Servers.start();
    overheard = new Overheard(servers.secrets);
  });
  beforeEach(async () => {
    mix = servers.mix(ALL);
    worker = await start('worker');
    api = await start('api');
  });
  afterEach(() => Promise.all([discard(api), discard(worker)]));
  afterAll(async () => {
    await servers.stop();
    overheard.expectNoSecret();
  });

  const start = async (role: 'api' | 'worker'): Promise<RunningService> =>
    overheard.listen(await startService({ env: { ...mix.env, LETHE_ROLES: role } }));
  const added = async (content: string): Promise<Answer['body']> => {
    const answer = await api.request('POST', '/v1/files', { body: upload({ key: `${content}.txt` }, content) });
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    return answer.body.record;
  };
  const endedIn = async (service: RunningService): Promise<number> => {
    const began = performance.now();
    expect(await service.stop(), service.log()).toBe(0);
    return performance.now() - began;
  };

  it('the api reads what it wrote, and a purge that it takes is carried out by the worker', async () => {
    const { uid, path } = await added('shared');
    expect((await api.request('GET', '/v1/files')).body.items).toHaveLength(1);
    expect((await api.request('DELETE', `/v1/files/${uid}`)).body.outcome).toBe('trashed');
    expect((await api.request('GET', '/v1/files')).body.items).toEqual([]);
    expect((await api.request('GET', '/v1/trash')).body.items).toHaveLength(1);
    const headers = { prefer: 'wait=20' };
    const answer = await api.request('DELETE', `/v1/files/${uid}?permanent=true`, { headers });
    expect([answer.status, answer.body.outcome], JSON.stringify(answer.body)).toEqual([200, 'purged']);
    expect(answer.body.receipt.object).toMatchObject({ fate: 'deleted', objects: 1 });
    expect(await inBucket(servers.s3(), mix.name).bytesAt(path)).toBeNull();
  });

  it('what another api wrote is read behind X-Min-Position', async () => {
    const other = await start('api');
    try {
      for (let round = 0; round < 10; round += 1) {
        const answer = await other.request('POST', '/v1/labels', { json: { name: `label ${round}` } });
        expect(answer.status).toBe(201);
        const headers = { 'x-min-position': answer.headers.get('x-position') ?? '' };
        const read = await api.request('GET', `/v1/labels/${answer.body.record.uid}`, { headers });
        expect(read.status).toBe(200);
      }
    } finally {
      await discard(other);
    }
  });

  it('who follows the events at one api hears of what another wrote, in order and once; the audit has the same', async () => {
    const other = await start('api');
    const reader = await EventStreamReader.open(api.url, '/v1/events?registry=labels');
    try {
      const written: string[] = [];
      for (let round = 0; round < 10; round += 1) {
        const writer = round % 2 === 0 ? other : api;
        const answer = await writer.request('POST', '/v1/labels', { json: { name: `label ${round}` } });
        written.push(answer.headers.get('x-position') ?? '');
      }
      await until('all are heard', async () => reader.messages.length >= written.length);
      expect(reader.ids).toEqual(written);

      const headers = { accept: 'application/x-ndjson', 'x-min-position': written.at(-1) ?? '' };
      const audit = await api.request('GET', '/v1/audit?registry=labels&order=asc', { headers });
      const rows: string[] = String(audit.body).trimEnd().split('\n');
      expect(rows.map((row) => JSON.parse(row))).toEqual(reader.messages.map(({ data }) => data));
    } finally {
      reader.leave();
      await discard(other);
    }
  });

  it('the worker says how it is, and nothing else', async () => {
    expect((await worker.request('GET', '/health/live')).status).toBe(200);
    expect((await worker.request('GET', '/health/ready')).body).toEqual({ status: 'ok', notReady: {} });
    for (const path of ['/v1', '/v1/files', '/v1/trash', '/openapi.json']) {
      expect((await worker.request('GET', path)).status, path).toBe(404);
    }
    expect((await worker.request('POST', '/v1/labels', { json: { name: 'x' } })).status).toBe(404);
  });

  it('each ends within 10 s while a client waits for a purge, and the purge is carried out later', async () => {
    const { uid } = await added('waits');
    // Nobody carries it out: the api’s client would wait for all of its time.
    await worker.kill();
    const headers = { prefer: 'wait=30' };
    const waiting = api.request('DELETE', `/v1/files/${uid}?permanent=true`, { headers });
    await until('it was requested', async () =>
      servers.eventStore.log.events.some(({ type, stream }) => type === 'RecordPurgeRequested' && stream.endsWith(uid)),
    );
    expect(await endedIn(api)).toBeLessThan(ENDS_WITHIN_MS);
    const answer = await waiting.catch(() => null);
    expect(answer === null ? 503 : answer.status).toBeOneOf([202, 503]);

    worker = await start('worker');
    api = await start('api');
    const done = await until('it is carried out', async () => {
      const { body } = await api.request('GET', `/v1/purges/files/${uid}`);
      return body.state === 'done' && body;
    });
    expect(done.receipt.object).toMatchObject({ fate: 'deleted' });
    expect(await endedIn(worker)).toBeLessThan(ENDS_WITHIN_MS);
  });

  it('each ends within 10 s while its servers are down', async () => {
    await servers.mongod.kill();
    await servers.eventStore.stop();
    try {
      const waiting = overheard.listen(await launchService({ env: mix.env }));
      await until('it waits', async () => waiting.log().includes('waiting for the event store'));
      for (const service of [waiting, api, worker]) expect(await endedIn(service)).toBeLessThan(ENDS_WITHIN_MS);
    } finally {
      await servers.mongod.start();
      await servers.eventStore.start();
    }
  });
});
