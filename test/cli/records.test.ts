import { afterAll, beforeAll, expect, it } from 'vitest';
import { commandsOn, leaveHome, startLethe, UID } from '../harness/command-line.js';
import { discard, startService, type RunningService } from '../harness/service.js';

/*
 * Records of any registry, and the trash as a whole.
 */

afterAll(leaveHome);

let service: RunningService;
let on: ReturnType<typeof commandsOn>;

beforeAll(async () => {
  service = await startService({ config: { registries: { models: {} } } });
  on = commandsOn(service);
});

afterAll(() => discard(service));

it('creates and changes records of any registry', async () => {
  const created = await on.onService('create', 'models', '{"name":"net","data":{"framework":"jax"}}');
  expect(created.out).toMatch(/^created models record [0-9A-Za-z]{20}\n$/);
  const uid = UID.exec(created.out)?.[0] ?? '';
  const set = await on.onService('set', uid, 'name=net 2', 'data={"framework":"torch"}', '--reason', 'moved');
  expect(set).toEqual({ code: 0, out: `updated models record ${uid}\n`, err: '' });
  expect(await on.json('show', `models/${uid}`)).toMatchObject({ name: 'net 2', data: { framework: 'torch' } });
  const fromStdin = startLethe(['create', 'labels', '-', '--json'], { LETHE_URL: service.url }, 'pipe');
  fromStdin.child.stdin?.end('{"name":"raw"}');
  const label = JSON.parse((await fromStdin.ended).out).record.uid;
  expect(await on.json('ls', 'labels')).toMatchObject([{ uid: label, name: 'raw' }]);
  const { uid: target } = await on.added('to be changed');
  const changed = await on.json('set', target, `labels=${label}`, 'visibility=0', 'version=2', 'description=x=y');
  expect(changed.record).toMatchObject({ labels: [label], visibility: 0, version: '2', description: 'x=y' });
  expect((await on.json('set', target, 'labels=', 'version=null')).record).toMatchObject({ labels: [], version: null });
  expect(await on.onService('set', target, 'size=1')).toMatchObject({
    code: 1,
    err: expect.stringContaining('  /size: '),
  });
  expect((await on.onService('set', target, 'nonsense')).code).toBe(2);
  expect((await on.onService('create', 'labels', '{')).code).toBe(2);
  expect((await on.onService('create', 'labels', '{"nme":"x"}')).code).toBe(1);
  expect((await on.onService('delete', label)).out).toBe(`deleted label ${label}\n`);
});

it('empties the trash, after asking', async () => {
  for (const { registry, uid } of (await on.call('GET', 'trash?limit=1000')).items)
    await on.call('POST', `${registry}/${uid}/restore`);
  expect(await on.onService('trash', 'empty')).toEqual({ code: 0, out: 'there is nothing to delete\n', err: '' });
  const { uid } = await on.trashed('to be emptied');
  await on.trashed('and this');
  expect(JSON.parse((await on.onService('trash', 'empty', '--dry-run', '--json')).out).totals).toEqual({
    records: 2,
    bytes: 21,
  });
  expect(await on.onService('trash', 'empty')).toMatchObject({
    code: 3,
    out: '',
    err: expect.stringContaining('--yes'),
  });
  const young = await on.json('trash', 'empty', '--older-than', '1d', '--yes');
  expect(young).toMatchObject({ state: 'done', criteria: { olderThan: 'P1D' }, counts: { purged: 0 } });
  await on.call('PUT', `files/${uid}/hold`, { reason: null });
  const question = "Permanently delete 2 records (8 B)? You can't undo this action. (y/N)";
  expect((await on.answered(['trash', 'empty'], question, 'n\n')).code).toBe(3);
  const { code, out } = await on.answered(['trash', 'empty'], question, 'y\n');
  expect(code).toBe(0);
  expect(out).toContain('deleted 1 record\r\n');
  expect(out).toContain(`skipped file ${uid}: on-hold\r\n`);
  expect(await on.json('trash', 'ls')).toMatchObject([{ uid }]);
});
