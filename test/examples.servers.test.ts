import { rm } from 'node:fs/promises';
import { Client } from 'minio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Lethe } from '../src/client/connect.js';
import { buildExamples, runExample } from './harness/example.js';
import { discard, startService, temporaryFolder, type RunningService } from './harness/service.js';
import { findMinio, startMinio, type MinioServer } from './servers/minio.js';

const binary = await findMinio();

describe.skipIf(binary === null)(`import-bucket [needs minio]`, () => {
  let minio: MinioServer;
  let service: RunningService;
  let lethe: Lethe;
  let s3: Client;
  let folder = '';
  let keys: Record<string, string> = {};

  beforeAll(async () => {
    if (binary === null) throw new Error('there is no MinIO on this machine');
    [minio, folder] = await Promise.all([startMinio(binary), temporaryFolder(), buildExamples()]);
    const { port, accessKey, secretKey } = minio;
    s3 = new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey });
    await s3.makeBucket('archive');
    keys = { LETHE_S3_ACCESS_KEY: accessKey, LETHE_S3_SECRET_KEY: secretKey };
    const storages = [{ name: 'archive', root: `s3://127.0.0.1:${port}/archive/sales?tls=false` }];
    service = await startService({ config: { storages }, env: keys });
    lethe = await connect(service.url);
  });

  afterAll(async () => {
    await lethe.close();
    await discard(service);
    await Promise.all([minio.stop(), rm(folder, { recursive: true })]);
  });

  const run = () => runExample('import-bucket', ['archive'], folder, { ...keys, LETHE_URL: service.url });

  it('registers every object below the prefix where it lies, and goes on where it was', async () => {
    for (const key of ['sales/2025.csv', 'sales/old/größe 100%.csv', 'sales-of-others.csv', 'other/2025.csv'])
      await s3.putObject('archive', key, key);
    await s3.putObject('archive', 'sales/empty/', '');
    expect(await run()).toEqual({ code: 0, err: '', out: '2 registered, 0 there already, 0 refused\n' });
    const files = await lethe.files.filter({}, { sort: 'path' }).all();
    expect(files.map(({ path }) => path)).toEqual(['2025.csv', 'old/größe 100%.csv']);
    expect(await (await files[1]?.content())?.text()).toBe('sales/old/größe 100%.csv');

    await s3.putObject('archive', 'sales/2026.csv', 'more');
    expect(await run()).toMatchObject({ code: 0, out: '1 registered, 2 there already, 0 refused\n' });
  });
});
