import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { request as open } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encode, streamOf } from '../../src/events/codec.js';
import { derivedId, eventIdOf, sha256, uidOf } from '../../src/events/ids.js';
import { openSqliteEventStore } from '../../src/storage/event-store/sqlite.js';
import { startService, temporaryFolder, upload, type RunningService, type StartOptions } from '../harness/service.js';
import { until } from '../harness/until.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PREFIX = 'lethe.';

let data: string;
let services: RunningService[];

beforeEach(async () => {
  data = await temporaryFolder();
  services = [];
});

afterEach(async () => {
  await Promise.all(services.map((service) => service.kill()));
  await rm(data, { recursive: true, force: true });
});

const start = async (options: Omit<StartOptions, 'data'> = {}): Promise<RunningService> => {
  const service = await startService({ data, ...options });
  services.push(service);
  return service;
};

const inData = (name: string): string => join(data, name);

/** Ends it in order, and says so. Once is enough: a second signal would end it at once. */
const stop = async (service: RunningService, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
  if (!service.log().includes('"msg":"stopping"')) service.process.kill(signal);
  await until('it has ended', async () => service.process.exitCode !== null || service.process.signalCode !== null);
  expect({ code: service.process.exitCode, signal: service.process.signalCode }, service.log()).toEqual({
    code: 0,
    signal: null,
  });
};

const ok = async (service: RunningService, path: string): Promise<unknown> => {
  const { status, body } = await service.request('GET', path);
  expect(status, `${path}: ${JSON.stringify(body)}`).toBe(200);
  return body;
};

/** A record in every state, and the paths of all that can be asked of them. */
const furnish = async (service: RunningService): Promise<string[]> => {
  const post = async (path: string, json: object): Promise<string> => {
    const { status, body } = await service.request('POST', path, { json });
    expect(status, JSON.stringify(body)).toBe(201);
    return body.record.uid;
  };
  const put = async (metadata: object, content: string): Promise<string> => {
    const { status, body } = await service.request('POST', '/v1/files', { body: upload(metadata, content) });
    expect(status, JSON.stringify(body)).toBe(201);
    return body.record.uid;
  };
  const remove = async (path: string): Promise<void> => {
    const { status, body } = await service.request('DELETE', path, { headers: { prefer: 'wait=20' } });
    expect(status, JSON.stringify(body)).toBe(200);
  };
  const label = await post('/v1/labels', { name: 'a label' });
  const shown = await put({ key: 'shown.bin', labels: [label] }, 'shown');
  const trashed = await put({ key: 'trashed.bin' }, 'trashed');
  const purged = await put({ key: 'purged.bin' }, 'purged');
  const kept = await put({ key: 'kept/here.bin', keyIsVirtual: false }, 'kept');
  const dataset = await post('/v1/datasets', { name: 'a set', files: [shown] });
  await remove(`/v1/files/${trashed}`);
  await remove(`/v1/files/${purged}?permanent=true`);
  await remove(`/v1/files/${kept}?permanent=true`);
  const lists = ['', '/files', '/datasets', '/labels', '/storages', '/trash', '/purges', '/files?visibility=any'];
  const histories = [`files/${purged}`, `files/${shown}`, `datasets/${dataset}`, `labels/${label}`];
  return [
    ...lists.map((path) => `/v1${path}`),
    ...histories.map((record) => `/v1/${record}/history`),
    ...[`/v1/files/${shown}`, `/v1/files/${trashed}`, `/v1/datasets/${dataset}`, `/v1/purges/files/${kept}`],
  ];
};

const answersOf = async (service: RunningService, paths: readonly string[]): Promise<unknown[]> => {
  const answers: unknown[] = [];
  for (const path of paths) answers.push(await ok(service, path));
  return answers;
};

