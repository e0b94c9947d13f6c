import Database from 'better-sqlite3';
import { parentPort, workerData } from 'node:worker_threads';
import type { Collection, Condition, Find, Key, Path } from './port.js';
import { Unavailable } from '../errors.js';
import { isObject } from './sqlite.columns.js';
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
  /** Begins a dump, and answers with the checkpoint of its moment. It ends with `leave`. */
  | { readonly call: 'begin'; readonly dump: number; readonly collection: Collection }
  /** The rows of a dump after a key. */
  | { readonly call: 'page'; readonly dump: number; readonly after: Key | null }
  | { readonly call: 'leave'; readonly dump: number };

export type Ask = Call & { readonly id: number };
export type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly failure: Failure });

// No zod here: loading it would take longer than the first query.
const given: unknown = workerData;
const file = isObject(given) ? String(given['file']) : '';
const dumps = new Map<number, Snapshot>();
let reader: Reader | null = null;

const answer = (call: Call): unknown => {
  switch (call.call) {
    case 'find':
      return connected().find(call.collection, call.find);
    case 'total':
      return connected().total(call.collection, call.where, call.sum);
    case 'begin':
      return begun(call.dump, call.collection).checkpoint;
    case 'page':
      return dumped(call.dump).page(call.after);
    case 'leave':
      dumps.get(call.dump)?.close();
      return dumps.delete(call.dump);
  }
};

const begun = (dump: number, collection: Collection): Snapshot => {
  const snapshot = new Snapshot(file, collection);
  dumps.set(dump, snapshot);
  return snapshot;
};

/** @throws Unavailable where its thread ended in between: rows from here on would be of another moment */
const dumped = (dump: number): Snapshot => {
  const snapshot = dumps.get(dump);
  if (snapshot !== undefined) return snapshot;
  throw new Unavailable(`a dump of the read model ${file} was cut off: begin it again`);
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
