import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { generateLog } from '../harness/log-generator.js';
import { startService } from '../harness/service.js';
import { until } from '../harness/until.js';
import { writeLog } from '../harness/written-log.js';

/*
 * A log that no service wrote: events of every type at random, so that streams and verdicts contradict each other. Whatever comes of its
 * purges, the service answers, and ends when it is told to: a saga once asked for the same step again and again, and nothing else ran.
 */

it.each([1, 2, 3])('a service answers and ends on events at random (%i)', async (seed) => {
  const data = await mkdtemp(join(tmpdir(), 'lethe-strange-'));
  try {
    await writeLog(join(data, 'events.sqlite'), generateLog(seed, 2_000).stored);
    const storages = [{ name: 'default', root: `file:${data}/objects` }];
    const service = await startService({ data, config: { storages, purges: { attempts: 1 } } });
    try {
      await until('it has caught up', async () => {
        const { notReady } = (await service.request('GET', '/health/ready')).body;
        return notReady.projection === undefined;
      });
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
