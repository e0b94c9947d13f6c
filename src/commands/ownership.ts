import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { decode, encode, streamOf } from '../events/codec.js';
import { sha256 } from '../events/ids.js';
import { Corrupt, RevisionConflict } from '../storage/errors.js';
import type { ObjectStore, ObjectStores } from '../storage/object-store/port.js';
import type { Ids } from '../ports.js';
import type { Journal } from './execute.js';
import { StoreUnavailable } from './refusals.js';
import { storeOf, type Storage } from './storages.js';

export const OWNER = '.lethe/owner';
const ownerSchema = z.object({ instance: z.uuid(), position: z.string().regex(/^\d+$/) });
export type Owner = z.infer<typeof ownerSchema>;

/** A sentence that says why a log may not write to a storage; null where it may. */
export const whyNotOwned = (
  name: string,
  owner: Owner | null,
  log: { readonly instance: string | null; readonly head: bigint },
): string | null => {
  if (owner === null) return null;
  if (owner.instance !== log.instance) {
    return (
      `The storage ${name} belongs to another log (instance ${owner.instance}; this one is ${log.instance ?? 'empty'}). ` +
      'Nothing is stored in or deleted from it here.'
    );
  }
  if (BigInt(owner.position) <= log.head) return null;
  return (
    `The storage ${name} has seen position ${owner.position} of this log, which ends at ${log.head}: the log was restored from a ` +
    'backup and does not know what came after. Restore a newer one, or, of a log that was imported, see “Moving the log to a server” in ' +
    'docs/operating.md.'
  );
};

/**
 * Who may write to and delete from a storage: the log whose instance id lies in it, and only one that is not behind what that log had
 * reached, as a restored backup is. Everyone else may read.
 */
export class Ownership {
  private readonly owned = new Set<string>();
  private known: string | null = null;

  constructor(
    private readonly journal: Journal,
    private readonly stores: ObjectStores,
    private readonly ids: Ids,
  ) {}

  /** Makes the log's instance id where it has none yet. */
  async identify(): Promise<string> {
    this.known ??= await ensureInstance(this.journal, this.ids);
    return this.known;
  }

  /** Whoever only looks may look at every storage. */
  async look(storage: Storage): Promise<ObjectStore> {
    return storeOf(this.stores, storage);
  }

  /**
   * @throws StoreUnavailable where the storage belongs to another log, or this one is behind
   */
  async assertOwned(storage: Storage): Promise<ObjectStore> {
    const store = await storeOf(this.stores, storage);
    if (this.owned.has(storage.uid)) return store;
    const instance = await this.identify();
    // The owner first: what another process notes in between is a later head.
    const owner = await readOwner(store);
    const head = await this.journal.store.head();
    const why = whyNotOwned(storage.facts.name, owner, { instance, head });
    if (why !== null) throw new StoreUnavailable(why);
    await this.write(store, head);
    this.owned.add(storage.uid);
    return store;
  }

  /** Notes in every storage that was used how far the log has come. */
  async note(storages: readonly Storage[]): Promise<void> {
    const head = await this.journal.store.head();
    for (const storage of storages) {
      if (this.owned.has(storage.uid)) await this.write(await storeOf(this.stores, storage), head);
    }
  }

  private async write(store: ObjectStore, head: bigint): Promise<void> {
    await store.replace(OWNER, `${JSON.stringify({ instance: await this.identify(), position: String(head) })}\n`);
  }
}

/** The log that a storage belongs to, and the highest position that was noted of it; null where nothing was ever stored. @throws Corrupt */
export const readOwner = async (store: ObjectStore): Promise<Owner | null> => {
  const found = await store.get(OWNER);
  if (found === null) return null;
  try {
    return ownerSchema.parse(JSON.parse(await text(found.body)));
  } catch (cause) {
    throw new Corrupt(`${OWNER} does not say whose the storage is. If it is this service's, remove that file.`, {
      cause,
    });
  }
};

/** The id of this log; null where nothing was ever written to it. */
export const readInstance = async ({ store, prefix }: Pick<Journal, 'store' | 'prefix'>): Promise<string | null> => {
  const stream = instanceStream(prefix);
  const [first] = await store.readStream(stream);
  if (first === undefined) return null;
  const recorded = decode(prefix, first);
  if (recorded?.event.type !== 'InstanceCreated') throw new Corrupt(`${stream} does not begin with InstanceCreated`);
  return recorded.event.instance;
};

const instanceStream = (prefix: string): string => streamOf(prefix, 'log', 'instance');

/** The id of this log, made with its first event. */
const ensureInstance = async (journal: Journal, ids: Ids): Promise<string> => {
  const known = await readInstance(journal);
  if (known !== null) return known;
  const commandId = ids.uuid();
  const meta = {
    version: 1,
    actor: 'system:configuration',
    reason: null,
    commandId,
    commandHash: sha256(commandId),
    correlationId: commandId,
    at: journal.clock.now().toISOString(),
    previous: null,
  };
  try {
    const instance = ids.uuid();
    const { position } = await journal.store.append(instanceStream(journal.prefix), -1, [
      encode(commandId, { type: 'InstanceCreated', instance }, meta),
    ]);
    journal.appended(position);
    return instance;
  } catch (error) {
    if (error instanceof RevisionConflict) return ensureInstance(journal, ids);
    throw error;
  }
};
