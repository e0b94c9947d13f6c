import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { openEventStore, openObjectStores, openStandingModel, usesDataFolder } from './adapters.js';
import type { Journal } from './commands/execute.js';
import { readConfig, type Config } from './config.js';
import type { Environment } from './config.stores.js';
import { GO_ON, whyNotWhole } from './import-mark.js';
import { readLock } from './storage/event-store/lock.js';
import type { ObjectStores } from './storage/object-store/port.js';
import { systemClock, systemIds, systemRandom } from './system.js';
import { ok, warning, wrong, type Check } from './upkeep/checks.js';
import { examineLog, examineModel, examineStorage } from './upkeep/examine.js';
import { messageOf } from './upkeep/findings.js';
import { checkFolder, checkSpace, checkVersions } from './upkeep/machine.js';

/*
 * What `lethe doctor` looks at. Nothing that it finds ends it: each is a check of its own, and the next one follows.
 */

/** A store that does not answer within this time is as good as down. */
const ANSWER_MS = 10_000;

/**
 * Looks at everything that a Lethe with these settings needs, one after the other. It changes nothing but for a small file in each managed
 * storage, written and taken away again.
 * @param env the settings, with LETHE_DATA
 */
export async function* diagnose(env: Environment, signal: AbortSignal): AsyncGenerator<Check> {
  const data = env['LETHE_DATA'] ?? './lethe-data';
  yield checkVersions(version(), process.versions.node);
  const config = configured(env);
  if ('state' in config) {
    yield config;
    yield* await checkFolder(data);
    return;
  }
  yield ok('configuration', summaryOf(config));
  if (usesDataFolder(config)) {
    const folder = await checkFolder(data);
    yield* folder;
    // Nothing is made by looking.
    if (!existsSync(data)) return;
    yield* await held(data, signal);
  }
  const stores = openObjectStores(config, systemRandom, false);
  try {
    yield* await withJournal(config, signal, (journal) => examineStores(config, stores, journal, signal));
  } finally {
    await stores.close();
  }
}

const configured = (env: Environment): Config | Check => {
  try {
    const config = readConfig(env);
    // Says what is wrong with a root, and opens nothing.
    openObjectStores(config, systemRandom, false);
    return config;
  } catch (error) {
    return wrong(
      'configuration',
      messageOf(error),
      'Set it right; nothing starts, and no store can be looked at, before',
    );
  }
};

const summaryOf = ({ eventStore, readModel, storages }: Config): string =>
  `log: ${eventStore === null ? 'embedded' : 'EventStoreDB'}; read model: ${readModel === null ? 'embedded' : 'MongoDB'}; ` +
  `storages: ${storages.map(({ name }) => name).join(', ')}`;

/** Who holds the folder, and whether that one is well. */
const held = async (data: string, signal: AbortSignal): Promise<Check[]> =>
  safely('lock', 'Look at the folder and its permissions', async () => {
    const holder = readLock(data);
    if (holder === null) return [ok('lock', 'nobody has the data folder open')];
    const who = holder.pid === null ? 'another process' : `process ${holder.pid}`;
    if (holder.url === null) return [ok('lock', `${who} has the data folder open, and serves nothing`)];
    return [ok('lock', `${who} serves the data folder at ${holder.url}`), ...(await serviceAt(holder.url, signal))];
  });

const serviceAt = async (url: string, signal: AbortSignal): Promise<Check[]> =>
  safely('service', 'See its log; stop it and start it again', async () => {
    const answer = await fetch(`${url}/health/ready`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    if (answer.ok) return [ok('service', 'is ready')];
    return [
      wrong('service', `is not ready: ${(await answer.text()).slice(0, 1_000)}`, 'See what it names, and its log'),
    ];
  });

/** Runs `use` with the log, or with null where it cannot be opened; the first check says why. */
const withJournal = async (
  config: Config,
  signal: AbortSignal,
  use: (journal: Journal | null) => Promise<Check[]>,
): Promise<Check[]> => {
  if (config.eventStore === null && !existsSync(join(config.data, 'events.sqlite'))) {
    return [warning('event store', 'there is no log yet', 'Start the service, which begins one'), ...(await use(null))];
  }
  const todo = 'Start it, mend its address (LETHE_EVENT_STORE) or restore the log from a backup';
  const checks: Check[] = [];
  const opening = await safely('event store', todo, async () => {
    const { store } = await answering(openEventStore(config, 'read-only'), signal);
    try {
      const journal: Journal = { store, prefix: config.streamPrefix, clock: systemClock, appended: () => undefined };
      const log = await safely('event store', todo, () => answering(examineWhole(journal), signal));
      const reached = log.every(({ state, about }) => state === 'ok' || about === 'clock');
      checks.push(...log, ...(await use(reached ? journal : null)));
    } finally {
      await store.close();
    }
    return [];
  });
  return opening.length === 0 ? checks : [...opening, ...(await use(null))];
};

const examineWhole = async (journal: Journal): Promise<Check[]> => {
  const why = await whyNotWhole(journal);
  return why === null ? examineLog(journal) : [wrong('event store', why, GO_ON)];
};

const examineStores = async (
  config: Config,
  stores: ObjectStores,
  journal: Journal | null,
  signal: AbortSignal,
): Promise<Check[]> => {
  const checks: Check[] = [];
  const model = openStandingModel(config);
  const rebuild =
    'Start the service, which builds what is missing; mend its address (LETHE_READ_MODEL); or lethe rebuild';
  // Without a log in the folder there is no model in it, and nothing to be said of that.
  const begun = config.readModel !== null || existsSync(join(config.data, 'events.sqlite'));
  if (begun)
    checks.push(...(await safely('read model', rebuild, () => answering(examineModel(model, journal), signal))));
  await model.close();
  for (const storage of config.storages) {
    signal.throwIfAborted();
    const about = `storage ${storage.name}`;
    const folder = storage.root === 'file:' ? join(config.data, 'objects') : storage.root.slice('file:'.length);
    if (storage.root === 'file:' && !begun && !existsSync(folder)) {
      checks.push(ok(about, 'is not there yet: the first start makes it'));
      continue;
    }
    const mend = 'Bring it back, or mend its rights, keys or address';
    const todo = storage.name === 'default' ? `${mend}. The first start of a new Lethe makes it` : mend;
    const examined = (): Promise<Check[]> => answering(examineStorage(storage, stores, journal, systemIds), signal);
    checks.push(...(await safely(about, todo, examined)));
    if (storage.root.startsWith('file:') && existsSync(folder)) checks.push(await checkSpace(about, folder));
  }
  return checks;
};

/** What is thrown is what was found. */
const safely = async (about: string, todo: string, check: () => Promise<Check[]>): Promise<Check[]> => {
  try {
    return await check();
  } catch (error) {
    return [wrong(about, messageOf(error), todo)];
  }
};

/** @throws Error where there is no answer in time */
const answering = async <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
  const timer = new AbortController();
  const late = setTimeout(ANSWER_MS, null, { signal: AbortSignal.any([timer.signal, signal]) }).then(() => {
    throw new Error(`does not answer within ${ANSWER_MS / 1_000} s`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined); // nobody waits for it any more
  }
};

const version = (): string => {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
};
