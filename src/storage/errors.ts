/**
 * What an adapter may tell its caller, whatever stands behind the port. Every error of a driver becomes one of these;
 * what is left over is a bug and may surface as it is.
 */
abstract class StorageError extends Error {
  abstract override readonly name: string;
}

/** Another event holds the revision that this append wanted. Nothing was written. */
export class RevisionConflict extends StorageError {
  readonly name = 'RevisionConflict';
  constructor(
    readonly stream: string,
    readonly expected: number,
    readonly actual: number,
  ) {
    super(`stream ${stream} is at revision ${actual}, not at ${expected}`);
  }
}

/** The call was sent and no answer came: it may or may not have taken effect. Safe to repeat with the same ids. */
export class OutcomeUnknown extends StorageError {
  readonly name = 'OutcomeUnknown';
}

/** The server or the disk cannot be reached, or refuses for now. Nothing was written. */
export class Unavailable extends StorageError {
  readonly name = 'Unavailable';
}

/** The server answers, and is not one that this port can be kept on: somebody has to change it. Nothing was written. */
export class Unsuitable extends StorageError {
  readonly name = 'Unsuitable';
}

/** No space is left. Nothing was written. */
export class Full extends StorageError {
  readonly name = 'Full';
}

/** Something lies at that place already. Nothing was written. */
export class Exists extends StorageError {
  readonly name = 'Exists';
}

/** What is stored does not read as what this port writes. */
export class Corrupt extends StorageError {
  readonly name = 'Corrupt';
}

/** The checkpoint is no longer where this batch began: another projector was here, or this is a repeat. Nothing was written. */
export class CheckpointMoved extends StorageError {
  readonly name = 'CheckpointMoved';
}

/** A path that leaves its root, follows a link, or is not one that this store can hold. Nothing was touched. */
export class InvalidPath extends StorageError {
  readonly name = 'InvalidPath';
}
