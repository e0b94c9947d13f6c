import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';

/** What becomes of a request on its way. */
export type Fate =
  | 'pass'
  /** It is passed on, and its answer never comes: the connection ends in its place. */
  | 'lose the answer'
  /** It is passed on, and nothing of its answer comes. */
  | 'keep silent'
  /** The answer's head and first bytes come, then nothing more. */
  | 'stall the answer'
  /** The answer's head and first bytes come, then the connection ends. */
  | 'cut the answer'
  /** It is not passed on. */
  | { readonly status: number; readonly code?: string };

export interface Proxy {
  readonly port: number;
  /** Method and path of what came, oldest first. */
  readonly seen: string[];
  /** Decides from here on. */
  decide: (request: IncomingMessage) => Fate | Promise<Fate>;
  close(): Promise<void>;
}

/** An HTTP server between a client and the server at `port`, on loopback. It leaves the `Host` header, which is signed, as it is. */
export async function startProxy(port: number): Promise<Proxy> {
  const proxy = { seen: [] as string[], decide: (_: IncomingMessage): Fate | Promise<Fate> => 'pass' };
  const server = createServer((incoming, answer) => {
    proxy.seen.push(`${incoming.method ?? ''} ${incoming.url ?? ''}`);
    const meet = (fate: Fate) =>
      typeof fate === 'object' ? refuse(incoming, answer, fate) : pass(port, incoming, answer, fate);
    Promise.resolve(proxy.decide(incoming)).then(meet, (error: unknown) =>
      answer.destroy(error instanceof Error ? error : undefined),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('an HTTP server without a port');
  return Object.assign(proxy, {
    port: address.port,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

function refuse(
  incoming: IncomingMessage,
  answer: ServerResponse,
  { status, code }: { status: number; code?: string },
) {
  incoming.resume().once('end', () => {
    answer.writeHead(status, { 'content-type': 'application/xml' });
    answer.end(code === undefined ? undefined : `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
  });
}

function pass(port: number, incoming: IncomingMessage, answer: ServerResponse, fate: Exclude<Fate, object>) {
  const { method, url, headers } = incoming;
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (from) => {
    if (fate === 'keep silent') return;
    if (fate === 'lose the answer') {
      answer.destroy();
      return;
    }
    answer.writeHead(from.statusCode ?? 502, from.rawHeaders);
    if (fate !== 'stall the answer' && fate !== 'cut the answer') {
      from.pipe(answer);
      return;
    }
    from.once('data', (chunk: Buffer) => {
      from.pause();
      answer.write(chunk.subarray(0, 1_000), () => {
        if (fate === 'cut the answer') answer.destroy();
      });
    });
  });
  onward.on('error', () => answer.destroy());
  answer.once('close', () => onward.destroy());
  incoming.pipe(onward);
}
