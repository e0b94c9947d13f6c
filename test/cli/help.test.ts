import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { DIST, folder, home, isThere, leaveHome, lethe, MAIN, write } from '../harness/command-line.js';

/*
 * What the command line says by itself, without a service.
 */

afterAll(leaveHome);

describe.concurrent('by itself', () => {
  it('makes and serves a folder, and takes no service for one', async () => {
    for (const verb of ['init', 'serve'])
      expect(await lethe(verb, '--url', 'http://127.0.0.1:1')).toMatchObject({ code: 2, out: '' });
    const port = { code: 2, out: '', err: expect.stringContaining('It is a port from 0 to 65535.') };
    expect(await lethe('serve', '--port', '70000')).toEqual(port);
    expect(await isThere(join(home, 'lethe-data'))).toBe(false);
  });

  it('ends quietly where whoever reads its help leaves', async () => {
    const script = 'for verb in "" serve add audit; do "$0" "$1" $verb --help | true; echo "${PIPESTATUS[0]}"; done';
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', script, process.execPath, MAIN]);
    expect([stdout, stderr]).toEqual(['0\n0\n0\n0\n', '']);
  });

  it('says its version, and helps with an example for every verb', async () => {
    const manifest = JSON.parse(await readFile(join(DIST, '..', 'package.json'), 'utf8'));
    expect(await lethe('--version')).toEqual({ code: 0, out: `${manifest.version}\n`, err: '' });
    const verbs = [
      'serve',
      'init',
      'add',
      'create',
      'set',
      'ls',
      'show',
      'cat',
      'delete',
      'restore',
      'history',
      'audit',
      'hold',
      'unhold',
      'completion',
    ];
    for (const verb of [
      ...verbs.map((one) => [one]),
      ['trash', 'ls'],
      ['trash', 'empty'],
      ['purges'],
      ['purges', 'retry'],
    ]) {
      const { code, out } = await lethe(...verb, '--help');
      expect({ verb, code, example: out.includes(`$ lethe ${verb.join(' ')}`) }).toEqual({
        verb,
        code: 0,
        example: true,
      });
    }
  });

  it('helps on one screen: a line for each verb, in 80 columns', async () => {
    const { code, out } = await lethe('--help');
    expect(code).toBe(0);
    const lines = out.trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(45);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    const verbs = lines.slice(lines.indexOf('Commands:') + 1, -2).filter((line) => line !== '');
    expect(verbs.filter((line) => !/^ {2}[a-z]+ {2,}\S/.test(line))).toEqual([]);
  });

  it.each([
    '',
    'nonsense',
    'ls --nonsense',
    'show',
    'delete x --storage burn',
    'add x --semantic',
    'add x y --key k',
    'ls --where size',
    'ls --limit 0',
    'ls audit',
    'create bulk {"action":"purge","records":[]}',
    'trash empty --older-than soon',
    'ls --url ftp://nowhere',
    'ls --url http://127.0.0.1:45998 --data x',
  ])('ends with 2 on wrong usage: lethe %s', async (line) => {
    const wrong = { code: 2, out: '', err: expect.stringContaining('lethe') };
    expect(await lethe(...line.split(' ').filter(Boolean))).toEqual(wrong);
  });

  it('makes no data folder only to look into it, and fails where nobody answers', async () => {
    const nowhere = join(home, 'nowhere');
    const err = `lethe: there is no data folder ${nowhere}. Make one with lethe init, or name another with --data (LETHE_DATA)\n`;
    expect(await lethe('ls', '--data', nowhere)).toEqual({ code: 1, out: '', err });
    expect(await isThere(nowhere)).toBe(false);
    const silence = expect.stringMatching(/^lethe: http:\/\/127.0.0.1:45999 does not answer: .*\n$/);
    expect(await lethe('ls', '--url', 'http://127.0.0.1:45999')).toEqual({ code: 1, out: '', err: silence });
  });

  it('makes a data folder and its lethe.json, once', async () => {
    const [data, objects] = [join(await folder(), 'data'), join(await folder(), 'objects')];
    const made = await lethe('init', '--data', data, '--storage', objects);
    expect(made).toEqual({ code: 0, out: `made ${data}/lethe.json; objects live in ${objects}\n`, err: '' });
    const written = await readFile(join(data, 'lethe.json'), 'utf8');
    expect(JSON.parse(written)).toEqual({ storages: [{ name: 'default', root: `file:${objects}` }] });
    const again = { code: 0, out: `${data}/lethe.json is there already; nothing was changed\n`, err: '' };
    expect(await lethe('init', '--data', data, '--storage', objects)).toEqual(again);
    expect(JSON.parse((await lethe('init', '--data', data, '--json')).out)).toMatchObject({ created: false, data });
    const damaged = await write(join(await folder(), 'lethe.json'), '{');
    const named = { code: 1, out: '', err: expect.stringContaining(`lethe: ${damaged} is not JSON: `) };
    expect(await lethe('init', '--data', dirname(damaged))).toEqual(named);
    expect(await readFile(join(data, 'lethe.json'), 'utf8')).toBe(written);
  });
});
