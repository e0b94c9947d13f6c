import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { apiKeysSchema, type ApiKey } from './api/keys.js';
import {
  ConfigError,
  defaultStorage,
  rootOf,
  stores,
  type ConfiguredStorage,
  type Environment,
  type Stores,
} from './config.stores.js';
import { jsonSchema } from './events/vocabulary.js';

const fileSchema = z.strictObject({
  registries: z.record(z.string(), z.strictObject({ schema: z.record(z.string(), jsonSchema).optional() })).default({}),
  storages: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(100),
        root: z.string(),
        managed: z.boolean().default(true),
      }),
    )
    .default([]),
  apiKeys: apiKeysSchema.default([]),
  /** How the purge saga tries again before it parks a purge for a person. */
  purges: z
    .strictObject({
      attempts: z.int().min(1).max(100).default(10),
      firstWaitMs: z.int().min(1).default(1_000),
      maxWaitMs: z
        .int()
        .min(1)
        .default(5 * 60_000),
    })
    .prefault({}),
});

export interface Config extends Stores {
  readonly host: string;
  readonly port: number;
  readonly data: string;
  readonly streamPrefix: string;
  readonly logLevel: string;
  readonly storages: readonly ConfiguredStorage[];
  /** Those who may call; empty: whoever is on this machine. */
  readonly apiKeys: readonly ApiKey[];
  /** How many days what is in the trash stays there; null: until somebody purges it. */
  readonly trashDays: number | null;
  readonly registries: z.infer<typeof fileSchema>['registries'];
  readonly purges: z.infer<typeof fileSchema>['purges'];
}

/**
 * Reads the configuration from the environment and, where there is one, the JSON file.
 * @throws ConfigError naming the variable or the field
 */
export const readConfig = (env: Environment): Config => {
  const data = resolve(env['LETHE_DATA'] ?? './lethe-data');
  const file = readFile(env, data);
  const named = file.storages.map((storage) => ({ ...storage, root: rootOf(storage) }));
  const storages = named.some(({ name }) => name === 'default') ? named : [defaultStorage(env), ...named];
  if (env['LETHE_OBJECT_STORE'] !== undefined && storages === named) {
    throw new ConfigError('LETHE_OBJECT_STORE: the configuration file names the storage default too; set one of them');
  }
  const names = storages.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ConfigError(`storages: the name ${twice} comes twice`);
  return {
    host: host(env, file.apiKeys.length > 0),
    port: port(env),
    data,
    streamPrefix: prefix(env),
    logLevel: level(env),
    storages,
    ...stores(env, storages),
    apiKeys: file.apiKeys,
    trashDays: trashDays(env),
    registries: file.registries,
    purges: file.purges,
  };
};

const readFile = (env: Environment, data: string): z.infer<typeof fileSchema> => {
  const named = env['LETHE_CONFIG'];
  const path = named ?? join(data, 'lethe.json');
  if (!existsSync(path)) {
    if (named !== undefined) throw new ConfigError(`LETHE_CONFIG: there is no file ${path}`);
    return fileSchema.parse({});
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new ConfigError(`${path} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) throw new ConfigError(`${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
};

/** Without keys for callers the service listens on this machine alone. */
const host = (env: Environment, hasKeys: boolean): string => {
  const given = env['LETHE_HOST'] ?? '127.0.0.1';
  if (['127.0.0.1', '::1', 'localhost'].includes(given)) return given;
  if (!hasKeys)
    throw new ConfigError(
      `LETHE_HOST: without API keys it takes a loopback address (127.0.0.1, ::1, localhost), got '${given}'`,
    );
  if (isIP(given) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(given)) return given;
  throw new ConfigError(`LETHE_HOST: takes an IP address or a host's name, got '${given}'`);
};

const port = (env: Environment): number => {
  const given = env['LETHE_PORT'] ?? '4270';
  if (/^\d{1,5}$/.test(given) && Number(given) <= 65_535) return Number(given);
  throw new ConfigError(`LETHE_PORT: takes a port from 0 (any free one) to 65535, got '${given}'`);
};

const prefix = (env: Environment): string => {
  const given = env['LETHE_STREAM_PREFIX'] ?? 'lethe.';
  if (/^[A-Za-z][A-Za-z0-9_.]{0,39}$/.test(given)) return given;
  throw new ConfigError(
    `LETHE_STREAM_PREFIX: takes 1 to 40 letters, digits, _ and ., beginning with a letter; got '${given}'`,
  );
};

const trashDays = (env: Environment): number | null => {
  const given = env['LETHE_TRASH_DAYS'];
  if (given === undefined || given === '') return null;
  if (/^[1-9]\d{0,4}$/.test(given)) return Number(given);
  throw new ConfigError(
    `LETHE_TRASH_DAYS: takes a whole number of days from 1 to 99999, or nothing to keep all; got '${given}'`,
  );
};

const LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'];

const level = (env: Environment): string => {
  const given = env['LETHE_LOG_LEVEL'] ?? 'info';
  if (LEVELS.includes(given)) return given;
  throw new ConfigError(`LETHE_LOG_LEVEL: takes one of ${LEVELS.join(', ')}, got '${given}'`);
};
