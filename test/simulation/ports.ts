import { Readable } from 'node:stream';
import { Exists, Unavailable } from '../../src/storage/errors.js';
import type { EventStore, NewEvent } from '../../src/storage/event-store/port.js';
import type { ObjectStore, ObjectStores, SeenFile, SeenObject } from '../../src/storage/object-store/port.js';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import type { SimulatedRandom } from '../../src/testing/simulated.js';
import type { Calls, Life } from './calls.js';

/* The three ports as one process sees them: each call waits for its turn, and can go wrong. */

/** What a schedule does with single appends. */
export interface LogWatch {
  /** Resolves when an append may be sent. */
  appending(events: readonly NewEvent[]): Promise<void>;
  appended(life: Life, events: readonly NewEvent[]): void;
}

/** @param random how many events a batch brings */
export const logPort = (
  calls: Calls,
  life: Life,
  inner: EventStore,
  random: SimulatedRandom,
  watch: LogWatch,
): EventStore => {
  const batches = async function* (batch: AsyncIterable<Awaited<ReturnType<EventStore['readStream']>>>) {
    for await (const events of batch) yield await calls.read(life, 'log', 'log.batch', async () => events);
  };
  const size = (most = 1_000): number => Math.min(most, random.pick([1, 1, 2, 5, 1_000]));
  return {
    numbersEvents: inner.numbersEvents,
    append: async (stream, revision, events) => {
      await watch.appending(events);
      return calls.write(life, 'log', 'log.append', async () => {
        const done = await inner.append(stream, revision, events);
        watch.appended(life, events);
        return done;
      });
    },
    readStream: (stream, from) => calls.read(life, 'log', 'log.readStream', () => inner.readStream(stream, from)),
    readAll: (from, options) => batches(inner.readAll(from, { ...options, batchSize: size(options?.batchSize) })),
    subscribe: (from, options) => batches(inner.subscribe(from, { ...options, batchSize: size(options.batchSize) })),
    head: () => calls.read(life, 'log', 'log.head', () => inner.head()),
    close: () => inner.close(),
  };
};

export const modelPort = (calls: Calls, life: Life, who: string, inner: ReadModel): ReadModel => ({
  checkpoint: () => calls.read(life, 'model', `${who}.checkpoint`, () => inner.checkpoint()),
  apply: (changes, from, to) => calls.write(life, 'model', `${who}.apply`, () => inner.apply(changes, from, to)),
  get: (collection, keys) => calls.read(life, 'model', `${who}.get`, () => inner.get(collection, keys)),
  find: (collection, query) => calls.read(life, 'model', `${who}.find`, () => inner.find(collection, query)),
  total: (collection, where, sum) =>
    calls.read(life, 'model', `${who}.total`, () => inner.total(collection, where, sum)),
  beginLoad: () => inner.beginLoad(),
  endLoad: () => inner.endLoad(),
  dump: (collection, begins) => inner.dump(collection, begins),
  close: () => inner.close(),
});

/** What Lethe did to the objects: for whoever judges it afterwards. */
export interface ObjectsWatch {
  wrote(location: string, etag: string, content: Buffer): void;
  /** @param mistaken a late call took it for the same bytes that lay there before */
  deleted(location: string, etag: string, mistaken: boolean): void;
  /** Whether these are the same bytes, as far as a store can tell that knows an object by nothing else. */
  same(location: string, etag: string, other: string): boolean;
}

const bodyOf = (content: Buffer): Readable => Readable.from([content], { objectMode: false });

const objectsPort = (
  calls: Calls,
  life: Life,
  inner: ObjectStore,
  { place, root }: Root,
  watch: ObjectsWatch,
): ObjectStore => ({
  put: async (path, body, options) => {
    await calls.read(life, 'objects', 'objects.put begins', async () => {
      if ((await inner.stat(path)) === null) return;
      body.destroy();
      throw new Exists(`something lies at ${path} already`);
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const content = Buffer.concat(chunks);
    // Nothing is visible before `publish` agrees: only then is there something that can be lost, or come late.
    await options?.publish?.();
    return calls.write(life, 'objects', 'objects.put', async () => {
      const seen = await inner.put(path, bodyOf(content));
      watch.wrote(place + path, seen.etag, content);
      return seen;
    });
  },
  get: (path, range, signal) => calls.read(life, 'objects', 'objects.get', () => inner.get(path, range, signal)),
  stat: (path) => calls.read(life, 'objects', 'objects.stat', () => inner.stat(path)),
  async *list(prefix, signal) {
    const found = await calls.read(life, 'objects', 'objects.list', async () => {
      const all: SeenObject[] = [];
      for await (const object of inner.list(prefix, signal)) all.push(object);
      return all;
    });
    yield* found;
  },
  delete: (path, seen) => {
    const take = async (named: SeenFile): Promise<'deleted' | 'missing' | 'changed'> => {
      const there = await inner.stat(path);
      const answer = await inner.delete(path, named);
      if (there !== null && answer === 'deleted') watch.deleted(place + path, there.etag, named !== seen);
      return answer;
    };
    // Who sent it had looked right before; the condition that goes with it is the etag, which follows from the bytes.
    const late = async (): Promise<void> => {
      const there = await inner.stat(path);
      const mistaken = root.startsWith('s3:') && there !== null && watch.same(place + path, seen.etag, there.etag);
      await take(mistaken && there.etag !== seen.etag ? there : seen);
    };
    if (root.startsWith('s3:')) calls.echo(life, 'objects.delete', late);
    return calls.write(life, 'objects', 'objects.delete', () => take(seen), late);
  },
  replace: (path, content) => calls.write(life, 'objects', 'objects.replace', () => inner.replace(path, content)),
  unfinished: (signal) => inner.unfinished(signal),
  abandon: (upload) => calls.write(life, 'objects', 'objects.abandon', () => inner.abandon(upload)),
  prune: (path) => calls.write(life, 'objects', 'objects.prune', () => inner.prune(path)),
  close: () => inner.close(),
});

export interface Root {
  readonly name: string;
  readonly root: string;
  readonly managed: boolean;
  /** The root with links resolved, ending in `/`. */
  readonly place: string;
}

export const storesPort = (
  calls: Calls,
  life: Life,
  roots: readonly Root[],
  open: (place: string) => ObjectStore,
  watch: ObjectsWatch,
): ObjectStores => {
  const known = (root: string): Root => {
    const found = roots.find((each) => each.root === root);
    if (found === undefined) throw new Unavailable('the configuration no longer names its root');
    return found;
  };
  return {
    at: (root) =>
      calls.read(life, 'objects', 'objects.at', async () => {
        const found = known(root);
        return objectsPort(calls, life, open(found.place), found, watch);
      }),
    placeOf: async (root) => known(root).place,
    grant: async (root) => roots.find((each) => each.root === root) ?? null,
    isConfigured: (name) => roots.some((each) => each.name === name),
    close: async () => undefined,
  };
};
