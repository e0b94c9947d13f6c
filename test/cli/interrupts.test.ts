import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  commandsOn,
  folder,
  isThere,
  leaveHome,
  lethe,
  MAIN,
  start,
  startLethe,
  UID,
  write,
} from '../harness/command-line.js';
import { discard, startService, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/*
 * Ctrl-C and a reader that leaves, in every verb that takes time: it ends at once and says nothing of its insides.
 */

afterAll(leaveHome);

let service: RunningService;
let on: ReturnType<typeof commandsOn>;
let stray = '';

/** A storage that says it belongs to another log: a purge there fails, and waits for its next try. */
const owned = (root: string): Promise<string> =>
  write(join(root, '.lethe', 'owner'), `${JSON.stringify({ instance: randomUUID(), position: '0' })}\n`);

beforeAll(async () => {
  stray = await folder();
  // What has failed is tried again when a person says so, and not before.
  const purges = { firstWaitMs: 300_000 };
  service = await startService({ config: { purges, storages: [{ name: 'stray', root: `file:${stray}` }] } });
  on = commandsOn(service);
});

afterAll(() => discard(service));

const STACK = /\n {4}at |Error:/;

/** Waits until a purge has failed at least once, and will be tried again. */
const failing = (uid: string): Promise<boolean> =>
  until(`the purge of ${uid} fails`, async () => {
    const { status, body } = await service.request('GET', `/v1/purges/files/${uid}`);
    return status === 200 && body.state === 'failed';
  });

const registered = async (name: string): Promise<string> => {
  await write(join(stray, name), name);
  return (await on.call('POST', 'files', { storage: 'stray', path: name })).record.uid;
};

describe('Ctrl-C', () => {
  it('leaves a purge to the service, which goes on with it', async () => {
    const owner = await owned(stray);
    const uid = await registered('waited-for.csv');
    const args = ['delete', uid, '--permanent', '--storage', 'delete'];
    const running = startLethe(args, on.env);
    await failing(uid);
    running.child.kill('SIGINT');
    expect(await running.ended).toEqual({ code: 130, out: '', err: '' });
    await rm(owner);
    const done = await on.onService('purges', 'retry', uid);
    expect(done).toMatchObject({ code: 0, out: `deleted file ${uid} and its object (14 B)\n` });
    expect(await isThere(join(stray, 'waited-for.csv'))).toBe(false);
  });

  it('ends the reading of stdin', async () => {
    const data = join(await folder(), 'data');
    const reading = startLethe(['create', 'labels', '-', '--data', data], {}, 'pipe');
    reading.child.stdin?.write('{"na');
    await until('the data folder is open', () => isThere(join(data, 'lock.json')));
    reading.child.kill('SIGINT');
    expect(await reading.ended).toEqual({ code: 130, out: '', err: '' });
    expect(await isThere(join(data, 'lock.json'))).toBe(false);
  });

  it('lets go of the data folder', async () => {
    const [data, root] = [join(await folder(), 'data'), await folder()];
    await lethe('init', '--data', data, '--storage', root);
    const path = await write(join(root, 'in-place.csv'), 'in place');
    const added = await lethe('add', path, '--data', data);
    const uid = UID.exec(added.out)?.[0] ?? '';
    const owner = await readFile(join(root, '.lethe', 'owner'), 'utf8').catch(() => '');
    await owned(root);
    const args = ['delete', uid, '--permanent', '--storage', 'delete', '--data', data];
    const running = startLethe(args, { LETHE_LOG_LEVEL: 'warn' });
    await running.saw('"attempt":1');
    running.child.kill('SIGINT');
    const { code, out, err } = await running.ended;
    expect({ code, out }).toEqual({ code: 130, out: '' });
    expect(err).not.toMatch(STACK);
    expect(await isThere(join(data, 'lock.json'))).toBe(false);
    if (owner === '') await rm(join(root, '.lethe', 'owner'));
    else await write(join(root, '.lethe', 'owner'), owner);
    const done = await lethe('purges', 'retry', uid, '--data', data);
    expect(done).toMatchObject({ code: 0, out: `deleted file ${uid} and its object (8 B)\n` });
  });
});

describe('a reader that leaves', () => {
  it.each(['ls', 'ls --json', 'audit', 'audit --json', 'trash ls', 'purges'])('ends lethe %s quietly', async (line) => {
    for (let index = 0; index < 3; index += 1) await on.trashed(`${line} ${index}`);
    await on.added(line);
    const pipes = `"$0" "$1" ${line} | head -n 1 | wc -l; echo "\${PIPESTATUS[0]}"`;
    const shell = start('bash', ['-c', pipes, process.execPath, MAIN], on.env);
    expect(await shell.ended).toEqual({
      code: 0,
      out: expect.stringMatching(/^[01]\n0\n$/),
      err: expect.any(String),
    });
  });
});
