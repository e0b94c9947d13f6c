import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { EventStoreDBClient, excludeSystemEvents } from '@eventstore/db-client';
import { MongoClient } from 'mongodb';
import { Follower } from '../src/projections/follower.js';
import { openEventStoreDb } from '../src/storage/event-store/eventstoredb.js';
import type { EventStore, StoredEvent } from '../src/storage/event-store/port.js';
import { openSqliteEventStore } from '../src/storage/event-store/sqlite.js';
import { openMongoReadModel } from '../src/storage/read-model/mongodb.js';
import type { ReadModel } from '../src/storage/read-model/port.js';
import { openSqliteReadModel } from '../src/storage/read-model/sqlite.js';
import { systemClock, systemRandom } from '../src/system.js';
import { startEventStoreDouble } from '../test/doubles/eventstoredb.js';
import type { DataFolders } from './data-folders.js';
import { watching } from './memory-of.js';
import { ROOT } from './places.js';
import { table, told, type Benchmark } from './report.js';
import { fixed, median, spread } from './statistics.js';
import { PREFIX } from './stories.js';

const LEAST = 0.5;

/** A rebuild from EventStoreDB's protocol into SQLite, beside the client's bare subscription to the same log. */
export const eventstore: Benchmark = async ({ quick, rounds, folders, say }) => {
  const { path, events } = await logOf(folders, quick);
  const double = await startEventStoreDouble();
  for (const { stream, revision, id, type, data, metadata } of await allOf(path)) {
    const expected = revision === 0 ? 'no_stream' : BigInt(revision - 1);
    const [bytes, meta] = [Buffer.from(data), Buffer.from(metadata)];
    double.log.append(stream, expected, [{ id, type, contentType: 'application/json', data: bytes, metadata: meta }]);
  }
  const runs: { bare: number; rebuild: number; most: number }[] = [];
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const bareMs = await timed(() => subscribeBare(double.url, events));
      const store = await openEventStoreDb({ url: double.url, prefix: PREFIX, mode: 'read-only' });
      const file = join(folders.empty(`from-eventstore-${round}`), 'read-model.sqlite');
      const model = await openSqliteReadModel({ file, mode: 'read-write' });
      const { outcome, most } = await watching(process.pid, () => timed(() => rebuilt(store, model)));
      await model.close();
      await store.close();
      runs.push({ bare: (events / bareMs) * 1_000, rebuild: (events / outcome) * 1_000, most });
      say(`round ${round}: ${fixed(runs.at(-1)?.rebuild ?? 0, 0)} of ${fixed(runs.at(-1)?.bare ?? 0, 0)} events/s`);
    }
  } finally {
    await double.stop();
  }
  const shares = runs.map(({ bare, rebuild }) => rebuild / bare);
  return {
    results: [
      {
        what: `Rebuild of ${fixed(events, 0)} events from EventStoreDB's protocol, of a bare subscribeToAll`,
        measured: spread(shares, 2),
        wanted: `at least ${LEAST}`,
        met: median(shares) >= LEAST,
      },
      told(
        'Memory of the process meanwhile, the double in it',
        `${spread(
          runs.map(({ most }) => most),
          0,
        )} MiB`,
      ),
    ],
    details: [
      'The server is the wire double of the tests, in the same process: it shares the thread with what is measured, the floor as much as Lethe. The ' +
        'rebuild decodes, projects and writes into SQLite, all indexes in place at its end; the floor counts what comes.',
      table(
        ['round', 'bare, events/s', 'rebuild, events/s', 'share'],
        runs.map(({ bare, rebuild }, index) => [
          String(index + 1),
          fixed(bare, 0),
          fixed(rebuild, 0),
          fixed(rebuild / bare, 2),
        ]),
      ),
    ].join('\n\n'),
  };
};

