import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';

/** A setting that cannot stand: it stops the start with its name and what it takes. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfiguredStorage {
  readonly name: string;
  readonly root: string;
  readonly managed: boolean;
}

export interface S3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Where the three stores are, chosen one by one, and what this process does on them. */
export interface Stores {
  /** The address of an EventStoreDB; null: embedded, in the data folder. */
  readonly eventStore: string | null;
  /** The address of a MongoDB; null: embedded, in the data folder. */
  readonly readModel: string | null;
  /** For every storage in S3; null where none is given: such storages are read without a name, as public ones are. */
  readonly s3: S3Keys | null;
  readonly roles: { readonly api: boolean; readonly worker: boolean };
}

/** @throws ConfigError naming the variable */
export const stores = (env: Environment, storages: readonly ConfiguredStorage[]): Stores => {
  const eventStore = server(env, 'LETHE_EVENT_STORE', /^esdb(\+discover)?:\/\/./, 'esdb://host:2113?tls=false');
  const readModel = server(
    env,
    'LETHE_READ_MODEL',
    /^mongodb(\+srv)?:\/\/./,
    'mongodb://host:27017/lethe?replicaSet=rs0',
  );
  const embedded = [
    ...(eventStore === null ? ['LETHE_EVENT_STORE'] : []),
    ...(readModel === null ? ['LETHE_READ_MODEL'] : []),
    ...(storages.some(({ name, root }) => name === 'default' && !isS3(root)) ? ['LETHE_OBJECT_STORE'] : []),
  ];
  return { eventStore, readModel, s3: s3Keys(env), roles: roles(env, embedded) };
};

const server = (env: Environment, name: string, form: RegExp, example: string): string | null => {
  const given = env[name] ?? 'embedded:';
  if (given === 'embedded:') return null;
  if (form.test(given)) return given;
  throw new ConfigError(`${name}: takes embedded: or an address such as ${example}, got '${redact(given)}'`);
};

/** `file:` is the folder `objects` of the data folder, wherever that lies. */
export const defaultStorage = (env: Environment): ConfiguredStorage => {
  const root = env['LETHE_OBJECT_STORE'] ?? 'file:';
  if (root === 'file:' || isFolder(root) || isS3(root)) return { name: 'default', root, managed: true };
  throw new ConfigError(
    `LETHE_OBJECT_STORE: takes file:, file:/an/absolute/folder or s3://host:9000/bucket/prefix?tls=false, got '${redact(root)}'`,
  );
};

/** @throws ConfigError naming the storage */
export const rootOf = ({ name, root }: ConfiguredStorage): string => {
  if (isFolder(root) || isS3(root)) return root;
  throw new ConfigError(
    `storages: the root of ${name} must be file:/an/absolute/folder or s3://host:9000/bucket/prefix, got '${redact(root)}'`,
  );
};

const isFolder = (root: string): boolean => root.startsWith('file:') && isAbsolute(root.slice('file:'.length));
const isS3 = (root: string): boolean => root.startsWith('s3://');

const s3Keys = (env: Environment): S3Keys | null => {
  const accessKey = secret(env, 'LETHE_S3_ACCESS_KEY');
  const secretKey = secret(env, 'LETHE_S3_SECRET_KEY');
  if (accessKey === null && secretKey === null) return null;
  if (accessKey !== null && secretKey !== null) return { accessKey, secretKey };
  const [there, missing] = accessKey === null ? ['SECRET', 'ACCESS'] : ['ACCESS', 'SECRET'];
  throw new ConfigError(`LETHE_S3_${missing}_KEY: is needed beside LETHE_S3_${there}_KEY`);
};

/** The variable itself, or the content of the file that `…_FILE` names. */
const secret = (env: Environment, name: string): string | null => {
  const [given, file] = [env[name], env[`${name}_FILE`]];
  if (given !== undefined && file !== undefined) throw new ConfigError(`${name}: is set, and so is ${name}_FILE`);
  if (file === undefined) return given ?? null;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new ConfigError(`${name}_FILE: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
};

const roles = (env: Environment, embedded: readonly string[]): Stores['roles'] => {
  const given = (env['LETHE_ROLES'] ?? 'api,worker').split(',').map((role) => role.trim());
  const [api, worker] = [given.includes('api'), given.includes('worker')];
  if (given.length !== Number(api) + Number(worker))
    throw new ConfigError(`LETHE_ROLES: takes api, worker or api,worker, got '${env['LETHE_ROLES'] ?? ''}'`);
  if (!(api && worker) && embedded.length > 0) {
    throw new ConfigError(
      `LETHE_ROLES: ${given.join()} alone needs servers for all three stores, and ${embedded.join(' and ')} ${embedded.length === 1 ? 'is' : 'are'} embedded`,
    );
  }
  return { api, worker };
};

/** An address without what may be a secret in it: whoever is named before its host, and its options. */
const redact = (address: string): string =>
  address.replace(/^([a-z0-9+.-]*:\/\/)?.*@/is, '$1…@').replace(/\?.*$/s, '?…');
