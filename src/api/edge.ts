import { isUtf8 } from 'node:buffer';
import multipart from '@fastify/multipart';
import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RESERVED_NAMES } from '../events/vocabulary.js';
import { callerOf, demandNeeds, permit } from './access.js';
import { readJson } from './json.js';
import type { ApiPorts } from './ports.js';
import { asProblem, Problem, PROBLEMS, problemBody, unsupported } from './problem.js';
import { header, minPosition, pathParameter } from './request.js';

/** JSON bodies; the largest command (a dataset of 5,000 files) fits. */
export const BODY_LIMIT = 256 * 1024;

const ENDLESS = '/v1/events';
/** Where files are uploaded. */
const TAKES_FORMS = '/v1/:registry';

const LOOPBACK = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;

/**
 * What every request passes, whatever its route: who may call and what they may do, the correlation id, the bodies that are taken, and
 * problems in one shape, those of the HTTP server too.
 */
export const installEdge = async (server: FastifyInstance, ports: ApiPorts): Promise<ExceptionFilter> => {
  takeJson(server);
  // Nothing but 100-continue can be expected (RFC 9110, section 10.1.1); Node would refuse the rest in words of its own.
  server.server.on('checkExpectation', (request, response) => server.server.emit('request', request, response));
  await server.register(multipart);
  server.decorateRequest('correlationId', '').decorateRequest('caller', null);
  demandNeeds(server);
  const routes = collectRoutes(server);

  server.addHook('onRequest', async (request, reply) => {
    request.correlationId = ports.ids.uuid();
    request.correlationId = header(request, 'x-correlation-id') ?? request.correlationId;
    reply.header('X-Correlation-Id', request.correlationId);
    if (request.headers.host === undefined && request.raw.httpVersion !== '1.0')
      throw new Problem('malformed', 'The request names no Host, as HTTP/1.1 has to.');
    refuseStrangers(request, ports.keys.length > 0);
    // Before anything of the body: where nothing takes it, what is wrong with it does not matter.
    if (request.is404 || RESERVED_NAMES.has(pathParameter(request, 'registry'))) throw nothingThere(request, routes);
    request.caller = callerOf(request, ports.keys);
    const waitsFor = request.routeOptions.config.needs === 'nothing' ? null : ports.waitsFor();
    if (waitsFor !== null)
      throw new Problem('store-unavailable', `The service is starting, and ${waitsFor}`, {}, { 'Retry-After': '1' });
    if (request.method === 'DELETE' && hasBody(request))
      throw new Problem('malformed', 'DELETE takes no body: what it needs comes in the query.');
    if (request.method !== 'GET' && hasBody(request)) refuseCoded(request);
  });
  // An answer that was under way when the server began to close is its connection's last: kept alive, it would keep the process, too.
  let closing = false;
  server.addHook('preClose', (done) => {
    closing = true;
    done();
  });
  server.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('Connection', 'close');
  });
  server.addHook('preHandler', async (request) => {
    permit(request, ports.keys);
    // A form that a command does not look into would be taken for no body, and what it says for nothing.
    if (request.isMultipart() && request.routeOptions.url !== TAKES_FORMS) throw unsupported();
    if (request.routeOptions.config.needs === 'nothing') return;
    const wanted = minPosition(request);
    if (wanted !== null) await ports.progress.reach(wanted);
  });

  const send = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const problem = asProblem(error);
    const status = PROBLEMS[problem.code][0];
    const about = {
      correlationId: request.correlationId,
      method: request.method,
      route: request.routeOptions.url,
    };
    if (problem.code === 'internal')
      ports.log.error({ ...about, err: error }, 'a request failed in a way that nobody expected');
    else if (status >= 500) ports.log.warn({ ...about, err: error }, problem.message);
    else if (status === 401 || status === 403)
      ports.log.warn({ ...about, code: problem.code, subject: request.caller?.subject ?? 'unknown' }, problem.message);
    if (reply.raw.headersSent) {
      // The answer has begun: breaking it off is the only way left to say that it is not whole.
      reply.raw.destroy();
      return;
    }
    void reply
      .code(status)
      .headers(problem.headers)
      .header('X-Correlation-Id', request.correlationId)
      .header('Content-Type', 'application/problem+json')
      .send(JSON.stringify(problemBody(problem, request.correlationId)));
  };
  server.setErrorHandler((error, request, reply) => {
    send(error, request, reply);
  });
  // Whatever still comes here is not answered in the framework's own words.
  server.setNotFoundHandler((request, reply) => {
    send(nothingThere(request, routes), request, reply);
  });
  return new ProblemFilter(send);
};

