import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A service for one test. `await using lethe = await startLethe()` ends it with the block. */
export interface TestLethe extends AsyncDisposable {
  /** Where it listens, on this machine alone. */
  readonly url: string;
  /** Its folder, which is gone with it. */
  readonly data: string;
  /** Ends it and removes the folder. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts a whole service in this process, with its own folder and its own port. Nothing of the environment configures it.
 * @param variables those of the configuration (`LETHE_TRASH_DAYS`), but for the folder and the port
 */
export const startLethe = async (variables: Readonly<Record<string, string>> = {}): Promise<TestLethe> => {
  // Whoever tests decisions or replays must not load a server.
  const [{ openService }, { readConfig }] = await Promise.all([import('../service.js'), import('../config.js')]);
  const data = await mkdtemp(join(tmpdir(), 'lethe-'));
  const remove = (): Promise<void> => rm(data, { recursive: true, force: true });
  try {
    const own = { LETHE_DATA: data, LETHE_PORT: '0' };
    const service = await openService(readConfig({ LETHE_LOG_LEVEL: 'error', ...variables, ...own }));
    const url = await service.listen();
    let closed: Promise<void> | null = null;
    const close = (): Promise<void> => (closed ??= service.close().then(remove));
    return { url, data, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await remove();
    throw error;
  }
};
