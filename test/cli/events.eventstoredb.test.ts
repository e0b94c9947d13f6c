import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FORMATS, NDJSON } from '../../src/api/export.js';
import { decode } from '../../src/events/codec.js';
import { historyRow } from '../../src/projections/project.js';
import { openEventStoreDb } from '../../src/storage/event-store/eventstoredb.js';
import type { StoredEvent } from '../../src/storage/event-store/port.js';
import { COLLECTIONS } from '../../src/storage/read-model/port.js';
import { instanceCreated } from '../../src/testing/events.js';
import { TestLog } from '../../src/testing/log.js';
import { Chain } from '../../src/upkeep/chain.js';
import { startEventStoreDouble, type EventStoreDouble } from '../doubles/eventstoredb.js';
import type { LogEvent } from '../doubles/eventstoredb.log.js';
import { startCommand, type Ended, type RunningCommand } from '../harness/command.js';
import { TYPES } from '../harness/event-arbitraries.js';
import { typesIn } from '../harness/log-generator.js';
import { generateNamingLog } from '../harness/naming-log.js';
import { projected } from '../harness/projecting.js';
import {
  discard,
  launchService,
  startService,
  temporaryFolder,
  upload,
  type RunningService,
} from '../harness/service.js';
import { storedEvents } from '../harness/stored-events.js';
import { until } from '../harness/until.js';

/*
 * A log leaves an embedded store and comes into a server, which gives each event a position of its own: the compiled command line, real
 * processes, and the double of EventStoreDB.
 */

let home: string;
let double: EventStoreDouble;
let services: RunningService[];
const inHome = (name: string): string => join(home, name);

beforeAll(async () => {
  home = await temporaryFolder();
});
beforeEach(async () => {
  double = await startEventStoreDouble();
  // Others' events come between: a position is no number of an event.
  double.log.addNoise(5);
  services = [];
});
afterEach(async () => {
  await Promise.all(services.map(discard));
  await double.stop();
});
afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

const settings = (): Record<string, string> => ({ LETHE_EVENT_STORE: double.url });
const lethe = (...args: string[]): RunningCommand => startCommand(args, settings());
const bring = (file: string, data: string): Promise<Ended> =>
  lethe('events', 'import', file, '--data', data, '--json').ended;

const written = async (name: string, { recorded }: Pick<TestLog, 'recorded'>): Promise<string> => {
  const file = inHome(`${name}.ndjson`);
  await writeFile(file, FORMATS[NDJSON].lines(recorded.map(historyRow)));
  return file;
};

/** What the server holds of a log. */
const inServer = (): LogEvent[] => double.log.events.filter(({ stream }) => stream.startsWith('lethe.'));

const storedInServer = async (): Promise<StoredEvent[]> =>
  storedEvents(await openEventStoreDb({ url: double.url, prefix: 'lethe.', mode: 'read-only' }));

/** The names under which a row holds positions. */
const POSITIONS = ['position', 'registeredAt', 'stoodUntil', 'seenAt', 'withdraws'];

/** Every row of the model that a log makes, its positions as the other log has them; not the digests, which cover them. */
const rowsOf = async (stored: readonly StoredEvent[], positions = new Map<string, string>()): Promise<string[]> => {
  const model = await projected(stored.flatMap((event) => decode('lethe.', event) ?? []));
  const renamed = (name: string, value: unknown): unknown => {
    if (name === 'previous') return null;
    if (!POSITIONS.includes(name) || (typeof value !== 'string' && typeof value !== 'number')) return value;
    const other = positions.get(String(value)) ?? String(value);
    return typeof value === 'number' ? Number(other) : other;
  };
  const rows: string[] = [];
  for (const collection of COLLECTIONS) {
    for await (const { row } of model.dump(collection)) rows.push(`${collection} ${JSON.stringify(row, renamed)}`);
  }
  return rows.sort();
};

const checkChain = (stored: readonly StoredEvent[]): void => {
  const chain = new Chain('lethe.', (finding) => expect.unreachable(finding.what));
  for (const event of stored) chain.see(event);
  expect(chain.another()).toBe(false);
};

const bare = ({ id, type, stream, revision }: StoredEvent): object => ({ id, type, stream, revision });
const saidIn = ({ metadata }: StoredEvent): object => {
  const { previous: _, commandHash: __, ...said } = JSON.parse(metadata) as Record<string, unknown>;
  return said;
};

/** The server holds each of the log's events once, in its order, and all that names a position names that of the same event there. */
const expectCopy = async ({ stored, recorded }: TestLog): Promise<void> => {
  const copy = await storedInServer();
  expect(copy.map(bare)).toEqual(stored.map(bare));
  expect(copy.map(saidIn)).toEqual(stored.map(saidIn));
  checkChain(copy);
  const positions = new Map(recorded.map(({ position }, index) => [String(position), String(copy[index]?.position)]));
  expect(await rowsOf(copy)).toEqual(await rowsOf(stored, positions));
};

