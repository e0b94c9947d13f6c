import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/connect.js';
import type { Lethe } from '../../src/client/lethe.js';
import { discard, startService, temporaryFolder, type RunningService } from '../harness/service.js';

/*
 * The contract's sample, against a service and in this process.
 */

interface World {
  readonly lethe: Lethe;
  /** Where the objects lie. */
  readonly objects: string;
  readonly end: () => Promise<void>;
}

const overHttp = async (): Promise<World> => {
  const service: RunningService = await startService();
  const lethe = await connect(service.url);
  return {
    lethe,
    objects: join(service.data, 'objects'),
    end: async () => {
      await lethe.close();
      await discard(service);
    },
  };
};

const inThisProcess = async (): Promise<World> => {
  const data = await temporaryFolder();
  const lethe = await connect({ data });
  return {
    lethe,
    objects: join(data, 'objects'),
    end: async () => {
      await lethe.close();
      await rm(data, { recursive: true, force: true });
    },
  };
};

describe.each([
  ['against a service', overHttp],
  ['in this process', inThisProcess],
])("the contract's sample %s", (_, start) => {
  let world: World;
  let folder = '';
  const before = process.cwd();

  beforeAll(async () => {
    world = await start();
    folder = await temporaryFolder();
    await cp(join(import.meta.dirname, '../fixtures/mydf.parquet'), join(folder, 'mydf.parquet'));
    process.chdir(folder);
  });

  afterAll(async () => {
    process.chdir(before);
    await world.end();
    await rm(folder, { recursive: true, force: true });
  });

  it('does what it says, word for word', async () => {
    const { lethe, objects } = world;
    const file = await lethe.files.add('./mydf.parquet', { description: 'mydf' });
    await file.delete();
    expect(await lethe.files.filter().all()).toEqual([]);
    expect(await lethe.files.filter({ visibility: null }).all()).toEqual([file]);
    await file.restore();
    expect(file.visibility).toBe(1);
    await mkdir(objects, { recursive: true });
    expect(await readdir(join(objects, '.lethe'))).toContain(file.path.replace('.lethe/', ''));
    const { receipt } = await file.delete({ permanent: true });
    expect(receipt?.object).toMatchObject({ fate: 'deleted', objects: 1 });
    expect(await readdir(join(objects, '.lethe'))).not.toContain(file.path.replace('.lethe/', ''));
    const types = [];
    for await (const row of lethe.audit({ uid: file.uid, order: 'asc' })) types.push(row.type);
    expect(types).toEqual([
      'RecordRegistered',
      'RecordTrashed',
      'RecordRestored',
      'RecordPurgeRequested',
      'ObjectDeletionStarted',
      'ObjectDeleted',
      'RecordPurged',
    ]);
  });
});