/** A rebuild into MongoDB, beside a bare bulkWrite of the documents that it left there. */
export const mongodb: Benchmark = async ({ quick, rounds, folders, say }) => {
  const { path, events } = await logOf(folders, quick);
  const server = await startServers();
  const client = new MongoClient(server.url);
  const runs: { bare: number; rebuild: number; documents: number }[] = [];
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const name = `bench_${round}`;
      const store = await openSqliteEventStore({
        file: join(path, 'events.sqlite'),
        prefix: PREFIX,
        mode: 'read-only',
      });
      const model = await openMongoReadModel({ url: server.url.replace('/lethe?', `/${name}?`), mode: 'read-write' });
      const rebuild = await timed(() => rebuilt(store, model));
      await model.close();
      await store.close();
      const { bare, documents } = await bareBulkWrite(client, name);
      runs.push({ bare, rebuild, documents });
      say(`round ${round}: ${fixed(rebuild, 0)} ms, bare ${fixed(bare, 0)} ms for ${fixed(documents, 0)} documents`);
      await client.db(name).dropDatabase();
    }
  } finally {
    await client.close();
    server.stop();
  }
  const shares = runs.map(({ bare, rebuild }) => bare / rebuild);
  return {
    results: [
      {
        what: `Rebuild of ${fixed(events, 0)} events into MongoDB, of a bare bulkWrite of the documents that it leaves`,
        measured: spread(shares, 2),
        wanted: `at least ${LEAST}`,
        met: median(shares) >= LEAST,
      },
    ],
    details: [
      'The log is SQLite, the server a mongod of this machine, a replica set of one. The floor writes each final document once, a thousand at a time, with ' +
        'majority, into collections without further indexes; the rebuild writes documents again where later events change them, and keeps every index.',
      table(
        ['round', 'bare, s', 'rebuild, s', 'share'],
        runs.map(({ bare, rebuild }, index) => [
          String(index + 1),
          fixed(bare / 1_000, 1),
          fixed(rebuild / 1_000, 1),
          fixed(bare / rebuild, 2),
        ]),
      ),
    ].join('\n\n'),
  };
};

const logOf = (folders: DataFolders, quick: boolean) => folders.withLog('servers', quick ? 5_000 : 75_000);

const allOf = async (path: string): Promise<StoredEvent[]> => {
  const store = await openSqliteEventStore({ file: join(path, 'events.sqlite'), prefix: PREFIX, mode: 'read-only' });
  const all: StoredEvent[] = [];
  for await (const batch of store.readAll(0n)) all.push(...batch);
  await store.close();
  return all;
};

const timed = async (run: () => Promise<void>): Promise<number> => {
  const began = performance.now();
  await run();
  return performance.now() - began;
};

const subscribeBare = async (url: string, events: number): Promise<void> => {
  const client = EventStoreDBClient.connectionString(url);
  let seen = 0;
  const subscription = client.subscribeToAll({ filter: excludeSystemEvents() });
  for await (const { event } of subscription) {
    if (event?.streamId.startsWith(PREFIX) === true) seen += 1;
    if (seen === events) break;
  }
  await client.dispose();
};

/** Follows until the model holds all of the log, with all of its indexes. */
const rebuilt = async (store: EventStore, model: ReadModel): Promise<void> => {
  const head = await store.head();
  const stop = new AbortController();
  const fail = (_fields: object, message: string): void => {
    throw new Error(message);
  };
  const log = { info: () => undefined, warn: fail, error: fail };
  const ports = { events: store, prefix: PREFIX, model, clock: systemClock, random: systemRandom, log };
  await new Follower(ports, ({ checkpoint }) => {
    if (checkpoint >= head) stop.abort();
  }).run(stop.signal);
};

const CHUNK = 1_000;

const bareBulkWrite = async (client: MongoClient, name: string): Promise<{ bare: number; documents: number }> => {
  const db = client.db(name);
  const tables = (await db.listCollections().toArray()).map((each) => each.name).filter((each) => /_\d+$/.test(each));
  let [bare, documents] = [0, 0];
  for (const from of tables) {
    const all = await db.collection(from).find().toArray();
    documents += all.length;
    const to = db.collection(`bare_${from}`, { writeConcern: { w: 'majority' } });
    bare += await timed(async () => {
      for (let start = 0; start < all.length; start += CHUNK) {
        await to.bulkWrite(
          all.slice(start, start + CHUNK).map((document) => ({ insertOne: { document } })),
          { ordered: false },
        );
      }
    });
  }
  return { bare, documents };
};

/** The servers of `npm run servers`, in a process of their own. */
const startServers = async (): Promise<{ url: string; stop: () => void }> => {
  const child = spawn(process.execPath, [join(ROOT, 'test/servers/main.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGTERM'));
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /LETHE_READ_MODEL='([^']+)'/.exec(line)?.[1];
    if (url !== undefined) return { url, stop: () => child.kill('SIGTERM') };
  }
  throw new Error('the servers did not start');
};
