import type { ClientSession } from 'mongodb';
import type { Json } from '../../events/vocabulary.js';
import type { Position } from '../event-store/port.js';
import type { Connection } from './mongodb.connection.js';
import { rowOf } from './mongodb.documents.js';
import { dumped } from './mongodb.dump.js';
import { AT_WORK, type Generation, type Generations } from './mongodb.generations.js';
import { Reader, type Total } from './mongodb.read.js';
import { dropQueryIndexes, makeIndexes } from './mongodb.schema.js';
import { write } from './mongodb.write.js';
import type { Changes, Collection, Condition, Find, Key, Path, ReadModel, Rows } from './port.js';

/**
 * For the projector: reads and writes one generation, the live one or one that is being filled. Where that one is given up or replaced
 * by another worker, no batch of it goes any more, and the next `checkpoint` is that of the one to go on with.
 */
export class WritableModel implements ReadModel {
  readonly #connection: Connection;
  readonly #generations: Generations;
  readonly #reader: Reader;
  #generation: number;
  /** How far others could read when the load of the generation that is being filled was begun; null where none was. */
  #readThen: Position | null = null;
  /** Nothing is left to load, but this generation has not yet come as far as the one that others read. */
  #behind = false;

  constructor(connection: Connection, generations: Generations, generation: number) {
    this.#connection = connection;
    this.#generations = generations;
    this.#reader = new Reader(connection);
    this.#generation = generation;
  }

  async checkpoint(): Promise<Position> {
    return this.#connection.guarded(async () => (await this.#current()).checkpoint);
  }

  async apply(changes: Changes, from: Position, to: Position): Promise<void> {
    await this.#connection.guarded(async () => {
      await write(this.#connection, this.#generations, this.#generation, changes, from, to);
      if (this.#behind) await this.#switch();
    });
  }

  async get<C extends Collection>(collection: C, keys: readonly Key[]): Promise<Rows[C][]> {
    const { value } = await this.#connection.guarded(() => this.#reader.get(this.#generation, collection, keys));
    return value.map((row) => rowOf(this.#connection.name, collection, row));
  }

  async find<C extends Collection>(collection: C, query: Find): Promise<Rows[C][]> {
    const { value } = await this.#connection.guarded(() => this.#reader.find(this.#generation, collection, query));
    return value.map((row) => rowOf(this.#connection.name, collection, row));
  }

  async total(collection: Collection, where: readonly Condition[], sum?: Path): Promise<Total> {
    const { value } = await this.#connection.guarded(() =>
      this.#reader.total(this.#generation, collection, where, sum),
    );
    return value;
  }

  /** Spares the indexes of callers' queries where there are no callers yet. */
  async beginLoad(): Promise<void> {
    await this.#connection.guarded(async () => {
      const { _id, state } = await this.#current();
      if (state !== 'filling') return;
      this.#readThen = (await this.#generations.live())?.checkpoint ?? 0n;
      await dropQueryIndexes(this.#connection.db, _id);
    });
  }

  /**
   * A generation that was being filled goes live. One that stands before the live one waits for the batches that carry it as far: nobody is
   * to see what was there vanish.
   */
  async endLoad(): Promise<void> {
    await this.#connection.guarded(async () => {
      const { _id, state } = await this.#current();
      if (state === 'live') return;
      await makeIndexes(this.#connection.db, _id, 'all');
      await this.#switch();
    });
  }

  /** As `endLoad`, for whoever has to know. @returns false while others read more than this generation holds */
  async replaceLive(): Promise<boolean> {
    await this.endLoad();
    return !this.#behind;
  }

  dump(collection: Collection, begins?: (checkpoint: Position) => void): AsyncIterable<{ key: Key; row: Json }> {
    const own = (session: ClientSession): Promise<Generation> => this.#generations.at(this.#generation, session);
    return dumped(this.#connection, this.#generations, collection, own, begins);
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** The generation that is written, or the one to go on with. */
  async #current(): Promise<Generation> {
    const known = await this.#generations.at(this.#generation);
    if (AT_WORK.includes(known.state)) return known;
    const claimed = await this.#generations.claim(false);
    this.#generation = claimed._id;
    this.#readThen = null;
    this.#behind = false;
    return claimed;
  }

  async #switch(): Promise<void> {
    const { checkpoint } = await this.#generations.at(this.#generation);
    // All of the log was loaded, and it does not come as far as what others could read before: it has lost its end.
    const isAll = this.#readThen !== null && checkpoint < this.#readThen;
    this.#behind = !(await this.#generations.goLive(this.#generation, isAll));
    if (!this.#behind) this.#readThen = null;
  }
}
