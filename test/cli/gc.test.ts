import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { command } from '../harness/command.js';
import { startService, temporaryFolder, upload, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/*
 * What `gc` takes and, as much, what it does not: on the data folder of a real service, with times set back.
 */

const HOUR_MS = 60 * 60 * 1000;
const UID = 'AAAAAAAAAAAAAAAAAAAA';

let home: string;
let made: string;
let data: string;
let tests = 0;
const uids: Record<string, string> = {};

const outside = (...names: string[]): string => join(home, 'outside', ...names);

beforeAll(async () => {
  home = await temporaryFolder();
  made = join(home, 'made');
  await mkdir(made);
  await mkdir(outside('lab'), { recursive: true });
  await mkdir(outside('open'));
  const storages = [
    { name: 'lab', root: `file:${outside('lab')}` },
    { name: 'open', root: `file:${outside('open')}`, managed: false },
  ];
  const service = await startService({ data: made, config: { storages } });
  await furnish(service);
  expect(await service.stop()).toBe(0);
  cpSync(outside(), join(home, 'outside-kept'), { recursive: true, preserveTimestamps: true });
});

const put = async (service: RunningService, metadata: object, content: string): Promise<string> => {
  const { status, body } = await service.request('POST', '/v1/files', { body: upload(metadata, content) });
  expect(status, JSON.stringify(body)).toBe(201);
  return body.record.uid;
};

const furnish = async (service: RunningService): Promise<void> => {
  for (const name of ['visible', 'trashed', 'kept', 'purged'])
    uids[name] = await put(service, { key: `${name}.csv` }, `content of ${name}`);
  uids['lab'] = await put(service, { key: 'lab.csv', storage: 'lab' }, 'in the lab');
  const remove = async (path: string): Promise<void> => {
    const { status, body } = await service.request('DELETE', path, { headers: { Prefer: 'wait=30' } });
    expect(status, JSON.stringify(body)).toBe(200);
  };
  await remove(`/v1/files/${uids['trashed']}`);
  await remove(`/v1/files/${uids['kept']}?permanent=true&storage=keep`);
  await remove(`/v1/files/${uids['purged']}?permanent=true`);
};

beforeEach(() => {
  tests += 1;
  data = join(home, `data${tests}`);
  cpSync(made, data, { recursive: true, preserveTimestamps: true });
  rmSync(outside(), { recursive: true });
  cpSync(join(home, 'outside-kept'), outside(), { recursive: true, preserveTimestamps: true });
});

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

const inStorage = (path: string): string => join(data, 'objects', path);

/** Lays something down that was last written so long ago. */
const lay = async (file: string, hours: number): Promise<string> => {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, 'left');
  await setBack(file, hours);
  return file;
};

const setBack = async (file: string, hours: number): Promise<void> => {
  const time = new Date(Date.now() - hours * HOUR_MS);
  await utimes(file, time, time);
};

const gc = (...more: string[]) => command(['gc', '--data', data, ...more]);
const paths = (out: string): string[] => JSON.parse(out).leftovers.map(({ path }: { path: string }) => path);

const LEFT = [
  `.lethe/${UID}-abcdef.csv`,
  `.lethe/deletions/${UID}-1-digest.jsonl`,
  '.lethe/probe',
  '.lethe/tmp/0123456789ab',
];

describe('lethe gc clears away', () => {
  test('what no event named for a day: it shows it, and asks', async () => {
    for (const path of LEFT) await lay(inStorage(path), 25);
    const another = `.lethe/${uids['visible']}-ABCDEF.csv`;
    await lay(inStorage(another), 25);
    const all = [...LEFT, another].sort();

    const shown = await gc('--dry-run');
    expect(shown).toMatchObject({ code: 0, err: '' });
    for (const path of all) expect(shown.out).toContain(`${path} in default (4 B, since `);
    expect(shown.out).toContain('would clear away 5 leftovers (20 B)\n');
    expect(paths((await gc('--dry-run', '--json')).out).sort()).toEqual(all);

    const unasked = await gc();
    expect(unasked).toMatchObject({ code: 3, out: '' });
    expect(unasked.err).toContain(
      'this would clear away 5 leftovers (20 B), and there is no terminal to ask: repeat with --yes',
    );
    expect(all.filter((path) => !existsSync(inStorage(path)))).toEqual([]);

    const cleared = await gc('--yes');
    expect(cleared).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringMatching(/cleared away 5 leftovers \(20 B\)\n$/),
    });
    expect(all.filter((path) => existsSync(inStorage(path)))).toEqual([]);
    expect((await command(['verify', '--data', data])).code).toBe(0);
    expect(await gc()).toMatchObject({ code: 0, out: 'there is nothing to clear away\n' });
  });

  test('beside a service that is at work', async () => {
    const service = await startService({ data });
    try {
      await lay(inStorage('.lethe/leaked'), 25);
      const young = await put(service, { key: 'young.csv' }, 'young');
      const { code, out } = await gc('--yes', '--json');
      expect({ code, paths: paths(out) }).toEqual({ code: 0, paths: ['.lethe/leaked'] });
      expect((await service.request('GET', `/v1/files/${young}/content`)).body).toBe('young');
      expect(await put(service, { key: 'later.csv' }, 'later')).toMatch(/^\w{20}$/);
    } finally {
      await service.kill();
    }
  });
});

