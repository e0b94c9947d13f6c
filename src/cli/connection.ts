import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../client/client.js';
import { openInProcess } from '../client/in-process.js';
import { platformFetch, type Fetch } from '../client/transport.js';
import { CliError, WRONG_USAGE } from './exit.js';

export interface Target {
  readonly url?: string;
  readonly data?: string;
}

export interface Connection {
  readonly client: Client;
  /** The data folder, where the service is on this machine and known by it. */
  readonly data: string | null;
  close(): Promise<void>;
}

export interface Connecting {
  readonly signal: AbortSignal;
  /** Whether a data folder that is not there yet may be made: by what writes, never by what only looks. */
  readonly makesFolder: boolean;
  /** Tells whoever waits what for. */
  readonly note: (text: string) => void;
  /** Around how requests are sent, such as to measure them. */
  readonly through: (fetch: Fetch) => Fetch;
}

/** How long to wait for another command that has the folder open, and how often to look. */
const PATIENCE_MS = 30_000;
const SILENT_MS = 2_000;
const LOOK_MS = 100;

/**
 * Speaks to the service at a URL; else to the one that holds the data folder; else opens the folder in this process.
 * @throws CliError where the target makes no sense, the folder is not there, or another process keeps it
 */
export const connect = async (target: Target, connecting: Connecting): Promise<Connection> => {
  const url = urlOf(target);
  if (url !== null) return remote(url, null, connecting);
  const data = dataFolderOf(target);
  if (!connecting.makesFolder && !existsSync(data)) {
    throw new CliError(
      `there is no data folder ${data}. Make one with lethe init, or name another with --data (LETHE_DATA)`,
    );
  }
  const { readLock, FolderLocked } = await import('../storage/event-store/lock.js');
  const start = performance.now();
  for (let said = false; ;) {
    connecting.signal.throwIfAborted();
    const holder = existsSync(data) ? readLock(data) : null;
    if (holder?.url != null) return remote(holder.url, data, connecting);
    try {
      if (holder === null) return await embedded(data, connecting);
    } catch (error) {
      if (!(error instanceof FolderLocked)) throw error; // another command was faster
    }
    const waited = performance.now() - start;
    if (waited > PATIENCE_MS)
      throw new CliError(`${inUse(data, holder)}, which serves nothing. Wait for it to end, or stop it`);
    if (waited > SILENT_MS && !said) connecting.note(`waiting: ${inUse(data, holder)}`);
    said ||= waited > SILENT_MS;
    await sleep(LOOK_MS, undefined, { signal: connecting.signal });
  }
};

export const dataFolderOf = ({ data }: Target): string =>
  resolve(data ?? fromEnvironment('LETHE_DATA') ?? './lethe-data');

/** What is typed goes before what the environment says. */
const urlOf = ({ url: typed, data }: Target): string | null => {
  if (typed !== undefined && data !== undefined) throw new CliError('--url and --data exclude each other', WRONG_USAGE);
  const url = typed ?? (data === undefined ? fromEnvironment('LETHE_URL') : undefined);
  if (url === undefined) return null;
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  throw new CliError(`--url (LETHE_URL) takes an address such as http://127.0.0.1:4270, got '${url}'`, WRONG_USAGE);
};

const fromEnvironment = (name: string): string | undefined =>
  process.env[name] === '' ? undefined : process.env[name];

/** From the environment alone: what is typed as an argument stands in the list of processes for all to see. */
const apiKey = (): string | undefined => {
  const key = fromEnvironment('LETHE_API_KEY');
  if (key === undefined || /^[\x21-\x7e]+$/.test(key)) return key;
  throw new CliError('LETHE_API_KEY takes a key as it was made, without spaces or line breaks', WRONG_USAGE);
};

const inUse = (data: string, holder: { readonly pid: number | null } | null): string =>
  `the data folder ${data} is in use by ${holder?.pid == null ? 'another process' : `process ${holder.pid}`}`;

const remote = (url: string, data: string | null, { signal, through }: Connecting): Connection => ({
  client: new Client({ url, apiKey: apiKey(), actor: actor(), fetch: through(platformFetch), signal }),
  data,
  close: () => Promise.resolve(),
});

const embedded = async (data: string, { signal, through }: Connecting): Promise<Connection> => {
  const { fetch, close } = await openInProcess(data, process.env);
  const client = new Client({ url: 'http://localhost', actor: actor(), fetch: through(fetch), signal });
  return { client, data, close };
};

/** The operating system's user, as a header can carry it. */
const actor = (): string => {
  const name = userName();
  return /^[\x20-\x7e]{1,255}$/.test(name) ? name : encodeURIComponent(name.toWellFormed()).slice(0, 255);
};

const userName = (): string => {
  try {
    return userInfo().username;
  } catch {
    return `uid:${process.getuid?.() ?? 'unknown'}`; // a container may run as a user that no file names
  }
};
