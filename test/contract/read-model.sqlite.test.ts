import Database from 'better-sqlite3';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, open, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Corrupt, Full, Unavailable } from '../../src/storage/errors.js';
import type { Condition, Find, ReadModel } from '../../src/storage/read-model/port.js';
import { asStorageError } from '../../src/storage/read-model/sqlite.errors.js';
import { openSqliteReadModel } from '../../src/storage/read-model/sqlite.js';
import { readModelContract, type Opened } from './read-model.contract.js';
import { at, event, file, uid } from './read-model.rows.js';

const folderFor = (name: string): Promise<string> => mkdtemp(join(tmpdir(), `lethe-${name}-`));

/** Opens models of one file, and closes them all in the end. */
const openedBy = async (open: (file: string) => Promise<ReadModel>): Promise<Opened> => {
  const folder = await folderFor('model');
  const path = join(folder, 'model.db');
  const models: ReadModel[] = [];
  const another = async (): Promise<ReadModel> => {
    const model = await open(path);
    models.push(model);
    return model;
  };
  const model = await another();
  return {
    model,
    reopen: async () => {
      await model.close();
      return another();
    },
    second: another,
    cleanup: async () => {
      for (const each of models) await each.close();
      await rm(folder, { recursive: true });
    },
  };
};

/** What a service sees: the projector's connection writes, the other one answers, mostly from its thread. */
const writtenAndRead = async (path: string): Promise<ReadModel> => {
  const writer = await openSqliteReadModel({ file: path, mode: 'read-write' });
  const reader = await openSqliteReadModel({ file: path, mode: 'read-only' });
  // Until a load ends the reader may lag behind.
  let answering = reader;
  return {
    checkpoint: () => answering.checkpoint(),
    get: (collection, keys) => answering.get(collection, keys),
    find: (collection, find) => answering.find(collection, find),
    total: (collection, where, sum) => answering.total(collection, where, sum),
    dump: (collection, begins) => answering.dump(collection, begins),
    apply: (changes, from, to) => writer.apply(changes, from, to),
    beginLoad: () => {
      answering = writer;
      return writer.beginLoad();
    },
    endLoad: async () => {
      await writer.endLoad();
      answering = reader;
    },
    close: async () => {
      await reader.close();
      await writer.close();
    },
  };
};

readModelContract('SQLite', () => openedBy((path) => openSqliteReadModel({ file: path, mode: 'read-write' })));
readModelContract('SQLite, read by another connection', () => openedBy(writtenAndRead));

