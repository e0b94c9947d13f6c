import { createRequire } from 'node:module';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The compiled service. Its path is found as its own threads are, wherever this file itself was compiled to. */
export const SERVICE = createRequire(import.meta.url).resolve('#thread/main');

/** The checkout. */
export const ROOT = dirname(dirname(SERVICE));

/** Data folders of one run lie here, on the checkout's own disk (a `/tmp` may be memory), and go with it. */
export const makeScratchFolder = (): string => {
  const all = join(ROOT, '.cache', 'bench-data');
  mkdirSync(all, { recursive: true });
  return mkdtempSync(join(all, 'run-'));
};

/** A compiled file of this folder. @param name with `.js` */
export const compiled = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
