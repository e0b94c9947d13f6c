import { randomBytes } from 'node:crypto';
import { Client } from 'minio';
import { MongoClient } from 'mongodb';
import { startEventStoreDouble, type EventStoreDouble } from '../doubles/eventstoredb.js';
import { findMinio, startMinio, type MinioServer } from '../servers/minio.js';
import { NEEDS_MONGOD, startMongod, whyNoMongod, type Mongod } from '../servers/mongod.js';

/*
 * Servers for whole services: a real mongod, a real MinIO, and the double of EventStoreDB in this process. Each file that uses them has its
 * own, and each mix its own database, bucket and prefix on them.
 */

const minioBinary = await findMinio();
const noMongod = await whyNoMongod();
if (noMongod !== null) console.warn(`no mongod: ${noMongod}`);

/** Whether a suite on all servers has to be skipped, and what then goes into its name: see `.ci/tally.mjs`. */
export const lacksServers = minioBinary === null || noMongod !== null;
export const NEEDS_SERVERS = minioBinary === null ? '[needs minio]' : NEEDS_MONGOD;

/** Which of the three stores are servers; the others are embedded. */
export interface Mix {
  readonly eventStore?: boolean;
  readonly readModel?: boolean;
  readonly objectStore?: boolean;
}

export const ALL: Mix = { eventStore: true, readModel: true, objectStore: true };

/** Something to be found again wherever it ought not to be: in an address, a log line, an answer. */
const USER = 'lethe-of-the-tests';

export class Servers {
  /** No log line and no answer may hold any of these. */
  readonly secrets: readonly string[];
  private mixes = 0;

  private constructor(
    readonly eventStore: EventStoreDouble,
    readonly mongod: Mongod,
    readonly minio: MinioServer,
    private readonly password: string,
  ) {
    this.secrets = [password, minio.secretKey, minio.accessKey];
  }

  /** @throws Error where one of them does not start */
  static async start(): Promise<Servers> {
    if (minioBinary === null) throw new Error('there is no MinIO on this machine');
    const password = `secret-${randomBytes(12).toString('hex')}`;
    const [eventStore, mongod, minio] = await Promise.all([
      startEventStoreDouble(),
      startMongod(),
      startMinio(minioBinary),
    ]);
    await addUser(mongod, password);
    return new Servers(eventStore, mongod, minio, password);
  }

  /** The variables of a process on a new database, a new bucket (made by it) and a prefix of its own. */
  mix({ eventStore = false, readModel = false, objectStore = false }: Mix): MixedServers {
    this.mixes += 1;
    const name = `mix${this.mixes}`;
    const login = `${USER}:${this.password}`;
    const env = {
      LETHE_LOG_LEVEL: 'trace',
      ...(eventStore && {
        LETHE_EVENT_STORE: `esdb://${login}@127.0.0.1:${this.eventStore.port}?tls=false`,
        LETHE_STREAM_PREFIX: `${name}.`,
      }),
      ...(readModel && {
        LETHE_READ_MODEL: this.mongod
          .urlOf(name)
          .replace('mongodb://', `mongodb://${login}@`)
          .concat('&authSource=admin'),
      }),
      ...(objectStore && { LETHE_OBJECT_STORE: this.root(name), ...this.s3Keys }),
    };
    return { name, env };
  }

  /** What a process needs to read and write in S3. */
  get s3Keys(): { readonly LETHE_S3_ACCESS_KEY: string; readonly LETHE_S3_SECRET_KEY: string } {
    return { LETHE_S3_ACCESS_KEY: this.minio.accessKey, LETHE_S3_SECRET_KEY: this.minio.secretKey };
  }

  /** A bucket as the root of a storage. @param port another one's, where a proxy stands before the server */
  root(bucket: string, port = this.minio.port): string {
    return `s3://127.0.0.1:${port}/${bucket}?tls=false`;
  }

  /** The S3 server behind Lethe's back. */
  s3(): Client {
    const { port, accessKey, secretKey } = this.minio;
    return new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey });
  }

  /** Every key in a bucket. */
  async keysIn(bucket: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { name } of this.s3().listObjectsV2(bucket, '', true)) keys.push(name);
    return keys;
  }

  /** Ends all of them, and removes what they stored. */
  async stop(): Promise<void> {
    await Promise.all([this.eventStore.stop(), this.mongod.cleanup(), this.minio.stop()]);
  }
}

export interface MixedServers {
  /** Of its database and of the bucket of its storage `default`, where those are servers' ones. */
  readonly name: string;
  readonly env: Record<string, string>;
}

/** The server asks nobody for a password; whoever gives one has to have it right all the same. */
const addUser = async (mongod: Mongod, pwd: string): Promise<void> => {
  const client = new MongoClient(mongod.url);
  try {
    await client.db('admin').command({ createUser: USER, pwd, roles: ['root'] });
  } finally {
    await client.close();
  }
};
