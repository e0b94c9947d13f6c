import { STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import type { Ids } from '../ports.js';
import { asProblem, Problem, PROBLEMS, problemBody } from './problem.js';

/**
 * What the HTTP server refuses before any hook or route sees it, in the one shape that problems have: what is no HTTP, headers that are too
 * long, an address that cannot be decoded. Options for the server.
 */
export const refusingUnread = (ids: Ids) =>
  ({
    clientErrorHandler: (error, socket) => {
      // The caller is gone, or an answer is under way: there is nobody to tell.
      if (error.code === 'ECONNRESET' || !socket.writable) {
        socket.destroy(error);
        return;
      }
      const { status, correlationId, body } = written(unreadable(error.code), ids);
      socket.end(
        [
          `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
          'Connection: close',
          'Content-Type: application/problem+json',
          `Content-Length: ${Buffer.byteLength(body)}`,
          `X-Correlation-Id: ${correlationId}`,
          '',
          body,
        ].join('\r\n'),
      );
    },
    frameworkErrors: (error: unknown, _request: FastifyRequest, reply: FastifyReply) => {
      const { status, correlationId, body } = written(asProblem(error), ids);
      void reply
        .code(status)
        .header('Content-Type', 'application/problem+json')
        .header('X-Correlation-Id', correlationId)
        .send(body);
    },
  }) satisfies FastifyServerOptions;

const unreadable = (code: string): Problem => {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new Problem('too-large', 'The address and the headers are larger than 16 KiB. Send fewer or shorter ones.');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new Problem('malformed', 'The request did not come whole in time. Send it again.');
  return new Problem('malformed', `The request is not well-formed HTTP/1.1 (${code}).`);
};

const written = (problem: Problem, ids: Ids): { status: number; correlationId: string; body: string } => {
  const correlationId = ids.uuid();
  return {
    status: PROBLEMS[problem.code][0],
    correlationId,
    body: JSON.stringify(problemBody(problem, correlationId)),
  };
};
