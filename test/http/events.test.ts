import { afterEach, describe, expect, it } from 'vitest';
import { EventStreamReader } from '../harness/event-stream.js';
import { expectRefused } from '../harness/refusing.js';
import { discard, startService, type Answer, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/* GET /v1/events on the real process: every event in order, once, also across the seam, a restart, and a thousand readers. */

let services: RunningService[] = [];
let readers: EventStreamReader[] = [];

afterEach(async () => {
  for (const reader of readers) reader.leave();
  await Promise.all(services.map(discard));
  [services, readers] = [[], []];
});

const started = async (data?: string): Promise<RunningService> => {
  const service = await startService(data === undefined ? {} : { data });
  services = [...services.filter((other) => other.data !== service.data), service];
  return service;
};
const follow = async (
  service: RunningService,
  query = '',
  headers: Record<string, string> = {},
): Promise<EventStreamReader> => {
  const reader = await EventStreamReader.open(service.url, `/v1/events${query}`, headers);
  readers.push(reader);
  return reader;
};
const write = async (service: RunningService, registry: string, count: number, data: unknown = null): Promise<void> => {
  for (let i = 0; i < count; i += 1) {
    const made = await service.request('POST', `/v1/${registry}`, { json: { name: `${registry} ${i}`, data } });
    expect(made.status).toBe(201);
  }
};
const auditOf = async (service: RunningService, query = ''): Promise<Answer['body'][]> =>
  (await service.request('GET', `/v1/audit?order=asc&limit=1000&${query}`)).body.items;
const idsOf = async (service: RunningService, query = ''): Promise<string[]> =>
  (await auditOf(service, query)).map(({ position }) => position);
const received = (reader: EventStreamReader, ids: readonly string[]): Promise<true> =>
  until(`${ids.length} events, not ${reader.messages.length}`, async () => reader.messages.length >= ids.length);
const metric = async (service: RunningService, name: string): Promise<number> => {
  const { body } = await service.request('GET', '/metrics');
  return Number(new RegExp(`^${name} (.+)$`, 'm').exec(body)?.[1]);
};

describe('the event stream', () => {
  it('begins with what happens next; the same rows as the audit', async () => {
    const service = await started();
    await write(service, 'labels', 2);
    const reader = await follow(service);
    expect(reader.answer.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': expect.stringContaining('no-cache'),
      'x-position': (await auditOf(service)).at(-1).position,
    });
    await write(service, 'labels', 3);
    const rows = (await auditOf(service)).slice(-3);
    await received(reader, ['', '', '']);
    expect(reader.messages).toEqual(rows.map((data) => ({ id: data.position, event: data.type, data })));
  });

  it('filters as the audit does, what was and what comes', async () => {
    const service = await started();
    await write(service, 'labels', 3);
    await write(service, 'users', 3);
    const ofUsers = await follow(service, '?after=0&registry=users&type=RecordRegistered');
    const ofNobody = await follow(service, '?after=0&actor=nobody');
    const before = (await auditOf(service)).at(-1).at;
    const early = await follow(service, `?after=0&to=${before}`);
    await write(service, 'labels', 2);
    await write(service, 'users', 2);
    await received(ofUsers, await idsOf(service, 'registry=users'));
    expect(ofUsers.ids).toEqual(await idsOf(service, 'registry=users'));
    await received(early, await idsOf(service, `to=${before}`));
    expect(early.ids).toEqual(await idsOf(service, `to=${before}`));
    expect(ofNobody.messages).toEqual([]);
  });

  it('has no gap and no double where catching up meets what happens', async () => {
    const service = await started();
    await write(service, 'labels', 20);
    const writers = Array.from({ length: 4 }, () => write(service, 'labels', 60));
    const late: Promise<EventStreamReader>[] = [];
    for (let i = 0; i < 20; i += 1) {
      const all = await idsOf(service);
      late.push(follow(service, `?after=${i % 2 === 0 ? 0 : (all.at(-3) ?? 0)}`));
    }
    const opened = await Promise.all(late);
    await Promise.all(writers);
    const all = await idsOf(service);
    for (const reader of opened) {
      const expected = all.filter((id) => BigInt(id) > BigInt(String(reader.answer.headers['x-position'])));
      await received(reader, expected);
      expect(reader.ids).toEqual(expected);
    }
  });

  it('refuses a position that is none or is yet to come, and what no filter is', async () => {
    const service = await started();
    const wrong: [query: string, headers: Record<string, string>, place: string][] = [
      ['?after=abc', {}, '?after'],
      ['?after=-1', {}, '?after'],
      ['?after=', {}, '?after'],
      ['?after=999999', {}, '?after'],
      ['?after=999999999999999999', {}, '?after'],
      ['', { 'last-event-id': 'abc' }, 'last-event-id'],
      ['', { 'last-event-id': '999999' }, 'last-event-id'],
      ['?cursor=x', {}, '?cursor'],
      ['?type=Nothing', {}, '?type'],
      ['?actor=a&actor=b', {}, '?actor'],
    ];
    for (const [query, headers, place] of wrong)
      await expectRefused(service, [], {
        name: query,
        send: () => service.request('GET', `/v1/events${query}`, { headers }),
        status: 422,
        code: 'invalid',
        errors: [place],
      });
  });

  it('is a stream of events and nothing else, has no HEAD, and keeps strangers out', async () => {
    const service = await started();
    const refusal = async (method: string, headers: Record<string, string>): Promise<unknown[]> => {
      const { status, headers: said } = await service.request(method, '/v1/events', { headers });
      return [status, said.get('allow')];
    };
    expect(await refusal('GET', { accept: 'application/json' })).toEqual([406, null]);
    expect(await refusal('GET', { origin: 'http://elsewhere.example' })).toEqual([403, null]);
    expect(await refusal('HEAD', {})).toEqual([405, 'GET']);
    expect(await refusal('POST', {})).toEqual([405, 'GET']);
    expect((await follow(service, '', { accept: 'text/event-stream' })).ended).toBe(false);
  });
});

