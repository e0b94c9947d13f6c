import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  connect,
  Invalid,
  OnHold,
  Referenced,
  StoreUnavailable,
  UnexpectedData,
  type Lethe,
} from '../../src/client/connect.js';
import { json, label, none, scripted, type Answering, type Scripted } from './scripted.js';

const UID = 'heBmDcUZSbbsRR6dMz2r';
const purge = (state: string, more: object = {}): object => ({
  registry: 'labels',
  uid: UID,
  state,
  attempts: 3,
  error: 'EACCES',
  by: [],
  receipt: null,
  ...more,
});
const purging = (state: string): Answering =>
  json({ outcome: 'purging', record: null, purge: purge(state), warnings: [] }, 202);

let service: Scripted | null = null;

const speaking = async (...script: Answering[]): Promise<{ readonly lethe: Lethe; readonly service: Scripted }> => {
  service = await scripted(none, ...script);
  return { lethe: await connect(service.url), service };
};

afterEach(async () => {
  await service?.close();
  service = null;
});

describe('a purge', () => {
  it('is followed until it ends', async () => {
    const receipt = { registry: 'labels', uid: UID, object: null };
    const { lethe, service } = await speaking(
      json(label(UID)),
      purging('pending'),
      json(purge('failed')),
      json(purge('done', { receipt })),
    );
    const record = await lethe.labels.get(UID);
    expect(await record.delete()).toMatchObject({ outcome: 'purged', receipt, purge: null });
    expect(record.outcome).toBe('purged');
    expect(service.came[2]?.headers['prefer']).toBe('wait=30');
    expect(service.came.slice(3).map(({ url }) => url.pathname)).toEqual(Array(2).fill(`/v1/purges/labels/${UID}`));
  });

  it('that is parked rejects with StoreUnavailable, and tries nothing again by itself', async () => {
    const { lethe, service } = await speaking(json(label(UID)), purging('parked'));
    const record = await lethe.labels.get(UID);
    const deleting = record.delete();
    await expect(deleting).rejects.toThrow(StoreUnavailable);
    await expect(deleting).rejects.toMatchObject({ purge: { state: 'parked', uid: UID } });
    expect(service.came).toHaveLength(3);
  });

  it('that is called off rejects with Referenced', async () => {
    const by = [{ registry: 'files', uid: UID }];
    const { lethe } = await speaking(json(label(UID)), purging('pending'), json(purge('cancelled', { by })));
    const record = await lethe.labels.get(UID);
    const deleting = record.delete();
    await expect(deleting).rejects.toThrow(Referenced);
    await expect(deleting).rejects.toMatchObject({ by, purge: { state: 'cancelled' } });
  });

  it('is left to itself with `wait: false`', async () => {
    const { lethe, service } = await speaking(json(label(UID)), purging('pending'));
    const record = await lethe.labels.get(UID);
    expect(await record.delete({ wait: false })).toMatchObject({ outcome: 'purging', purge: { state: 'pending' } });
    expect(service.came[2]?.headers['prefer']).toBeUndefined();
  });
});

describe('many at once', () => {
  it('have the error of each as the class of its code', async () => {
    const error = { type: '', title: '', status: 409, detail: 'Held.', code: 'on-hold', correlationId: 'c' };
    const { lethe, service } = await speaking(
      json(label(UID)),
      json({
        results: [
          { registry: 'labels', uid: UID, status: 409, error },
          { registry: 'labels', uid: UID, status: 200, outcome: 'trashed', revision: 1 },
        ],
      }),
    );
    const record = await lethe.labels.get(UID);
    const [held, trashed] = await lethe.bulk({ action: 'trash', records: [record] });
    expect(held?.error).toBeInstanceOf(OnHold);
    expect(trashed).toMatchObject({ outcome: 'trashed', error: null });
    expect(JSON.parse(service.came[2]?.body ?? '')).toEqual({
      action: 'trash',
      records: [{ registry: 'labels', uid: UID }],
    });
  });
});

describe("a caller's schema", () => {
  const schema = z.object({ seed: z.number(), at: z.string().transform((text) => new Date(text)) });

  it('refuses data before anything is sent, and names the path as the service would', async () => {
    const { lethe, service } = await speaking(none);
    const data: { seed: number; at: string } = JSON.parse('{"seed": "x", "at": ""}');
    const adding = lethe.registry('models', schema).add({ data });
    await expect(adding).rejects.toThrow(Invalid);
    await expect(adding).rejects.toMatchObject({ errors: [{ path: '/data/seed' }] });
    expect(service.came).toHaveLength(1);
  });

  it('makes of data what it says, in lists and after commands, too', async () => {
    const stored = label(UID, { data: { seed: 7, at: '2026-11-23T00:57:00Z' } });
    const read = { seed: 7, at: new Date('2026-11-23T00:57:00Z') };
    const { lethe } = await speaking(
      json({ items: [stored], next: null, position: '7' }),
      json({ outcome: 'updated', record: stored, warnings: [] }),
    );
    const [record] = await lethe.registry('models', schema).filter().all();
    expect(record?.data).toEqual(read);
    expect((await record?.update({ name: 'b' }))?.data).toEqual(read);
  });

  it('says whose data are not as it says', async () => {
    const { lethe } = await speaking(json(label(UID, { data: { seed: 'x' } })));
    const reading = lethe.registry('models', schema).get(UID);
    await expect(reading).rejects.toThrow(UnexpectedData);
    await expect(reading).rejects.toThrow(new RegExp(`labels/${UID}.*seed`));
  });
});

describe('a filter', () => {
  it('is sent as the query language has it', async () => {
    const { lethe, service } = await speaking(none);
    await lethe.files
      .filter(
        {
          key: { startsWith: 'a', ne: 'b' },
          uid: ['x,y', 'z\\'],
          run: null,
          hold: { null: false },
          createdAt: { lt: new Date(0) },
          isLatest: true,
          visibility: null,
          suffix: undefined,
        },
        { sort: ['-size', 'key'] },
      )
      .all();
    expect([...(service.came[1]?.url.searchParams ?? [])]).toEqual([
      ['key[startsWith]', 'a'],
      ['key[ne]', 'b'],
      ['uid[in]', 'x\\,y,z\\\\'],
      ['run[null]', 'true'],
      ['hold[null]', 'false'],
      ['createdAt[lt]', '1970-01-01T00:00:00.000Z'],
      ['isLatest', 'true'],
      ['visibility', 'any'],
      ['sort', '-size,key'],
      ['limit', '1000'],
    ]);
  });

  it('counts without reading, and reads no page that nobody asks for', async () => {
    const page = json({ items: [label(UID)], next: 'more', position: '7', total: 12 });
    const { lethe, service } = await speaking(page);
    expect(await lethe.labels.filter().count()).toBe(12);
    expect(await lethe.labels.filter().first()).toMatchObject({ uid: UID });
    for await (const record of lethe.labels.filter()) {
      expect(record.uid).toBe(UID);
      break;
    }
    expect(service.came.slice(1).map(({ url }) => url.search)).toEqual([
      '?limit=1&count=true',
      '?limit=1',
      '?limit=1000',
    ]);
  });
});
