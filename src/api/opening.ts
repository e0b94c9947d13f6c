import type { Readable } from 'node:stream';
import { Invalid, NotFound } from '../commands/refusals.js';
import { InvalidPath } from '../storage/errors.js';
import type { ObjectStore, SeenFile } from '../storage/object-store/port.js';
import type { Range } from './content.js';
import { Problem } from './problem.js';

/** How often an object that is replaced while it is opened is looked at again. */
const ATTEMPTS = 5;

interface Wanted {
  readonly range: Range | null;
  /** The bytes too, and not only what there is to say of them. */
  readonly reads: boolean;
}

/**
 * A file as it lies there now, and its bytes. Others may replace what lies under a semantic key: the bytes are just those of what was seen.
 *
 * @param wanted what is asked for of such a file
 * @throws NotFound where there is none; Invalid where its path is none; Problem where it is another one each time; what `wanted` throws
 */
export const opened = async <W extends Wanted>(
  store: ObjectStore,
  path: string,
  wanted: (whole: SeenFile) => W,
): Promise<{ whole: SeenFile; plan: W; body: Readable | null }> => {
  for (let tries = 0; tries < ATTEMPTS; tries += 1) {
    const whole = await look(store, path);
    const plan = wanted(whole);
    if (!plan.reads) return { whole, plan, body: null };
    const found = await store.get(path, plan.range ?? undefined);
    if (found?.seen.etag === whole.etag) return { whole, plan, body: found.body };
    found?.body.destroy();
  }
  const sentence = `The object ${path} was replaced ${ATTEMPTS} times while it was opened. Try again.`;
  throw new Problem('store-unavailable', sentence, {}, { 'Retry-After': '1' });
};

const look = async (store: ObjectStore, path: string): Promise<SeenFile> => {
  try {
    const seen = path.endsWith('/') ? null : await store.stat(path);
    if (seen !== null) return seen;
  } catch (error) {
    if (error instanceof InvalidPath) throw new Invalid([{ path: '?path', message: error.message }]);
    throw error;
  }
  throw new NotFound(`The object ${path} is not in its storage any more. The record is untouched.`, 'object-missing');
};
