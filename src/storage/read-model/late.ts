import type { Position } from '../event-store/port.js';
import { Unavailable } from '../errors.js';
import type { Changes, Collection, Condition, Find, Key, ReadModel, Rows } from './port.js';
import type { Json } from '../../events/vocabulary.js';

/**
 * A read model that is opened at its first use, and at the next where that failed: whoever starts before its server does goes on by itself
 * once it is there. Each call fails as the opening did, until one succeeds.
 */
export class LateReadModel implements ReadModel {
  private opened: Promise<ReadModel> | null = null;
  private closed = false;

  constructor(private readonly open: () => Promise<ReadModel>) {}

  async checkpoint(): Promise<bigint> {
    return (await this.model()).checkpoint();
  }

  async apply(changes: Changes, from: bigint, to: bigint): Promise<void> {
    await (await this.model()).apply(changes, from, to);
  }

  async get<C extends Collection>(collection: C, keys: readonly Key[]): Promise<Rows[C][]> {
    return (await this.model()).get(collection, keys);
  }

  async find<C extends Collection>(collection: C, query: Find): Promise<Rows[C][]> {
    return (await this.model()).find(collection, query);
  }

  async total(
    collection: Collection,
    where: readonly Condition[],
    sum?: string,
  ): Promise<{ rows: number; sum: number }> {
    return (await this.model()).total(collection, where, sum);
  }

  async beginLoad(): Promise<void> {
    await (await this.model()).beginLoad();
  }

  async endLoad(): Promise<void> {
    await (await this.model()).endLoad();
  }

  async *dump(collection: Collection, begins?: (checkpoint: Position) => void): AsyncIterable<{ key: Key; row: Json }> {
    yield* (await this.model()).dump(collection, begins);
  }

  async close(): Promise<void> {
    this.closed = true;
    const model = await this.opened?.catch(() => null);
    await model?.close();
  }

  private async model(): Promise<ReadModel> {
    if (this.closed) throw new Unavailable('the read model is closed');
    const opening = (this.opened ??= this.open());
    try {
      return await opening;
    } catch (error) {
      if (this.opened === opening) this.opened = null;
      throw error;
    }
  }
}