describe('a log of 10,000 events of every type', () => {
  test('makes the same model on a server, but for its positions', async () => {
    const log = generateNamingLog(1, 10_000);
    expect([...typesIn(log.recorded).keys()].sort()).toEqual([...TYPES].sort());
    const file = await written('generated', log);
    const { code, out, err } = await bring(file, inHome('generated'));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const position = String(inServer().at(-1)?.position);
    expect(JSON.parse(out)).toEqual({ data: null, events: 10_000, position, found: 0 });
    await expectCopy(log);

    const before = double.log.events.length;
    const again = await lethe('events', 'import', file, '--data', inHome('generated')).ended;
    expect(again).toMatchObject({ code: 0, err: '' });
    expect(again.out).toContain('has these 10000 events already; nothing was changed');
    expect(double.log.events).toHaveLength(before);
  });
});

describe('an import that breaks off', () => {
  const log = generateNamingLog(4, 1_500);
  let file: string;
  beforeAll(async () => {
    file = await written('broken', log);
  });

  /** An import of which more than `count` events are written. */
  const begun = async (data: string, count = 300): Promise<RunningCommand> => {
    const running = lethe('events', 'import', file, '--data', data);
    await until('a part of it is written', async () => inServer().length > count);
    return running;
  };

  test.each([
    ['killed', 'SIGKILL', { code: null, signal: 'SIGKILL' }],
    ['interrupted', 'SIGINT', { code: 130, signal: null }],
  ] as const)('as it is %s goes on when it is started again', async (name, signal, ended) => {
    const data = inHome(name);
    const running = await begun(data);
    running.child.kill(signal);
    expect(await running.ended).toMatchObject(ended);
    const laid = inServer().length;
    expect(laid).toBeLessThan(1_500);

    const { code, out, err } = await bring(file, data);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const { events, found } = JSON.parse(out) as { events: number; found: number };
    expect(events).toBe(1_500);
    // What it sent last may have come in after its end.
    expect(found).toBeGreaterThanOrEqual(laid);
    await expectCopy(log);
  });

  test('keeps services and upkeep waiting until it is whole', async () => {
    const data = inHome('waiting');
    const running = await begun(data);
    running.child.kill('SIGKILL');
    await running.ended;

    const service = await launchService({ env: settings() });
    services.push(service);
    const waits = await until('the service waits', async () => {
      const { status, body } = await service.request('GET', '/health/ready').catch(() => ({ status: 0, body: null }));
      return status === 503 && String(body.notReady.start).includes('an import of this log has begun') ? body : null;
    });
    expect(waits.notReady.start).toContain('waits for the event store');
    expect((await service.request('POST', '/v1/labels', { json: { name: 'early' } })).status).toBe(503);
    for (const verb of ['gc', 'verify', 'rebuild']) {
      const refused = await lethe(verb, '--data', data).ended;
      expect(refused.code).toBe(1);
      expect(refused.err).toContain('an import of this log has begun and not ended');
    }
    const doctor = await lethe('doctor', '--data', data).ended;
    expect(doctor.code).toBe(1);
    expect(doctor.out).toContain('an import of this log has begun and not ended');
    const before = inServer().map(({ id }) => id);
    expect(before).toEqual(log.stored.slice(0, before.length).map(({ id }) => id));

    expect((await bring(file, data)).code).toBe(0);
    await service.ready;
    const ids = inServer().map(({ id }) => id);
    expect(ids.slice(0, 1_500)).toEqual(log.stored.map(({ id }) => id));
  });

  test('is waited for by a service that had looked before it began', async () => {
    const held = double.holds.hold('log-instance', 'InstanceCreated');
    const service = await launchService({ env: settings() });
    services.push(service);
    await held.arrived;
    const running = await begun(inHome('overtaken'), 100);
    held.release();
    expect(await running.ended).toMatchObject({ code: 0, err: '' });
    await service.ready;
    const ids = inServer().map(({ id }) => id);
    expect(ids.slice(0, 1_500)).toEqual(log.stored.map(({ id }) => id));
  });

  test('ends right where answers are lost', async () => {
    const running = await begun(inHome('lost'), 100);
    double.faults.loseAnswers = 3;
    expect(await running.ended).toMatchObject({ code: 0, err: '' });
    expect(double.faults.loseAnswers).toBe(0);
    await expectCopy(log);
  });

  test('says so where another process writes to the log meanwhile', async () => {
    const running = await begun(inHome('disturbed'), 100);
    const [event] = inServer();
    if (event === undefined) throw new Error('nothing was written');
    double.log.append('lethe.labels-0123456789abcdefghij', 'no_stream', [{ ...event, id: crypto.randomUUID() }]);
    const { code, err } = await running.ended;
    expect(code).toBe(1);
    expect(err).toContain('another process has written to this log while it was imported');
  });
});

