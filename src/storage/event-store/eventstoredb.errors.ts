import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { OutcomeUnknown, RevisionConflict, Unavailable } from '../errors.js';
import { deleted } from './eventstoredb.events.js';
import { Late } from './eventstoredb.inlet.js';

/**
 * What the client's errors show. Those that the server names have a `type`, and often an empty message; those of the connection are gRPC's,
 * with a `code`. What has neither is a defect, or comes from finding a cluster's nodes.
 */
const Shown = z.object({
  type: z.string().optional(),
  code: z.number().optional(),
  message: z.string(),
  actualVersion: z.union([z.bigint(), z.literal('no_stream')]).optional(),
});

type Shown = z.infer<typeof Shown>;

const shownBy = (error: unknown): Shown | null => {
  if (error instanceof Late) return { type: 'late', message: error.message };
  const shown = Shown.safeParse(error).data;
  if (shown === undefined) return null;
  return shown.type !== undefined || shown.code !== undefined || isUnsent(shown) ? shown : null;
};

/** The server's name for an error; null for any other. */
export const typeOf = (error: unknown): string | null => shownBy(error)?.type ?? null;

/**
 * That a call never left this process, or that the server said so itself. Only then is it certain that nothing was written: a connection
 * that breaks under a call, and a call that ends without an answer, leave it open.
 */
const isUnsent = ({ message }: { readonly message: string }): boolean =>
  /^14 UNAVAILABLE: (No connection established|Name resolution failed|Server Is Not Ready|Server Is Too Busy)/.test(
    message,
  ) || message.startsWith('Failed to discover');

/** The port's word for an error of an append. Whatever does not say that nothing was written, leaves that open. */
export const appendError = (error: unknown, place: string, stream: string, expected: number): Error => {
  const shown = shownBy(error);
  switch (shown?.type) {
    case 'wrong-expected-version':
      return new RevisionConflict(stream, expected, Number(revisionOf(shown)));
    case 'maximum-append-size-exceeded':
      return new RangeError(`${place} takes no append of this size to ${stream}: its MaxAppendSize is below 1 MiB`);
    case 'stream-deleted':
      return deleted(stream);
    case 'access-denied':
      return new Unavailable(`${place} refuses an append to ${stream}: look at its user and that user's rights`);
    case 'not-leader':
      return new Unavailable(`${place} has another leader by now: repeat the append to ${stream}`);
    default:
      if (shown === null) return unknown(place, stream, error instanceof Error ? error.message : String(error));
      return isUnsent(shown)
        ? new Unavailable(
            `${place} can't take an append to ${stream} (${shown.message}): look at the server and the network`,
          )
        : unknown(place, stream, reasonOf(shown));
  }
};

/** No answer came to an append, for whatever reason. */
export const unknown = (place: string, stream: string, why: string): OutcomeUnknown =>
  new OutcomeUnknown(
    `${place} gave no answer to an append to ${stream} (${why}): it may be written. Repeat it with the same ids`,
  );

/**
 * Repeats a call that a node refused because it does not lead. Nothing was done there, and the client turns to the leader, though only
 * after it has told the error.
 */
export const atLeader = async <T>(call: () => Promise<T>): Promise<T> => {
  try {
    return await call();
  } catch (error) {
    if (typeOf(error) !== 'not-leader') throw error;
    await nextTurn();
    return call();
  }
};

const revisionOf = ({ actualVersion = 'no_stream' }: Shown): bigint =>
  actualVersion === 'no_stream' ? -1n : actualVersion;

/** The server's own errors often have no words. */
const reasonOf = ({ message, type }: Shown): string => (message === '' ? (type ?? 'no reason given') : message);

/** The port's word for an error of a read or a subscription; what the client did not throw stays as it is. */
export const readError = (error: unknown, place: string, what: string): Error => {
  const shown = shownBy(error);
  if (shown === null) return error instanceof Error ? error : new Error(String(error));
  switch (shown.type) {
    case 'stream-deleted':
      return deleted(what);
    case 'access-denied':
      return new Unavailable(
        `${place} refuses to show ${what}: its user may not read it. Lethe reads $all, which only administrators may by default`,
      );
    default:
      return new Unavailable(
        `${place} can't be read (${what}: ${reasonOf(shown)}): look at the server and the network`,
      );
  }
};
