import { LetheError } from '../client/errors.js';

/** The contract's exit codes; of several the highest is the process's. */
export const FAILED = 1;
export const WRONG_USAGE = 2;
export const REFUSED = 3;
const GONE = 4;
export const INTERRUPTED = 130;

/** A failure of the command line itself, in a sentence for whoever typed it. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly exitCode = FAILED,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A signal asked the command to end. */
export class Interrupted extends Error {
  constructor(readonly exitCode: number) {
    super('interrupted');
  }
}

/** Whoever read the output has enough of it, as `head` has: no failure. */
export class PipeClosed extends Error {}

export const exitCodeOf = (error: unknown): number => {
  if (error instanceof CliError || error instanceof Interrupted) return error.exitCode;
  if (error instanceof PipeClosed) return 0;
  if (!(error instanceof LetheError)) return FAILED;
  if (error.status === 409 || error.status === 412) return REFUSED;
  return error.status === 404 || error.status === 410 ? GONE : FAILED;
};
