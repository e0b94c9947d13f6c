import { Lethe, type Address } from './lethe.js';
import { reached } from './reached.js';
import type { Platform } from './registries.js';

/*
 * `import … from 'lethe'` in browsers: as connect.ts, without what needs Node.
 */

export * from './sdk.js';

/**
 * Connects to the service at a URL.
 * @throws Unreachable, NotLethe or Unauthenticated where no service answers there, or not to this caller
 */
export const connect = async (target: string | Address): Promise<Lethe> =>
  reached(new Lethe(typeof target === 'string' ? { url: target } : target, BROWSER, async () => undefined));

const BROWSER: Platform = {
  // Some do, over HTTP/2 alone: a stream is read to its end first, which every one of them can.
  streams: false,
  open: async (path) => {
    throw new TypeError(`A browser opens no paths, such as ${String(path)}: hand over the File or Blob itself.`);
  },
};
