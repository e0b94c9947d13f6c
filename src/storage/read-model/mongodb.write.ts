import type { AnyBulkWriteOperation } from 'mongodb';
import { CheckpointMoved, OutcomeUnknown } from '../errors.js';
import type { Position } from '../event-store/port.js';
import type { Connection } from './mongodb.connection.js';
import { documentOf, type Document } from './mongodb.documents.js';
import { AT_WORK, type Generations } from './mongodb.generations.js';
import { tableOf } from './mongodb.schema.js';
import { inTransaction } from './mongodb.transaction.js';
import { COLLECTIONS, KEYS, type Changes, type Collection, type Key, type Rows } from './port.js';

interface Batch {
  readonly collection: Collection;
  readonly writes: AnyBulkWriteOperation<Document>[];
}

/**
 * Writes a batch into a generation: the rows and the checkpoint in one transaction.
 *
 * @throws CheckpointMoved, OutcomeUnknown, and what the driver throws
 */
export const write = async (
  connection: Connection,
  generations: Generations,
  generation: number,
  changes: Changes,
  from: Position,
  to: Position,
): Promise<void> => {
  // What cannot be written throws here, before anything is.
  const batches = COLLECTIONS.map((collection) => batchOf(collection, changes[collection]));
  try {
    await inTransaction(connection, async (session) => {
      // First, so that of two projectors the second is refused before it has sent its rows.
      const { matchedCount } = await generations.documents.updateOne(
        { _id: generation, state: { $in: AT_WORK }, checkpoint: from },
        { $set: { checkpoint: to } },
        { session },
      );
      if (matchedCount === 0) throw moved(connection.name, from);
      for (const { collection, writes } of batches) {
        if (writes.length === 0) continue;
        const table = connection.db.collection<Document>(tableOf(collection, generation));
        // The driver cuts them into messages that the server takes.
        await table.bulkWrite(writes, { session, ordered: false });
      }
    });
  } catch (error) {
    // Whether it was this batch or the same one of another projector that moved it, its rows are there.
    if (!(error instanceof OutcomeUnknown) || from === to || !(await stands(generations, generation, to))) throw error;
  }
};

/** False also where nobody can say: the outcome then stays unknown, which says more than why it could not be read. */
const stands = (generations: Generations, generation: number, to: Position): Promise<boolean> =>
  generations.at(generation).then(
    ({ checkpoint }) => checkpoint === to,
    () => false,
  );

const moved = (name: string, from: Position): CheckpointMoved =>
  new CheckpointMoved(
    `${name} no longer stands at ${from}, so nothing was written: read its checkpoint and go on from there`,
  );

/** Of two rows with one key the last one stays. */
const batchOf = <C extends Collection>(collection: C, rows: readonly Rows[C][] | undefined): Batch => {
  const documents = new Map<Key, Document>();
  for (const row of rows ?? []) {
    const key = KEYS[collection](row);
    documents.set(key, documentOf(key, row));
  }
  const writes = [...documents.values()].map((replacement) => ({
    replaceOne: { filter: { _id: replacement._id }, replacement, upsert: true },
  }));
  return { collection, writes };
};
