import { MongoError, MongoServerError, MongoServerSelectionError } from 'mongodb';
import { Corrupt, Full, Unavailable } from '../errors.js';

/** Refusals of a server that pass by themselves, or by what a person does about it: names from its `error_codes.yml`. */
const PASSING: ReadonlySet<unknown> = new Set([
  'AuthenticationFailed',
  'CursorKilled',
  'CursorNotFound',
  'ExceededTimeLimit',
  'HostNotFound',
  'HostUnreachable',
  'Interrupted',
  'InterruptedAtShutdown',
  'InterruptedDueToReplStateChange',
  'LockTimeout',
  'MaxTimeMSExpired',
  'NetworkTimeout',
  'NoSuchTransaction',
  'NotPrimaryNoSecondaryOk',
  'NotPrimaryOrSecondary',
  'NotWritablePrimary',
  'ObjectIsBusy',
  'PrimarySteppedDown',
  'QueryPlanKilled',
  'ShutdownInProgress',
  'SnapshotTooOld',
  'SnapshotUnavailable',
  'SocketException',
  'TransactionExceededLifetimeLimitSeconds',
  'Unauthorized',
  'UnsatisfiableWriteConcern',
  'WriteConcernFailed',
  'WriteConflict',
]);

/** Mistakes in how the driver is called. All its other errors that no server sent are about connections. */
const MISTAKES: ReadonlySet<string> = new Set([
  'MongoAPIError',
  'MongoInvalidArgumentError',
  'MongoMissingDependencyError',
  'MongoParseError',
  'MongoTransactionError',
]);

/** One of the port's few errors where the driver's says as much; anything else is a bug and stays as it is. */
export const asStorageError = (name: string, error: unknown): unknown => {
  if (!(error instanceof MongoError)) {
    return isOfSocket(error) ? new Unavailable(`${name}: ${error.message}. ${BROKEN}`, { cause: error }) : error;
  }
  const what = `${name}: ${error.message}`;
  if (!(error instanceof MongoServerError)) {
    return MISTAKES.has(error.name) ? error : new Unavailable(`${what}. ${hint(error)}`, { cause: error });
  }
  if (error.codeName === 'OutOfDiskSpace' || error.code === OUT_OF_DISK_SPACE) {
    return new Full(`${what}. Free some space on the server's disk; the projector goes on by itself`, { cause: error });
  }
  const passing = PASSING.has(error.codeName) || error.errorLabels.some((label) => LABELS.has(label));
  if (!passing) return error;
  return new Unavailable(
    `${what} (${error.codeName ?? 'no code'}). Nothing was written; see what the server's log says`,
    {
      cause: error,
    },
  );
};

/** A command that does not fit into the socket's buffer at once fails with the socket's own error, which the driver leaves as it is. */
const SOCKET_CODES: ReadonlySet<unknown> = new Set([
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'EPIPE',
  'ERR_SOCKET_CLOSED',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
  'ETIMEDOUT',
]);

const isOfSocket = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && SOCKET_CODES.has(error.code);

const BROKEN = 'Nothing was written; look whether the server runs and can be reached from here';

const OUT_OF_DISK_SPACE = 14_031;
const LABELS: ReadonlySet<string> = new Set([
  'TransientTransactionError',
  'RetryableWriteError',
  'SystemOverloadedError',
]);

const hint = (error: MongoError): string =>
  error instanceof MongoServerSelectionError
    ? 'Look whether the server runs, and can be reached from here by the name that its replica set has for it; ' +
      'a new one answers only after rs.initiate() in mongosh'
    : BROKEN;

export const corrupt = (name: string, what: string, cause?: unknown): Corrupt =>
  new Corrupt(`${name} ${what}. Nothing is lost: have a worker rebuild the model from the log`, { cause });
