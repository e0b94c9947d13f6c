import { cpSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { command, startCommand } from '../harness/command.js';
import { generateLog } from '../harness/log-generator.js';
import { startService, temporaryFolder, upload, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';
import { writeLog } from '../harness/written-log.js';

/*
 * Each thing that can be wrong is made so, on a data folder of a real service, and has to be found: that, and nothing else.
 */

let home: string;
let made: string;
let data: string;
let tests = 0;
const uids: Record<string, string> = {};

const lab = (): string => join(home, 'lab');
const open = (): string => join(home, 'open');

beforeAll(async () => {
  home = await temporaryFolder();
  made = join(home, 'made');
  await mkdir(join(made), { recursive: true });
  await mkdir(lab());
  await mkdir(join(open(), 'zarr', 'a'), { recursive: true });
  await writeFile(join(open(), 'zarr', 'a', '0'), 'chunk');
  await writeFile(join(open(), 'zarr', 'meta'), '{}');
  const service = await startService({
    data: made,
    config: {
      storages: [
        { name: 'lab', root: `file:${lab()}` },
        { name: 'open', root: `file:${open()}`, managed: false },
      ],
    },
  });
  await furnish(service);
  expect(await service.stop()).toBe(0);
});

const furnish = async (service: RunningService): Promise<void> => {
  const put = async (name: string, metadata: object, content: string): Promise<void> => {
    const { status, body } = await service.request('POST', '/v1/files', { body: upload(metadata, content) });
    expect(status, JSON.stringify(body)).toBe(201);
    uids[name] = body.record.uid;
  };
  await put('first', { key: 'first.csv' }, 'one,two');
  await put('second', { key: 'second.csv' }, 'three,four');
  await put('semantic', { key: 'raw/x.csv', keyIsVirtual: false, storage: 'lab' }, 'five');
  await put('purged', { key: 'purged.csv' }, 'six');
  await put('kept', { key: 'kept.csv' }, 'seven');
  const { body } = await service.request('POST', '/v1/files', { json: { storage: 'open', path: 'zarr/' } });
  uids['folder'] = body.record.uid;
  const call = async (method: string, path: string): Promise<void> => {
    const { status, body: answer } = await service.request(method, path, { headers: { Prefer: 'wait=30' } });
    expect(status, JSON.stringify(answer)).toBe(200);
  };
  await call('DELETE', `/v1/files/${uids['second']}`);
  await call('DELETE', `/v1/files/${uids['purged']}?permanent=true`);
  await call('DELETE', `/v1/files/${uids['kept']}?permanent=true&storage=keep`);
};

beforeEach(() => {
  tests += 1;
  data = join(home, `data${tests}`);
  cpSync(made, data, { recursive: true, preserveTimestamps: true });
  cpSync(lab(), join(home, 'lab-kept'), { recursive: true, preserveTimestamps: true });
  cpSync(open(), join(home, 'open-kept'), { recursive: true, preserveTimestamps: true });
});

afterEach(() => {
  for (const [folder, kept] of [
    [lab(), join(home, 'lab-kept')],
    [open(), join(home, 'open-kept')],
  ] as const) {
    rmSync(folder, { recursive: true, force: true });
    cpSync(kept, folder, { recursive: true, preserveTimestamps: true });
    rmSync(kept, { recursive: true });
  }
});

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

interface Found {
  readonly code: number | null;
  readonly counts: Record<string, number>;
  readonly whats: string[];
}

const verify = async (...more: string[]): Promise<Found> => {
  const { code, out, err } = await command(['verify', '--json', '--data', data, ...more]);
  const body = out === '' ? { counts: { nothing: 1 }, findings: [{ what: err }] } : JSON.parse(out);
  return { code, counts: body.counts, whats: body.findings.map(({ what }: { what: string }) => what) };
};

const expectFound = async (counts: Record<string, number>, ...words: string[]): Promise<void> => {
  const found = await verify();
  expect(found.counts, found.whats.join('\n')).toEqual(counts);
  expect(found.code).toBe(1);
  for (const word of words) expect(found.whats.join('\n')).toContain(word);
};

const objectOf = (name: string): string => {
  const folder = join(data, 'objects', '.lethe');
  const file = readdirSync(folder).find((entry) => entry.startsWith(uids[name] ?? 'nobody'));
  return join(folder, file ?? 'missing');
};

const inDatabase = (file: string, sql: string): void => {
  const db = new Database(join(data, file));
  try {
    expect(db.prepare(sql).run().changes, sql).toBeGreaterThan(0);
  } finally {
    db.close();
  }
};
const inLog = (sql: string): void => inDatabase('events.sqlite', sql);
const inModel = (sql: string): void => inDatabase('read-model.sqlite', sql);

describe('lethe verify, where nothing is wrong', () => {
  test('says so', async () => {
    const { code, out, err } = await command(['verify', '--data', data]);
    expect({ code, err }).toMatchObject({ code: 0, err: expect.stringContaining('reading the log') });
    expect(out).toMatch(/^verified up to position \d+: \d+ rows, 4 objects; nothing is wrong\n$/);
    expect(await verify('--no-hash')).toEqual({ code: 0, counts: {}, whats: [] });
  });

  test('says so of a service that is at work, and leaves it alone', async () => {
    const service = await startService({ data });
    try {
      const writing = new AbortController();
      let [begun, written] = [0, 0];
      const write = async (): Promise<void> => {
        while (!writing.signal.aborted) {
          // The same content twice would be one record.
          begun += 1;
          const { status } = await service.request('POST', '/v1/files', { body: upload({}, `content ${begun}`) });
          expect(status).toBe(201);
          written += 1;
        }
      };
      const writers = [write(), write()];
      await until('it is at work', async () => written > 20);
      expect(await verify()).toEqual({ code: 0, counts: {}, whats: [] });
      writing.abort();
      await Promise.all(writers);
      expect((await service.request('GET', '/health/ready')).status).toBe(200);
    } finally {
      await service.kill();
    }
  });

  test('Ctrl-C ends it in order, and nothing is left of what it built', async () => {
    const folder = join(home, 'long');
    const temporary = join(home, 'temporary');
    await mkdir(folder);
    await mkdir(temporary);
    await writeLog(join(folder, 'events.sqlite'), generateLog(6, 4_000).stored);
    const { child, ended } = startCommand(['verify', '--data', folder], { TMPDIR: temporary });
    await until('it builds', async () => child.exitCode !== null || readdirSync(temporary).length > 0);
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 130, out: '' });
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('works on stores, and not through a service', async () => {
    expect(await command(['verify', '--url', 'http://127.0.0.1:1'])).toMatchObject({ code: 2, out: '' });
    expect((await command(['verify', '--help'])).out).toContain('$ lethe verify --data ./lethe-data');
  });
});

describe('lethe verify finds of the objects', () => {
  test('one that is missing, of a record in the trash too', async () => {
    await rm(objectOf('first'));
    await rm(objectOf('second'));
    await rm(join(lab(), 'raw', 'x.csv'));
    await expectFound(
      { 'object-missing': 3 },
      `of the file ${uids['first']} is missing`,
      `of the file ${uids['second']} is missing`,
    );
  });

  test('one with other bytes of the same size, whatever its times say', async () => {
    const file = objectOf('first');
    const { atime, mtime } = statSync(file);
    await writeFile(file, 'One,two');
    await utimes(file, atime, mtime);
    await expectFound({ 'object-altered': 1 }, `of the file ${uids['first']} was altered: it has hash`);
  });

  test('one of another size, also without reading all that looks the same', async () => {
    await writeFile(objectOf('second'), 'three');
    expect(await verify('--no-hash')).toMatchObject({ code: 1, counts: { 'object-altered': 1 } });
    await expectFound({ 'object-altered': 1 }, 'was altered: it has 5 bytes, not 10');
  });

  test('a folder that lost or changed a file', async () => {
    await writeFile(join(open(), 'zarr', 'meta'), '[]');
    await expectFound({ 'object-altered': 1 }, `"zarr/" of the file ${uids['folder']}`);
    await rm(join(open(), 'zarr'), { recursive: true });
    await expectFound({ 'object-missing': 1 });
  });

  test('what no event names below .lethe/, and what a purge had deleted', async () => {
    const own = join(data, 'objects', '.lethe');
    await writeFile(join(own, 'leaked.bin'), 'x');
    await writeFile(join(own, `${uids['first']}-AAAAAA.csv`), 'x');
    await mkdir(join(own, 'tmp'), { recursive: true });
    await writeFile(join(own, 'tmp', 'abcdef'), 'x');
    const log = new Database(join(data, 'events.sqlite'), { readonly: true });
    const registered = log
      .prepare<[string], string>(
        "SELECT json_extract(data, '$.fields.path') FROM events WHERE stream = ? AND revision = 0",
      )
      .pluck()
      .get(`lethe.files-${uids['purged']}`);
    log.close();
    await writeFile(join(data, 'objects', registered ?? 'missing'), 'six');
    await expectFound(
      { 'object-leaked': 4 },
      '".lethe/leaked.bin" in the storage default is named by no event',
      `the purge of files/${uids['purged']} had deleted it`,
    );
  });

  test('nothing below an unmanaged storage, whose .lethe/ is another log’s', async () => {
    await mkdir(join(open(), '.lethe'));
    await writeFile(join(open(), '.lethe', 'theirs'), 'x');
    expect(await verify()).toEqual({ code: 0, counts: {}, whats: [] });
  });

  test('the default one that is gone, and does not make it anew', async () => {
    const objects = join(data, 'objects');
    await rm(objects, { recursive: true });
    await expectFound({ 'storage-unreachable': 2 }, 'default');
    expect(existsSync(objects)).toBe(false);
  });

  test('a storage that is gone, and one that is another log’s', async () => {
    await rm(lab(), { recursive: true });
    const owner = join(data, 'objects', '.lethe', 'owner');
    const { position } = JSON.parse(await readFile(owner, 'utf8'));
    await writeFile(owner, JSON.stringify({ instance: '00000000-0000-4000-8000-000000000000', position }));
    const { code, counts, whats } = await verify();
    expect({ code, kinds: Object.keys(counts) }, whats.join('\n')).toEqual({
      code: 1,
      kinds: ['storage-foreign', 'storage-unreachable'],
    });
  });
});

describe('lethe verify finds of the read model', () => {
  test('a row that was edited', async () => {
    inModel(
      `UPDATE catalogue SET _doc = json_set(_doc, '$.record.createdBy', 'mallory') WHERE uid = '${uids['first']}'`,
    );
    await expectFound({ 'row-differs': 1 }, `the row files/${uids['first']} in catalogue`);
  });

  test('a row that was edited where queries look', async () => {
    inModel(`UPDATE catalogue SET "record.visibility" = 0 WHERE uid = '${uids['first']}'`);
    await expectFound({ 'model-damaged': 1 }, 'another value in its column record.visibility than in its document');
  });

  test('one too few, one too many, and one that is none', async () => {
    inModel(`DELETE FROM history WHERE _key = (SELECT max(_key) FROM history)`);
    inModel(`UPDATE stats SET _key = '["zebras",null,1]' WHERE _key = (SELECT min(_key) FROM stats)`);
    inModel(`UPDATE purges SET _doc = '{'`);
    await expectFound({ 'row-missing': 2, 'row-surplus': 1, 'model-damaged': 1 });
  });

  test('that there is none; rebuilt, nothing is wrong', async () => {
    for (const ending of ['', '-wal', '-shm']) await rm(join(data, `read-model.sqlite${ending}`), { force: true });
    await expectFound({ 'model-missing': 1 });
    expect((await command(['rebuild', '--data', data])).code).toBe(0);
    expect(await verify()).toEqual({ code: 0, counts: {}, whats: [] });
  });
});

describe('lethe verify finds of the log', () => {
  const stream = (name: string): string => `lethe.files-${uids[name]}`;

  test('an event that was edited: the next one tells', async () => {
    inLog(
      `UPDATE events SET data = replace(data, 'second.csv', 'Second.csv') WHERE stream = '${stream('second')}' AND revision = 0`,
    );
    const { code, counts, whats } = await verify();
    expect(code).toBe(1);
    expect(counts).toMatchObject({ 'event-altered': 1 });
    expect(whats.join('\n')).toContain(`revision 1 of ${stream('second')}) does not carry the digest of revision 0`);
  });

  test('an event that was edited and is the last of its stream: the model tells', async () => {
    inLog(`UPDATE events SET data = replace(data, 'first.csv', 'First.csv') WHERE stream = '${stream('first')}'`);
    await expectFound({ 'row-differs': 2 }, 'the row, or an event, was changed');
  });

  test('who did it, when and by which command', async () => {
    inLog(
      `UPDATE events SET metadata = json_set(metadata, '$.actor', 'mallory') WHERE stream = '${stream('second')}' AND revision = 0`,
    );
    inLog(`UPDATE events SET metadata = json_set(metadata, '$.commandHash', 'x') WHERE stream = '${stream('first')}'`);
    inLog(
      `UPDATE events SET metadata = json_set(metadata, '$.at', '2020-01-01T00:00:00.000Z') WHERE stream = '${stream('purged')}' AND revision = 1`,
    );
    const { counts, whats } = await verify();
    // The time that was changed breaks the chain behind it, too.
    expect(counts, whats.join('\n')).toMatchObject({ 'event-altered': 3, 'event-out-of-time': 1 });
  });

  test('one that is gone', async () => {
    inLog(`DELETE FROM events WHERE stream = '${stream('purged')}' AND revision = 2`);
    const { code, counts, whats } = await verify();
    expect(code).toBe(1);
    expect(counts).toMatchObject({ 'event-missing': 1 });
    expect(whats.join('\n')).toContain('goes from 1 to revision 3: revision 2 is gone');
  });

  test('one that cannot be read, and what is beside it all the same', async () => {
    inLog(`UPDATE events SET data = '{' WHERE stream = '${stream('kept')}' AND revision = 0`);
    await rm(objectOf('first'));
    const { code, counts, whats } = await verify();
    expect(code, whats.join('\n')).toBe(1);
    expect(counts).toMatchObject({ 'event-unreadable': 1, 'object-missing': 1 });
    expect(counts).toHaveProperty('model-not-compared');
  });

  test('that it was cut below a checkpoint, and below what a storage has seen', async () => {
    const owner = join(data, 'objects', '.lethe', 'owner');
    const { instance } = JSON.parse(await readFile(owner, 'utf8'));
    await writeFile(owner, JSON.stringify({ instance, position: '12' }));
    inLog('DELETE FROM events WHERE position > 10');
    await expectFound(
      // Of what is missing, the purge was cut off: the log does not know of it any more.
      { 'log-cut': 3, 'object-missing': 1 },
      'and the log ends at 10: the log has lost its end',
      'The storage default has seen position 12 of this log, which ends at 10',
    );
  });
});
