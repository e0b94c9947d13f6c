import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

/** A request as it came. */
export interface Came {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What the service answers next. */
export type Answering = (came: Came, reply: ServerResponse) => void | Promise<void>;

export interface Scripted {
  readonly url: string;
  readonly came: Came[];
  close(): Promise<void>;
}

/** A service that answers the requests in the order of the script, and the rest by its last line. */
export const scripted = async (...script: Answering[]): Promise<Scripted> => {
  const came: Came[] = [];
  const server = createServer((request, reply) => {
    const answer = script[Math.min(came.length, script.length - 1)];
    const one = {
      method: request.method ?? '',
      url: new URL(request.url ?? '', 'http://localhost'),
      headers: request.headers,
    };
    const at = came.push({ ...one, body: '' }) - 1;
    void text(request).then(
      async (body) => {
        came[at] = { ...one, body };
        await answer?.(came[at], reply);
      },
      () => reply.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    came,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};

export const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Answering =>
  (_, reply) => {
    reply.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
  };

export const problem = (
  code: string,
  status: number,
  extra: object = {},
  headers: Record<string, string> = {},
): Answering =>
  json(
    { type: `urn:lethe:${code}`, title: code, status, detail: `It is ${code}.`, code, correlationId: 'c-1', ...extra },
    status,
    { 'Content-Type': 'application/problem+json', ...headers },
  );

/** The connection ends without an answer. */
export const lost: Answering = (_, reply) => {
  reply.destroy();
};

export const none = json({ items: [], next: null, position: '7' });

export const label = (uid: string, more: object = {}): object => ({
  registry: 'labels',
  uid,
  name: 'a',
  description: null,
  data: null,
  createdAt: '2026-11-23T00:57:00.000Z',
  updatedAt: '2026-11-23T00:57:00.000Z',
  revision: 0,
  ...more,
});

export const row = (position: string): object => ({
  position,
  registry: 'files',
  uid: 'heBmDcUZSbbsRR6dMz2r',
  revision: 0,
  id: position,
  at: '2026-11-23T00:57:00.000Z',
  actor: 'alice',
  type: 'RecordTrashed',
  version: 1,
  reason: null,
  data: {},
  commandId: 'c',
  correlationId: 'c',
  previous: null,
});
