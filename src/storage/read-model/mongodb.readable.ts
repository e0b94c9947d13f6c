import type { ClientSession } from 'mongodb';
import type { Json } from '../../events/vocabulary.js';
import { Unavailable } from '../errors.js';
import type { Position } from '../event-store/port.js';
import type { Connection } from './mongodb.connection.js';
import { rowOf } from './mongodb.documents.js';
import { dumped } from './mongodb.dump.js';
import { FORMAT, Generations, refuseNewer, type Generation } from './mongodb.generations.js';
import { Reader, type Answer, type Total } from './mongodb.read.js';
import type { Collection, Condition, Find, Key, Path, ReadModel, Rows } from './port.js';

const MOST_ATTEMPTS = 5;

/**
 * For whoever answers requests: reads the live generation. Which one that is it remembers; each answer says whether it still was, and is
 * asked for again where a switch came in between.
 */
export class ReadableModel implements ReadModel {
  readonly #connection: Connection;
  readonly #generations: Generations;
  readonly #reader: Reader;
  #generation: number | null = null;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#generations = new Generations(connection);
    this.#reader = new Reader(connection);
  }

  async checkpoint(): Promise<Position> {
    const { checkpoint } = await this.#connection.guarded(() => this.#live());
    return checkpoint;
  }

  async get<C extends Collection>(collection: C, keys: readonly Key[]): Promise<Rows[C][]> {
    const rows = await this.#asked((generation) => this.#reader.get(generation, collection, keys));
    return rows.map((row) => rowOf(this.#connection.name, collection, row));
  }

  async find<C extends Collection>(collection: C, find: Find): Promise<Rows[C][]> {
    const rows = await this.#asked((generation) => this.#reader.find(generation, collection, find));
    return rows.map((row) => rowOf(this.#connection.name, collection, row));
  }

  async total(collection: Collection, where: readonly Condition[], sum?: Path): Promise<Total> {
    return this.#asked((generation) => this.#reader.total(generation, collection, where, sum));
  }

  dump(collection: Collection, begins?: (checkpoint: Position) => void): AsyncIterable<{ key: Key; row: Json }> {
    return dumped(this.#connection, this.#generations, collection, (session) => this.#live(session), begins);
  }

  async apply(): Promise<void> {
    throw this.#refusal();
  }

  async beginLoad(): Promise<void> {
    throw this.#refusal();
  }

  async endLoad(): Promise<void> {
    throw this.#refusal();
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #asked<T>(ask: (generation: number) => Promise<Answer<T>>): Promise<T> {
    return this.#connection.guarded(async () => {
      for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
        const { value, generation } = await ask(this.#generation ?? (await this.#live())._id);
        if (generation.state === 'live') return value;
        this.#generation = null;
      }
      throw new Unavailable(`${this.#connection.name} was replaced again and again while it was read: ask again`);
    });
  }

  async #live(session?: ClientSession): Promise<Generation> {
    const { name } = this.#connection;
    const live = await this.#generations.live(session);
    if (live === null) throw new Unavailable(`${name} is empty: see what its projector (the worker role) says`);
    refuseNewer(name, live);
    if (live.format < FORMAT) {
      throw new Unavailable(
        `${name} was built by an older version of Lethe, and is not yet rebuilt: see how far the worker of this version is`,
      );
    }
    this.#generation = live._id;
    return live;
  }

  #refusal(): Error {
    return new TypeError(
      `${this.#connection.name} is open for reading only: apply to the projector's, which is open read-write`,
    );
  }
}
