import { setTimeout } from 'node:timers/promises';
import { Unavailable } from '../errors.js';
import { connect, type Connection } from './mongodb.connection.js';
import { Generations, refuseNewer } from './mongodb.generations.js';
import { ReadableModel } from './mongodb.readable.js';
import { WritableModel } from './mongodb.writable.js';
import type { ReadModel, Rebuild } from './port.js';

/**
 * The read model in a database of a MongoDB replica set (5.0 or later; one server is enough), for as many processes as there are. The
 * URL names the database, which is Lethe's alone.
 *
 * `read-write` is for the projector of a worker. Several may follow the log into one model: each batch is taken from one of them. Where
 * the model was built by an older version it is built anew in a generation beside the one that others read, from position 0, and takes its
 * place at `endLoad`, or with the batch that carries it as far as that one. A build that was cut off goes on where it stopped.
 *
 * `read-only` is for whoever answers requests. It waits for a worker to make the model; while the only one is of an older version, every
 * question is answered Unavailable.
 *
 * @throws Unavailable: no server, one without transactions, or no worker in time. Corrupt: a newer version's model, or a database of
 *   something else. TypeError: a URL that is none, or without a database.
 */
export async function openMongoReadModel(options: MongoReadModelOptions): Promise<ReadModel> {
  const { url, mode, madeWithinMs = MADE_WITHIN_MS, answeredWithinMs = ANSWERED_WITHIN_MS } = options;
  return connected(url, answeredWithinMs, async (connection) =>
    mode === 'read-write' ? openWritable(connection, false) : openReadable(connection, madeWithinMs),
  );
}

export interface MongoReadModelOptions {
  /** `mongodb://…/database`, or `mongodb+srv://…`. */
  readonly url: string;
  readonly mode: 'read-write' | 'read-only';
  /** How long `read-only` waits for a worker to make the model: 10 seconds. */
  readonly madeWithinMs?: number;
  /** How long the server may take for one answer before its connection is given up: 30 seconds. */
  readonly answeredWithinMs?: number;
}

const MADE_WITHIN_MS = 10_000;
const ANSWERED_WITHIN_MS = 30_000;
const LOOK_AGAIN_MS = 50;

/** Begins a new model beside the live one, whatever its version, and gives up one that was begun before. @throws as `openMongoReadModel` does */
export async function rebuildMongoReadModel(url: string): Promise<Rebuild> {
  const model = await connected(url, ANSWERED_WITHIN_MS, (connection) => openWritable(connection, true));
  return { model, replace: () => model.replaceLive(), close: () => model.close() };
}

/** What cannot be opened leaves no connection behind. */
const connected = async <T>(
  url: string,
  answeredWithinMs: number,
  open: (connection: Connection) => Promise<T>,
): Promise<T> => {
  const connection = await connect(url, answeredWithinMs);
  try {
    return await open(connection);
  } catch (error) {
    await connection.close();
    throw error;
  }
};

const openWritable = (connection: Connection, rebuild: boolean): Promise<WritableModel> =>
  connection.guarded(async () => {
    const generations = new Generations(connection);
    const { _id } = await generations.claim(rebuild ? 'rebuild' : 'follow');
    return new WritableModel(connection, generations, _id, rebuild);
  });

const openReadable = async (connection: Connection, withinMs: number): Promise<ReadModel> => {
  const generations = new Generations(connection);
  const late = AbortSignal.timeout(withinMs);
  let live = await connection.guarded(() => generations.live());
  while (!late.aborted && live === null) {
    await setTimeout(LOOK_AGAIN_MS);
    live = await connection.guarded(() => generations.live());
  }
  if (live === null) {
    throw new Unavailable(
      `nobody made ${connection.name} within ${withinMs / 1000} s: see what its projector (the worker role) says`,
    );
  }
  refuseNewer(connection.name, live);
  return new ReadableModel(connection);
};
