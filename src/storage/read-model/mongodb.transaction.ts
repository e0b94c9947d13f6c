import { setTimeout } from 'node:timers/promises';
import { MongoError, MongoServerError, type ClientSession, type MongoClient } from 'mongodb';
import { OutcomeUnknown } from '../errors.js';
import type { Connection } from './mongodb.connection.js';

/** Two that want the same document do not wait for each other: one is refused, and tries again when the other may have ended. */
const MOST_ATTEMPTS = 12;
const BACKOFF_MS = { first: 2, last: 200 };
const LONGEST_COMMIT_MS = 10_000;

/**
 * Runs `work` in a transaction with majority writes, again where the server asks for that. The driver's own `withTransaction` would go on
 * for two minutes also where the server is gone, and hides whether a commit was answered.
 *
 * @throws OutcomeUnknown: the commit was sent, and no answer came, to its repetition neither. What `work` throws; nothing was written.
 */
export const inTransaction = async <T>(
  { client, name }: Connection,
  work: (session: ClientSession) => Promise<T>,
): Promise<T> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await attempted(client, name, work);
    } catch (error) {
      if (attempt === MOST_ATTEMPTS || !isTransient(error)) throw error;
      await setTimeout(Math.min(BACKOFF_MS.first * 2 ** attempt, BACKOFF_MS.last));
    }
  }
};

const attempted = async <T>(
  client: MongoClient,
  name: string,
  work: (session: ClientSession) => Promise<T>,
): Promise<T> => {
  const session = client.startSession();
  try {
    session.startTransaction({
      readConcern: { level: 'snapshot' },
      writeConcern: { w: 'majority' },
      readPreference: 'primary',
      maxCommitTimeMS: LONGEST_COMMIT_MS,
    });
    const result = await work(session).catch(async (error: unknown) => {
      await session.abortTransaction();
      throw error;
    });
    await commit(session, name);
    return result;
  } finally {
    await session.endSession();
  }
};

const commit = async (session: ClientSession, name: string): Promise<void> => {
  try {
    await session.commitTransaction(); // repeats itself once where no answer came
  } catch (error) {
    if (isTransient(error)) throw error;
    const refused = error instanceof MongoServerError && !error.hasErrorLabel('UnknownTransactionCommitResult');
    if (refused) throw error;
    throw new OutcomeUnknown(
      `${name} was sent a commit and did not answer: look whether the server runs, and at the checkpoint before going on`,
      { cause: error },
    );
  }
};

/** A connection that broke is left to the caller, who waits longer between attempts. */
const isTransient = (error: unknown): boolean =>
  error instanceof MongoServerError && error.hasErrorLabel('TransientTransactionError');

/** The error's code name where a server sent one. */
export const refusalOf = (error: unknown): string | null =>
  error instanceof MongoError && 'codeName' in error && typeof error.codeName === 'string' ? error.codeName : null;
