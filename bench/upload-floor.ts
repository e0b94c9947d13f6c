import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/*
 * The floor of an upload: the request's bytes into an MD5 and a file, an fsync at the end, nothing else. What is sent to /nowhere is read
 * and thrown away: how fast the sender is when nobody does anything with its bytes.
 */

const file = join(process.env['FLOOR_DATA'] ?? '', 'upload');

const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const md5 = createHash('md5');
  if (request.url === '/nowhere') {
    for await (const _ of request);
    response.end();
    return;
  }
  await rm(file, { force: true });
  request.on('data', (chunk: Buffer) => md5.update(chunk));
  await pipeline(request, createWriteStream(file, { flush: true }));
  response.end(md5.digest('base64url'));
};

const server = createServer((request, response) => {
  receive(request, response).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    response.destroy();
  });
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stderr.write(`The floor is ready at http://127.0.0.1:${port}\n`);
});
process.once('SIGTERM', () => process.exit(0));