test('an import fails where another log was begun in its place, and does not hold that one up', async () => {
  const file = await written('beaten', generateNamingLog(3, 60));
  const held = double.holds.hold('log-instance', 'InstanceCreated');
  const running = lethe('events', 'import', file, '--data', inHome('beaten'));
  await held.arrived;
  const other = new TestLog();
  other.happens({ registry: 'log', uid: 'instance' }, instanceCreated({ instance: crypto.randomUUID() }));
  for (const { stream, id, type, data, metadata } of other.stored) {
    const [bytes, said] = [Buffer.from(data), Buffer.from(metadata)];
    double.log.append(stream, 'no_stream', [
      { id: id.replace(/^./, '0'), type, contentType: 'application/json', data: bytes, metadata: said },
    ]);
  }
  held.release();
  const { code, err } = await running.ended;
  expect(code).toBe(1);
  expect(err).toContain('another process has written to this log while it was imported');
  expect(inServer()).toHaveLength(1);
  services.push(await startService({ env: settings() }));
});

describe('an import that is refused writes nothing', () => {
  const log = generateNamingLog(3, 60);
  /** What lies in the server, before and after. */
  const refused = async (file: string, data: string): Promise<Ended> => {
    const before = double.log.events.length;
    const ended = await bring(file, data);
    expect(double.log.events).toHaveLength(before);
    return ended;
  };

  test('where the file is wrong', async () => {
    const lines = (await readFile(await written('whole', log), 'utf8')).trimEnd().split('\n');
    const file = inHome('cut.ndjson');
    for (const wrong of [lines.slice(1), [...lines.slice(0, 40), '{"position":'], []]) {
      await writeFile(file, wrong.map((line) => `${line}\n`).join(''));
      const { code, err } = await refused(file, inHome('cut'));
      expect(code).toBe(1);
      expect(err).toMatch(/line (1|41): /);
    }
    expect(inServer()).toEqual([]);
  });

  test('where there is another log, or this one has gone on', async () => {
    const whole = await written('sixty', log);
    const shorter = await written('fifty', { recorded: log.recorded.slice(0, 50) });
    const other = await written('other', generateNamingLog(5, 60));
    expect((await bring(whole, inHome('sixty'))).code).toBe(0);
    for (const file of [shorter, other]) {
      const { code, err } = await refused(file, inHome('sixty'));
      expect(code).toBe(3);
      expect(err).toContain('has events already that are not those of');
      expect(err).toContain('LETHE_STREAM_PREFIX');
    }
    await expectCopy(log);
  });

  test('where a service has begun a log', async () => {
    const service = await startService({ env: settings() });
    services.push(service);
    const { code, err } = await refused(await written('late', log), inHome('late'));
    expect(code).toBe(3);
    expect(err).toContain('(InstanceCreated, revision 0 of lethe.log-instance)');
  });

  test('where the read model is that of another log', async () => {
    const data = inHome('modelled');
    await mkdir(data);
    await (await startService({ data })).stop();
    const { code, err } = await refused(await written('small', log), data);
    expect(code).toBe(3);
    expect(err).toContain('remove it (read-model.sqlite');
  });
});

test('a team moves from the embedded log to a server, with its objects where they lie', async () => {
  const [data, moved, objects] = [inHome('embedded'), inHome('moved'), inHome('objects')];
  await Promise.all([data, moved, objects].map((each) => mkdir(each)));
  const env = { LETHE_OBJECT_STORE: `file:${objects}` };
  const before = await startService({ data, env });
  services.push(before);
  const add = (service: RunningService, key: string) =>
    service.request('POST', '/v1/files', { body: upload({ key }, `${key}\n`) });
  const { uid } = (await add(before, 'a.csv')).body.record;
  const kept = (await add(before, 'b.csv')).body.record;
  await before.request('DELETE', `/v1/files/${uid}`);
  await before.request('DELETE', `/v1/files/${uid}?permanent=true`, { headers: { Prefer: 'wait=20' } });
  await before.stop();
  const file = inHome('team.ndjson');
  const exported = await startCommand(['events', 'export', file, '--data', data], env).ended;
  expect(exported).toMatchObject({ code: 0, err: '' });

  expect(await bring(file, moved)).toMatchObject({ code: 0, err: '' });
  const after = await startService({ data: moved, env: { ...env, ...settings() } });
  services.push(after);
  expect((await after.request('GET', `/v1/files/${uid}`)).status).toBe(410);
  expect((await after.request('GET', `/v1/files/${kept.uid}/content`)).body).toBe('b.csv\n');
  expect((await add(after, 'c.csv')).status).toBe(201);
  await after.request('DELETE', `/v1/files/${kept.uid}`);
  const purged = await after.request('DELETE', `/v1/files/${kept.uid}?permanent=true`, {
    headers: { Prefer: 'wait=20' },
  });
  expect(purged.body.outcome).toBe('purged');
  const verified = await startCommand(['verify', '--data', moved, '--json'], { ...env, ...settings() }).ended;
  expect(JSON.parse(verified.out)).toMatchObject({ findings: [], objects: 1 });
  expect(verified.code).toBe(0);

  // The old service can do no harm to what is the new one's by now.
  const old = await startService({ data, env });
  services.push(old);
  const late = await add(old, 'd.csv');
  expect(late.status).toBe(503);
  expect(late.body.detail).toContain('has seen position');
  expect(await readdir(objects)).not.toContain('d.csv');
});
