import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { discard, startService, type RunningService } from '../harness/service.js';

/*
 * How the web UI's files are served; what they do, test/browser tries.
 */

let service: RunningService;

beforeAll(async () => {
  service = await startService();
});

afterAll(() => discard(service));

const files = readdirSync(new URL('../../web/', import.meta.url), { withFileTypes: true }).filter((entry) =>
  entry.isFile(),
);
const addresses = [
  ...files.map(({ name }) => (name === 'index.html' ? '/' : `/ui/${name}`)),
  ...['', '/', '/start.js', '/swagger-ui.css', '/swagger-ui-bundle.js', '/favicon-32x32.png'].map(
    (name) => `/docs${name}`,
  ),
];

describe('the files of the web UI, and of the page that describes the API', () => {
  it.each(addresses)('%s runs nothing but its own, and is sent once', async (address) => {
    const first = await service.request('GET', address);
    expect(first.status).toBe(200);
    const policy = first.headers.get('content-security-policy');
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(first.headers.get('x-content-type-options')).toBe('nosniff');
    const again = await service.request('GET', address, {
      headers: { 'if-none-match': first.headers.get('etag') ?? '' },
    });
    expect(again.status).toBe(304);
    expect((await service.request('HEAD', address)).status).toBe(200);
  });

  it('lead nowhere else', async () => {
    for (const path of [
      '/ui/',
      '/ui/..%2fpackage.json',
      '/ui/%2e%2e/package.json',
      '/ui/index.html',
      '/docs/index.html',
    ])
      expect((await service.request('GET', path)).status).toBe(404);
  });

  it('take no other method', async () => {
    for (const address of ['/', '/docs', '/openapi.json']) {
      const answer = await service.request('POST', address, { json: {} });
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    }
  });
});
