import { createHash } from 'node:crypto';
import { LetheError, type Lethe, type Storages } from 'lethe';

/*
 * Registers what lies in a storage already, object by object, where it lies: nothing is copied and nothing is moved. It can be stopped at any
 * time, and goes on where it was.
 */

/** What an import came to. */
export interface Imported {
  /** Registered by this run; or by an earlier one, and purged since: that is not brought back. */
  registered: number;
  /** In Lethe already, the trash included. */
  there: number;
  readonly refused: { readonly path: string; readonly why: string }[];
}

type Storage = Awaited<ReturnType<Storages['get']>>;

/** How many registrations are under way at a time. The service reads each object once, for its hash. */
const AT_ONCE = 8;

/** @throws Error where no storage has that name */
export const storageNamed = async (lethe: Lethe, name: string): Promise<Storage> => {
  const storage = await lethe.storages.filter({ name }).first();
  if (storage === null) throw new Error(`There is no storage '${name}': name it in lethe.json, and start Lethe again.`);
  return storage;
};

/** @param paths within the storage, with `/` between their parts @throws what is no refusal: then start it again */
export const importPaths = async (lethe: Lethe, storage: string, paths: AsyncIterable<string>): Promise<Imported> => {
  const known = new Set<string>();
  for await (const { path } of lethe.files.filter({ storage, visibility: null })) known.add(path);
  const imported: Imported = { registered: 0, there: 0, refused: [] };
  const next = paths[Symbol.asyncIterator]();
  const worker = async (): Promise<void> => {
    for (let found = await next.next(); found.done !== true; found = await next.next()) {
      const path = found.value;
      if (path.startsWith('.lethe/')) continue; // Lethe's own
      if (known.has(path)) imported.there += 1;
      else await register(lethe, storage, path, imported);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return imported;
};

const register = async (lethe: Lethe, storage: string, path: string, imported: Imported): Promise<void> => {
  // The same key each time: two imports at once, or one whose answer was lost, make one record.
  const idempotencyKey = `import-${createHash('sha256').update(`${storage}/${path}`).digest('hex')}`;
  try {
    // Two paths with the same content are two files here.
    await lethe.files.register({ path, storage, onDuplicate: 'create' }, { idempotencyKey, reason: 'import' });
    imported.registered += 1;
  } catch (error) {
    if (!(error instanceof LetheError) || error.status === 0 || error.status >= 500) throw error;
    imported.refused.push({ path, why: error.message });
  }
};

/** Prints what it came to; the exit code is 1 where something was refused. */
export const report = ({ registered, there, refused }: Imported): void => {
  for (const { path, why } of refused) console.error(`${path}: ${why}`);
  console.log(`${registered} registered, ${there} there already, ${refused.length} refused`);
  if (refused.length > 0) process.exitCode = 1;
};
