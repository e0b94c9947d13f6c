import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { CommandBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { pino } from 'pino';
import { lockDataFolder, openEventStore, openObjectStores, openReadModel, usesDataFolder } from './adapters.js';
import { BODY_LIMIT, EdgeAdapter, installEdge } from './api/edge.js';
import { installOpenApi } from './api/openapi.js';
import type { ApiPorts } from './api/ports.js';
import { installDocs, installUi } from './api/ui.js';
import { Streaming } from './api/streaming.js';
import { refusingUnread } from './api/unread.js';
import { EVENT_BEAT, eventMessage } from './api/wire.js';
import { AppModule } from './app.module.js';
import { Boot, type BootStep } from './boot.js';
import { watchCheckpoint } from './checkpoint-watch.js';
import type { Journal } from './commands/execute.js';
import { Ownership } from './commands/ownership.js';
import type { CommandPorts } from './commands/ports.js';
import { StoreUnavailable } from './commands/refusals.js';
import { Registries } from './commands/registries.js';
import { ensureStorages, storeOf } from './commands/storages.js';
import type { Config } from './config.js';
import { Metrics, type MetricSources } from './metrics.js';
import { assertWhole } from './import-mark.js';
import { injected } from './injected.js';
import { notListening } from './listening.js';
import type { Clock, Log } from './ports.js';
import { Feed } from './projections/feed.js';
import { allStorages, storedOf } from './projections/neighbours.js';
import { Progress } from './projections/progress.js';
import type { QueryPorts } from './projections/query.handlers.js';
import { projectionState, purgeQueue } from './projections/state.js';
import { Projector } from './projector.js';
import { readiness } from './readiness.js';
import { systemClock, systemIds, systemRandom } from './system.js';
import { startSagas } from './workers.js';

/** How long a query or command waits for the projection before it answers 503. */
const REACH_MS = 5_000;
/** How long answers that are under way may go on once the service is told to end. */
const CUT_MS = 7_000;

export interface Service {
  /** Resolves once requests are answered; rejects with what no waiting mends. Until then each is refused with what is waited for. */
  readonly started: Promise<void>;
  /** Listens on the configured address. @returns the service's URL @throws ConfigError where nobody can listen there */
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
  let publish = (_url: string): void => undefined;
  if (usesDataFolder(config)) {
    const lock = lockDataFolder(config.data, () => clock.now());
    opened.add(() => lock.release());
    publish = (url) => lock.publish(url);
  }

  const { store, onAppended } = await openEventStore(config, 'read-write');
  opened.add(() => store.close());
  const progress = new Progress(clock, REACH_MS);
  const projector = config.roles.worker ? startProjector(config, log, progress) : null;
  if (projector !== null) {
    opened.add(() => projector.stop());
    onAppended(() => projector.wake());
  }
  const model = await openReadModel(config, 'read-only');
  opened.add(() => model.close());
  if (projector === null) opened.add(watchCheckpoint(model, progress, clock, log));
  const stores = openObjectStores(config, systemRandom, true);
  opened.add(() => stores.close());

  const journal: Journal = {
    store,
    prefix: config.streamPrefix,
    clock,
    appended: (position) => progress.appended(position),
  };
  const ownership = new Ownership(journal, stores, systemIds);
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
    trashDays: config.trashDays,
    reach: (position) => progress.reach(position),
  };
  const boot = new Boot({ clock, random: systemRandom, log });
  let startedAt: bigint | null = null;
  const stopping = new AbortController();
  const root = config.storages.find(({ name }) => name === 'default')?.root ?? 'file:';
  const feed = new Feed({ model, progress, clock, log, render: eventMessage, beat: EVENT_BEAT });
  const metrics = new Metrics();
  const measured: MetricSources = {
    clock,
    log,
    projection: () => projectionState({ events: store, progress, clock }),
    purges: () => purgeQueue(model),
    skipped: () => projector?.status?.skipped ?? null,
    halted: () => projector?.status?.halted ?? null,
    paced: () => progress.paced,
    readers: () => feed.readers,
    dropped: () => app.get(Streaming).dropped,
  };
  const apiPorts: ApiPorts = {
    registries,
    keys: config.apiKeys,
    progress,
    clock,
    ids: systemIds,
    log,
    open: async (uid) => {
      const storage = storedOf(await allStorages(model)).find((each) => each.uid === uid);
      if (storage === undefined) throw new StoreUnavailable(`The storage ${uid} is not registered any more.`);
      return { storage, store: await storeOf(stores, storage) };
    },
    feed,
    head: () => store.head(),
    metrics: () => metrics.read(measured),
    stopping: stopping.signal,
    notReady: readiness({ clock, boot, store, model, stores, root, progress, projector, startedAt: () => startedAt }),
    waitsFor: () => boot.waitsFor,
  };

  const queryPorts: QueryPorts = { model, progress, clock, events: store, stopping: stopping.signal };
  const app = await createApp(config, commandPorts, queryPorts, apiPorts, metrics);
  metrics.countCommands(app.get(CommandBus));
  const steps: BootStep[] = [
    {
      name: 'the event store',
      run: async () => {
        await assertWhole(journal);
        // What was acknowledged before this start is read like this process's own writes: no query answers from before it.
        startedAt = await store.head();
        progress.awaits(startedAt);
        await ownership.identify();
        // Once more: an import may have begun in between, and given the log its id.
        await assertWhole(journal);
      },
    },
    {
      name: 'the read model',
      run: async () => {
        await model.checkpoint();
      },
    },
    { name: 'the event store', run: () => ensureStorages(journal, stores, config.storages) },
  ];
  // It is made where it is missing, and known to be there, before anybody asks for it; without it there is all that is known of the objects.
  const objects: BootStep = {
    name: 'the object store',
    run: async () => {
      await stores.at(root);
    },
  };
  const start = async (): Promise<void> => {
    await boot.run(steps, stopping.signal);
    const attended = boot.attend(objects, stopping.signal).catch((error: unknown) => {
      if (!stopping.signal.aborted) log.error({ err: error }, 'the object store cannot be opened');
    });
    opened.add(() => attended);
    if (config.roles.worker) opened.add(startSagas(app.get(CommandBus), commandPorts, progress, config.purges));
  };
  // In this process's own stores nothing is waited for: what cannot be opened stops the start.
  const waits = config.eventStore !== null || config.readModel !== null;
  const started = start();
  if (!waits) await started;
  // Whoever opened the service hears of a failure by `started`; nobody has to.
  started.catch(() => undefined);
  return {
    started,
    listen: async () => {
      await app.listen(config.port, config.host).catch((error: unknown) => {
        throw notListening(error, config);
      });
      const url = (await app.getUrl()).replace('[::1]', 'localhost');
      publish(url);
      return url;
    },
    fetch: (request) => injected(app, request),
    close: async () => {
      stopping.abort();
      // First of all: what is in flight may wait for a saga's step.
      await endAnswers(app, clock);
      await opened.run();
    },
  };
};