describe('SQLite', () => {
  let folder: string;
  let path: string;
  const models: ReadModel[] = [];

  beforeEach(async () => {
    folder = await folderFor('sqlite');
    path = join(folder, 'model.db');
  });
  afterEach(async () => {
    for (const model of models.splice(0)) await model.close();
    await rm(folder, { recursive: true });
  });

  const opened = async (mode: 'read-write' | 'read-only' = 'read-write', place = path): Promise<ReadModel> => {
    const model = await openSqliteReadModel({ file: place, mode, madeWithinMs: 200 });
    models.push(model);
    return model;
  };
  /** Something behind the adapter's back. */
  const behind = <T>(work: (db: Database.Database) => T, at = path): T => {
    const db = new Database(at);
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  const indexes = (at = path): unknown[] =>
    behind(
      (db) =>
        db
          .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
          .pluck()
          .all(),
      at,
    );

  describe('read-write', () => {
    test('a batch that the disk refuses in its middle leaves nothing', async () => {
      const model = await opened();
      behind((db) =>
        db.exec("CREATE TRIGGER no BEFORE INSERT ON history WHEN new._key = 3 BEGIN SELECT raise(ABORT, 'no'); END"),
      );
      const history = [1, 2, 3, 4].map((position) => event(position));
      const catalogue = [file(1, {}, { row: { pointsTo: ['files/x'] } })];
      await expect(model.apply({ catalogue, history }, 0n, 4n)).rejects.toThrow('no');
      expect(await model.checkpoint()).toBe(0n);
      expect(await model.total('history', [])).toEqual({ rows: 0, sum: 0 });
      expect(behind((db) => db.prepare('SELECT count(*) FROM catalogue_pointsTo').pluck().get())).toBe(0);
    });

    test('a load that failed takes back what was not yet on the disk, and can go on from its checkpoint', async () => {
      const model = await opened();
      behind((db) =>
        db.exec("CREATE TRIGGER no BEFORE INSERT ON history WHEN new._key = 3 BEGIN SELECT raise(ABORT, 'no'); END"),
      );
      await model.beginLoad();
      await model.apply({ history: [event(1)] }, 0n, 1n);
      await expect(model.apply({ history: [event(3)] }, 1n, 3n)).rejects.toThrow('no');
      expect(await model.checkpoint()).toBe(0n);
      expect(await model.get('history', [1])).toEqual([]);
      await model.apply({ history: [event(1)] }, 0n, 1n);
      await model.endLoad();
      expect(await model.get('history', [1])).toEqual([event(1)]);
    });

    test('dying while it loads leaves a model of one checkpoint; opened again it has its indexes', async () => {
      const model = await opened();
      const all = indexes();
      await model.beginLoad();
      expect(indexes().length).toBeLessThan(all.length);
      for (let position = 1; position <= 40; position += 1) {
        const changes = { catalogue: [file(position)], history: [event(position)] };
        await model.apply(changes, BigInt(position - 1), BigInt(position));
      }
      // What kill -9 leaves behind: the files as they are.
      const copy = join(folder, 'copy.db');
      for (const part of ['', '-wal']) await copyFile(path + part, copy + part);
      const again = await opened('read-write', copy);
      const checkpoint = await again.checkpoint();
      expect(checkpoint).toBeGreaterThan(0n);
      expect(await again.total('history', [])).toEqual({ rows: Number(checkpoint), sum: 0 });
      expect(await again.total('catalogue', [])).toEqual({ rows: Number(checkpoint), sum: 0 });
      expect(indexes(copy)).toEqual(all);
      await again.apply({ history: [event(41)] }, checkpoint, 41n);
      await model.endLoad();
      expect(indexes()).toEqual(all);
    });

    test.each([1, 2 ** 31 - 1])('a model of another version (%i) is made anew: the log has it all', async (version) => {
      const before = await opened();
      await before.apply({ catalogue: [file(1)] }, 0n, 1n);
      await before.close();
      behind((db) => {
        db.exec('CREATE TABLE gone (a); ALTER TABLE catalogue ADD COLUMN b');
        db.pragma(`user_version = ${version}`);
      });
      const model = await opened();
      expect(await model.checkpoint()).toBe(0n);
      expect(await model.total('catalogue', [])).toEqual({ rows: 0, sum: 0 });
      expect(behind((db) => db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'gone'").pluck().get())).toBe(
        0,
      );
      await model.apply({ catalogue: [file(2)] }, 0n, 1n);
    });

    test("another program's database is refused and left as it is", async () => {
      behind((db) => db.exec('CREATE TABLE events (a); INSERT INTO events VALUES (1)'));
      await expect(opened()).rejects.toThrow(Corrupt);
      expect(behind((db) => db.prepare('SELECT a FROM events').pluck().all())).toEqual([1]);
      expect(behind((db) => db.pragma('journal_mode', { simple: true }))).toBe('delete');
    });

    test('a file that is no database is Corrupt, and the error says what to do', async () => {
      await writeFile(path, 'a'.repeat(10_000));
      for (const mode of ['read-write', 'read-only'] as const) {
        const failure = opened(mode);
        await expect(failure).rejects.toThrow(Corrupt);
        await expect(failure).rejects.toThrow(/delete .*model\.db.*start again/);
      }
    });

    test('a file that was damaged is Corrupt, whoever comes upon it', async () => {
      const model = await opened();
      await model.apply({ catalogue: Array.from({ length: 500 }, (_, i) => file(i)) }, 0n, 1n);
      await model.close();
      const bytes = (await readFile(path)).length;
      const handle = await open(path, 'r+');
      await handle.write(Buffer.alloc(bytes - 8192, 0xa5), 0, bytes - 8192, 8192);
      await handle.close();
      const damaged = await opened();
      await expect(damaged.checkpoint()).rejects.toThrow(Corrupt);
      await expect(damaged.find('catalogue', list)).rejects.toThrow(Corrupt);
      await expect(damaged.apply({ catalogue: [file(1)] }, 1n, 2n)).rejects.toThrow(Corrupt);
      const reader = await opened('read-only');
      await expect(reader.find('catalogue', list)).rejects.toThrow(Corrupt);
      await expect(reader.find('catalogue', list)).rejects.toThrow(/delete .*model\.db/);
    });

    test.each(['{', '[]', '{"registry":"files"}'])(
      'a document that is none (%s) is Corrupt, not an answer',
      async (doc) => {
        const model = await opened();
        await model.apply({ catalogue: [file(1)] }, 0n, 1n);
        behind((db) => db.prepare('UPDATE catalogue SET _doc = ?').run(doc));
        await expect(model.get('catalogue', [`files/${uid(1)}`])).rejects.toThrow(Corrupt);
        await expect(model.find('catalogue', list)).rejects.toThrow(Corrupt);
      },
    );

    test('a folder that is not there, or a folder in its place, is Unavailable', async () => {
      await expect(opened('read-write', join(folder, 'none', 'model.db'))).rejects.toThrow(Unavailable);
      await mkdir(path);
      await expect(opened()).rejects.toThrow(Unavailable);
    });

    test('a full disk is Full, a busy file Unavailable, a mistake stays what it is', () => {
      const as = (code: string): unknown => asStorageError(path, new Database.SqliteError('no', code));
      expect(as('SQLITE_FULL')).toBeInstanceOf(Full);
      for (const code of [
        'SQLITE_BUSY',
        'SQLITE_BUSY_SNAPSHOT',
        'SQLITE_IOERR_READ',
        'SQLITE_CANTOPEN',
        'SQLITE_READONLY',
      ]) {
        expect(as(code)).toBeInstanceOf(Unavailable);
      }
      for (const code of ['SQLITE_CORRUPT', 'SQLITE_CORRUPT_INDEX', 'SQLITE_NOTADB'])
        expect(as(code)).toBeInstanceOf(Corrupt);
      expect(as('SQLITE_CONSTRAINT')).toBeInstanceOf(Database.SqliteError);
      const mistake = new TypeError('mine');
      expect(asStorageError(path, mistake)).toBe(mistake);
    });

    test('closed twice is closed, and says so when asked', async () => {
      for (const mode of ['read-write', 'read-only'] as const) {
        const model = await opened(mode);
        await model.close();
        await model.close();
        await expect(model.checkpoint()).rejects.toThrow(Unavailable);
        await expect(model.find('catalogue', list)).rejects.toThrow(Unavailable);
        await expect(model.dump('catalogue')[Symbol.asyncIterator]().next()).rejects.toThrow(Unavailable);
      }
    });
  });

  describe('read-only', () => {
    test('waits for the projector to make the file', async () => {
      const reader = opened('read-only');
      const writer = await opened();
      await writer.apply({ catalogue: [file(1)] }, 0n, 1n);
      expect(await (await reader).checkpoint()).toBe(1n);
    });

    test('waits for a model of another version to be made anew', async () => {
      await (await opened()).close();
      behind((db) => db.pragma('user_version = 1'));
      const reader = opened('read-only');
      const first = await Promise.race([reader.then(() => 'ready'), new Promise(setImmediate).then(() => 'waiting')]);
      expect(first).toBe('waiting');
      await opened();
      expect(await (await reader).checkpoint()).toBe(0n);
    });

    test('waits while the file cannot be opened', async () => {
      await mkdir(path);
      const reader = opened('read-only');
      await rmdir(path);
      await opened();
      expect(await (await reader).checkpoint()).toBe(0n);
    });

    test('does not wait for ever, and says for whom it waited', async () => {
      await expect(opened('read-only')).rejects.toThrow(Unavailable);
      await expect(opened('read-only')).rejects.toThrow(/projector/);
    });

    test('still answers when the projector has gone', async () => {
      const writer = await opened();
      await writer.apply({ catalogue: [file(1)] }, 0n, 1n);
      await writer.close();
      const reader = await opened('read-only');
      expect(await reader.find('catalogue', list)).toEqual([file(1)]);
      expect(await reader.get('catalogue', [`files/${uid(1)}`])).toEqual([file(1)]);
    });

    test('writes nothing', async () => {
      const writer = await opened();
      const reader = await opened('read-only');
      await expect(reader.apply({}, 0n, 1n)).rejects.toThrow(/read-write/);
      await expect(reader.beginLoad()).rejects.toThrow(/read-write/);
      await expect(reader.endLoad()).rejects.toThrow(/read-write/);
      expect(await writer.checkpoint()).toBe(0n);
    });

    test('get does not stand behind a scan: it is answered first', async () => {
      const writer = await opened();
      await writer.apply(
        { catalogue: Array.from({ length: 1000 }, (_, i) => file(i, { description: 'x'.repeat(1000) })) },
        0n,
        1n,
      );
      const reader = await opened('read-only');
      const answers: string[] = [];
      const where: Condition[] = [{ path: 'record.fields.description', op: 'contains', value: 'y' }];
      const scan = reader.find('catalogue', { ...list, where }).then(() => answers.push('scan'));
      const total = reader.total('catalogue', where).then(() => answers.push('total'));
      for (let i = 0; i < 100; i += 1) await reader.get('catalogue', [`files/${uid(i)}`]);
      answers.push('get');
      await Promise.all([scan, total]);
      expect(answers).toEqual(['get', 'scan', 'total']);
    });

    test('every answer is of one moment, while batches come in', async () => {
      const writer = await opened();
      const reader = await opened('read-only');
      const batch = (n: number) => Array.from({ length: 100 }, (_, i) => file(i, { key: String(n) }));
      await writer.apply({ catalogue: batch(0) }, 0n, 1n);
      // From the middle: several statements, and the documents after them. Enough of them at once to keep the thread busy.
      const find: Find = { ...list, limit: 100, after: [file(0).record.createdAt, uid(80)] };
      const seen = new Set<string>();
      const ask = async (): Promise<void> => {
        const rows = await reader.find('catalogue', find);
        expect(rows).toHaveLength(80);
        const keys = new Set(rows.map((row) => at(row, 'record.fields.key')));
        expect(keys.size).toBe(1);
        seen.add([...keys].join());
      };
      await ask();
      let answers: Promise<void>[] = [];
      for (let n = 1; n <= 100 || seen.size < 2; n += 1) {
        for (let i = 0; i < 5; i += 1) answers.push(ask());
        await writer.apply({ catalogue: batch(n) }, BigInt(n), BigInt(n + 1));
        if (n % 50 !== 0) continue;
        await Promise.all(answers);
        answers = [];
      }
    });

    test('a query that fails tells its caller, and the next one is answered', async () => {
      await opened();
      const reader = await opened('read-only');
      await expect(reader.find('catalogue', { ...list, limit: 0 })).rejects.toThrow(RangeError);
      expect(await reader.find('catalogue', list)).toEqual([]);
    });

    test('its thread keeps no process alive', async () => {
      await opened();
      const adapter = createRequire(import.meta.url).resolve('#thread/storage/read-model/sqlite');
      const script = `
        const { openSqliteReadModel } = await import(${JSON.stringify(adapter)});
        const model = await openSqliteReadModel({ file: ${JSON.stringify(path)}, mode: 'read-only' });
        console.log((await model.total('catalogue', [])).rows);`;
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
      expect(stdout).toBe('0\n');
    });

    test('closing ends what still waits', async () => {
      await opened();
      const reader = await opened('read-only');
      const waiting = expect(reader.find('catalogue', list)).rejects.toThrow(Unavailable);
      await reader.close();
      await waiting;
    });
  });

  const list: Find = {
    where: [],
    sort: [
      { path: 'record.createdAt', descending: true },
      { path: 'uid', descending: true },
    ],
    after: null,
    limit: 50,
  };
});
