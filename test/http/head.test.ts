import { afterAll, beforeAll, expect, it } from 'vitest';
import { rawRequest, sendRaw } from '../harness/raw.js';
import { discard, startService, upload, type Answer, type RunningService } from '../harness/service.js';

/* HEAD (RFC 9110, 9.3.2): what GET says of its answer, without the answer. */

let service: RunningService;
let uids: Readonly<Record<'FILE' | 'PURGED', string>>;

const add = async (key: string): Promise<string> =>
  (await service.request('POST', '/v1/files', { body: upload({ key }, `0123456789 ${key}`) })).body.record.uid;

beforeAll(async () => {
  service = await startService();
  uids = { FILE: await add('a.csv'), PURGED: await add('b.csv') };
  const ended = { headers: { prefer: 'wait=20' } };
  await service.request('DELETE', `/v1/files/${uids.PURGED}?permanent=true`, ended);
});

afterAll(() => discard(service));

const send = (method: string, path: string, headers: Readonly<Record<string, string>>): Promise<Answer> =>
  sendRaw(service, rawRequest(service, method, path, { 'x-correlation-id': 'the same', ...headers }));

/** Without the time of day. */
const headersOf = ({ headers }: Answer): [string, string][] => [...headers].filter(([name]) => name !== 'date');

type Row = readonly [path: string, status: number, headers?: Readonly<Record<string, string>>];

const ROWS: readonly Row[] = [
  ['/v1', 200],
  ['/v1/files?count=true&limit=1', 200],
  ['/v1/files/FILE', 200],
  ['/v1/files/FILE/history', 200],
  ['/v1/files/FILE/objects', 200],
  ['/v1/files/FILE/content', 200],
  ['/v1/files/FILE/content', 206, { range: 'bytes=2-4' }],
  ['/v1/files/FILE/content', 416, { range: 'bytes=99-' }],
  ['/v1/files/PURGED', 410],
  ['/v1/files/PURGED/content', 410],
  ['/v1/files/N0suchRecord00000000', 404],
  ['/v1/files?size=x', 422],
  ['/v1/nothing/here/at/all', 404],
  ['/v1/trash', 200],
  ['/v1/purges', 200],
  ['/v1/purges/files/PURGED', 200],
  ['/v1/operations', 200],
  ['/health/live', 200],
  ['/health/ready', 200],
  ['/openapi.json', 200],
  ['/docs', 200],
  ['/docs/swagger-ui-bundle.js', 200],
];

it.each(ROWS.map(([path, status, headers = {}]) => ({ path, status, headers })))(
  'HEAD $path: $status, as GET, without a body',
  async ({ path, status, headers }) => {
    const at = path.replace(/FILE|PURGED/, (name) => (name === 'FILE' ? uids.FILE : uids.PURGED));
    const [got, head] = [await send('GET', at, headers), await send('HEAD', at, headers)];
    expect([got.status, head.status]).toEqual([status, status]);
    expect(head.body).toBe('');
    expect(got.body).not.toBe('');
    expect(headersOf(head)).toEqual(headersOf(got));
  },
);
