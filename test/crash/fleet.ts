import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'minio';
import { openEventStoreDb } from '../../src/storage/event-store/eventstoredb.js';
import type { EventStore } from '../../src/storage/event-store/port.js';
import { openMongoReadModel } from '../../src/storage/read-model/mongodb.js';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import { startEventStoreDouble, type EventStoreDouble } from '../doubles/eventstoredb.js';
import { startService, temporaryFolder, type RunningService } from '../harness/service.js';
import { startMinio, type MinioServer } from '../servers/minio.js';
import { startMongod, type Mongod } from '../servers/mongod.js';
import { PREFIX } from './kill.ledger.js';

const BUCKET = 'lethe-fleet';
const EACH = 2;

/** Many tries, and short waits between: no purge is parked only because a server was away for some seconds. */
const CONFIG = { purges: { attempts: 100, firstWaitMs: 50, maxWaitMs: 1_000 } };

type Role = 'api' | 'worker';

/** One process of the fleet: the same one again after each start, as far as others can tell. */
export class Member {
  kills = 0;
  slowestStartMs = 0;
  private service: RunningService | null = null;
  private earlier = '';

  constructor(
    readonly name: string,
    private readonly folder: string,
    private readonly env: Record<string, string>,
  ) {}

  /** The process that runs and answers; null between a kill and the next start. */
  get running(): RunningService | null {
    return this.service;
  }

  /** What all its processes wrote. */
  log(): string {
    return this.earlier + (this.service?.log() ?? '');
  }

  async start(): Promise<void> {
    const since = performance.now();
    this.service = await startService({ data: this.folder, env: this.env });
    this.slowestStartMs = Math.max(this.slowestStartMs, performance.now() - since);
  }

  async kill(): Promise<void> {
    const { service } = this;
    if (service === null) return;
    this.service = null;
    this.kills += 1;
    await service.kill();
    this.earlier += service.log();
  }

  /** Stops it where it stands, as a machine does that swaps: it neither ends nor goes on. */
  stall(): void {
    this.service?.process.kill('SIGSTOP');
  }

  goOn(): void {
    this.service?.process.kill('SIGCONT');
  }
}

/** Two processes that answer and two that work, on servers of their own. */
export class Fleet {
  private constructor(
    readonly mongod: Mongod,
    readonly minio: MinioServer,
    readonly double: EventStoreDouble,
    readonly apis: readonly Member[],
    readonly workers: readonly Member[],
    private readonly folder: string,
  ) {}

  static async start(minioBinary: string): Promise<Fleet> {
    const folder = await temporaryFolder();
    const [mongod, minio, double] = await Promise.all([
      startMongod(),
      startMinio(minioBinary),
      startEventStoreDouble({ dataFile: join(folder, 'log.ndjson') }),
    ]);
    const config = join(folder, 'lethe.json');
    await writeFile(config, JSON.stringify(CONFIG));
    const members = (role: Role): Member[] =>
      Array.from({ length: EACH }, (_, index) => {
        const name = `${role}-${index + 1}`;
        return new Member(name, join(folder, name), {
          LETHE_ROLES: role,
          LETHE_CONFIG: config,
          LETHE_EVENT_STORE: double.url,
          LETHE_READ_MODEL: mongod.urlOf('fleet'),
          LETHE_OBJECT_STORE: `s3://127.0.0.1:${minio.port}/${BUCKET}?tls=false`,
          LETHE_S3_ACCESS_KEY: minio.accessKey,
          LETHE_S3_SECRET_KEY: minio.secretKey,
        });
      });
    const fleet = new Fleet(mongod, minio, double, members('api'), members('worker'), folder);
    try {
      // All at once, on stores that are empty: each may be the first to make what is missing.
      await Promise.all(fleet.members.map((member) => member.start()));
    } catch (error) {
      await fleet.close();
      throw error;
    }
    return fleet;
  }

  get members(): readonly Member[] {
    return [...this.apis, ...this.workers];
  }

  openLog(): Promise<EventStore> {
    return openEventStoreDb({ url: this.double.url, prefix: PREFIX, mode: 'read-only' });
  }

  openModel(): Promise<ReadModel> {
    return openMongoReadModel({ url: this.mongod.urlOf('fleet'), mode: 'read-only' });
  }

  /** What lies in the bucket: the MD5 of each object as hexadecimal digits, by its path. */
  async objects(): Promise<Map<string, string>> {
    const { port, accessKey, secretKey } = this.minio;
    const client = new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey });
    const found = new Map<string, string>();
    for await (const { name, etag } of client.listObjectsV2(BUCKET, '', true)) found.set(name, etag);
    return found;
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    await Promise.all([this.double.stop(), this.minio.stop(), this.mongod.cleanup()]);
    await rm(this.folder, { recursive: true, force: true });
  }
}
