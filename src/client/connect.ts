import { openInProcess } from './in-process.js';
import { Lethe, type Address } from './lethe.js';
import { reached } from './reached.js';
import type { Platform } from './registries.js';

/*
 * `import … from 'lethe'` in Node. In browsers it is browser.ts.
 */

export * from './sdk.js';

/** A service in this process, on a folder of its own. */
export interface Folder {
  /** The data folder; it is made where there is none. Nobody else may have it open. */
  readonly data: string;
  readonly actor?: string | undefined;
}

/**
 * Connects to the service at a URL, or opens one in this process without a port: the same API, stores and rules.
 *
 * @throws Unreachable, NotLethe or Unauthenticated where no service answers there, or not to this caller; for a folder FolderLocked where another
 *   process has it open, and ConfigError
 */
export const connect = async (target: string | Address | Folder): Promise<Lethe> => {
  if (typeof target === 'string') return reached(new Lethe({ url: target }, NODE, async () => undefined));
  if (!('data' in target)) return reached(new Lethe(target, NODE, async () => undefined));
  const { data, actor } = target;
  const service = await openInProcess(data, process.env);
  return new Lethe({ url: 'http://localhost', actor, fetch: service.fetch }, NODE, service.close);
};

const NODE: Platform = {
  streams: true,
  open: async (path) => {
    const [fs, { open }, paths, url] = await Promise.all([
      import('node:fs'),
      import('node:fs/promises'),
      import('node:path'),
      import('node:url'),
    ]);
    const name = path instanceof URL ? url.fileURLToPath(path) : path;
    // Says by its error what is wrong; the blob's own would not.
    await using file = await open(name);
    if ((await file.stat()).isDirectory())
      throw new TypeError(`${name} is a folder: add its files one by one, or register it where it lies in a storage`);
    return { content: await fs.openAsBlob(name), filename: paths.basename(name) };
  },
};