describe('lethe gc leaves', () => {
  const expectNothing = async (kept: readonly string[], expected: object = { code: 0, err: '' }): Promise<void> => {
    const ended = await gc('--yes');
    expect(ended).toMatchObject({ out: 'there is nothing to clear away\n', ...expected });
    expect(kept.filter((file) => !existsSync(file))).toEqual([]);
  };

  test('what an event names, however old: of a visible record, one in the trash, and one that was kept', async () => {
    const own = readdirSync(inStorage('.lethe')).filter((name) => /^\w{20}-/.test(name));
    expect(own).toHaveLength(3);
    for (const name of own) await setBack(inStorage(`.lethe/${name}`), 10_000);
    await setBack(inStorage('.lethe/owner'), 10_000);
    await expectNothing([...own, 'owner'].map((name) => inStorage(`.lethe/${name}`)));
  });

  test('what a purge named, though somebody put it back', async () => {
    const log = new Database(join(data, 'events.sqlite'), { readonly: true });
    const path = log
      .prepare<[string], string>(
        "SELECT json_extract(data, '$.fields.path') FROM events WHERE stream = ? AND revision = 0",
      )
      .pluck()
      .get(`lethe.files-${uids['purged']}`);
    log.close();
    await expectNothing([await lay(inStorage(path ?? ''), 100)]);
  });

  test('what is not a day old: an upload may still be under way', async () => {
    const young: string[] = [];
    for (const path of LEFT) young.push(await lay(inStorage(path), 23));
    await expectNothing(young);
  });

  test('whatever lies outside of .lethe/', async () => {
    await expectNothing([await lay(inStorage('raw/x.csv'), 100), await lay(outside('lab', 'notes.txt'), 100)]);
  });

  test('an unmanaged storage, and one that nothing was ever stored in', async () => {
    await expectNothing([await lay(outside('open', '.lethe', 'theirs'), 100)]);
    await rm(outside('lab', '.lethe', 'owner'));
    await expectNothing([await lay(outside('lab', '.lethe', 'unknown'), 100)]);
  });

  test('a managed storage around or within one that is not', async () => {
    const storages = [
      { name: 'lab', root: `file:${outside('lab')}` },
      { name: 'open', root: `file:${outside('open')}`, managed: false },
      { name: 'within', root: `file:${outside('open', 'within')}` },
    ];
    await mkdir(outside('open', 'within'), { recursive: true });
    const service = await startService({ data, config: { storages } });
    await until('it has caught up', async () => (await service.request('GET', '/health/ready')).status === 200);
    expect(await service.stop()).toBe(0);
    // As though this log had stored something there before it became unmanaged.
    await mkdir(outside('open', 'within', '.lethe'));
    await copyFile(inStorage('.lethe/owner'), outside('open', 'within', '.lethe', 'owner'));
    await expectNothing([await lay(outside('open', 'within', '.lethe', 'x'), 100)]);
  });

  test('the storage of another log', async () => {
    const leaked = await lay(inStorage('.lethe/leaked'), 100);
    const { position } = JSON.parse(await readFile(inStorage('.lethe/owner'), 'utf8'));
    await writeFile(
      inStorage('.lethe/owner'),
      JSON.stringify({ instance: '00000000-0000-4000-8000-000000000000', position }),
    );
    await expectNothing([leaked], {
      code: 3,
      err: expect.stringContaining('The storage default belongs to another log'),
    });
  });

  test('a storage that has seen more of the log than there is', async () => {
    const leaked = await lay(inStorage('.lethe/leaked'), 100);
    const { instance } = JSON.parse(await readFile(inStorage('.lethe/owner'), 'utf8'));
    await writeFile(inStorage('.lethe/owner'), JSON.stringify({ instance, position: '1000000' }));
    await expectNothing([leaked], { code: 3, err: expect.stringContaining('the log was restored from a backup') });
    expect(JSON.parse(await readFile(inStorage('.lethe/owner'), 'utf8')).position).toBe('1000000');
  });

  test('everything, while the read model does not know all of the log', async () => {
    const leaked = await lay(inStorage('.lethe/leaked'), 100);
    const model = new Database(join(data, 'read-model.sqlite'));
    model.exec('UPDATE meta SET checkpoint = checkpoint - 1');
    model.close();
    const ended = await gc('--yes');
    expect(ended).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('start the service, or rebuild it (lethe rebuild)'),
    });
    expect(existsSync(leaked)).toBe(true);
  });

  test('what the log names, whatever the read model says', async () => {
    const [own] = readdirSync(inStorage('.lethe')).filter((name) => name.startsWith(uids['visible'] ?? ''));
    const model = new Database(join(data, 'read-model.sqlite'));
    model.exec(`DELETE FROM catalogue WHERE uid = '${uids['visible']}'`);
    model.close();
    await setBack(inStorage(`.lethe/${own}`), 100);
    await expectNothing([inStorage(`.lethe/${own}`)]);
  });
});
