import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACTOR, commandsOn, CTRL_C, leaveHome, onTerminal, startLethe } from '../harness/command-line.js';
import { discard, startService, type RunningService } from '../harness/service.js';

/*
 * What happened to all records, as a list and live.
 */

afterAll(leaveHome);

let service: RunningService;
let on: ReturnType<typeof commandsOn>;

beforeAll(async () => {
  service = await startService();
  on = commandsOn(service);
});

afterAll(() => discard(service));

const COLUMNS = 'position\tat\tactor\ttype\tregistry\tuid\trevision\treason\tdata';
const typesOf = (rows: readonly { readonly type: string }[]): string[] => rows.map(({ type }) => type);

describe.concurrent('audit', () => {
  it('lists the events of a record, newest first or oldest first, as a table of tabs in a pipe', async () => {
    const { uid } = await on.trashed('listed by audit');
    const types = ['RecordTrashed', 'RecordRegistered'];
    expect(typesOf(await on.json('audit', '--uid', uid))).toEqual(types);
    expect(typesOf(await on.json('audit', '--uid', `files/${uid}`, '--order', 'asc'))).toEqual(types.toReversed());
    expect(await on.json('audit', '--uid', `datasets/${uid}`)).toEqual([]);
    expect(await on.json('audit', '--uid', uid, '--limit', '1')).toMatchObject([{ type: 'RecordTrashed' }]);
    const { out } = await on.onService('audit', '--uid', uid);
    const [head, trashed, registered, end] = out.split('\n');
    expect(head).toBe(COLUMNS);
    expect(trashed).toMatch(new RegExp(`^\\d+\t[^\t]+Z\tanonymous\tRecordTrashed\tfiles\t${uid}\t1\t\t{`));
    expect(registered).toContain('\tRecordRegistered\t');
    expect(end).toBe('');
  });

  it('filters by each of its filters', async () => {
    const { uid } = await on.added('filtered by audit');
    await on.onService('delete', uid, '--reason', 'by the user of this machine');
    const rows = await on.json('audit', '--uid', uid);
    const [trashed, registered] = rows;
    const filtered = (...filters: string[]) => on.json('audit', '--uid', uid, ...filters);
    expect(await filtered('--actor', ACTOR)).toEqual([trashed]);
    expect(await filtered('--type', 'RecordRegistered')).toEqual([registered]);
    expect(await filtered('--registry', 'files')).toEqual(rows);
    expect(await filtered('--registry', 'datasets')).toEqual([]);
    expect(await filtered('--from', trashed.at)).toEqual([trashed]);
    expect(await filtered('--to', trashed.at)).toEqual([registered]);
    expect(await filtered('--correlation-id', registered.correlationId)).toEqual([registered]);
    const wrong = await on.onService('audit', '--type', 'Nonsense', '--from', 'yesterday');
    expect(wrong).toMatchObject({ code: 1, out: '' });
    expect(wrong.err).toMatch(/ {2}\?type: [^]* {2}\?from: | {2}\?from: [^]* {2}\?type: /);
    for (const args of ['--follow --order asc', '--after 3', '--order sideways'])
      expect({ args, code: (await on.onService('audit', ...args.split(' '))).code }).toEqual({ args, code: 2 });
  });

  it('follows what happens, with the same filters, until it is interrupted', async () => {
    const { uid } = await on.added('followed');
    const [{ position }] = await on.json('audit', '--uid', uid);
    const following = startLethe(['audit', '--follow', '--uid', uid, '--after', position], on.env);
    await on.added('another one');
    await on.call('DELETE', `files/${uid}`);
    await following.saw('RecordTrashed');
    await on.call('POST', `files/${uid}/restore`);
    await following.saw('RecordRestored');
    following.child.kill('SIGINT');
    const { code, out, err } = await following.ended;
    expect({ code, err }).toEqual({ code: 130, err: '' });
    const lines = out.split('\n');
    expect(lines[0]).toBe(COLUMNS);
    expect(lines.slice(1, -1).map((line) => line.split('\t').slice(3, 7))).toEqual([
      ['RecordTrashed', 'files', uid, '1'],
      ['RecordRestored', 'files', uid, '2'],
    ]);
  });

  it('follows as JSON, one event a line, and ends after as many as were asked for', async () => {
    const { uid } = await on.trashed('followed as JSON');
    const args = ['audit', '--follow', '--after', '0', '--uid', uid, '--limit', '2', '--json'];
    const { code, out, err } = await on.onService(...args);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(rows).toEqual(await on.json('audit', '--uid', uid, '--order', 'asc'));
  });

  it('ends at Ctrl-C on a terminal', async () => {
    await on.added('on a terminal');
    const following = onTerminal(['audit', '--follow', '--after', '0'], on.env);
    await following.saw('RecordRegistered');
    following.child.stdin?.write(CTRL_C);
    const { code, out } = await following.ended;
    expect(code).toBe(130);
    expect(out).not.toMatch(/Error|at .*\.js:/);
  });
});
