import { Readable } from 'node:stream';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { InjectOptions } from 'fastify';
import { CallerGone } from './api/problem.js';

const METHODS = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT', 'OPTIONS'] as const;

/** `fetch` without a port: the same routes, in this process. The service hears where the request's signal aborts, or its answer is left. */
export const injected = async (app: NestFastifyApplication, request: Request): Promise<Response> => {
  const url = new URL(request.url);
  const method = METHODS.find((known) => known === request.method) ?? 'GET';
  const gone = new AbortController();
  const leave = (): void => gone.abort(new CallerGone());
  request.signal.addEventListener('abort', leave, { once: true });
  const options: InjectOptions = {
    method,
    url: url.pathname + url.search,
    headers: { ...Object.fromEntries(request.headers), host: 'localhost' },
    signal: gone.signal,
  };
  if (request.body !== null) options.payload = Readable.fromWeb(request.body);
  const answer = await app
    .getHttpAdapter()
    .getInstance()
    .inject({ ...options, payloadAsStream: true });
  const body = answer.stream();
  body.once('close', () => {
    request.signal.removeEventListener('abort', leave);
    // Whoever reads no further has left, too.
    if (!body.readableEnded) leave();
  });
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) headers.set(name, String(value));
  }
  const empty = method === 'HEAD' || answer.statusCode === 204 || answer.statusCode === 304;
  return new Response(empty ? null : Readable.toWeb(body), { status: answer.statusCode, headers });
};
