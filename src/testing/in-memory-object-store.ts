import { addAbortSignal, Readable } from 'node:stream';
import type { Clock } from '../ports.js';
import { Exists, InvalidPath, Unavailable } from '../storage/errors.js';
import { isFile, parseFile, parseFolder } from '../storage/object-store/paths.js';
import type { ObjectStore, SeenFile, SeenObject, UnfinishedUpload } from '../storage/object-store/port.js';

/** How many bytes a reader gets at once. */
const CHUNK = 64 * 1024;

interface Kept {
  readonly content: Buffer;
  readonly seen: SeenFile;
}

/**
 * Bytes in memory: several stores, each with its place, open on them. They outlive these stores, as a disk would. Places may lie in one
 * another: a location is a place and a path, one text. What is written twice is told apart, the same bytes too.
 */
export class InMemoryObjects {
  private readonly files = new Map<string, Kept>();
  private written = 0;

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  /** Opens a store on what lies below a place: a text that ends in `/`. */
  open(place: string): ObjectStore {
    return new InMemoryObjectStore(this, place);
  }

  /** Writes as another program would, over whatever is there. */
  write(location: string, content: Buffer): SeenFile {
    this.written += 1;
    const modifiedAt = this.clock.now().toISOString();
    const seen = { etag: `${this.written}-${content.length}`, size: content.length, modifiedAt, versions: null };
    this.files.set(location, { content: Buffer.from(content), seen });
    return seen;
  }

  remove(location: string): boolean {
    return this.files.delete(location);
  }

  at(location: string): Kept | null {
    return this.files.get(location) ?? null;
  }

  /** Every location below a place, by code point. */
  locations(place = ''): string[] {
    return [...this.files.keys()].filter((location) => location.startsWith(place)).sort(byCodePoint);
  }
}

/** The object store's port in memory: what its comments say, and nothing else. */
class InMemoryObjectStore implements ObjectStore {
  private closed = false;

  constructor(
    private readonly objects: InMemoryObjects,
    private readonly place: string,
  ) {}

  async put(
    path: string,
    body: Readable,
    { publish, signal }: { publish?: () => Promise<void>; signal?: AbortSignal } = {},
  ): Promise<SeenFile> {
    // A body may fail while nobody reads it, and an error that nobody listens to ends the process.
    body.on('error', () => undefined);
    try {
      parseFile(path);
      this.assertOpen();
      signal?.throwIfAborted();
      this.refuseTaken(path);
      const content = await received(signal === undefined ? body : addAbortSignal(signal, body));
      signal?.throwIfAborted();
      await publish?.();
      signal?.throwIfAborted();
      this.refuseTaken(path);
      return this.objects.write(this.place + path, content);
    } catch (error) {
      body.destroy();
      // A body that the signal destroyed says only that; why is the signal's to say.
      if (error instanceof Error && error.name === 'AbortError') signal?.throwIfAborted();
      throw error;
    }
  }

  async get(
    path: string,
    range?: { start: number; end: number },
    signal?: AbortSignal,
  ): Promise<{ seen: SeenFile; body: Readable } | null> {
    signal?.throwIfAborted();
    const there = this.look(path);
    if (there === null) return null;
    const part = range === undefined ? there.content : there.content.subarray(range.start, range.end + 1);
    const body = Readable.from(chunksOf(part), { objectMode: false });
    if (signal !== undefined) {
      body.on('error', () => undefined);
      addAbortSignal(signal, body);
    }
    return { seen: there.seen, body };
  }

  async stat(path: string): Promise<SeenFile | null> {
    return this.look(path)?.seen ?? null;
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<SeenObject> {
    parseFolder(prefix);
    this.assertOpen();
    for (const location of this.objects.locations(this.place + prefix)) {
      signal?.throwIfAborted();
      const path = location.slice(this.place.length);
      const there = this.objects.at(location);
      const own = `/${path.slice(prefix.length)}`.includes('/.lethe/');
      if (there !== null && !own && isFile(path)) yield { path, ...there.seen };
    }
    signal?.throwIfAborted();
  }

  async delete(path: string, seen: SeenFile): Promise<'deleted' | 'missing' | 'changed'> {
    const there = this.look(path);
    if (there === null) return 'missing';
    if (there.seen.etag !== seen.etag) return 'changed';
    this.objects.remove(this.place + path);
    return 'deleted';
  }

  async replace(path: string, content: string): Promise<void> {
    parseFile(path);
    this.assertOpen();
    if (!path.startsWith('.lethe/'))
      throw new InvalidPath(`${JSON.stringify(path)} is not below .lethe/, and only Lethe's own files are replaced`);
    this.objects.write(this.place + path, Buffer.from(content));
  }

  async prune(path: string): Promise<void> {
    if (parseFolder(path).length === 0) throw new InvalidPath('the root itself is never removed; name a folder in it');
    this.assertOpen();
  }

  /** An object is written in one step here. */
  async *unfinished(): AsyncGenerator<UnfinishedUpload, void, void> {}

  async abandon({ path }: UnfinishedUpload): Promise<void> {
    throw new InvalidPath(`${JSON.stringify(path)} is no unfinished upload: there are none in memory`);
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  private look(path: string): Kept | null {
    parseFile(path);
    this.assertOpen();
    return this.objects.at(this.place + path);
  }

  private refuseTaken(path: string): void {
    if (this.objects.at(this.place + path) === null) return;
    throw new Exists(
      `something lies at ${JSON.stringify(path)} already, and stays; choose another path, or delete that first`,
    );
  }

  private assertOpen(): void {
    if (this.closed) throw new Unavailable('this store was closed: open it again');
  }
}

const received = async (body: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const chunksOf = function* (content: Buffer): Generator<Buffer> {
  for (let start = 0; start < content.length; start += CHUNK) yield content.subarray(start, start + CHUNK);
};

const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
