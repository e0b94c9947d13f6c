import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  ACTOR,
  CTRL_C,
  DIST,
  file,
  folder,
  isThere,
  leaveHome,
  lethe,
  onTerminal,
  start,
  startLethe,
} from '../harness/command-line.js';
import { until } from '../harness/until.js';

/*
 * Straight on a data folder, without a service.
 */

afterAll(leaveHome);

describe.concurrent('straight on a data folder', () => {
  it('serves it: other commands find the service by its lock file, and Ctrl-C ends it in order', async () => {
    const data = join(await folder(), 'data');
    const served = startLethe(['serve', '--port', '0', '--data', data]);
    await served.saw('Lethe is ready');
    const path = await file('a.txt', 'aa');
    const added = await startLethe(['add', path, '--json'], { LETHE_DATA: data }).ended;
    expect(JSON.parse(added.out).record).toMatchObject({ key: 'a.txt', createdBy: ACTOR });
    served.child.kill('SIGINT');
    expect((await served.ended).code).toBe(0);
    expect(await isThere(join(data, 'lock.json'))).toBe(false);
  });

  it('runs whole in one process, and two at once take turns', async () => {
    const [data, objects] = [join(await folder(), 'data'), await folder()];
    await lethe('init', '--data', data, '--storage', objects);
    const paths = [await file('a.txt', 'aa'), await file('b.txt', 'bb')];
    const both = await Promise.all(paths.map((path) => lethe('add', path, '--data', data, '--json')));
    expect(both).toMatchObject([{ code: 0 }, { code: 0 }]);
    const [a, b] = both.map(({ out }) => JSON.parse(out).record);
    expect(await isThere(join(objects, a.path))).toBe(true);
    const deleted = { code: 0, out: `deleted file ${a.uid} and its object (2 B)\n`, err: '' };
    expect(await lethe('delete', a.uid, '--permanent', '--data', data)).toEqual(deleted);
    expect(await isThere(join(objects, a.path))).toBe(false);
    expect(await isThere(join(data, 'lock.json'))).toBe(false);
    expect(JSON.parse((await lethe('ls', '--data', data, '--json')).out)).toEqual([b]);
  });

  it('names whoever keeps the folder, and Ctrl-C ends the waiting', async () => {
    const data = await folder();
    const lock = JSON.stringify(join(DIST, 'storage/event-store/lock.js'));
    const program = `import { lockDataFolder } from ${lock}; lockDataFolder(process.argv[1], () => new Date()); console.log('held'); process.stdin.resume();`;
    const holder = start(process.execPath, ['--input-type=module', '-e', program, data], {}, 'pipe');
    await holder.saw('held');
    const waiting = startLethe(['ls', '--data', data]);
    await waiting.saw(`waiting: the data folder ${data} is in use by process ${holder.child.pid ?? 0}`);
    waiting.child.kill('SIGINT');
    expect((await waiting.ended).code).toBe(130);
    const patient = startLethe(['ls', '--data', data, '--json']);
    await patient.saw('waiting: ');
    holder.child.stdin?.end();
    expect(await patient.ended).toMatchObject({ code: 0, out: '[]\n' });
  });

  it('breaks an upload off at Ctrl-C, and keeps nothing of it', async () => {
    const endless = await folder();
    spawnSync('mkfifo', [join(endless, 'pipe')]);
    const large = await file('large.bin', 'x'.repeat(150_000_000));
    const data = await until(
      'one is broken off before it ends',
      async () => {
        const into = await folder();
        const running = onTerminal(['add', large, '--data', into]);
        const isUnderWay = await running.saw('MB of 143.1 MB').then(
          () => true,
          () => false,
        );
        if (isUnderWay) running.child.stdin?.write(CTRL_C);
        const { code } = await running.ended;
        expect([0, 130]).toContain(code);
        return code === 130 && into;
      },
      5,
    );
    expect(await lethe('ls', '--data', data)).toEqual({ code: 0, out: '', err: 'nothing found\n' });
    const skipped = await lethe('add', endless, '--data', data);
    expect(skipped).toMatchObject({ code: 1, err: expect.stringContaining('pipe: no regular file') });
  });
});
