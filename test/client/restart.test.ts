import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect } from '../../src/client/connect.js';
import { freePort } from '../harness/port.js';
import { discard, startService, type RunningService } from '../harness/service.js';

let service: RunningService;
let port = '';

beforeAll(async () => {
  port = String(await freePort());
  service = await startService({ env: { LETHE_PORT: port } });
});

afterAll(async () => {
  await discard(service);
});

it('events go on over a kill of the service, without a gap and without a repeat', async () => {
  const lethe = await connect(service.url);
  const events = lethe.events({ type: 'RecordRegistered', registry: 'labels' })[Symbol.asyncIterator]();
  const uids: string[] = [];
  const seen: string[] = [];
  const next = async (): Promise<void> => {
    const { value } = await events.next();
    seen.push(value.uid);
  };
  // The first one asks, and waits: what it is asked for happens once it is connected.
  const first = next();
  await expect
    .poll(async () => {
      uids.push((await lethe.labels.add({ name: `early ${uids.length}` })).uid);
      return seen.length;
    })
    .toBeGreaterThan(0);
  await first;
  const missed = uids.indexOf(seen[0] ?? '');
  await service.kill();
  service = await startService({ data: service.data, env: { LETHE_PORT: port } });
  uids.push((await lethe.labels.add({ name: 'while nobody listened' })).uid);
  while (seen.at(-1) !== uids.at(-1)) await next();
  expect(seen).toEqual(uids.slice(missed));
  await events.return?.();
  await lethe.close();
});
