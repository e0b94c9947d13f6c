import { setTimeout } from 'node:timers/promises';
import { MongoError, MongoServerError, MongoServerSelectionError, type ClientSession } from 'mongodb';
import { OutcomeUnknown } from '../errors.js';
import { endAbandoned } from './mongodb.abandoned.js';
import type { Connection } from './mongodb.connection.js';

/** Two that want the same document do not wait for each other: one is refused, and tries again when the other may have ended. */
const MOST_ATTEMPTS = 18;
const BACKOFF_MS = { first: 2, last: 200 };
/**
 * After these attempts it is asked whether whoever stands in the way has died: after a quarter of a second, since one that takes over from a
 * dead worker has waited already, and at the end.
 */
const ASKED_AFTER = [6, MOST_ATTEMPTS - 1];
const MOST_COMMITS = 3;
const LONGEST_COMMIT_MS = 10_000;

/**
 * Runs `work` in a transaction with majority writes, again where the server asks for that: for some 3 seconds. The driver's own
 * `withTransaction` would go on for two minutes also where the server is gone, and does not say whether a commit was answered.
 *
 * @throws OutcomeUnknown: the commit was sent, and no answer came, to its repetitions neither. What `work` throws; nothing was written.
 */
export const inTransaction = async <T>(
  connection: Connection,
  work: (session: ClientSession) => Promise<T>,
): Promise<T> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await attempted(connection, work);
    } catch (error) {
      if (attempt === MOST_ATTEMPTS || !isTransient(error)) throw error;
      if (ASKED_AFTER.includes(attempt)) await endAbandoned(connection.client);
      await setTimeout(Math.min(BACKOFF_MS.first * 2 ** attempt, BACKOFF_MS.last));
    }
  }
};

const attempted = async <T>({ client, name }: Connection, work: (session: ClientSession) => Promise<T>): Promise<T> => {
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

/** A commit may be repeated: the server knows whether it has done it. What it has not heard of stands open, and in everybody's way. */
const commit = async (session: ClientSession, name: string): Promise<void> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await session.commitTransaction();
      return;
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      if (attempt < MOST_COMMITS && !(error instanceof MongoServerSelectionError)) continue;
      throw new OutcomeUnknown(
        `${name} was sent a commit and did not answer: look whether the server runs, and at the checkpoint before going on`,
        { cause: error },
      );
    }
  }
};

const isUnanswered = (error: unknown): boolean =>
  !(error instanceof MongoServerError) || error.hasErrorLabel('UnknownTransactionCommitResult');

/** A connection that broke is left to the caller, who waits longer between attempts. */
const isTransient = (error: unknown): boolean =>
  error instanceof MongoServerError && error.hasErrorLabel('TransientTransactionError');

/** The error's code name where a server sent one. */
export const refusalOf = (error: unknown): string | null =>
  error instanceof MongoError && 'codeName' in error && typeof error.codeName === 'string' ? error.codeName : null;
