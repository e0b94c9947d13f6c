import { createServer, type IncomingMessage, type Server } from 'node:http';
import { afterAll, describe, expect, it } from 'vitest';
import { ACTOR, leaveHome, lethe, NOBODY } from '../harness/command-line.js';

/*
 * Towards a service that fails, or that is none.
 */

afterAll(leaveHome);

describe.concurrent('towards a service that stumbles', () => {
  interface Seen {
    readonly method: string;
    readonly path: string;
    readonly headers: IncomingMessage['headers'];
  }
  type Answer = { status: number; headers?: Record<string, string>; body?: object } | 'break';

  const stumbling = async (answers: Answer[]): Promise<{ url: string; seen: Seen[]; server: Server }> => {
    const seen: Seen[] = [];
    const server = createServer((request, response) => {
      request.resume().on('end', () => {
        seen.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers });
        const answer = answers.shift() ?? { status: 500 };
        if (answer === 'break') {
          request.socket.destroy();
          return;
        }
        response.writeHead(answer.status, { 'Content-Type': 'application/json', ...answer.headers });
        response.end(JSON.stringify(answer.body ?? {}));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return { url: `http://127.0.0.1:${port}`, seen, server };
  };

  const ref = { registry: 'files', uid: NOBODY };
  const record = { ...ref, key: 'a', visibility: -1, createdAt: '2026-11-23T00:57:00.000Z', revision: 1 };
  const purge = { ...ref, state: 'pending', attempts: 0, error: null, by: [], receipt: null };
  const problem = (status: number, code: string, extra: object = {}): Answer => ({
    status,
    headers: { 'Content-Type': 'application/problem+json' },
    body: {
      type: `urn:lethe:${code}`,
      title: code,
      status,
      detail: `It is ${code}.`,
      code,
      correlationId: 'c',
      ...extra,
    },
  });

  it('tries again with the same idempotency key, and reads what it wrote', async () => {
    const { url, seen, server } = await stumbling([
      'break',
      { status: 503, headers: { 'Retry-After': '0' } },
      { status: 202, headers: { 'X-Position': '41' }, body: { outcome: 'purging', record: null, purge, warnings: [] } },
      'break',
      { status: 200, body: { ...purge, state: 'cancelled', by: [{ registry: 'datasets', uid: NOBODY }] } },
    ]);
    const { code, err } = await lethe('delete', NOBODY, '--permanent', '--url', url);
    server.close();
    expect(code).toBe(3);
    expect(err).toContain(`was called off: datasets/${NOBODY} came to point at it`);
    expect(seen.map(({ method }) => method)).toEqual(['DELETE', 'DELETE', 'DELETE', 'GET', 'GET']);
    const keys = new Set(seen.slice(0, 3).map(({ headers }) => headers['idempotency-key']));
    expect([...keys]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(seen[0]?.headers).toMatchObject({ prefer: 'wait=30', 'x-actor': ACTOR });
    expect(seen[3]?.headers['x-min-position']).toBe('41');
  });

  it('confirms the revision that it showed, and no other', async () => {
    const preview = { ...ref, revision: 7, object: null };
    const { url, seen, server } = await stumbling([
      problem(409, 'confirmation-required', { preview }),
      problem(412, 'revision-changed'),
    ]);
    expect(await lethe('delete', NOBODY, '--yes', '--url', url)).toEqual({
      code: 3,
      out: '',
      err: 'lethe: It is revision-changed.\n',
    });
    server.close();
    expect(seen[1]).toMatchObject({ path: `/v1/files/${NOBODY}?permanent=true`, headers: { 'if-match': '"7"' } });
  });

  it('takes page after page, and no more than it was asked for', async () => {
    const page = (items: object[], next: string | null): Answer => ({
      status: 200,
      body: { items, next, position: '9' },
    });
    const { url, seen, server } = await stumbling([page([record, record], 'c1'), page([record, record], 'c2')]);
    const { code, out } = await lethe('ls', '--limit', '3', '--json', '--url', url);
    server.close();
    expect({ code, rows: JSON.parse(out) }).toEqual({ code: 0, rows: [record, record, record] });
    expect(seen.map(({ path }) => path)).toEqual(['/v1/files?limit=3', '/v1/files?limit=3&cursor=c1']);
  });

  it('gives up at last, and notices who is no Lethe', async () => {
    const unavailable = problem(503, 'store-unavailable');
    const down = await stumbling([unavailable, unavailable, unavailable, unavailable]);
    expect(await lethe('show', NOBODY, '--url', down.url)).toEqual({
      code: 1,
      out: '',
      err: 'lethe: It is store-unavailable.\n',
    });
    down.server.close();
    const other = await stumbling([{ status: 200, body: { hello: 'world' } }]);
    const noticed = { code: 1, out: '', err: expect.stringContaining('Is it one?') };
    expect(await lethe('show', NOBODY, '--url', other.url)).toEqual(noticed);
    other.server.close();
  });
});