/** 405 with the methods that the path takes, or 404 where it takes none. */
const nothingThere = (request: FastifyRequest, routes: readonly Route[]): Problem => {
  const path = request.url.split('?', 1)[0] ?? '';
  const allowed = [...new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))].sort();
  if (allowed.length === 0)
    return new Problem('not-found', `There is nothing at ${path}. GET /openapi.json lists every route.`);
  const allow = allowed.join(', ');
  const what = `${request.method} is not for ${path}; it takes ${allow}.`;
  return new Problem('method-not-allowed', what, {}, { Allow: allow });
};

/** What a controller throws ends in the same place as what the HTTP server itself refuses. */
@Catch()
class ProblemFilter implements ExceptionFilter {
  constructor(private readonly send: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.send(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }
}

/** Nest would put its own handlers where the edge's stand. */
export class EdgeAdapter extends FastifyAdapter {
  override setErrorHandler(): FastifyInstance {
    return this.instance;
  }

  override setNotFoundHandler(): FastifyInstance {
    return this.instance;
  }
}

/** JSON in UTF-8, and for PATCH its merge patch; an absent body is left absent. */
const takeJson = (server: FastifyInstance): void => {
  server.removeAllContentTypeParsers();
  const json = async (body: Buffer) => {
    if (body.length === 0) return undefined;
    // Decoded all the same, other bytes would become replacement characters, for good.
    if (!isUtf8(body)) throw new Problem('malformed', 'The body is not in UTF-8, as JSON has to be.');
    return readJson(body.toString('utf8'), 'The body');
  };
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_: FastifyRequest, body: Buffer) =>
    json(body),
  );
  server.addContentTypeParser(
    'application/merge-patch+json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      if (request.method !== 'PATCH') throw unsupported();
      return json(body);
    },
  );
};

/** Nothing here is unpacked, and what is packed would be taken for the bytes themselves. */
const refuseCoded = ({ headers }: FastifyRequest): void => {
  const coding = headers['content-encoding'];
  if (coding === undefined || /^\s*identity\s*$/i.test(coding)) return;
  throw new Problem('unsupported-media', `Send the body as it is, without Content-Encoding (got '${coding}').`);
};

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
}

/** What the routes themselves are named is no registry. */
const REGISTRY = `(?!(?:${[...RESERVED_NAMES].join('|')})(?:/|$))[^/]+`;

const collectRoutes = (server: FastifyInstance): Route[] => {
  const routes: Route[] = [];
  server.addHook('onRoute', ({ method, url }) => {
    const pattern = new RegExp(
      `^${url.replaceAll('.', '\\.').replace(/:[A-Za-z]+/g, (name) => (name === ':registry' ? REGISTRY : '[^/]+'))}$`,
    );
    for (const one of Array.isArray(method) ? method : [method]) {
      // The server makes one for every GET, and the stream that does not end refuses it.
      if (one !== 'HEAD' || url !== ENDLESS) routes.push({ method: one, pattern });
    }
  });
  return routes;
};

/**
 * Only the service's own pages may call, and without keys this machine alone: a Host that is not loopback is then a name that somebody
 * else's page made point here, and a foreign Origin is that page itself.
 */
const refuseStrangers = (request: FastifyRequest, hasKeys: boolean): void => {
  const { host, origin } = request.headers;
  if (!hasKeys && host !== undefined && !LOOPBACK.test(host)) {
    throw new Problem(
      'forbidden',
      `Without API keys this service answers to loopback names alone, not to the Host '${host}'.`,
    );
  }
  if (typeof origin !== 'string') return;
  const own = new Set([`http://${host ?? ''}`, `https://${host ?? ''}`]);
  if (!own.has(origin)) throw new Problem('forbidden', `Pages of ${origin} may not call this service.`);
};

const hasBody = (request: FastifyRequest): boolean =>
  request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
