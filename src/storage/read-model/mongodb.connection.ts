import { MongoClient, type Db } from 'mongodb';
import { z } from 'zod';
import { Unavailable, Unsuitable } from '../errors.js';
import { APP_NAME } from './mongodb.abandoned.js';
import { asStorageError } from './mongodb.errors.js';

/** How long a server is looked for, and a connection waited for, at most. */
const REACHED_WITHIN_MS = 5_000;

/** To be said with each question: a session for a snapshot alone would give way to what the client reads otherwise, by majority. */
export const ONE_MOMENT = { readConcern: { level: 'snapshot' } } as const;

/** A connection to the model's database, and the words for it that may stand in a message: no URL, which may hold a password. */
export class Connection {
  closed = false;

  constructor(
    readonly client: MongoClient,
    readonly db: Db,
    readonly name: string,
  ) {}

  /** Runs `work`; what the driver throws comes out as one of the port's errors. */
  async guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.closed) throw new Unavailable(`${this.name} was closed: open it again`);
    try {
      return await work();
    } catch (error) {
      throw asStorageError(this.name, error);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.client.close();
  }
}

/**
 * Connects to the database that the URL names.
 *
 * @param answeredWithinMs how long one call may take before its connection is given up
 * @throws Unavailable: no server in time, or one that has no transactions. TypeError: the URL cannot be one.
 */
export const connect = async (url: string, answeredWithinMs: number): Promise<Connection> => {
  const client = clientFor(url, answeredWithinMs);
  const database = client.options.dbName;
  const hosts = client.options.srvHost ?? client.options.hosts.join(',');
  const connection = new Connection(client, client.db(database), `the read model ${database} on ${hosts}`);
  try {
    await connection.guarded(async () => {
      await client.connect();
      refuseUnfit(connection.name, await connection.db.command({ hello: 1 }));
    });
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
};

/** What the driver says of a URL that it cannot read may repeat it, with its password: so it is not said. */
const clientFor = (url: string, answeredWithinMs: number): MongoClient => {
  if (!/^mongodb(\+srv)?:\/\/[^/]+\/[^/?]+/.test(url)) {
    throw new TypeError(
      "the URL of the read model names no database: it reads mongodb://host:port/database, with the server's options behind ?",
    );
  }
  const reachedWithinMs = Math.min(REACHED_WITHIN_MS, answeredWithinMs);
  try {
    return new MongoClient(url, {
      appName: APP_NAME,
      // Read and written by majority: what was seen once is not taken back by a change of the primary.
      readPreference: 'primary',
      readConcern: { level: 'majority' },
      writeConcern: { w: 'majority' },
      // Positions are 64-bit numbers.
      useBigInt64: true,
      serverSelectionTimeoutMS: reachedWithinMs,
      connectTimeoutMS: reachedWithinMs,
      waitQueueTimeoutMS: answeredWithinMs,
      socketTimeoutMS: answeredWithinMs,
      maxPoolSize: 20,
    });
  } catch {
    throw new TypeError(
      'the URL of the read model cannot be read: it is mongodb://user:password@host:port/database?options, with %XX for what is special in user or password',
    );
  }
};

const helloSchema = z.object({
  setName: z.string().optional(),
  /** `isdbgrid` from a router of a sharded cluster, which has transactions too. */
  msg: z.string().optional(),
  maxWireVersion: z.number(),
});

/** MongoDB 5.0, the first that reads one moment (`snapshot`) outside of transactions. */
const LEAST_WIRE_VERSION = 13;

const refuseUnfit = (name: string, answer: unknown): void => {
  const { setName, msg, maxWireVersion } = helloSchema.parse(answer);
  if (maxWireVersion < LEAST_WIRE_VERSION) {
    throw new Unsuitable(`${name}: the server is older than MongoDB 5.0, and can't show one moment of it: upgrade it`);
  }
  if (setName !== undefined || msg === 'isdbgrid') return;
  throw new Unsuitable(
    `${name}: the server stands alone, and only a replica set has transactions. One server is enough for a set: start it with ` +
      "`mongod --replSet rs0` (or replication.replSetName in its configuration), then run `mongosh --eval 'rs.initiate()'` once",
  );
};
