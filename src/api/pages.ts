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
const HEADERS = {
  'Cache-Control': 'no-cache',
  'Content-Security-Policy':
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
} as const;

interface Served {
  readonly bytes: Buffer;
  readonly etag: string;
}

/**
 * Serves one file at these addresses, open to all, and at no other: each is a route of its own. It is read once, when it is first asked for.
 * Its ETag is of its bytes: a packed package gives every file the same time, and an ETag made of that would keep an old page alive.
 * @param headers what is to be said otherwise of this one
 * @throws Error where a file is of a kind that is not known
 */
export const serveFile = (
  server: FastifyInstance,
  addresses: readonly string[],
  file: URL,
  headers: Readonly<Record<string, string>> = {},
): void => {
  const type = TYPES[extname(file.pathname)];
  if (type === undefined) throw new Error(`${file.pathname} is of a kind that is not served.`);
  let served: Served | null = null;
  for (const address of addresses)
    server.get(address, { config: { needs: 'nothing' } }, async (request, reply) => {
      served ??= read(file);
      const { bytes, etag } = served;
      reply.headers({ ...HEADERS, ...headers, ETag: etag });
      if (request.headers['if-none-match']?.includes(etag) === true) return reply.code(304).send();
      return reply.type(type).send(bytes);
    });
};

const read = (file: URL): Served => {
  const bytes = readFileSync(file);
  return { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url')}"` };
};