const startProjector = (config: Config, log: Log, progress: Progress): Projector => {
  const projector = new Projector(config, systemClock, log, ({ checkpoint, workAt, active }) => {
    progress.moved(checkpoint, workAt, active);
  });
  projector.start();
  return projector;
};

const createApp = async (
  config: Config,
  commands: CommandPorts,
  queries: QueryPorts,
  api: ApiPorts,
  metrics: Metrics,
): Promise<NestFastifyApplication> => {
  const adapter = new EdgeAdapter({
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 500 },
    ...refusingUnread(systemIds),
    // The contract's `GET /` below `/v1`, written out.
    rewriteUrl: ({ url = '' }) => url.replace(/^\/v1\/(?=\?|$)/, '/v1'),
    // The edge asks for it, and answers as everywhere.
    http: { requireHostHeader: false },
  });
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(commands, queries, api, config.roles),
    adapter,
    { logger: false, bodyParser: false, abortOnError: false },
  );
  const server = adapter.getInstance();
  metrics.countRequests(server);
  app.useGlobalFilters(await installEdge(server, api));
  if (config.roles.api) {
    installOpenApi(server, config.registries, config.apiKeys.length > 0);
    installDocs(server);
    installUi(server);
  }
  await app.init();
  await server.ready();
  return app;
};

/** Takes no more requests, and lets those that are under way end, for as long as the process can wait. */
const endAnswers = async (app: NestFastifyApplication, clock: Clock): Promise<void> => {
  const timer = new AbortController();
  const cut = clock.sleep(CUT_MS, timer.signal).then(
    () => app.getHttpAdapter().getInstance().server.closeAllConnections(),
    () => undefined,
  );
  await app.close();
  timer.abort();
  await cut;
};
