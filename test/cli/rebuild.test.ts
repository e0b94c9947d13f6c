import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { copyFile, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import Database from 'better-sqlite3';
import { openSqliteReadModel } from '../../src/storage/read-model/sqlite.js';
import { command, startCommand } from '../harness/command.js';
import { generateLog } from '../harness/log-generator.js';
import { dumpOf } from '../harness/projecting.js';
import { startService, temporaryFolder, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';
import { writeLog } from '../harness/written-log.js';

let data: string;
let services: RunningService[];
const inData = (name: string): string => join(data, name);
const MODEL = 'read-model.sqlite';

beforeEach(async () => {
  data = await temporaryFolder();
  services = [];
});

afterEach(async () => {
  await Promise.all(services.map((service) => service.kill()));
  await rm(data, { recursive: true, force: true });
});

const rebuild = (...more: string[]) => command(['rebuild', '--data', data, ...more]);

/** What a model holds: two that hold the same are of the same words. */
const modelOf = async (file = inData(MODEL)): Promise<string> => {
  const model = await openSqliteReadModel({ file, mode: 'read-write' });
  try {
    const dump = await dumpOf(model);
    return `${await model.checkpoint()}: ${dump.split('\n').length} rows, ${createHash('sha256').update(dump).digest('hex')}`;
  } finally {
    await model.close();
  }
};

/** What SQLite says of the file itself. */
const integrityOf = (): unknown => {
  const db = new Database(inData(MODEL), { readonly: true });
  try {
    return db.pragma('integrity_check', { simple: true });
  } finally {
    db.close();
  }
};

const builtBytes = (): number =>
  [`${MODEL}.new`, `${MODEL}.new-wal`].reduce(
    (sum, name) => sum + (statSync(inData(name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );

const serve = async (): Promise<RunningService> => {
  const service = await startService({ data });
  services.push(service);
  return service;
};

describe('lethe rebuild', () => {
  test('builds the same model again, whatever became of the old one', async () => {
    await writeLog(inData('events.sqlite'), generateLog(1, 2_000).stored);
    const first = await rebuild();
    expect(first).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^rebuilt the read model up to position 2000, in/),
    });
    expect(first.err).toContain('rebuilding the read model: 0 of 2000 (0 %)');
    const model = await modelOf();
    expect(model).toMatch(/^2000: \d{4} rows/);

    const db = new Database(inData(MODEL));
    db.exec("UPDATE catalogue SET _doc = '{}'");
    db.close();
    expect(await rebuild('--json')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\{"position":"2000","seconds":[\d.]+\}\n$/),
    });
    expect(await modelOf()).toBe(model);

    await truncate(inData(MODEL), 10_000);
    expect((await rebuild()).code).toBe(0);
    expect(await modelOf()).toBe(model);
    expect(integrityOf()).toBe('ok');
    expect(readdirSync(data).filter((name) => name.includes('.new'))).toEqual([]);
  });

  test('killed in the middle and started again, it ends right', async () => {
    await writeLog(inData('events.sqlite'), generateLog(2, 4_000).stored);
    await rebuild();
    const model = await modelOf();
    for (const [round, bytes] of [1, 400_000, 1_500_000, 3_000_000].entries()) {
      await until(
        `round ${round}: one is killed while it builds`,
        async () => {
          const { child, ended } = startCommand(['rebuild', '--data', data]);
          await until(`${bytes} bytes are built`, async () => child.exitCode !== null || builtBytes() >= bytes);
          child.kill('SIGKILL');
          return (await ended).signal === 'SIGKILL';
        },
        5,
      );
      expect(await modelOf(), 'the live one is as it was').toBe(model);
      expect((await rebuild()).code).toBe(0);
      expect(await modelOf()).toBe(model);
    }
    expect(existsSync(inData(`${MODEL}.new`))).toBe(false);
  });

  test('killed while it switches, it leaves what the next one, or a service, makes whole', async () => {
    await writeLog(inData('events.sqlite'), generateLog(3, 500).stored);
    await rebuild();
    const model = await modelOf();
    // The old file is gone, its log is not, and the new file has not come: the worst that a crash in between can leave.
    const tear = async (): Promise<void> => {
      const db = new Database(inData(MODEL));
      db.pragma('journal_mode = WAL');
      db.exec("UPDATE catalogue SET _doc = '{}'");
      await copyFile(inData(`${MODEL}-wal`), inData('kept-wal'));
      db.close();
      await rename(inData(MODEL), inData(`${MODEL}.new`));
      await rename(inData('kept-wal'), inData(`${MODEL}-wal`));
    };
    await tear();
    expect((await rebuild()).code).toBe(0);
    expect(await modelOf()).toBe(model);
    await tear();
    const service = await serve();
    await until('it has caught up', async () => (await service.request('GET', '/health/ready')).status === 200);
    await service.stop();
    expect(integrityOf()).toBe('ok');
    // It went on with the purges that stood open: what it made of the log is what a rebuild makes of it.
    const served = await modelOf();
    expect((await rebuild()).code).toBe(0);
    expect(await modelOf()).toBe(served);
  });

  test('where a service holds the folder, it refuses and names its process', async () => {
    const service = await serve();
    const refused = await rebuild();
    expect(refused.code).toBe(1);
    expect(refused.err).toBe(
      `lethe: the data folder ${data} is in use by process ${service.process.pid}, which answers at ${service.url}, and would go on ` +
        'with the old read model. Stop it, rebuild, and start it again\n',
    );
    expect((await service.request('GET', '/health/ready')).status).toBe(200);
  });

  test('an event that no model can hold ends it, and leaves the live model as it was', async () => {
    await writeLog(inData('events.sqlite'), generateLog(4, 300).stored);
    await rebuild();
    const model = await modelOf();
    const db = new Database(inData('events.sqlite'));
    db.exec("UPDATE events SET data = '{}' WHERE type = 'RecordRegistered' AND position > 100");
    db.close();
    const failed = await rebuild();
    expect(failed).toMatchObject({ code: 1, out: '', err: expect.stringContaining('cannot be read') });
    expect(await modelOf()).toBe(model);
    expect(readdirSync(data).filter((name) => name.includes('.new'))).toEqual([]);
  });

  test('Ctrl-C ends it in order, and nothing has changed', async () => {
    await writeLog(inData('events.sqlite'), generateLog(5, 4_000).stored);
    await rebuild();
    const model = await modelOf();
    await until(
      'one is interrupted while it builds',
      async () => {
        const { child, ended } = startCommand(['rebuild', '--data', data]);
        await until('it builds', async () => child.exitCode !== null || builtBytes() > 100_000);
        child.kill('SIGINT');
        const { code, out } = await ended;
        if (code !== 0) expect([code, out]).toEqual([130, '']);
        return code !== 0;
      },
      5,
    );
    expect(existsSync(inData(`${MODEL}.new`))).toBe(false);
    expect(await modelOf()).toBe(model);
  });

  test('says what it works on', async () => {
    expect(await command(['rebuild', '--url', 'http://127.0.0.1:1'])).toMatchObject({ code: 2, out: '' });
    const missing = await command(['rebuild', '--data', inData('nowhere')]);
    expect(missing).toMatchObject({
      code: 1,
      err: expect.stringContaining(`there is no data folder ${inData('nowhere')}`),
    });
    const empty = await rebuild();
    expect(empty).toMatchObject({ code: 1, err: expect.stringContaining('events.sqlite') });
    expect((await command(['rebuild', '--help'])).out).toContain('$ lethe rebuild --data ./lethe-data');
  });
});
