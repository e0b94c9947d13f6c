import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isTrashable } from '../events/vocabulary.js';
import { keyOf, type ApiKey, type Right } from './keys.js';
import { Problem } from './problem.js';
import { flag, pathParameter, queryOf } from './request.js';

/*
 * Who may do what. A route carries its need with it, so nothing here compares paths: however an address is written, what counts is the route
 * that it led to and the parameters as the handler reads them.
 */

/** What a route takes: one right, or `nothing`; a function where it depends on what is asked for. */
export type Need = Right | 'nothing' | ((request: FastifyRequest) => Right);

declare module 'fastify' {
  interface FastifyContextConfig {
    needs?: Need;
  }
}

/** The right that a caller's key must have for this route. Every handler says so: without it the service does not start. */
export const Needs = (need: Need): MethodDecorator => RouteConfig({ needs: need });

const ofStorages = (request: FastifyRequest): boolean => pathParameter(request, 'registry') === 'storages';

/** Of a command on one record, or on a registry: a storage says where Lethe may read and delete, so every command on storages takes `admin`. */
export const changing =
  (right: Right): Need =>
  (request) =>
    ofStorages(request) ? 'admin' : right;

/** Of a DELETE on a record: it only trashes where there is a trash and nobody said `permanent=true`. A dry run takes what the real one would. */
export const deleting: Need = (request) => {
  if (ofStorages(request)) return 'admin';
  const trashes = isTrashable(pathParameter(request, 'registry')) && flag(queryOf(request), 'permanent') !== true;
  return trashes ? 'write' : 'purge';
};

/** Of one command on many records. Those on storages take `admin` beside it, record by record. */
export const ofMany: Need = ({ body }) => {
  const purges = typeof body === 'object' && body !== null && 'action' in body && body.action === 'purge';
  return purges ? 'purge' : 'write';
};

/** A route that does not say what it needs is refused when it is added: what was forgotten is not open. */
export const demandNeeds = (server: FastifyInstance): void => {
  server.addHook('onRoute', (route) => {
    if (route.config?.needs === undefined)
      throw new Error(`The route ${String(route.method)} ${route.url} does not say which right it needs: add @Needs.`);
  });
};

/**
 * Finds out who calls, before anything of the body is read.
 * @returns null where nobody needs a key: none is configured, the route is open, or there is no route
 * @throws Problem `unauthenticated`
 */
export const callerOf = (request: FastifyRequest, keys: readonly ApiKey[]): ApiKey | null => {
  if (keys.length === 0 || request.is404 || request.routeOptions.config.needs === 'nothing') return null;
  const { authorization } = request.headers;
  if (authorization === undefined) throw unknown('This service asks for an API key.', false);
  const [scheme = ''] = authorization.split(' ', 1);
  if (scheme.toLowerCase() !== 'bearer') throw unknown('This service takes API keys alone.', false);
  const key = keyOf(keys, authorization.slice(scheme.length).trim());
  if (key === null) throw unknown('This service does not know the API key that was sent.', true);
  return key;
};

/**
 * Looks whether the caller has the right that the route takes for what is asked of it, once the body has been read.
 * @throws Problem `forbidden`, naming the right that is missing
 */
export const permit = (request: FastifyRequest, keys: readonly ApiKey[]): void => {
  const { caller, is404, routeOptions } = request;
  const { needs } = routeOptions.config;
  if (keys.length === 0 || is404 || needs === 'nothing') return;
  const right = typeof needs === 'function' ? needs(request) : needs;
  if (caller === null || right === undefined) throw new Error('A route was reached that nobody was let in to.');
  if (caller.may.includes(right)) return;
  throw new Problem(
    'forbidden',
    `This takes the right '${right}', and the key of ${caller.subject} has ${caller.may.map((has) => `'${has}'`).join(', ')} alone.`,
  );
};

/** RFC 6750. @param sent whether a key came at all */
const unknown = (what: string, sent: boolean): Problem =>
  new Problem(
    'unauthenticated',
    `${what} Send it as Authorization: Bearer <key> (the command line: LETHE_API_KEY).`,
    {},
    { 'WWW-Authenticate': `Bearer realm="lethe"${sent ? ', error="invalid_token"' : ''}` },
  );
