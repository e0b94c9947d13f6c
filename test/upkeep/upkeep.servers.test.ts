import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEventStore, openObjectStores, openStandingModel } from '../../src/adapters.js';
import { OWNER, Ownership } from '../../src/commands/ownership.js';
import { readConfig } from '../../src/config.js';
import type { ObjectStores } from '../../src/storage/object-store/port.js';
import { systemClock, systemIds, systemRandom } from '../../src/system.js';
import { findLeftovers } from '../../src/upkeep/leftovers.js';
import { command } from '../harness/command.js';
import { ALL, lacksServers, NEEDS_SERVERS, Servers, type Mix } from '../harness/servers.js';
import { discard, startService, upload, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/* What an operator does, on servers and beside a service that is at work. */

const DAY_MS = 24 * 60 * 60 * 1000;

describe.skipIf(lacksServers)(`upkeep on servers ${NEEDS_SERVERS}`, () => {
  let servers: Servers;
  const services: RunningService[] = [];

  beforeAll(async () => {
    servers = await Servers.start();
  });
  afterAll(async () => {
    await Promise.all(services.map(discard));
    await servers.stop();
  });

  interface Town {
    readonly service: RunningService;
    readonly env: Record<string, string>;
    readonly bucket: string;
    put(content: string): Promise<{ uid: string; path: string }>;
    lethe(...args: string[]): ReturnType<typeof command>;
  }

  const settle = async (mix: Mix): Promise<Town> => {
    const { name, env } = servers.mix(mix);
    const service = await startService({ env });
    services.push(service);
    const settings = { ...env, LETHE_DATA: service.data };
    return {
      service,
      env: settings,
      bucket: name,
      put: async (content) => {
        const { status, body } = await service.request('POST', '/v1/files', { body: upload({}, content) });
        expect(status, JSON.stringify(body)).toBe(201);
        return body.record;
      },
      lethe: (...args) => command(args, settings),
    };
  };

  const verified = async (town: Town): Promise<{ code: number | null; counts: unknown }> => {
    const { code, out, err } = await town.lethe('verify', '--json');
    if (out === '') throw new Error(err);
    const { counts, findings } = JSON.parse(out);
    return { code, counts: Object.keys(counts).length === 0 ? findings : counts };
  };

  for (const [name, mix] of [
    ['EventStoreDB, MongoDB and S3', ALL],
    ['an embedded log with MongoDB and S3', { readModel: true, objectStore: true }],
  ] as const) {
    it(`verifies ${name}, and finds what is wrong`, async () => {
      const town = await settle(mix);
      const [gone, altered, edited] = [await town.put('gone'), await town.put('altered'), await town.put('edited')];
      expect(await verified(town)).toEqual({ code: 0, counts: [] });
      expect(await town.lethe('doctor')).toMatchObject({ code: 0, err: '' });
      expect(await town.lethe('gc', '--yes')).toMatchObject({ code: 0, out: 'there is nothing to clear away\n' });

      const s3 = servers.s3();
      await s3.removeObject(town.bucket, gone.path);
      await s3.putObject(town.bucket, altered.path, 'ALTERED');
      await s3.putObject(town.bucket, '.lethe/leaked', 'x');
      const mongo = new MongoClient(servers.mongod.url);
      const rows = mongo.db(town.bucket).collection<{ _id: string; row: string }>('catalogue_1');
      const before = await rows.findOne({ _id: `files/${edited.uid}` });
      await rows.updateOne(
        { _id: `files/${edited.uid}` },
        { $set: { row: before?.row.replace('"live":true', '"live":false') ?? '' } },
      );
      await mongo.close();
      expect(await verified(town)).toEqual({
        code: 1,
        counts: { 'object-altered': 1, 'object-leaked': 1, 'object-missing': 1, 'row-differs': 1 },
      });
      // Young as it is, it may be somebody's.
      expect(await town.lethe('gc', '--yes')).toMatchObject({ code: 0, out: 'there is nothing to clear away\n' });

      const rebuilt = await town.lethe('rebuild');
      expect(rebuilt).toMatchObject({ code: 0, out: expect.stringContaining('rebuilt the read model up to position') });
      expect(rebuilt.err + rebuilt.out).not.toContain('secret-');
      // The service goes on with the new model, and its worker carries the log into that.
      const later = await town.put('later');
      await until('it shows what came after', async () => {
        const { status } = await town.service.request('GET', `/v1/files/${later.uid}`);
        return status === 200;
      });
      expect(await verified(town)).toEqual({
        code: 1,
        counts: { 'object-altered': 1, 'object-leaked': 1, 'object-missing': 1 },
      });
    });
  }

  it('rebuilds beside a service that is written to, and nobody loses sight of what was answered', async () => {
    const { service, lethe } = await settle({ readModel: true });
    const uids: string[] = [];
    let rebuilding = true;
    const write = async (): Promise<void> => {
      while (rebuilding) {
        const written = await service.request('POST', '/v1/labels', { json: { name: `n${uids.length}` } });
        expect(written.status, JSON.stringify(written.body)).toBe(201);
        const { uid } = written.body.record;
        uids.push(uid);
        const headers = { 'x-min-position': written.headers.get('x-position') ?? '' };
        expect((await service.request('GET', `/v1/labels/${uid}`, { headers })).status, `${uids.length}`).toBe(200);
        // The first one of all stands in the new model early, the last one before this late.
        const before = uids.at(-2);
        if (before !== undefined) expect((await service.request('GET', `/v1/labels/${before}`)).status).toBe(200);
      }
    };
    const writers = Promise.all([write(), write()]);
    try {
      for (let round = 0; round < 3; round += 1) {
        const { code, err } = await lethe('rebuild');
        expect({ code, err: err.includes('rebuilding the read model') }).toEqual({ code: 0, err: true });
      }
    } finally {
      rebuilding = false;
      await writers;
    }
    const { body } = await service.request('GET', '/v1/labels?count=true&limit=1');
    expect(body.total).toBe(uids.length);
  });

  it('clears away objects and parts a day later, by the clock of the store', async () => {
    const town = await settle({ objectStore: true });
    const named = await town.put('named');
    await town.service.stop();
    const s3 = servers.s3();
    await s3.putObject(town.bucket, '.lethe/leaked', 'x');
    await s3.initiateNewMultipartUpload(town.bucket, '.lethe/AAAAAAAAAAAAAAAAAAAA-abcdef', {});
    // It may be another program's, which is at it for days.
    await s3.initiateNewMultipartUpload(town.bucket, 'elsewhere/semantic.bin', {});

    const config = readConfig(town.env);
    const { store } = await openEventStore(config, 'read-only');
    const journal = { store, prefix: config.streamPrefix, clock: systemClock, appended: () => undefined };
    const model = openStandingModel(config);
    const opened = openObjectStores(config, systemRandom, false);
    const leftoversAt = async (laterMs: number) => {
      const stores = aheadBy(opened, laterMs);
      const ownership = new Ownership(journal, stores, systemIds);
      const { signal } = new AbortController();
      return findLeftovers({ journal, model, stores, ownership, clock: systemClock, signal });
    };
    try {
      expect(await leftoversAt(DAY_MS - 60_000)).toEqual({ leftovers: [], refused: [], more: false });
      const { leftovers } = await leftoversAt(DAY_MS + 60_000);
      expect(leftovers.map(({ path, what }) => [path, what])).toEqual([
        ['.lethe/leaked', 'object'],
        ['.lethe/AAAAAAAAAAAAAAAAAAAA-abcdef', 'parts'],
      ]);
      for (const leftover of leftovers) expect(await leftover.clear()).toBe('deleted');
      expect((await leftoversAt(DAY_MS + 60_000)).leftovers).toEqual([]);
      expect((await servers.keysIn(town.bucket)).sort()).toEqual([named.path, OWNER].sort());
    } finally {
      await opened.close();
      await model.close();
      await store.close();
    }
  });
});

/** The same stores, whose clocks have gone on: what is written now is of then. */
const aheadBy = (stores: ObjectStores, laterMs: number): ObjectStores => ({
  at: async (root) => {
    const store = await stores.at(root);
    const later: typeof store = Object.create(store);
    later.stat = async (path) => {
      const seen = await store.stat(path);
      if (seen === null || path !== OWNER) return seen;
      return { ...seen, modifiedAt: new Date(Date.parse(seen.modifiedAt) + laterMs).toISOString() };
    };
    return later;
  },
  placeOf: (root) => stores.placeOf(root),
  grant: (root) => stores.grant(root),
  isConfigured: (name) => stores.isConfigured(name),
  close: () => stores.close(),
});
