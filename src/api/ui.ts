import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { FastifyInstance } from 'fastify';

/** Beside `src` and beside `dist` alike, in a checkout and in the installed package. */
const FOLDER = new URL('../../web/', import.meta.url);
const PAGE = 'index.html';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
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

/**
 * Serves the web UI at `/` and its files below `/ui/`, open to all: what they show, they ask the API for.
 *
 * Each file is a route of its own and is read once, so no address leads anywhere else. Its ETag is of its bytes: a packed package gives every
 * file the same time, and an ETag made of that would keep an old page alive.
 * @throws Error where the package has no `web` folder, or a file in it of a kind that is not known
 */
export const installUi = (server: FastifyInstance): void => {
  for (const name of readdirSync(FOLDER)) {
    const type = TYPES[extname(name)];
    if (type === undefined) throw new Error(`web/${name} is of a kind that the UI does not serve.`);
    const bytes = readFileSync(new URL(name, FOLDER));
    const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
    server.get(name === PAGE ? '/' : `/ui/${name}`, { config: { needs: 'nothing' } }, async (request, reply) => {
      reply.headers({ ...HEADERS, ETag: etag });
      if (request.headers['if-none-match']?.includes(etag) === true) return reply.code(304).send();
      return reply.type(type).send(bytes);
    });
  }
};
