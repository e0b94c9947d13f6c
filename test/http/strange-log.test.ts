import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSqliteEventStore } from '../../src/storage/event-store/sqlite.js';
import { generateLog } from '../harness/log-generator.js';
import { startService } from '../harness/service.js';

/*
 * A log that no service wrote: events of every type at random, so that streams and verdicts contradict each other. Whatever comes of its
 * purges, the service answers, and ends when it is told to: a saga once asked for the same step again and again, and nothing else ran.
 */

it.each([1, 2, 3])('a service answers and ends on events at random (%i)', async (seed) => {
  const data = await mkdtemp(join(tmpdir(), 'lethe-strange-'));
  try {
    const log = await openSqliteEventStore({ file: join(data, 'events.sqlite'), prefix: 'lethe.', mode: 'read-write' });
    for (const { stream, revision, id, type, data, metadata } of generateLog(seed, 2_000).stored)
      await log.append(stream, revision - 1, [{ id, type, data, metadata }]);
    await log.close();
    const storages = [{ name: 'default', root: `file:${data}/objects` }];
    const service = await startService({ data, config: { storages, purges: { attempts: 1 } } });
    try {
      for (let call = 0; call < 20; call += 1) {
        const answer = await service.request('GET', '/v1/purges?state=pending&count=true', {
          signal: AbortSignal.timeout(20_000),
        });
        expect(answer.status).toBe(200);
      }
    } finally {
      expect(await service.stop()).toBe(0);
    }
  } finally {
    await rm(data, { recursive: true, force: true });
  }
});
