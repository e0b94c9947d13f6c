import type { ClientSession, Collection as Stored, FindOneOptions } from 'mongodb';
import { z } from 'zod';
import { Corrupt, Unavailable } from '../errors.js';
import { ONE_MOMENT, type Connection } from './mongodb.connection.js';
import { corrupt } from './mongodb.errors.js';
import { GENERATIONS, dropTables, isTable, makeIndexes, makeTables, tablesIn } from './mongodb.schema.js';
import { inTransaction, refusalOf } from './mongodb.transaction.js';

/**
 * Which generations of the model there are. Each has collections of its own, and here a document with its checkpoint:
 *
 *   filling -> live -> previous -> gone
 *        └──────────────────────────^     given up for another that was begun
 *
 * One is live, at most one is being filled. The one before the live one stays for whoever still reads it, and goes with the next switch.
 * The number of one that is gone is never used again, so its document stays.
 */
export interface Generation {
  readonly _id: number;
  readonly state: 'filling' | 'live' | 'previous' | 'gone';
  readonly format: number;
  readonly checkpoint: bigint;
  /** How far the one that was live had come when this one was begun. */
  readonly readThen: bigint;
}

/** Raise it when what the projections write into a row changes, or how it lies in a document, or an index. */
export const FORMAT = 4;

const generationSchema = z.object({
  _id: z.int(),
  state: z.enum(['filling', 'live', 'previous', 'gone']),
  format: z.int(),
  checkpoint: z.bigint(),
  readThen: z.bigint().default(0n),
});

/** What a generation is claimed for: to carry the log into what others read, to build anew, or to go on with building. */
export type Purpose = 'follow' | 'rebuild' | 'go on';

/** Whoever writes works on one of these. */
export const AT_WORK: Generation['state'][] = ['filling', 'live'];

const MOST_ATTEMPTS = 10;

export class Generations {
  readonly documents: Stored<Generation>;

  constructor(private readonly connection: Connection) {
    this.documents = connection.db.collection<Generation>(GENERATIONS);
  }

  /** Null before the first worker was here. @throws Corrupt */
  async live(session?: ClientSession): Promise<Generation | null> {
    const found = await this.documents.findOne({ state: 'live' }, momentOf(session));
    return found === null ? null : generationOf(this.connection.name, found);
  }

  /** @throws Corrupt */
  async at(number: number, session?: ClientSession): Promise<Generation> {
    return generationOf(this.connection.name, await this.documents.findOne({ _id: number }, momentOf(session)));
  }

  /**
   * The generation to write, ready for rows. To follow: the live one, where its format is this code's; else one that is being filled, or a new
   * one. Of several workers that begin at once, all get the same. What somebody rebuilds beside a live one of this format is left to that one.
   *
   * @throws Corrupt: the live one is newer than this code, or the database is another program's
   */
  async claim(purpose: Purpose): Promise<Generation> {
    await this.refuseForeign();
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
      const claimed = await this.claimed(purpose);
      if (claimed === null) continue;
      await makeTables(this.connection.db, claimed._id);
      // One that is being filled gets the rest when it goes live.
      await makeIndexes(this.connection.db, claimed._id, claimed.state === 'live' ? 'all' : 'loading');
      await this.sweep();
      return claimed;
    }
    throw new Unavailable(`${this.connection.name}: other workers kept beginning it anew: see what they do`);
  }

  /**
   * From here on whoever reads sees this generation, in which all of the log is: unless others read more by now, and are not to see it vanish.
   * What they read when this one was begun may vanish: the log itself has lost it.
   *
   * @returns whether it is live
   */
  async goLive(number: number): Promise<boolean> {
    const isLive = await inTransaction(this.connection, async (session) => {
      const options = { session };
      const own = generationOf(this.connection.name, await this.documents.findOne({ _id: number }, options));
      if (own.state !== 'filling') return own.state === 'live';
      // A batch of the live one that comes in between changes the same document, and one of the two begins again.
      const live = await this.documents.findOne({ state: 'live' }, options);
      const mayLose = own.checkpoint < own.readThen;
      if (!mayLose && live !== null && own.checkpoint < live.checkpoint) return false;
      await this.documents.updateMany({ state: 'previous' }, { $set: { state: 'gone' } }, options);
      await this.documents.updateMany({ state: 'live' }, { $set: { state: 'previous' } }, options);
      await this.documents.updateOne({ _id: number }, { $set: { state: 'live' } }, options);
      return true;
    });
    await this.sweep();
    return isLive;
  }

  /** Null where another worker was faster. */
  private async claimed(purpose: Purpose): Promise<Generation | null> {
    const all = (await this.documents.find().toArray()).map((one) => generationOf(this.connection.name, one));
    const live = all.find(({ state }) => state === 'live');
    if (live === undefined)
      return this.added({ _id: 1, state: 'live', format: FORMAT, checkpoint: 0n, readThen: 0n }, null);
    refuseNewer(this.connection.name, live);
    const filling = all.find(({ state }) => state === 'filling');
    const isCurrent = live.format === FORMAT;
    if (purpose === 'follow' && isCurrent) return live;
    if (purpose !== 'rebuild' && filling?.format === FORMAT) return filling;
    if (purpose === 'go on' && isCurrent) return live;
    const next = Math.max(...all.map(({ _id }) => _id)) + 1;
    const begun = { _id: next, state: 'filling', format: FORMAT, checkpoint: 0n, readThen: live.checkpoint } as const;
    return this.added(begun, filling?._id ?? null);
  }

  private async added(generation: Generation, insteadOf: number | null): Promise<Generation | null> {
    try {
      return await inTransaction(this.connection, async (session) => {
        if (insteadOf !== null) {
          const given = await this.documents.updateOne(
            { _id: insteadOf, state: 'filling' },
            { $set: { state: 'gone' } },
            { session },
          );
          if (given.matchedCount === 0) return null;
        }
        await this.documents.insertOne(generation, { session });
        return generation;
      });
    } catch (error) {
      if (refusalOf(error) === 'DuplicateKey' || isDuplicate(error)) return null;
      throw error;
    }
  }

  /** Drops the collections of those that are gone: again by the next worker where this one dies in between. */
  private async sweep(): Promise<void> {
    const gone = await this.documents.find({ state: 'gone' }, { projection: { _id: 1 } }).toArray();
    await dropTables(
      this.connection.db,
      gone.map(({ _id }) => _id),
    );
  }

  private async refuseForeign(): Promise<void> {
    const names = await tablesIn(this.connection);
    if (names.includes(GENERATIONS) || names.every(isTable)) return;
    throw new Corrupt(
      `${this.connection.name}: the database holds collections of something else, and was left as it is: name another database in the URL`,
    );
  }
}

const momentOf = (session: ClientSession | undefined): FindOneOptions =>
  session === undefined ? {} : { session, ...ONE_MOMENT };

const DUPLICATE_KEY = 11_000;
const isDuplicate = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === DUPLICATE_KEY;

/** @throws Corrupt: it reads as none */
export const generationOf = (name: string, value: unknown): Generation => {
  const { success, data, error } = generationSchema.safeParse(value);
  if (success) return data;
  throw corrupt(name, 'has a generation that reads as none', error);
};

/** @throws Corrupt: rows of that format are not this code's to read or write */
export const refuseNewer = (name: string, { format }: Generation): void => {
  if (format <= FORMAT) return;
  throw new Corrupt(
    `${name} was built by a newer version of Lethe (format ${format}; this one reads ${FORMAT}): upgrade Lethe`,
  );
};
