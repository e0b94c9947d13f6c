import { utimes } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { commandsOn, file, folder, leaveHome, lethe, startLethe, write } from '../harness/command-line.js';
import { discard, startService, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/*
 * Adding what was added before, whole or in part: each file is there once.
 */

afterAll(leaveHome);

let service: RunningService;
let on: ReturnType<typeof commandsOn>;

beforeAll(async () => {
  service = await startService();
  on = commandsOn(service);
});

afterAll(() => discard(service));

const COUNT = 80;
const nameOf = (index: number): string => `part-${String(index).padStart(2, '0')}.bin`;
/** No two folders have the same content. */
const contentOf = (top: string, index: number): string => `${index} of ${top} `.repeat(2_000);

const largeFolder = async (): Promise<string> => {
  const top = join(await folder(), 'run');
  for (let index = 0; index < COUNT; index += 1) await write(join(top, nameOf(index)), contentOf(top, index));
  return top;
};

/** Kills the command as soon as it has said so many lines. @returns how many it has said at last; null where it ended by itself before */
const killedAfter = async (
  lines: number,
  args: readonly string[],
  env: Record<string, string>,
): Promise<number | null> => {
  const running = startLethe(args, env);
  let said = '';
  running.child.stdout?.on('data', (text: string) => {
    said += text;
    if (said.split('\n').length > lines) running.child.kill('SIGKILL');
  });
  const { code, out } = await running.ended;
  expect([0, null]).toContain(code);
  return code === null ? out.split('\n').length - 1 : null;
};

describe.each([
  ['of the process that holds the folder', async () => ({ LETHE_DATA: join(await folder(), 'data') })],
  ['of a client', () => Promise.resolve({ LETHE_URL: service.url })],
] as const)('kill -9 in the middle of a folder, %s', (_name, target) => {
  it('started again ends with each file once', async () => {
    let attempt = 0;
    const { env, args, top, key } = await until(
      'it is killed three times before it ends',
      async () => {
        attempt += 1;
        const [at, from, under] = [await target(), await largeFolder(), `killed-${attempt}`];
        const add = ['add', from, '--key', under];
        for (const lines of [1, 4, 11]) {
          const said = await killedAfter(lines, add, at);
          if (said === null) return false;
          expect(said).toBeLessThan(COUNT);
        }
        return { env: at, args: add, top: from, key: under };
      },
      5,
    );
    const last = await startLethe(args, env).ended;
    expect(last).toMatchObject({ code: 0, err: '' });
    expect(last.out.split('\n').length - 1).toBe(COUNT);
    expect(last.out).toContain(`as ${key}/${nameOf(COUNT - 1)} (`);
    const list = ['ls', '--where', `key[startsWith]=${key}/`, '--visibility', 'any', '--sort', 'key', '--json'];
    const rows: { uid: string; key: string; size: number }[] = JSON.parse((await startLethe(list, env).ended).out);
    const whole = Array.from({ length: COUNT }, (_, index) => ({
      key: `${key}/${nameOf(index)}`,
      size: contentOf(top, index).length,
    }));
    expect(rows.map(({ key, size }) => ({ key, size }))).toEqual(whole);
    expect((await startLethe(['cat', rows[7]?.uid ?? ''], env).ended).out).toBe(contentOf(top, 7));
  });
});

describe('adding again', () => {
  it('adds nothing that is there, and whatever is not', async () => {
    const path = await file('again.txt', 'added again');
    const { uid } = (await on.json('add', path)).record;
    const there = { code: 0, out: `file ${uid} has the same content already\n`, err: '' };
    expect(await on.onService('add', path)).toEqual(there);
    expect((await on.json('add', path)).outcome).toBe('existing');
    await on.call('DELETE', `files/${uid}`);
    const second = await on.onService('add', path);
    expect(second).toMatchObject({ code: 0, out: expect.stringMatching(/^added file /) });
    expect(second.err).toContain(uid);
    const { record } = await on.json('add', path);
    expect(record.uid).not.toBe(uid);
    await on.onService('delete', record.uid, '--permanent');
    await on.onService('delete', uid, '--permanent');
    expect((await on.json('add', path)).outcome).toBe('created');
    await write(path, 'other words');
    expect((await on.json('add', path)).outcome).toBe('created');
    const [now, before] = [new Date('2026-01-01T00:00:00Z'), 'added words'];
    await utimes(path, now, now);
    expect((await on.json('add', path)).outcome).toBe('existing');
    await write(path, before);
    await utimes(path, now, now); // the same size at the same time: only the bytes tell
    expect((await on.json('add', path)).outcome).toBe('created');
  });

  it('gives each file of a folder a record, also where two have the same content', async () => {
    const top = join(await folder(), 'twins');
    await write(join(top, 'a.txt'), 'twins');
    await write(join(top, 'b.txt'), 'twins');
    const keys = async () =>
      (await on.json('ls', '--where', 'key[startsWith]=twins/', '--sort', 'key')).map(
        ({ key }: { key: string }) => key,
      );
    expect((await on.onService('add', top)).out.match(/^added /gm)).toHaveLength(2);
    expect(await keys()).toEqual(['twins/a.txt', 'twins/b.txt']);
    const again = await on.onService('add', top);
    expect(again).toMatchObject({ code: 0, err: '' });
    expect(again.out.match(/has the same content already$/gm)).toHaveLength(2);
    expect(await keys()).toEqual(['twins/a.txt', 'twins/b.txt']);
  });
});

describe('a service that has not answered yet', () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  it('hears the same idempotency key again, as long as it is the same file', async () => {
    const keys: string[] = [];
    const waiting: (() => void)[] = [];
    const server = createServer((request, response) => {
      if (request.method === 'GET') {
        response.setHeader('Content-Type', 'application/json');
        response.end(JSON.stringify({ items: [], next: null, position: '1' }));
        return;
      }
      request.resume().on('end', () => {
        keys.push(String(request.headers['idempotency-key']));
        for (const go of waiting.splice(0)) go();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(
      () => server.close(),
      () => server.closeAllConnections(),
    );
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    const sent = async (...args: string[]): Promise<string> => {
      const running = startLethe(['add', '--url', url, ...args]);
      await new Promise<void>((resolve) => waiting.push(resolve));
      running.child.kill('SIGKILL');
      await running.ended;
      return keys.at(-1) ?? '';
    };
    const path = await file('same.txt', 'the same');
    const first = await sent(path);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(await sent(path)).toBe(first);
    expect(await sent(path, '--description', 'another')).not.toBe(first);
    await write(path, 'the same, longer');
    expect(await sent(path)).not.toBe(first);
  });

  it('is not asked for what cannot be read', async () => {
    expect(await lethe('add', '/nowhere/at/all', '--url', service.url)).toEqual({
      code: 1,
      out: '',
      err: 'lethe: /nowhere/at/all: there is no such file or folder\n',
    });
  });
});