describe('a reader that comes back', () => {
  it.each(['stop', 'kill'] as const)('after a %s of the service has neither gap nor double', async (end) => {
    const first = await started();
    await write(first, 'labels', 30);
    const before = await follow(first, '?after=0');
    const known = await idsOf(first);
    await received(before, known.slice(0, 10));
    await write(first, 'labels', 5);
    await first[end]();
    await until('the stream ends', async () => before.ended);
    const seen = before.ids;

    const second = await started(first.data);
    await write(second, 'labels', 5);
    // A browser asks for the same address again: what the header says counts.
    const after = await follow(second, '?after=0', { 'last-event-id': seen.at(-1) ?? '0' });
    await write(second, 'labels', 5);
    const all = await idsOf(second);
    await received(after, all.slice(seen.length));
    expect([...seen, ...after.ids]).toEqual(all);
  });

  it('is no reason for a service to stay: streams end at once', async () => {
    const service = await started();
    const stuck = await follow(service, '?after=0');
    stuck.stick();
    const others = await Promise.all(Array.from({ length: 20 }, () => follow(service)));
    await write(service, 'users', 30, 'x'.repeat(200_000));
    const began = performance.now();
    expect(await service.stop()).toBe(0);
    expect(performance.now() - began).toBeLessThan(5_000);
    await until('they end', async () => others.every(({ ended }) => ended));
  });
});

describe('a thousand readers', () => {
  it('get every event in order, once, also where one of them is stuck: that one is dropped', async () => {
    const service = await started();
    const stuck = await follow(service, '?after=0');
    stuck.stick();
    const all = await Promise.all(Array.from({ length: 5 }, () => follow(service, '?after=0')));
    const many: EventStreamReader[] = [];
    for (let i = 0; i < 50; i += 1)
      many.push(...(await Promise.all(Array.from({ length: 20 }, () => follow(service, '?after=0&registry=labels')))));
    expect(await metric(service, 'lethe_event_stream_readers')).toBe(1_006);

    // More than all the buffers between the two processes hold.
    const large = write(service, 'users', 60, 'x'.repeat(200_000));
    await Promise.all([large, ...Array.from({ length: 4 }, () => write(service, 'labels', 50))]);
    const [ids, labels] = [await idsOf(service), await idsOf(service, 'registry=labels')];
    expect(labels).toHaveLength(200);
    for (const [expected, group] of [[ids, all] as const, [labels, many] as const]) {
      for (const reader of group) {
        await received(reader, expected);
        expect(reader.ids).toEqual(expected);
      }
    }
    await until('the stuck one is dropped', async () => {
      return (await metric(service, 'lethe_event_stream_dropped_readers')) === 1;
    });
    expect(await metric(service, 'lethe_event_stream_readers')).toBe(1_005);
    // The rest are still served.
    await write(service, 'labels', 1);
    await Promise.all(many.map((reader) => received(reader, [...labels, ''])));
    stuck.answer.resume();
    await until('its connection is over', async () => stuck.ended);
    expect(stuck.messages.length).toBeLessThan(ids.length);
  });
});
