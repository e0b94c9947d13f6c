import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';

/**
 * Runs node as the image's health check does, beside a service that answers with `status`; null: one that is not there.
 * @returns its exit code, and what it asked for
 */
export const node = async (
  args: readonly string[],
  status: number | null,
): Promise<{ code: number; asked: (string | undefined)[] }> => {
  const asked: (string | undefined)[] = [];
  const server = createServer(({ url }, answer) => {
    asked.push(url);
    answer.writeHead(status ?? 500).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  const close = async (): Promise<void> => {
    server.close();
    await once(server, 'close');
  };
  if (status === null) await close();
  const child = spawn(process.execPath, [...args], {
    stdio: 'ignore',
    env: { ...process.env, LETHE_PORT: String(address.port) },
  });
  const [code] = await once(child, 'exit');
  if (status !== null) await close();
  return { code, asked };
};
