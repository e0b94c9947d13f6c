import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { residentOf, watching } from '../../bench/memory-of.js';
import { openSqliteEventStore } from '../../src/storage/event-store/sqlite.js';
import { plain, registered, updated } from '../../src/testing/events.js';
import { TestLog } from '../../src/testing/log.js';
import { discard, startService, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/* The export of a log of a million events: all of it, in order, with a memory that does not grow with it. */

const RECORDS = 10_000;
/** As many as one append takes. */
const EVENTS_EACH = 100;
/** In MiB. Some pages of rows, as objects and as text, and what V8 lets lie between two collections; the file itself has some 600. */
const GROWTH = 150;
const MIB = 2 ** 20;

let service: RunningService;
let head: number;

beforeAll(async () => {
  // The service itself makes the log.
  const made = await startService();
  await made.stop();
  head = await fill(join(made.data, 'events.sqlite'));
  service = await startService({ data: made.data });
  await until(
    'the model has all of it',
    async () => (await service.request('GET', '/health/ready')).status === 200,
    60_000,
  );
}, 900_000);
afterAll(() => discard(service));

/** @returns the log's head */
const fill = async (file: string): Promise<number> => {
  const store = await openSqliteEventStore({ file, prefix: 'lethe.', mode: 'read-write' });
  try {
    for (let number = 0; number < RECORDS; number += 100) {
      const appends = Array.from({ length: 100 }, (_, i) => {
        const uid = String(number + i).padStart(20, '0');
        const updates = Array.from({ length: EVENTS_EACH - 1 }, (_, n) =>
          updated({ changes: { description: { from: n === 0 ? null : `text ${n - 1}`, to: `text ${n}` } } }),
        );
        const ref = { registry: 'labels', uid };
        const log = new TestLog();
        log.happens(ref, registered({ fields: plain({ name: `label ${uid}` }) }), ...updates);
        return store.append(`lethe.labels-${uid}`, -1, log.stored);
      });
      await Promise.all(appends);
    }
    return Number(await store.head());
  } finally {
    await store.close();
  }
};

const begin = async (): Promise<IncomingMessage> => {
  const headers = { accept: 'application/x-ndjson' };
  const sent = get(`${service.url}/v1/audit?order=asc`, { headers, agent: false });
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.on('error', () => undefined);
  return answer;
};

/** Time that the process has worked so far, in ticks. */
const workedSince = (): number => {
  const fields = readFileSync(`/proc/${pid()}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
};
const pid = (): number => service.process.pid ?? 0;

/** It makes nothing more: for some looks in a row it has hardly worked. */
const idle = (): Promise<true> => {
  let [worked, looks] = [workedSince(), 0];
  return until('the service rests', async () => {
    const now = workedSince();
    looks = now - worked <= 1 ? looks + 1 : 0;
    worked = now;
    return looks >= 50;
  });
};

test('a million rows are exported with a memory that stays flat', async () => {
  const warm = await begin();
  let got = 0;
  for await (const chunk of warm) if ((got += (chunk as Buffer).length) > 30 * MIB) break;
  const before = residentOf(pid());

  const exportAll = async (): Promise<{ rows: number; bytes: number; firstWrong: string | null }> => {
    const answer = await begin();
    expect(answer.headers['x-position']).toBe(String(head));
    const seen = { rows: 0, bytes: 0, firstWrong: null as string | null };
    let [rest, last] = ['', 0];
    for await (const chunk of answer) {
      seen.bytes += (chunk as Buffer).length;
      const lines = (rest + (chunk as Buffer).toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const position = Number(/^\{"position":"(\d+)"/.exec(line)?.[1]);
        // This log has no gaps.
        if (position !== last + 1) seen.firstWrong ??= line;
        last = position;
      }
      seen.rows += lines.length;
    }
    expect(rest).toBe('');
    return seen;
  };
  const began = performance.now();
  const { outcome, most } = await watching(pid(), exportAll);
  const seconds = (performance.now() - began) / 1_000;
  console.info(JSON.stringify({ ...outcome, seconds, before, most }));
  expect(outcome).toMatchObject({ rows: head, firstWrong: null });
  expect(head).toBeGreaterThan(RECORDS * EVENTS_EACH);
  expect(outcome.bytes).toBeGreaterThan(3 * GROWTH * MIB);
  expect(most - before).toBeLessThan(GROWTH);
});

test('a client that reads nothing is waited for, and one that leaves ends it', async () => {
  const before = residentOf(pid());
  const answer = await begin();
  answer.pause();
  await idle();
  expect(residentOf(pid()) - before).toBeLessThan(GROWTH);
  // It goes on where it was.
  answer.resume();
  const [chunk] = (await once(answer, 'data')) as [Buffer];
  expect(chunk.toString('utf8')).toMatch(/^\{"position":"1"/);
  answer.destroy();
  await idle();
  expect((await service.request('GET', '/v1/audit?limit=1')).body.position).toBe(String(head));
});
