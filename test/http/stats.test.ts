import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { discard, startService, upload, type RunningService } from '../harness/service.js';

/* GET /v1/stats and GET /metrics: how the service stands, in numbers. */

let service: RunningService;

beforeAll(async () => {
  service = await startService();
  for (const [key, content] of [
    ['a.csv', 'abc'],
    ['b.csv', 'defgh'],
    ['c.parquet', 'xy'],
    ['d', 'z'],
  ] as const)
    expect((await service.request('POST', '/v1/files', { body: upload({ key }, content) })).status).toBe(201);
  await service.request('POST', '/v1/labels', { json: { name: 'a' } });
});
afterAll(() => discard(service));

const stats = async () => {
  const answer = await service.request('GET', '/v1/stats');
  expect(answer.status).toBe(200);
  return answer;
};
const groupsOf = async (registry: string) =>
  (await stats()).body.groups.filter((group: { registry: string }) => group.registry === registry);
const metricsOf = async (): Promise<string> => (await service.request('GET', '/metrics')).body;

describe('stats', () => {
  it('count records and bytes by registry, suffix and visibility, and follow them', async () => {
    const group = (suffix: string | null, visibility: number, records: number, bytes: number) => ({
      registry: 'files',
      suffix,
      visibility,
      records,
      bytes,
    });
    expect(await groupsOf('files')).toEqual([group(null, 1, 1, 1), group('.csv', 1, 2, 8), group('.parquet', 1, 1, 2)]);
    expect(await groupsOf('labels')).toEqual([
      { registry: 'labels', suffix: null, visibility: 1, records: 1, bytes: 0 },
    ]);
    const [file] = (await service.request('GET', '/v1/files?suffix=.parquet')).body.items;
    await service.request('DELETE', `/v1/files/${file.uid}`);
    expect(await groupsOf('files')).toEqual([
      group(null, 1, 1, 1),
      group('.csv', 1, 2, 8),
      group('.parquet', -1, 1, 2),
    ]);
    const headers = { prefer: 'wait=20' };
    const purged = await service.request('DELETE', `/v1/files/${file.uid}?permanent=true`, { headers });
    expect(purged.body.outcome).toBe('purged');
    // A group that nobody is in any more is not shown.
    expect(await groupsOf('files')).toEqual([group(null, 1, 1, 1), group('.csv', 1, 2, 8)]);
  });

  it('say how far the projection is, and what purges wait', async () => {
    const { headers, body } = await stats();
    const { position } = (await service.request('GET', '/v1/audit?limit=1')).body;
    expect(body.projection).toEqual({ position, head: position, lagEvents: 0, lagMs: 0 });
    expect(body.purges).toEqual({ pending: 0, failed: 0, parked: 0 });
    expect(headers.get('x-position')).toBe(position);
    expect(headers.get('cache-control')).toBe('no-cache');
  });

  it('take no parameter', async () => {
    expect((await service.request('GET', '/v1/stats?registry=files')).status).toBe(422);
  });
});

describe('metrics', () => {
  it('are in the text format of Prometheus', async () => {
    const answer = await service.request('GET', '/metrics');
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    for (const line of answer.body.split('\n').filter((text: string) => text !== ''))
      expect(line).toMatch(
        /^(# (HELP|TYPE) [a-z0-9_]+ .+|[a-z0-9_]+(\{([a-z]+="[^"]*",?)+\})? (-?[0-9.e+-]+|Nan|\+Inf))$/i,
      );
    const { position } = (await service.request('GET', '/v1/audit?limit=1')).body;
    for (const line of [
      `lethe_projection_position ${position}`,
      `lethe_log_head_position ${position}`,
      'lethe_projection_lag_events 0',
      'lethe_projection_lag_seconds 0',
      'lethe_projection_skipped_events 0',
      'lethe_projection_halted 0',
      'lethe_purges{state="parked"} 0',
      'lethe_commands_paced 0',
      'lethe_event_stream_readers 0',
      'lethe_store_answers{store="event-store"} 1',
    ])
      expect(await metricsOf()).toContain(`${line}\n`);
    expect(answer.body).toMatch(/^process_resident_memory_bytes \d+$/m);
  });

  it('count requests by route and status, and commands by outcome', async () => {
    const count = async (line: string): Promise<number> => {
      const found = (await metricsOf()).split('\n').find((text) => text.startsWith(`${line} `));
      return Number(found?.slice(line.length + 1) ?? 0);
    };
    const created = 'lethe_commands_total{command="RegisterRecord",outcome="created"}';
    const missing = 'lethe_commands_total{command="RestoreRecord",outcome="not-found"}';
    const answered = 'lethe_http_requests_total{method="POST",route="/v1/:registry",status="201"}';
    const timed = 'lethe_http_request_duration_seconds_count{method="POST",route="/v1/:registry"}';
    const lines = [created, missing, answered, timed];
    const before = await Promise.all(lines.map(count));
    const { uid } = (await service.request('POST', '/v1/labels', { json: { name: 'b' } })).body.record;
    await service.request('POST', '/v1/labels/AAAAAAAAAAAAAAAAAAAA/restore');
    expect(await Promise.all(lines.map(count))).toEqual(before.map((value) => value + 1));
    // What the saga does is counted, too.
    expect((await service.request('DELETE', `/v1/labels/${uid}`)).body.outcome).toBe('purged');
    expect(await count('lethe_commands_total{command="ReportPurgeStep",outcome="purging"}')).toBeGreaterThan(0);
  });

  it('have no more labels for what callers make up', async () => {
    // Node's own get labels with what goes on in the process, whoever calls.
    const labels = async (): Promise<number> =>
      (await metricsOf()).split('\n').filter((line) => line.startsWith('lethe_')).length;
    await service.request('GET', '/nothing/here');
    await service.request('GET', '/v1/files/AAAAAAAAAAAAAAAAAAAA');
    const before = await labels();
    for (let i = 0; i < 20; i += 1) {
      await service.request('GET', `/nothing/here/${i}`);
      await service.request('GET', `/v1/files/${String(i).padStart(20, 'A')}`);
    }
    expect(await labels()).toBe(before);
  });
});