describe('SIGTERM', () => {
  test('answers what is in flight, gives the folder back, and leaves nothing to recover', async () => {
    const service = await start();
    const halfway = slowUpload(service, 'slow.bin', 'the first half', ' and the second');
    await halfway.sent;
    service.process.kill('SIGTERM');
    await until('it says that it stops', async () => service.log().includes('stopping'));
    const answer = await halfway.finish();
    expect(answer.status, answer.text).toBe(201);
    await stop(service);

    expect(existsSync(inData('lock.json'))).toBe(false);
    for (const name of ['events.sqlite', 'read-model.sqlite']) {
      expect(existsSync(inData(name)), name).toBe(true);
      for (const rest of ['-wal', '-shm']) expect(existsSync(inData(name + rest)), name + rest).toBe(false);
    }
    const next = await start();
    const [file] = Object(await ok(next, '/v1/files')).items;
    expect(file).toMatchObject({ key: 'slow.bin', size: 'the first half and the second'.length, revision: 0 });
    const content = await next.request('GET', `/v1/files/${file.uid}/content`);
    expect(content.body).toBe('the first half and the second');
  });

  test('answers a caller who waits for a purge that cannot end now; the next start goes on with it', async () => {
    const lab = inData('lab');
    await mkdir(join(lab, 'deep'), { recursive: true });
    const purges = { attempts: 50, firstWaitMs: 20, maxWaitMs: 50 };
    const service = await start({ config: { storages: [{ name: 'lab', root: `file:${lab}` }], purges } });
    const metadata = { key: 'deep/a.bin', keyIsVirtual: false, storage: 'lab' };
    const { body } = await service.request('POST', '/v1/files', { body: upload(metadata, 'deep') });
    const path = `/v1/files/${body.record.uid}`;
    // The store refuses to follow a link, and so to delete.
    renameSync(join(lab, 'deep'), join(lab, 'aside'));
    symlinkSync('aside', join(lab, 'deep'));
    const waiting = service.request('DELETE', `${path}?permanent=true&storage=delete`, {
      headers: { prefer: 'wait=2' },
    });
    await until('the purge has failed', async () => {
      const { body: purge } = await service.request('GET', path.replace('/v1/', '/v1/purges/'));
      return purge.attempts > 0;
    });
    service.process.kill('SIGTERM');
    await until('it says that it stops', async () => service.log().includes('stopping'));
    expect(await waiting).toMatchObject({ status: 202, body: { outcome: 'purging' } });
    await stop(service);

    await rm(join(lab, 'deep'));
    renameSync(join(lab, 'aside'), join(lab, 'deep'));
    const next = await start();
    await until('the purge has ended', async () => {
      const { body: purge } = await next.request('GET', path.replace('/v1/', '/v1/purges/'));
      return purge.state === 'done';
    });
    expect(existsSync(join(lab, 'deep/a.bin'))).toBe(false);
  });

  test('or SIGINT, as a terminal sends it, end an idle service', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const service = await start();
      await stop(service, signal);
      expect(existsSync(inData('lock.json'))).toBe(false);
    }
  });
});

describe('the folder lock', () => {
  test('keeps a second process out, which names the first', async () => {
    const first = await start();
    const second = startService({ data });
    await expect(second).rejects.toThrow(`process ${first.process.pid}`);
    await expect(second).rejects.toThrow('ended at its start (1)');
    await expect(second).rejects.toThrow(first.url);
    await ok(first, '/v1/files');
  });

  test('never outlives its process', async () => {
    for (let kill = 0; kill < 3; kill += 1) {
      const service = await start();
      await service.kill();
      expect(existsSync(inData('lock.json'))).toBe(true);
    }
    // Another process has the number of the dead one by now.
    const holder = JSON.parse(readFileSync(inData('lock.json'), 'utf8'));
    writeFileSync(inData('lock.json'), JSON.stringify({ ...holder, pid: process.pid }));
    await ok(await start(), '/v1/files');
  });
});

