import type { Command } from 'commander';
import type { Client } from '../client/client.js';
import { LetheError } from '../client/errors.js';
import { Question } from './ask.js';
import { connect, type Connection, type Target } from './connection.js';
import { exitCodeOf, Interrupted, INTERRUPTED, PipeClosed } from './exit.js';
import { Meter } from './meter.js';
import { Output } from './output.js';

export interface GlobalOptions extends Target {
  readonly json?: boolean;
}

/** What every verb works with. */
export interface Surroundings {
  readonly out: Output;
  readonly question: Question;
  readonly signal: AbortSignal;
  /** Says what went wrong and goes on: the exit code remembers it. @param about which of several */
  readonly fail: (error: unknown, about?: string) => Promise<void>;
}

/** What a verb works with that speaks to a service. */
export interface Context extends Surroundings {
  readonly client: Client;
  readonly data: string | null;
  readonly meter: Meter;
}

/** Runs a verb on a connection. */
export const withConnection = async (
  command: Command,
  verb: (context: Context) => Promise<void>,
  { makesFolder = false } = {},
): Promise<void> =>
  inOrder(command, async (surroundings, target, atEnd) => {
    const { out, signal } = surroundings;
    const meter = new Meter();
    const note = (text: string): void => out.note(text);
    const connection: Connection = await connect(target, { signal, makesFolder, through: meter.through, note });
    atEnd(() => connection.close());
    await verb({ ...connection, ...surroundings, meter });
  });

/** Runs a verb, and ends in order however it ends: what is open is closed, the exit code is the highest that came up. */
export const inOrder = async (
  command: Command,
  verb: (surroundings: Surroundings, target: Target, atEnd: (close: () => Promise<void>) => void) => Promise<void>,
): Promise<void> => {
  const { json = false, ...target } = command.optsWithGlobals<GlobalOptions>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const forget = onSignals(stopping);
  const out = new Output(json);
  const question = new Question(signal);
  const say = async (error: unknown, about?: string): Promise<void> => {
    raiseExitCode(exitCodeOf(error));
    if (error instanceof Interrupted || error instanceof PipeClosed) return;
    out.error(error, about ?? null);
    if (error instanceof LetheError && error.status > 0) await out.body(error.problem);
  };
  const fail = async (error: unknown, about?: string): Promise<void> => {
    signal.throwIfAborted();
    if (error instanceof PipeClosed) throw error;
    await say(error, about);
  };
  const orEnd = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (thrown) {
      await say(signal.aborted ? signal.reason : thrown);
    }
  };
  let close = (): Promise<void> => Promise.resolve();
  await orEnd(() =>
    verb({ out, question, signal, fail }, target, (atEnd) => {
      close = atEnd;
    }),
  );
  question.close();
  await orEnd(() => close());
  forget();
};

/** Of several the highest. */
export const raiseExitCode = (code: number): void => {
  process.exitCode = Math.max(Number(process.exitCode ?? 0), code);
};

const TERMINATED = 143;

/** The first signal ends the command in order, the second at once. */
const onSignals = (stopping: AbortController): (() => void) => {
  const stop = (code: number) => (): void => {
    if (stopping.signal.aborted) process.exit(code);
    stopping.abort(new Interrupted(code));
  };
  const interrupt = stop(INTERRUPTED);
  const terminate = stop(TERMINATED);
  const closed = (error: Error): void =>
    stopping.abort('code' in error && error.code === 'EPIPE' ? new PipeClosed() : error);
  process.on('SIGINT', interrupt).on('SIGTERM', terminate);
  process.stdout.on('error', closed);
  process.stderr.on('error', () => undefined); // nobody listens to notes any more; the work goes on
  return () => {
    process.off('SIGINT', interrupt).off('SIGTERM', terminate);
  };
};
