import { readdirSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { serveFile } from './pages.js';

/** Beside `src` and beside `dist` alike, in a checkout and in the installed package. */
const FOLDER = new URL('../../web/', import.meta.url);
const PAGE = 'index.html';

/**
 * Serves the web UI at `/` and its files below `/ui/`: what they show, they ask the API for.
 * @throws Error where the package has no `web` folder
 */
export const installUi = (server: FastifyInstance): void => {
  for (const { name } of readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isFile()))
    serveFile(server, [name === PAGE ? '/' : `/ui/${name}`], new URL(name, FOLDER));
};

const DOCS = new URL('docs/', FOLDER);

/** Swagger UI on `/openapi.json`, at `/docs`: its own files, and a page that starts it. It needs nothing from elsewhere. */
export const installDocs = (server: FastifyInstance): void => {
  const swaggerUi = new URL(import.meta.resolve('swagger-ui-dist/package.json'));
  serveFile(server, ['/docs', '/docs/'], new URL('index.html', DOCS), [
    // Small pictures stand in its style sheet.
    "img-src 'self' data:",
  ]);
  serveFile(server, ['/docs/start.js'], new URL('start.js', DOCS));
  for (const name of ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'])
    serveFile(server, [`/docs/${name}`], new URL(name, swaggerUi));
};