describe('a start that is killed', () => {
  /** In the order in which they come. */
  const signs = ['lock.sqlite', 'lock.json', 'events.sqlite', 'read-model.sqlite', 'read-model.sqlite-wal'];

  test.each(signs)('on a new folder, as soon as %s is there, is made good by the next', async (sign) => {
    await killStart(() => existsSync(inData(sign)));
    const service = await start();
    const { items } = Object(await ok(service, '/v1/storages'));
    expect(items).toMatchObject([{ name: 'default', revision: 0 }]);
    await furnish(service);
    await stop(service);
    expect((await eventsOf()).filter(({ type }) => type === 'InstanceCreated')).toHaveLength(1);
  });

  test('in the middle of a rebuild of the read model is made good by the next', async () => {
    const service = await start();
    const paths = await furnish(service);
    await stop(service);
    const labels = await appendLabels(12_000);
    const before = await start();
    expect(await counted(before)).toBe(labels + 1);
    const answers = await answersOf(before, paths);
    await stop(before);

    await removeModel();
    let made = 0;
    await killStart(() => {
      made += existsSync(inData('read-model.sqlite-wal')) ? 1 : 0;
      return made > 20;
    });
    const after = await start();
    expect(await counted(after)).toBe(labels + 1);
    expect(await answersOf(after, paths)).toEqual(answers);
  });
});

describe('the read model', () => {
  test('that was thrown away is rebuilt at the start, and answers as before from the first answer on', async () => {
    const service = await start();
    const paths = await furnish(service);
    await stop(service);
    const labels = await appendLabels(8_000);
    const before = await start();
    expect(await counted(before)).toBe(labels + 1);
    const answers = await answersOf(before, paths);
    await stop(before);

    await removeModel();
    const after = await start();
    expect(await counted(after)).toBe(labels + 1);
    expect(await answersOf(after, paths)).toEqual(answers);
    await until('it is ready', async () => (await after.request('GET', '/health/ready')).status === 200);
  });

  test('that is newer than the log is not believed: the service says so, and what to do', async () => {
    const first = await start();
    const old = await first.request('POST', '/v1/labels', { json: { name: 'old' } });
    await first.request('POST', '/v1/files', { body: upload({ key: 'old.bin' }, 'old') });
    await stop(first);
    await copyFile(inData('events.sqlite'), inData('backup'));

    const second = await start();
    const late = await second.request('POST', '/v1/labels', { json: { name: 'late' } });
    await second.request('POST', '/v1/labels', { json: { name: 'later' } });
    const stored = await second.request('POST', '/v1/files', { body: upload({ key: 'late.bin' }, 'late') });
    expect(stored.status).toBe(201);
    await stop(second);

    await copyFile(inData('backup'), inData('events.sqlite'));
    const third = await start();
    const ready = await until('it says what is wrong', async () => {
      const answer = await third.request('GET', '/health/ready');
      return JSON.stringify(answer.body).includes('starting') ? null : answer;
    });
    expect(ready.status).toBe(503);
    expect(ready.body.notReady.projection).toMatch(/beyond the log's head.*(Restore|throw)/);
    const lateLabel = `/v1/labels/${late.body.record.uid}`;
    const paths = ['/v1', '/v1/labels', '/v1/files?visibility=any', '/v1/trash', lateLabel];
    // Each waits for the projection as long as a query does: all at once.
    const answers = await Promise.all(paths.map((path) => third.request('GET', path)));
    answers.forEach(({ status, body }, index) => {
      expect.soft(status, `${paths[index] ?? ''} ${JSON.stringify(body)}`).toBe(503);
    });
    await stop(third);

    // As it was told: without the read model, the log alone counts.
    await removeModel();
    const fourth = await start();
    await until('it is ready', async () => (await fourth.request('GET', '/health/ready')).status === 200);
    expect(await ok(fourth, '/v1/labels')).toMatchObject({ items: [{ uid: old.body.record.uid }] });
    expect((await fourth.request('GET', lateLabel)).status).toBe(404);
    // The storage has seen more of this log than there is: nothing is stored in it or deleted from it.
    const [file] = Object(await ok(fourth, '/v1/files')).items;
    const refused = await fourth.request('POST', '/v1/files', { body: upload({ key: 'new.bin' }, 'new') });
    expect(refused).toMatchObject({ status: 503, body: { code: 'store-unavailable' } });
    expect(refused.body.detail).toContain('backup');
    expect((await fourth.request('GET', `/v1/files/${file.uid}/content`)).body).toBe('old');
  });
});

/** An upload whose second half waits until it is asked for. */
const slowUpload = (service: RunningService, key: string, first: string, second: string) => {
  const parts = (name: string, body: string): string =>
    `--part\r\ncontent-disposition: form-data; name="${name}"${name === 'content' ? '; filename="a.bin"' : ''}\r\n\r\n${body}`;
  const request = open(`${service.url}/v1/files`, {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=part' },
  });
  const answered = once(request, 'response').then(async ([response]) => {
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return { status: Number(response.statusCode), text };
  });
  request.write(parts('metadata', `${JSON.stringify({ key })}\r\n`));
  request.write(parts('content', first));
  return {
    /** The service has begun to store it. */
    sent: until('the upload has begun', async () => existsSync(inData('objects/.lethe/tmp'))),
    finish: async () => {
      request.end(`${second}\r\n--part--\r\n`);
      return answered;
    },
  };
};

/** Starts a process and kills it once `when` is so. */
const killStart = async (when: () => boolean): Promise<void> => {
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env['PATH'], LETHE_DATA: data, LETHE_PORT: '0' },
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  while (!when() && child.exitCode === null) await new Promise(setImmediate);
  child.kill('SIGKILL');
  const [code, signal] = await exited;
  expect(signal, `it ended by itself with ${String(code)}`).toBe('SIGKILL');
};

