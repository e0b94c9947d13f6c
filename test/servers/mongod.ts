import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient, MongoServerError } from 'mongodb';
import { freePort } from '../harness/port.js';
import { until } from '../harness/until.js';
import { fetchMongod } from './fetch-mongod.mjs';

/** A real mongod on a port of 127.0.0.1, for one test file. */
export interface Mongod {
  /** Of the server, without a database: `mongodb://127.0.0.1:<port>/?replicaSet=rs0`. */
  readonly url: string;
  /** The same with a database in it. */
  urlOf(database: string): string;
  /** Of the process that runs now; null while none does. */
  readonly pid: number | null;
  /** Starts it again on the same port and data, after `stop` or `kill`; ends when it takes writes. */
  start(): Promise<void>;
  /** Asks it to end (SIGTERM), and waits for that. */
  stop(): Promise<void>;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** Stops it and deletes its data. */
  cleanup(): Promise<void>;
}

export interface MongodOptions {
  /** False for a server that stands alone, without transactions. */
  readonly replicaSet?: boolean;
}

/** What goes into a suite's name where it is skipped: see `.ci/tally.mjs`. */
export const NEEDS_MONGOD = '[needs mongod]';

/** Why there is no mongod on this machine; null where there is one. Fetches it. */
export const whyNoMongod = async (): Promise<string | null> => {
  try {
    await fetchMongod();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

/** The same where a server that is given would do: see `sharedMongod`. */
export const whyNoSharedMongod = async (): Promise<string | null> =>
  process.env['LETHE_TEST_MONGODB'] === undefined ? whyNoMongod() : null;

/** A server that tests share: the one that `LETHE_TEST_MONGODB` names, else a mongod of this test file's own. */
export const sharedMongod = async (): Promise<Pick<Mongod, 'urlOf' | 'cleanup'>> => {
  const given = process.env['LETHE_TEST_MONGODB'];
  if (given === undefined) return startMongod();
  return {
    urlOf: (database) => given.replace(/^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?/, `$1/${database}`),
    cleanup: async () => undefined,
  };
};

/** @throws Error: it can't be fetched, or doesn't start; with the end of what it said */
export const startMongod = async ({ replicaSet = true }: MongodOptions = {}): Promise<Mongod> => {
  const binary = await fetchMongod();
  const data = await mkdtemp(join(tmpdir(), 'lethe-mongod-'));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const options = replicaSet ? '?replicaSet=rs0' : '?directConnection=true';
  let running: ChildProcess | null = null;
  // Also where a test run is cut off: nobody else would end it.
  const leaveNone = (): void => {
    running?.kill('SIGKILL');
  };
  process.once('exit', leaveNone);

  const start = async (): Promise<void> => {
    running = spawn(binary, argumentsFor(port, data, replicaSet), { stdio: ['ignore', 'pipe', 'pipe'] });
    const said = lastWords(running);
    await ready(host, replicaSet, () => {
      if (running !== null && !hasEnded(running)) return;
      throw new Error(`mongod ended: ${said()}`);
    });
  };
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    const ending = running;
    running = null;
    if (ending === null || hasEnded(ending)) return;
    const ended = once(ending, 'exit');
    ending.kill(signal);
    await ended;
  };

  const mongod: Mongod = {
    url: `mongodb://${host}/${options}`,
    urlOf: (database) => `mongodb://${host}/${database}${options}`,
    get pid() {
      return running?.pid ?? null;
    },
    start,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    cleanup: async () => {
      await end('SIGKILL');
      process.off('exit', leaveNone);
      await rm(data, { recursive: true, force: true });
    },
  };
  try {
    await start();
  } catch (error) {
    await mongod.cleanup();
    throw error;
  }
  return mongod;
};

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

const argumentsFor = (port: number, data: string, replicaSet: boolean): string[] => [
  ...(replicaSet ? ['--replSet', 'rs0', '--oplogSize', '64'] : []),
  ...['--bind_ip', '127.0.0.1', '--port', String(port), '--dbpath', data, '--nounixsocket'],
  // A machine for tests is small, and each test file may run one.
  ...['--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false'],
  // Lets a test make the server fail at a command (`configureFailPoint`).
  ...['--setParameter', 'enableTestCommands=1'],
];

/** Until it takes writes: of a new replica set, once it has made itself its only member. */
const ready = (host: string, replicaSet: boolean, check: () => void): Promise<true> =>
  until(`mongod at ${host} takes writes`, async () => {
    check();
    // One for each look: a client that has not found its server once looks no more.
    const client = new MongoClient(`mongodb://${host}/?directConnection=true`, { serverSelectionTimeoutMS: 500 });
    const admin = client.db('admin');
    try {
      const { isWritablePrimary, setName } = await admin.command({ hello: 1 });
      if (replicaSet && setName === undefined) {
        await admin.command({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host }] } });
      }
      return isWritablePrimary === true && (setName !== undefined || !replicaSet);
    } catch (error) {
      if (error instanceof MongoServerError && error.codeName === 'AlreadyInitialized') return false;
      // Not there yet, or not to itself; if it never comes, `until` says so.
      if (error instanceof MongoServerError && error.codeName === 'NodeNotFound') return false;
      if (error instanceof Error && /^Mongo(ServerSelection|Network|PoolCleared)/.test(error.name)) return false;
      throw error;
    } finally {
      await client.close();
    }
  });

/** Reads what a process writes, so that its pipe never fills, and keeps the end of it. */
const lastWords = (child: ChildProcess): (() => string) => {
  let words = '';
  const hear = (chunk: Buffer): void => {
    words = (words + chunk.toString()).slice(-2_000);
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  return () => words;
};
