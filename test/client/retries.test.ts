import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, Conflict, StoreUnavailable, Unreachable, type Lethe } from '../../src/client/connect.js';
import { Requests } from '../../src/client/requests.js';
import { json, label, lost, none, problem, scripted, type Answering, type Scripted } from './scripted.js';

const UID = 'heBmDcUZSbbsRR6dMz2r';
const created = json({ outcome: 'created', record: label(UID), warnings: [] }, 201, { 'X-Position': '12' });

let service: Scripted | null = null;

/** A client of a service that first lets it connect, and then answers by the script. */
const speaking = async (...script: Answering[]): Promise<{ readonly lethe: Lethe; readonly service: Scripted }> => {
  service = await scripted(none, ...script);
  return { lethe: await connect(service.url), service };
};

afterEach(async () => {
  await service?.close();
  service = null;
});

/** A stream that can be read once. */
async function* once(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

describe('a command', () => {
  it('is sent again with the same idempotency key where its answer is lost', async () => {
    const { lethe, service } = await speaking(lost, lost, created);
    const record = await lethe.labels.add({ name: 'a' });
    expect(record.outcome).toBe('created');
    const keys = service.came.slice(1).map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(3);
    expect(new Set(keys)).toEqual(new Set([expect.stringMatching(/^[0-9a-f]{32}$/)]));
  });

  it.each([
    ['429', problem('rate-limited', 429, {}, { 'Retry-After': '0' })],
    ['503', problem('store-unavailable', 503, {}, { 'Retry-After': '0' })],
    ['a 502 of a proxy', (_, reply) => void reply.writeHead(502).end('<html>')],
  ] satisfies [string, Answering][])('is sent again after %s', async (_, answer) => {
    const { lethe, service } = await speaking(answer, created);
    await lethe.labels.add({ name: 'a' });
    expect(service.came).toHaveLength(3);
    expect(service.came[1]?.headers['idempotency-key']).toBe(service.came[2]?.headers['idempotency-key']);
  });

  it('waits as long as Retry-After says', async () => {
    const { lethe } = await speaking(problem('overloaded', 503, {}, { 'Retry-After': '1' }), created);
    const start = performance.now();
    await lethe.labels.add({ name: 'a' });
    expect(performance.now() - start).toBeGreaterThanOrEqual(990);
  });

  it('is not sent again after a refusal', async () => {
    const { lethe, service } = await speaking(problem('conflict', 409));
    await expect(lethe.labels.add({ name: 'a' })).rejects.toThrow(Conflict);
    expect(service.came).toHaveLength(2);
  });

  it('gives up in the end, with what the service said last', async () => {
    const { lethe, service } = await speaking(problem('store-unavailable', 503, {}, { 'Retry-After': '0' }));
    await expect(lethe.labels.add({ name: 'a' })).rejects.toThrow(StoreUnavailable);
    expect(service.came).toHaveLength(5);
  });

  it("takes the caller's own idempotency key, reason and revision", async () => {
    const { lethe, service } = await speaking(created, created);
    const record = await lethe.labels.add({ name: 'a' }, { idempotencyKey: 'mine', reason: 'why' });
    await record.update({ name: 'b' }, { ifRevision: 0 });
    expect(service.came[1]?.headers['idempotency-key']).toBe('mine');
    expect(service.came[1]?.url.search).toBe('?reason=why');
    expect(service.came[2]?.headers['if-match']).toBe('"0"');
  });

  it('asks whoever reads next for its own position at least', async () => {
    const { lethe, service } = await speaking(created, none);
    await lethe.labels.add({ name: 'a' });
    await lethe.labels.filter().all();
    expect(service.came[2]?.headers['x-min-position']).toBe('12');
  });
});

describe('an upload', () => {
  const file = json({
    outcome: 'created',
    record: { ...label(UID), registry: 'files', key: null, size: 4 },
    warnings: [],
  });

  it('of a stream is sent once, and its error says why', async () => {
    const { lethe, service } = await speaking(lost);
    const adding = lethe.files.add(once('a', 'b'));
    await expect(adding).rejects.toThrow(Unreachable);
    await expect(adding).rejects.toThrow(/not tried again, since a stream can be read only once/);
    expect(service.came).toHaveLength(2);
  });

  it('of a stream is not sent again after 503 either', async () => {
    const { lethe, service } = await speaking(problem('store-unavailable', 503));
    const adding = lethe.files.add(once('a', 'b'));
    await expect(adding).rejects.toThrow(StoreUnavailable);
    await expect(adding).rejects.toThrow(/not tried again/);
    expect(service.came).toHaveLength(2);
  });

  it('of a function that opens a stream is sent again, from its begin', async () => {
    const { lethe, service } = await speaking(lost, file);
    await lethe.files.add(() => once('a', 'b'), { key: 'x' });
    expect(service.came).toHaveLength(3);
    for (const { body } of service.came.slice(1)) expect(body).toMatch(/"key":"x"[^]*\r\n\r\nab\r\n--/);
    expect(service.came[1]?.headers['idempotency-key']).toBe(service.came[2]?.headers['idempotency-key']);
  });

  it('of bytes is sent again, too', async () => {
    const { lethe, service } = await speaking(lost, file);
    await lethe.files.add(new TextEncoder().encode('abcd'));
    expect(service.came).toHaveLength(3);
  });

  it('says how far it is', async () => {
    const { lethe } = await speaking(file, file);
    const seen: unknown[] = [];
    await lethe.files.add(new TextEncoder().encode('abcd'), { onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([
      { sent: 0, total: 4 },
      { sent: 4, total: 4 },
    ]);
    seen.length = 0;
    await lethe.files.add(once('a', 'bc'), { onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([
      { sent: 0, total: null },
      { sent: 1, total: null },
      { sent: 3, total: null },
    ]);
  });

  it('throws what its source throws, and tries no more', async () => {
    const { lethe, service } = await speaking(file);
    const broken = new Error('the disk is gone');
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(1);
      throw broken;
    };
    await expect(lethe.files.add(source)).rejects.toBe(broken);
    expect(service.came.length).toBeLessThanOrEqual(2);
  });

  it('of a path that is not there, or a folder, says so', async () => {
    const { lethe } = await speaking(file);
    await expect(lethe.files.add('/nowhere/at/all')).rejects.toThrow(/ENOENT.*nowhere/);
    await expect(lethe.files.add(import.meta.dirname)).rejects.toThrow(/is a folder/);
  });
});

describe('an AbortSignal', () => {
  const silent: Answering = () => undefined;

  it('ends a request that waits for its answer', async () => {
    const { lethe } = await speaking(silent);
    const reason = new Error('enough');
    const stopping = new AbortController();
    const asking = lethe.files.get(UID, { signal: stopping.signal });
    stopping.abort(reason);
    await expect(asking).rejects.toBe(reason);
  });

  it('ends the wait before the next attempt', async () => {
    const { lethe, service } = await speaking(problem('overloaded', 503, {}, { 'Retry-After': '600' }));
    const reason = new Error('enough');
    const asking = lethe.files.filter().all({ signal: abortedWith(reason, () => service.came.length > 1) });
    await expect(asking).rejects.toBe(reason);
  });

  it('ends what is under way when the connection is closed', async () => {
    const { lethe } = await speaking(silent);
    const asking = lethe.stats();
    await lethe.close();
    await expect(asking).rejects.toThrow(/was closed/);
    await expect(lethe.stats()).rejects.toThrow(/was closed/);
  });

  it('is heard by any number of requests, and none of them listens to it longer than it takes', async () => {
    const closing = new AbortController();
    const fetch = async (): Promise<Response> => Response.json({});
    const requests = new Requests({ url: 'http://localhost', fetch, signal: closing.signal });
    const isAny = (_: unknown): _ is unknown => true;
    for (let number = 1; number <= 20; number += 1) await requests.json('GET', 'v1/stats', isAny);
    expect(getEventListeners(closing.signal, 'abort')).toHaveLength(1);
  });
});

/** A signal that aborts once it holds. */
const abortedWith = (reason: Error, holds: () => boolean): AbortSignal => {
  const stopping = new AbortController();
  const timer = setInterval(() => {
    if (!holds()) return;
    clearInterval(timer);
    stopping.abort(reason);
  }, 5);
  return stopping.signal;
};

describe('connecting', () => {
  it('says that nobody answers', async () => {
    const gone = await scripted(none);
    await gone.close();
    await expect(connect(gone.url)).rejects.toThrow(Unreachable);
  });

  it('says that the answer is of something else', async () => {
    service = await scripted((_, reply) => void reply.end('<html>hello'));
    await expect(connect(service.url)).rejects.toThrow(/not as Lethe does/);
  });

  it('takes a key that may only write', async () => {
    service = await scripted(problem('forbidden', 403), created);
    const lethe = await connect({ url: service.url, apiKey: 'k', actor: 'alice' });
    await lethe.labels.add({ name: 'a' });
    expect(service.came[1]?.headers).toMatchObject({ authorization: 'Bearer k', 'x-actor': 'alice' });
  });
});
