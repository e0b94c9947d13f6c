import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { home, leaveHome, lethe, start, write } from '../harness/command-line.js';

/*
 * What a shell offers at TAB, asked of the shells themselves.
 */

afterAll(leaveHome);

const has = (shell: string): boolean => spawnSync(shell, ['-c', ':']).status === 0;

const PTY = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

const VERBS = ['add', 'cat', 'completion', 'create', 'delete', 'history', 'hold', 'init', 'ls', 'purges', 'restore'];

/** What is typed before TAB, and what is offered. */
const OFFERED: readonly (readonly [string, readonly string[]])[] = [
  ['lethe re', ['rebuild', 'replay', 'restore']],
  ['lethe --json --data x tra', ['trash']],
  ['lethe --url=http://127.0.0.1:4270 tra', ['trash']],
  ['lethe trash ', ['empty', 'ls']],
  ['lethe trash --json em', ['empty']],
  ['lethe purges re', ['retry']],
  ['lethe delete --storage ', ['delete', 'keep']],
  ['lethe delete --perm', ['--permanent']],
  ['lethe delete abc --storage ke', ['keep']],
  ['lethe ls dat', ['datasets']],
  ['lethe ls --limit dat', []],
  ['lethe ls --where size[gte]=10 fi', ['files']],
  ['lethe trash ls --registry ', ['datasets', 'files']],
  ['lethe completion ', ['bash', 'fish', 'zsh']],
  ['lethe show ', []],
  ['lethe create labels ', []],
];

/** A word that is offered may carry its description, and a space after it. */
const words = (out: string): string[] =>
  out
    .split('\n')
    .map((line) => line.replace(/\t.*/, '').trim())
    .filter((line) => line !== '')
    .sort();

describe('completion in bash', () => {
  let script = '';

  beforeAll(async () => {
    script = (await lethe('completion', 'bash')).out;
  });

  /** As bash itself takes the line apart. */
  const completed = async (line: string): Promise<string[]> => {
    const parts = line.split(/(?<=[=:])|(?=[=:])| /).filter((part) => part !== '');
    if (line.endsWith(' ')) parts.push('');
    const program = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lethe; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, out, err } = await start('bash', ['--norc', '-c', program, 'bash', ...parts], {}).ended;
    expect({ line, code, err }).toEqual({ line, code: 0, err: '' });
    return words(out);
  };

  it.each(OFFERED)('%s', async (line, offered) => {
    expect(await completed(line)).toEqual(offered);
  });

  it('offers every verb, and every option of one', async () => {
    expect(await completed('lethe ')).toEqual(expect.arrayContaining(VERBS));
    const { out } = await lethe('trash', 'empty', '--help');
    const flags = [...out.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)]
      .map(([, flag]) => flag ?? '')
      .filter((flag) => flag !== '--version');
    expect(flags).toContain('--older-than');
    expect(await completed('lethe trash empty --')).toEqual(flags.sort());
  });

  it('runs nothing of what is typed', async () => {
    expect(await completed('lethe show $(touch${IFS}ran) ')).toEqual([]);
    expect(spawnSync('test', ['-e', 'ran'], { cwd: home }).status).toBe(1);
  });

  it('completes at a terminal: verbs, files where a path is due, and folders', async () => {
    await write(`${home}/tabbed/some data.parquet`, 'x');
    await write(`${home}/lethe.bash`, script);
    await write(
      `${home}/rc`,
      `PS1='ready> '; bind 'set bell-style none'; source ./lethe.bash; lethe() { printf '<%s>' "$@"; echo; }\n`,
    );
    const shell = start('python3', ['-c', PTY, 'bash', '--rcfile', 'rc', '-i'], {}, 'pipe');
    await shell.saw('ready> ');
    shell.child.stdin?.write('lethe compl\tba\t\n');
    await shell.saw('<completion><bash>');
    shell.child.stdin?.write('lethe add --data tab\t --descr\tx tabbed/so\t\n');
    await shell.saw('<add><--data><tabbed/><--description><x><tabbed/some data.parquet>');
    shell.child.stdin?.write('exit\n');
    expect((await shell.ended).code).toBe(0);
  });
});

const zsh = has('zsh') ? it : it.skip;
const fish = has('fish') ? it : it.skip;

describe('completion in other shells', () => {
  fish.each(OFFERED)('fish [needs fish]: %s', async (line, offered) => {
    const { out: script } = await lethe('completion', 'fish');
    const program = `${script}\ncomplete -C $argv[1]`;
    const { code, out, err } = await start('fish', ['-N', '-c', program, line], { HOME: home }).ended;
    expect({ line, code, err, words: words(out) }).toEqual({ line, code: 0, err: '', words: offered });
  });

  zsh('zsh [needs zsh] completes at a terminal', async () => {
    const { out: script } = await lethe('completion', 'zsh');
    await write(`${home}/zsh/z data/x.parquet`, 'x');
    const shown = `lethe() { printf '<%s>' "$@"; echo; }`;
    await write(`${home}/zsh/.zshrc`, `autoload -Uz compinit; compinit -u -D\n${script}\n${shown}\nPS1='ready> '\n`);
    const shell = start('python3', ['-c', PTY, 'zsh', '-i'], { ZDOTDIR: `${home}/zsh` }, 'pipe');
    await shell.saw('ready> ');
    shell.child.stdin?.write('lethe compl\tba\t\n');
    await shell.saw('<completion><bash>');
    shell.child.stdin?.write('lethe --json add --data zs\t --descr\tx zsh/z\tx\t\n');
    await shell.saw('<--json><add><--data><zsh><--description><x><zsh/z data/x.parquet>');
    shell.child.stdin?.write('lethe trash em\t --reg\tfi\t\n');
    await shell.saw('<trash><empty><--registry><files>');
    shell.child.stdin?.write('exit\n');
    expect((await shell.ended).code).toBe(0);
  });
});
