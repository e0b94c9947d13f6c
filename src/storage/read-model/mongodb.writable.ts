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
  readonly #rebuilds: boolean;
  #generation: number;
  /** All of the log is in, but others read more by now: each batch may be the one that makes up for it. */
  #behind = false;

  /** @param rebuilds it goes on with building where its generation was given up for another that was begun */
  constructor(connection: Connection, generations: Generations, generation: number, rebuilds: boolean) {
    this.#connection = connection;
    this.#rebuilds = rebuilds;
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
      if (this.#behind) await this.#goLive();
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
      await dropQueryIndexes(this.#connection.db, _id);
    });
  }

  /** A generation that was being filled goes live; one that others read more than waits for the batches that carry it as far. */
  async endLoad(): Promise<void> {
    await this.replaceLive();
  }

  /** As `endLoad`, for whoever has to know. @returns false where others read more than this generation holds, or it was given up */
  async replaceLive(): Promise<boolean> {
    return this.#connection.guarded(async () => {
      // Not another in its place, where this one was given up: of that nothing need be in.
      const { _id, state } = await this.#generations.at(this.#generation);
      this.#behind = false;
      if (state !== 'filling') return state === 'live';
      await makeIndexes(this.#connection.db, _id, 'all');
      return this.#goLive();
    });
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
    const claimed = await this.#generations.claim(this.#rebuilds ? 'go on' : 'follow');
    this.#generation = claimed._id;
    this.#behind = false;
    return claimed;
  }

  async #goLive(): Promise<boolean> {
    const isLive = await this.#generations.goLive(this.#generation);
    this.#behind = !isLive;
    return isLive;
  }
}
