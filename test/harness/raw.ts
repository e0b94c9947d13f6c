import { once } from 'node:events';
import { connect } from 'node:net';
import type { Answer, RunningService } from './service.js';

/** Bytes as they go over the wire, for requests that no client library would send. Text goes out as UTF-8. */
export interface RawRequest {
  /** The request line and the headers, without the empty line that ends them. `Host` and `Connection: close` are added where `headers` is used. */
  readonly head: readonly (string | Buffer)[];
  readonly body?: string | Buffer;
}

/** A request with a body whose length is said as it is, and any headers; a value may hold any byte. */
export const rawRequest = (
  service: RunningService,
  method: string,
  path: string,
  headers: Readonly<Record<string, string | Buffer>> = {},
  body: string | Buffer = '',
): RawRequest => {
  const length = Buffer.byteLength(body);
  const said = {
    host: new URL(service.url).host,
    connection: 'close',
    ...(length > 0 ? { 'content-length': String(length) } : {}),
    ...headers,
  };
  const lines = Object.entries(said).map(([name, value]) =>
    Buffer.concat([Buffer.from(`${name}: `), Buffer.from(value)]),
  );
  return { head: [`${method} ${path} HTTP/1.1`, ...lines], body };
};

/** Sends bytes and reads the answer to its end; the service has to close the connection behind it. */
export const sendRaw = async (service: RunningService, { head, body = '' }: RawRequest): Promise<Answer> => {
  const { hostname, port } = new URL(service.url);
  const socket = connect({ host: hostname, port: Number(port) });
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  // A refusal may close the connection while the rest of a long request is under way: what was answered counts.
  socket.on('error', () => socket.destroy());
  const closed = once(socket, 'close');
  for (const line of head) socket.write(Buffer.concat([Buffer.from(line), Buffer.from('\r\n')]));
  socket.write('\r\n');
  socket.write(body);
  await closed;
  return answerOf(Buffer.concat(received));
};

/** Sends bytes and breaks the connection, once `when` says so. */
export const breakOff = async (
  service: RunningService,
  { head, body = '' }: RawRequest,
  when: () => Promise<unknown>,
): Promise<void> => {
  const { hostname, port } = new URL(service.url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  for (const line of head) socket.write(Buffer.concat([Buffer.from(line), Buffer.from('\r\n')]));
  socket.write('\r\n');
  socket.write(body);
  await when();
  socket.resetAndDestroy();
};

const answerOf = (bytes: Buffer): Answer => {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) throw new Error(`no answer came, but ${JSON.stringify(bytes.toString('latin1'))}`);
  const [status = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const headers = new Headers();
  for (const line of lines) headers.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim());
  const text = bytes.subarray(end + 4).toString('utf8');
  const isJson = (headers.get('content-type') ?? '').includes('json');
  return { status: Number(status.split(' ')[1]), headers, body: isJson && text !== '' ? JSON.parse(text) : text };
};
