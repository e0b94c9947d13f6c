import type { Json } from '../../events/vocabulary.js';
import { Unavailable } from '../errors.js';
import type { Position } from '../event-store/port.js';
import { ONE_MOMENT, type Connection } from './mongodb.connection.js';
import { jsonOf } from './mongodb.documents.js';
import { corrupt } from './mongodb.errors.js';
import type { Generation, Generations } from './mongodb.generations.js';
import { tableOf } from './mongodb.schema.js';
import type { Collection, Key } from './port.js';
import type { ClientSession, FindCursor } from 'mongodb';

const ROWS_AT_ONCE = 500;

interface Found {
  readonly _id: unknown;
  readonly row: unknown;
}

/**
 * Every row of the generation that `choose` names, as they were when it began. The server keeps that moment for
 * `minSnapshotHistoryWindowInSeconds`, 5 minutes unless it is told otherwise.
 *
 * @throws Unavailable: the moment is gone, or the generation with it
 */
export async function* dumped(
  connection: Connection,
  generations: Generations,
  collection: Collection,
  choose: (session: ClientSession) => Promise<Generation>,
  begins: (checkpoint: Position) => void = () => undefined,
): AsyncIterable<{ key: Key; row: Json }> {
  const { name, db } = connection;
  const guarded = <T>(work: () => Promise<T>): Promise<T> => connection.guarded(work);
  const session = await guarded(async () => connection.client.startSession({ snapshot: true }));
  let cursor: FindCursor<Found> | null = null;
  try {
    // The moment is that of the first answer.
    const { _id: generation, checkpoint } = await guarded(() => choose(session));
    begins(checkpoint);
    cursor = db
      .collection(tableOf(collection, generation))
      .find<Found>({}, { session, ...ONE_MOMENT, sort: { _id: 1 }, projection: { row: 1 }, batchSize: ROWS_AT_ONCE });
    for (let found = await guarded(next(cursor)); found !== null; found = await guarded(next(cursor))) {
      yield { key: keyOf(name, found._id), row: jsonOf(name, found.row) };
    }
    // Where its rows were dropped before the first of them was asked for, they read as none.
    const { state } = await guarded(() => generations.at(generation));
    if (state === 'gone')
      throw new Unavailable(`${name}: what was dumped has been replaced twice meanwhile: begin again`);
  } finally {
    await cursor?.close();
    await session.endSession();
  }
}

const next = (cursor: FindCursor<Found>) => (): Promise<Found | null> => cursor.next();

const keyOf = (name: string, stored: unknown): Key => {
  if (typeof stored === 'string') return stored;
  if (typeof stored === 'bigint') return Number(stored);
  throw corrupt(name, 'has a row whose key is none');
};
