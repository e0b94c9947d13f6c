import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../harness/command.js';
import { ALL, lacksServers, NEEDS_SERVERS, Servers } from '../harness/servers.js';
import { discard, startService, temporaryFolder, upload, type RunningService } from '../harness/service.js';

/* A log goes from servers to servers: there is no data folder anywhere. */

describe.skipIf(lacksServers)(`the log of a service on servers ${NEEDS_SERVERS}`, () => {
  let servers: Servers;
  let home: string;
  const services: RunningService[] = [];

  beforeAll(async () => {
    [servers, home] = [await Servers.start(), await temporaryFolder()];
  });
  afterAll(async () => {
    await Promise.all(services.map(discard));
    await servers.stop();
    await rm(home, { recursive: true, force: true });
  });

  const started = async (env: Record<string, string>): Promise<RunningService> => {
    const service = await startService({ env });
    services.push(service);
    return service;
  };
  const put = async (service: RunningService, content: string): Promise<string> => {
    const { status, body } = await service.request('POST', '/v1/files', { body: upload({}, content) });
    expect(status, JSON.stringify(body)).toBe(201);
    return body.record.uid as string;
  };

  it('goes on under another prefix, with another read model, on the same bucket', async () => {
    const source = servers.mix(ALL).env;
    const before = await started(source);
    const uid = await put(before, 'one');
    const file = join(home, 'all.ndjson');
    expect(await command(['events', 'export', file, '--url', before.url])).toMatchObject({ code: 0, err: '' });
    await before.stop();

    const { LETHE_OBJECT_STORE = '' } = source;
    const data = join(home, 'none');
    const copy = { ...servers.mix(ALL).env, LETHE_OBJECT_STORE, LETHE_DATA: data };
    const imported = await command(['events', 'import', file, '--json'], copy);
    expect(imported).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(imported.out)).toMatchObject({ data: null, found: 0 });
    expect(existsSync(data)).toBe(false);

    const after = await started({ ...copy, LETHE_DATA: home });
    expect((await after.request('GET', `/v1/files/${uid}/content`)).body).toBe('one');
    await put(after, 'two');
    const verified = await command(['verify', '--json'], copy);
    expect(JSON.parse(verified.out)).toMatchObject({ findings: [], objects: 2 });

    const refused = await command(['events', 'import', file], { ...copy, LETHE_STREAM_PREFIX: 'unused.' });
    expect(refused.code).toBe(3);
    expect(refused.err).toContain('the read model is that of another log');
  });
});
