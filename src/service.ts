import 'reflect-metadata';
import { mkdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { NestFactory } from '@nestjs/core';
import { CommandBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { InjectOptions } from 'fastify';
import { pino } from 'pino';
import { lockDataFolder, openEventStore, openObjectStores, openReadModel } from './adapters.js';
import { BODY_LIMIT, EdgeAdapter, installEdge } from './api/edge.js';
import { installOpenApi } from './api/openapi.js';
import type { ApiPorts } from './api/ports.js';
import { refusingUnread } from './api/unread.js';
import { AppModule } from './app.module.js';
import type { Journal } from './commands/execute.js';
import { ensureInstance, Ownership } from './commands/ownership.js';
import type { CommandPorts } from './commands/ports.js';
import { StoreUnavailable } from './commands/refusals.js';
import { Registries } from './commands/registries.js';
import { ensureStorages, findStorage, storeOf } from './commands/storages.js';
import type { Config } from './config.js';
import type { Log } from './ports.js';
import { Progress } from './projections/progress.js';
import { Projector } from './projector.js';
import { systemClock, systemIds, systemRandom } from './system.js';
import { startSagas } from './workers.js';

/** How long a query or command waits for the projection before it answers 503. */
const REACH_MS = 5_000;
/** A projection that lags and has not moved for so long is an error. */
const STALLED_MS = 10_000;

export interface Service {
  /** Listens on the configured address. @returns the service's URL */
  listen(): Promise<string>;
  /** Answers a request in this process, without a port. */
  fetch(request: Request): Promise<Response>;
  /** Ends what is under way, closes every store and gives the data folder back. Safe to call twice. */
  close(): Promise<void>;
}

/** What has been opened so far, closed in the opposite order: also where the opening itself breaks off. */
class Closers {
  private readonly closers: (() => Promise<void> | void)[] = [];

  add(close: () => Promise<void> | void): void {
    this.closers.push(close);
  }

  async run(): Promise<void> {
    for (let close = this.closers.pop(); close !== undefined; close = this.closers.pop()) await close();
  }
}

export const serviceLog = (level: string): Log =>
  pino({ level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2));

/**
 * Opens a data folder and everything that works on it.
 * @throws FolderLocked where another process holds the folder; ConfigError, Corrupt and others where it cannot be opened
 */
export const openService = async (config: Config, log: Log = serviceLog(config.logLevel)): Promise<Service> => {
  const opened = new Closers();
  try {
    return await open(config, log, opened);
  } catch (error) {
    await opened.run();
    throw error;
  }
};

const open = async (config: Config, log: Log, opened: Closers): Promise<Service> => {
  const clock = systemClock;
  const registries = new Registries(config.registries);
  mkdirSync(config.data, { recursive: true, mode: 0o700 });
  const lock = lockDataFolder(config.data, () => clock.now());
  opened.add(() => lock.release());

  const store = await openEventStore(config, 'read-write');
  opened.add(() => store.close());
  const progress = new Progress(clock, REACH_MS);
  const projector = new Projector(config, clock, log, ({ checkpoint, workAt }) => {
    progress.moved(checkpoint, workAt);
  });
  projector.start();
  opened.add(() => projector.stop());
  store.onAppended(() => {
    projector.wake();
  });
  const model = await openReadModel(config, 'read-only');
  opened.add(() => model.close());
  const stores = openObjectStores(config, systemRandom);
  opened.add(() => stores.close());

  const journal: Journal = {
    store,
    prefix: config.streamPrefix,
    clock,
    appended: (position) => progress.appended(position),
  };
  // What was acknowledged before this start is read like this process's own writes: no query answers from before it.
  const startedAt = await store.head();
  progress.appended(startedAt);
  const ownership = new Ownership(journal, stores, await ensureInstance(journal, systemIds));
  await ensureStorages(journal, stores, config.storages);
  const reach = (position?: bigint): Promise<void> => progress.reach(position);
  const commandPorts: CommandPorts = {
    journal,
    model,
    stores,
    ownership,
    registries,
    clock,
    ids: systemIds,
    random: systemRandom,
    log,
    reach,
  };
  const apiPorts: ApiPorts = {
    keys: config.apiKeys,
    registries,
    progress,
    clock,
    ids: systemIds,
    log,
    open: async (uid) => {
      const storage = await findStorage(journal, uid);
      if (storage === null) throw new StoreUnavailable(`The storage ${uid} is not registered any more.`);
      return { storage, store: await storeOf(stores, storage) };
    },
    notReady: () => notReady(projector, progress, startedAt),
  };

  const adapter = new EdgeAdapter({
    ...refusingUnread(systemIds),
    // The edge asks for it, and answers as everywhere.
    http: { requireHostHeader: false },
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 500 },
  });
  const module = AppModule.with(commandPorts, { model, progress, clock }, apiPorts);
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: false,
    bodyParser: false,
    abortOnError: false,
  });
  app.useGlobalFilters(await installEdge(adapter.getInstance(), apiPorts));
  installOpenApi(app, config.registries, config.apiKeys.length > 0);
  await app.init();
  await adapter.getInstance().ready();

  const bus = app.get(CommandBus);
  opened.add(startSagas(bus, commandPorts, progress, config.purges));
  // Closed first: what is in flight may wait for a saga's step.
  opened.add(() => app.close());

  return {
    listen: async () => {
      await app.listen(config.port, config.host);
      const url = (await app.getUrl()).replace('[::1]', 'localhost');
      lock.publish(url);
      return url;
    },
    fetch: (request) => injected(app, request),
    close: () => opened.run(),
  };
};

/** A projection that lags while it stands still is as good as down. */
const notReady = (projector: Projector, progress: Progress, startedAt: bigint): Record<string, string> => {
  const { status } = projector;
  if (status === null) return { projection: 'is starting' };
  if (status.error !== null) return { projection: status.error };
  if (progress.checkpoint < startedAt) {
    const at = status.loaded ?? progress.checkpoint;
    return { projection: `is catching up: at position ${at} of ${startedAt}` };
  }
  const stalled = progress.stalledMs();
  if (stalled > STALLED_MS) {
    const { checkpoint, lastAppended } = progress;
    return {
      projection: `has stood at position ${checkpoint} for ${Math.round(stalled / 1_000)} s, behind ${lastAppended}`,
    };
  }
  return {};
};

const METHODS = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT', 'OPTIONS'] as const;

/** `fetch` without a port: the same routes, in this process. */
const injected = async (app: NestFastifyApplication, request: Request): Promise<Response> => {
  const url = new URL(request.url);
  const method = METHODS.find((known) => known === request.method) ?? 'GET';
  const options: InjectOptions = {
    method,
    url: url.pathname + url.search,
    headers: { ...Object.fromEntries(request.headers), host: 'localhost' },
  };
  if (request.body !== null) options.payload = Readable.fromWeb(request.body);
  const answer = await app
    .getHttpAdapter()
    .getInstance()
    .inject({ ...options, payloadAsStream: true });
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) headers.set(name, String(value));
  }
  const empty = method === 'HEAD' || answer.statusCode === 204 || answer.statusCode === 304;
  return new Response(empty ? null : Readable.toWeb(answer.stream()), { status: answer.statusCode, headers });
};
