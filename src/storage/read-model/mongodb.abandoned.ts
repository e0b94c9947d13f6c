import { MongoServerError, type MongoClient } from 'mongodb';

/** A worker that lives sends the next statement of its transaction within milliseconds. */
const ABANDONED_AFTER_MS = 2_000;

/** What all connections of Lethe's are called on the server. */
export const APP_NAME = 'lethe';

/**
 * Ends transactions that nobody goes on with. Where a worker dies between two statements, or its connection breaks before the commit, the
 * server holds what the transaction has written for a minute (`transactionLifetimeLimitSeconds`), and refuses it to every other worker
 * so long. Only transactions of this user, and of Lethe, are looked at; a worker that lives nevertheless begins its batch again.
 */
export const endAbandoned = async (client: MongoClient): Promise<void> => {
  const admin = client.db('admin');
  const abandoned = {
    type: 'idleSession',
    appName: APP_NAME,
    'transaction.timeInactiveMicros': { $gte: ABANDONED_AFTER_MS * 1_000 },
  };
  try {
    const found = await admin
      .aggregate<{ lsid: { id: unknown } }>(
        [{ $currentOp: { idleSessions: true } }, { $match: abandoned }, { $project: { lsid: 1 } }],
        { readConcern: { level: 'local' } },
      )
      .toArray();
    const sessions = found.map(({ lsid }) => ({ id: lsid.id }));
    if (sessions.length > 0) await admin.command({ killSessions: sessions });
  } catch (error) {
    // Where the server does not let this user look or end, time does it: the caller's next attempts are refused until then.
    if (!(error instanceof MongoServerError)) throw error;
  }
};
