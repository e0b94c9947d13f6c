import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { z } from 'zod';
import { Unavailable } from '../errors.js';
import { fromFailure } from './sqlite.errors.js';
import type { Answer, Call } from './sqlite.thread.js';

/** The compiled thread, wherever this file itself runs from. */
const THREAD = createRequire(import.meta.url).resolve('#thread/storage/read-model/sqlite.thread');

/** Callers wait in memory: beyond this many the store is said to be busy. */
const MOST_WAITING = 1_000;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Where queries that may scan go, so that they never stop the event loop. The thread starts with the first of them: a process that only
 * reads by key has none. It keeps no process alive that has nothing to wait for.
 */
export class QueryThread {
  readonly #file: string;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #closed = false;
  #ids = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** A number that no other call or dump of this thread has. */
  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  async ask<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
    if (this.#closed) throw new Unavailable(`the read model ${this.#file} was closed: open it again`);
    if (this.#waiting.size >= MOST_WAITING) {
      throw new Unavailable(`${MOST_WAITING} queries wait for the read model ${this.#file} already: ask again later`);
    }
    const id = this.nextId();
    const worker = this.#started();
    const value = await new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ ...call, id });
    });
    return schema.parse(value);
  }

  /** Ends a dump. Nobody waits for it. */
  leave(dump: number): void {
    const call: Call = { call: 'leave', dump };
    this.#worker?.postMessage({ ...call, id: this.nextId() });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#fail(new Unavailable(`the read model ${this.#file} was closed while a query ran`));
    await worker?.terminate();
  }

  #started(): Worker {
    if (this.#worker !== null) return this.#worker;
    const worker = new Worker(THREAD, { workerData: { file: this.#file }, execArgv: [], name: 'lethe-queries' });
    const lost = (cause: unknown): void => {
      if (this.#worker === worker)
        this.#fail(new Unavailable(`the query thread of ${this.#file} ended: ask again`, { cause }));
    };
    worker.on('message', (answer: Answer) => this.#settle(answer));
    worker.on('error', lost);
    worker.on('exit', lost);
    this.#worker = worker;
    return worker;
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker?.unref();
    if ('failure' in answer) waiting?.reject(fromFailure(answer.failure));
    else waiting?.resolve(answer.value);
  }

  /** Everyone who waits learns it; the next call starts a new thread. */
  #fail(error: Error): void {
    this.#worker = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}
