import Database from 'better-sqlite3';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import type { Collection, Condition, Find, Key, Path } from './port.js';
import { asStorageError, toFailure, type Failure } from './sqlite.errors.js';
import { Reader, Snapshot } from './sqlite.read.js';

/** The thread of the queries that may take long: one message a call, answered in their order. */
export type Call =
  | { readonly call: 'find'; readonly collection: Collection; readonly find: Find }
  | {
      readonly call: 'total';
      readonly collection: Collection;
      readonly where: readonly Condition[];
      readonly sum: Path | undefined;
    }
  /** The rows of a dump after a key. The first page begins it; it ends with its last page, or with `leave`. */
  | { readonly call: 'page'; readonly dump: number; readonly collection: Collection; readonly after: Key | null }
  | { readonly call: 'leave'; readonly dump: number };

export type Ask = Call & { readonly id: number };
export type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly failure: Failure });

const { file } = z.object({ file: z.string() }).parse(workerData);
const dumps = new Map<number, Snapshot>();
let reader: Reader | null = null;

const answer = (call: Call): unknown => {
  switch (call.call) {
    case 'find':
      return connected().find(call.collection, call.find);
    case 'total':
      return connected().total(call.collection, call.where, call.sum);
    case 'page': {
      const dump = dumps.get(call.dump) ?? new Snapshot(file, call.collection);
      dumps.set(call.dump, dump);
      return dump.page(call.after);
    }
    case 'leave':
      dumps.get(call.dump)?.close();
      return dumps.delete(call.dump);
  }
};

const connected = (): Reader => {
  reader ??= new Reader(new Database(file, { readonly: true, fileMustExist: true }));
  return reader;
};

parentPort?.on('message', (ask: Ask) => {
  const answerWith = (outcome: { value: unknown } | { failure: Failure }): void => {
    const message: Answer = { id: ask.id, ...outcome };
    parentPort?.postMessage(message);
  };
  try {
    answerWith({ value: answer(ask) });
  } catch (error) {
    answerWith({ failure: toFailure(asStorageError(file, error)) });
  }
});