const removeModel = async (): Promise<void> => {
  for (const rest of ['', '-wal', '-shm']) await rm(inData(`read-model.sqlite${rest}`), { force: true });
};

/** As many labels as a long life would leave, laid into the log while no service runs. */
const appendLabels = async (count: number): Promise<number> => {
  const log = await openSqliteEventStore({ file: inData('events.sqlite'), prefix: PREFIX, mode: 'read-write' });
  const at = '2026-11-23T00:00:00.000Z';
  try {
    const appends = Array.from({ length: count }, (_, index) => {
      const commandId = derivedId('label', index);
      const commandHash = sha256(commandId);
      const meta = {
        version: 1,
        actor: 'test',
        reason: null,
        commandId,
        commandHash,
        correlationId: commandId,
        at,
        previous: null,
      };
      const fields = { kind: 'plain', name: `label ${index}`, description: null, data: null, place: null } as const;
      const event = { type: 'RecordRegistered', visibility: 1, fields, seenAt: null } as const;
      const stream = streamOf(PREFIX, 'labels', uidOf(commandId));
      return () => log.append(stream, -1, [encode(eventIdOf(commandId, commandHash, 0), event, meta)]);
    });
    for (let from = 0; from < count; from += 2_000)
      await Promise.all(appends.slice(from, from + 2_000).map((append) => append()));
  } finally {
    await log.close();
  }
  return count;
};

/** How many labels the service lists; asked again while it says that it is behind. */
const counted = async (service: RunningService): Promise<number> =>
  until('the labels can be listed', async () => {
    const { status, body } = await service.request('GET', '/v1/labels?limit=1&count=true');
    if (status === 503 && body.code === 'projection-behind') return null;
    expect(status, JSON.stringify(body)).toBe(200);
    return body.total;
  });

const eventsOf = async (): Promise<{ type: string }[]> => {
  const log = await openSqliteEventStore({ file: inData('events.sqlite'), prefix: PREFIX, mode: 'read-only' });
  try {
    const events: { type: string }[] = [];
    for await (const batch of log.readAll(0n)) events.push(...batch);
    return events;
  } finally {
    await log.close();
  }
};
