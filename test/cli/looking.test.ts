import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandsOn, leaveHome, MAIN, NOBODY, onTerminal, start } from '../harness/command-line.js';
import { discard, startService, type RunningService } from '../harness/service.js';

/*
 * Lists, records, bytes and histories.
 */

afterAll(leaveHome);

let service: RunningService;
let on: ReturnType<typeof commandsOn>;

beforeAll(async () => {
  service = await startService();
  on = commandsOn(service);
});

afterAll(() => discard(service));

describe.concurrent('looking', () => {
  it("lists files in LaminDB's columns: a table on a terminal, tabs in a pipe, one array with --json", async () => {
    const record = await on.added('to be listed', { key: 'listed.txt' });
    const columns =
      'uid storage key suffix accessor description version size hash hashType objects transform run visibility keyIsVirtual createdAt updatedAt createdBy';
    const one = ['ls', '--where', 'key=listed.txt'];
    const [head, row, end] = (await on.onService(...one)).out.split('\n');
    expect(head).toBe(columns.replaceAll(' ', '\t'));
    expect(row).toMatch(new RegExp(`^${record.uid}\t${record.storage}\tlisted.txt\t.txt\t`));
    expect(end).toBe('');
    expect(await on.json(...one)).toEqual([record]);

    const coloured = await onTerminal(one, { LETHE_URL: service.url }).ended;
    expect(coloured.out).toContain('\u001b[1m');
    const plain = await onTerminal(one, { LETHE_URL: service.url, NO_COLOR: '1' }).ended;
    expect(plain.out).not.toContain('\u001b[');
    const [words, cells] = plain.out.split('\r\n');
    expect(words?.split(/\s+/).filter(Boolean).join(' ')).toBe(columns);
    expect(cells).toContain(record.uid);
  });

  it('filters, sorts and limits, and says what is wrong with a condition', async () => {
    const [small, large] = [await on.added('1', { key: 'ls-1' }), await on.added('22', { key: 'ls-22' })];
    const ours = ['--where', 'key[startsWith]=ls-'];
    expect(await on.json('ls', 'files', ...ours, '--where', 'size[gte]=1', '--sort', '-size')).toEqual([large, small]);
    expect(await on.json('ls', ...ours, '--sort', 'size', '--limit', '1')).toEqual([small]);
    await on.call('DELETE', `files/${small.uid}`);
    expect(await on.json('ls', ...ours, '--visibility', 'any', '--sort', 'size')).toMatchObject([
      { visibility: -1 },
      { visibility: 1 },
    ]);
    const nothing = { code: 0, out: '', err: 'nothing found\n' };
    expect(await on.onService('ls', '--where', `uid=${small.uid}`)).toEqual(nothing);
    const wrong = await on.onService('ls', '--where', 'size[gt]=big', '--where', 'nonsense=1');
    expect(wrong).toMatchObject({ code: 1, out: '' });
    const said = [/^lethe: 2 fields/, /^ {2}\?size\[gt\]: /, /^ {2}\?nonsense: /, /^$/].map((line) =>
      expect.stringMatching(line),
    );
    expect(wrong.err.split('\n')).toEqual(said);
    expect((await on.onService('ls', 'nonsense')).code).toBe(4);
  });

  it('takes every operator of the query language', async () => {
    const described = async (key: string, description: string | null) =>
      (await on.added(`where ${key}`, { key, description })).uid;
    const [one, two, none] = [
      await described('where/1.csv', 'rna, raw'),
      await described('where/22.csv', 'dna'),
      await described('where/333.txt', null),
    ];
    const found = async (...conditions: string[]): Promise<string[]> => {
      const where = ['key[startsWith]=where/', ...conditions].flatMap((condition) => ['--where', condition]);
      return (await on.json('ls', ...where, '--sort', 'key')).map(({ uid }: { uid: string }) => uid);
    };
    const size = 'where where/22.csv'.length;
    expect(await found(`size=${size}`)).toEqual([two]);
    expect(await found(`size[ne]=${size}`)).toEqual([one, none]);
    expect(await found(`size[gt]=${size}`)).toEqual([none]);
    expect(await found(`size[gte]=${size}`)).toEqual([two, none]);
    expect(await found(`size[lt]=${size}`)).toEqual([one]);
    expect(await found(`size[lte]=${size}`)).toEqual([one, two]);
    expect(await found(`uid[in]=${one},${none}`)).toEqual([one, none]);
    expect(await found(String.raw`description[in]=rna\, raw,nothing`)).toEqual([one]);
    expect(await found('description[contains]=na')).toEqual([one, two]);
    expect(await found('description[null]=true')).toEqual([none]);
    expect(await found('description[null]=false', 'suffix=.csv', 'description[ne]=dna')).toEqual([one]);
    const twice = await on.onService('ls', '--where', 'size=1', '--where', 'size=2');
    expect(twice).toMatchObject({ code: 1, out: '', err: expect.stringContaining('?size: ') });
  });

  it('shows what was there at an earlier moment', async () => {
    const { uid } = await on.added('as it was', { key: 'at.txt', description: 'before' });
    const { createdAt } = await on.call('GET', `files/${uid}`);
    // Events have whole milliseconds, and two of them may have the same.
    const over = async (time: string): Promise<void> => {
      while (new Date().toISOString() <= time) await on.call('GET', `files/${uid}`);
    };
    await over(createdAt);
    const changed = (await on.call('PATCH', `files/${uid}`, { description: 'after' })).record;
    await over(changed.updatedAt);
    await on.call('DELETE', `files/${uid}`);
    const one = ['--where', 'key=at.txt'];
    expect(await on.json('ls', ...one)).toEqual([]);
    expect(await on.json('ls', ...one, '--at', createdAt)).toMatchObject([{ uid, description: 'before', revision: 0 }]);
    expect(await on.json('ls', ...one, '--at', changed.updatedAt)).toMatchObject([{ uid, description: 'after' }]);
    expect(await on.json('show', uid, '--at', createdAt)).toMatchObject({ description: 'before', visibility: 1 });
    expect((await on.onService('show', uid, '--at', changed.updatedAt)).out).toContain('\ndescription\tafter\n');
    expect((await on.onService('show', uid, '--at', '2001-01-01T00:00:00Z')).code).toBe(4);
    for (const verb of [['ls'], ['show', uid]]) {
      const future = await on.onService(...verb, '--at', '2999-01-01T00:00:00Z');
      expect({ verb, ...future }).toEqual({ verb, code: 1, out: '', err: expect.stringContaining('?at: ') });
    }
  });

  it('shows a record, its bytes and its history, and says where there is none', async () => {
    const { uid } = await on.added('to be shown', { key: 'shown.txt' });
    expect((await on.onService('show', `files/${uid}`)).out).toContain('\nkey\tshown.txt\n');
    expect((await on.json('show', uid)).uid).toBe(uid);
    expect(await on.onService('cat', uid)).toEqual({ code: 0, out: 'to be shown', err: '' });
    expect((await on.onService('cat', `datasets/${uid}`)).code).toBe(2);
    expect(await on.json('history', uid)).toMatchObject([{ type: 'RecordRegistered', actor: 'anonymous' }]);
    expect((await on.onService('history', uid)).out).toMatch(/^revision\tat\tactor\t.*\n0\t/);
    for (const verb of ['show', 'cat', 'history', 'delete', 'restore', 'hold']) {
      const missing = { verb, code: 4, out: '', err: expect.stringMatching(/^lethe: There is no record .*\n$/) };
      expect({ verb, ...(await on.onService(verb, NOBODY)) }).toEqual(missing);
    }
    expect((await on.onService('show', '..')).code).toBe(4);
  });

  it('lets a reader stop early', async () => {
    const { uid } = await on.added('y'.repeat(200_000));
    const pipes = `"$0" "$1" cat ${uid} | head -c 3; echo; "$0" "$1" ls --json | head -c 1`;
    const shell = start('sh', ['-c', pipes, process.execPath, MAIN], { LETHE_URL: service.url });
    expect(await shell.ended).toEqual({ code: 0, out: 'yyy\n[', err: '' });
  });
});
