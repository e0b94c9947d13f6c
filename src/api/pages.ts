import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { FastifyInstance } from 'fastify';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
};

/** The page runs its own files alone, and nobody frames it: what a record is named can be no script, even where the page forgot to escape. */
const POLICY = [
  "default-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "object-src 'none'",
];
const HEADERS = {
  'Cache-Control': 'no-cache',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
} as const;

/**
 * Serves one file at these addresses, open to all, and at no other: each is a route of its own. It is read once, at the start: one page's
 * files belong together. Its ETag is of its bytes: a packed package gives every file the same time, and an ETag made of that would keep an old
 * page alive.
 * @param allowed what the page may do beside running its own files: directives of its content security policy
 * @throws Error where a file is of a kind that is not known, or not there
 */
export const serveFile = (
  server: FastifyInstance,
  addresses: readonly string[],
  file: URL,
  allowed: readonly string[] = [],
): void => {
  const type = TYPES[extname(file.pathname)];
  if (type === undefined) throw new Error(`${file.pathname} is of a kind that is not served.`);
  const bytes = readFileSync(file);
  const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
  const headers = { ...HEADERS, 'Content-Security-Policy': [...POLICY, ...allowed].join('; '), ETag: etag };
  for (const address of addresses)
    server.get(address, { config: { needs: 'nothing' } }, async (request, reply) => {
      reply.headers(headers);
      if (request.headers['if-none-match']?.includes(etag) === true) return reply.code(304).send();
      return reply.type(type).send(bytes);
    });
};
