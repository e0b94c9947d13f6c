import { addAbortSignal, Readable } from 'node:stream';
import { InvalidPath, Unavailable } from '../errors.js';
import { S3Body } from './minio.body.js';
import { deleteSeen, deleteVersion } from './minio.delete.js';
import { objectsBelow } from './minio.listing.js';
import { parseS3Root } from './minio.root.js';
import {
  ATTEMPTS,
  confirmBucket,
  hasVersions,
  idOf,
  look,
  markOf,
  stated,
  unversioned,
  versionsOf,
  type Stated,
} from './minio.seen.js';
import { refuseNested, refuseTaken, type Target } from './minio.taken.js';
import { uploadsBelow } from './minio.unfinished.js';
import { Upload } from './minio.upload.js';
import { payload, Wire } from './minio.wire.js';
import { isFile, parseFile, parseFolder } from './paths.js';
import type { ObjectStore, SeenFile, SeenObject, UnfinishedUpload } from './port.js';

export interface MinioOptions {
  /** `s3://host:9000/bucket/prefix?tls=false`; see `parseS3Root`. */
  readonly root: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** A new name at each call, to tell one upload from another: up to 100 letters and digits, and hardly ever the same twice. */
  readonly random: () => string;
  /** Make the bucket if it is missing. Without: while it is missing each call is `Unavailable`. */
  readonly create: boolean;
  /** How long, in milliseconds, the server may be silent within a call before it counts as away. */
  readonly silenceMs?: number;
}

const SILENCE_MS = 30_000;

/** What one key may have; a storage's prefix is a part of it. */
const MAX_KEY_BYTES = 1024;

/** Lethe's own folder. Nothing in it is ever both a file and a folder. */
const OWN = '.lethe/';

/**
 * A bucket, or a prefix in one, as an object store: on MinIO, and on whatever else speaks S3.
 *
 * `put` creates or fails by a conditional write (`If-None-Match: *`), which MinIO and AWS decide atomically, for small objects and for those of
 * many parts. A server that knows no such condition is asked right before; what comes to lie there in the milliseconds between is overwritten.
 * What a crash leaves of an upload of parts is no object; the server's own rules clear it away, or `gc`.
 *
 * A time is told in whole seconds, as S3's headers tell it, and the etag follows from the bytes. So, without versions, an object is taken for
 * the one before it if the same bytes were put there twice within a second. With versions each is its own; all that lie below a key, with the
 * markers of deletions, belong to what is seen there.
 *
 * MinIO's listings show nothing below `a/` while an object `a` is there. `put` makes no such pair, and looks for it before a body is read; who
 * writes to the bucket by another way should make none.
 *
 * @throws InvalidS3Root. With `create`: Unavailable, as long as the bucket is missing and can't be made.
 */
export async function openMinioStore(options: MinioOptions): Promise<ObjectStore> {
  const { accessKey, secretKey, random, create, silenceMs = SILENCE_MS } = options;
  const wire = new Wire(parseS3Root(options.root), { accessKey, secretKey }, silenceMs);
  if (create) await makeBucket(wire);
  return new MinioStore(wire, random);
}

async function makeBucket(wire: Wire): Promise<void> {
  const { region } = wire.root;
  const there = await wire.ask({ action: 's3:ListBucket', method: 'HEAD', expects: [404] });
  if (there.status !== 404) return;
  const place = `<CreateBucketConfiguration><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`;
  // That region is the one that must not be named.
  const body = payload(region === 'us-east-1' ? '' : place);
  // 409: somebody else made it meanwhile; whether it is ours to use the next call will say.
  await wire.ask({ action: 's3:CreateBucket', method: 'PUT', payload: body, expects: [409] });
}

/** Holds nothing between calls but connections, so a server may go and come back. */
class MinioStore implements ObjectStore {
  constructor(
    private readonly wire: Wire,
    private readonly random: () => string,
  ) {}

  /**
   * A `body` that was not read to its end is destroyed.
   * @throws OutcomeUnknown: all bytes were sent, and then the server fell silent. The object may be there, or come to be.
   */
  async put(
    path: string,
    body: Readable,
    options: { publish?: () => Promise<void>; signal?: AbortSignal } = {},
  ): Promise<SeenFile> {
    const { signal } = options;
    // A body may fail while nobody reads it, and an error that nobody listens to ends the process. Whoever reads it next gets it all the same.
    body.on('error', () => undefined);
    try {
      const target = this.target(path);
      signal?.throwIfAborted();
      await refuseTaken(this.wire, target, signal);
      if (!path.startsWith(OWN)) await refuseNested(this.wire, target, signal);
      return await this.upload(target, signal === undefined ? body : addAbortSignal(signal, body), options);
    } catch (error) {
      body.destroy();
      // A body that the signal destroyed says only that; why is the signal's to say.
      if (error instanceof Error && error.name === 'AbortError') signal?.throwIfAborted();
      throw error;
    }
  }

  private async upload(
    target: Target,
    body: Readable,
    { publish, signal }: { publish?: () => Promise<void>; signal?: AbortSignal },
  ): Promise<SeenFile> {
    const upload = new Upload(this.wire, target, this.random(), signal);
    try {
      await upload.receive(body);
      signal?.throwIfAborted();
      await publish?.();
      signal?.throwIfAborted();
      await refuseTaken(this.wire, target, signal);
      return await upload.commit();
    } catch (error) {
      await upload.abandon();
      throw error;
    }
  }

  async replace(path: string, content: string): Promise<void> {
    const { key } = this.target(path);
    if (!path.startsWith(OWN))
      throw new InvalidPath(`${JSON.stringify(path)} is not below .lethe/, and only Lethe's own files are replaced`);
    const request = { action: 's3:PutObject', of: JSON.stringify(path), method: 'PUT', key } as const;
    const { headers } = await this.wire.ask({ ...request, payload: payload(content) });
    const version = headers['x-amz-version-id'];
    if (typeof version === 'string') await this.forgetOlder({ path, key }, version);
  }

  /** In a bucket with versions, a file that is replaced again and again would grow for ever. */
  private async forgetOlder({ path, key }: Target, version: string): Promise<void> {
    try {
      const versions = await versionsOf(this.wire, key, path);
      const at = versions.findIndex(({ id }) => id === version);
      for (const { id } of at === -1 ? [] : versions.slice(at + 1)) await deleteVersion(this.wire, { path, key }, id);
    } catch {
      // The new content is there, and that was asked for. What is older goes with the next.
    }
  }

  async get(
    path: string,
    range?: { start: number; end: number },
    signal?: AbortSignal,
  ): Promise<{ seen: SeenFile; body: Readable } | null> {
    const { key } = this.target(path);
    if (range !== undefined) checkRange(range);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const opened = await this.opened({ path, key }, range, signal);
      if (opened !== 'replaced') return opened;
    }
    throw new Unavailable(`${JSON.stringify(path)} was replaced each time that it was opened; try again`);
  }

  private async opened(
    { path, key }: Target,
    range: { start: number; end: number } | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ seen: SeenFile; body: Readable } | 'replaced' | null> {
    const headers: Record<string, string> = range === undefined ? {} : { range: `bytes=${range.start}-${range.end}` };
    const request = { action: 's3:GetObject', of: JSON.stringify(path), method: 'GET', key, headers, signal } as const;
    const answer = await this.wire.open({ ...request, expects: [404, 416] });
    if (answer.status === 404) {
      await confirmBucket(this.wire, answer, signal);
      return null;
    }
    if (answer.body === null) {
      // It is shorter than the range by now.
      const seen = await look(this.wire, key, path);
      return seen === null ? null : { seen, body: Readable.from([]) };
    }
    try {
      const { wire } = this;
      const there = stated(answer.headers, path);
      const versions = (await hasVersions(wire, signal)) ?? there.version !== null;
      const seen = versions ? await this.versioned({ path, key }, there, signal) : unversioned(there);
      if (seen === null) {
        answer.body.destroy();
        return 'replaced';
      }
      const end = range === undefined ? there.size : Math.min(range.end + 1, there.size);
      const body = new S3Body(answer.body, path, end - (range?.start ?? 0), wire.silenceMs);
      return { seen, body: signal === undefined ? body : addAbortSignal(signal, body) };
    } catch (error) {
      answer.body.destroy();
      throw error;
    }
  }

  /** A version by its answer's headers, with those that are older; null where it is gone already. */
  private async versioned({ path, key }: Target, there: Stated, signal?: AbortSignal): Promise<SeenFile | null> {
    const versions = await versionsOf(this.wire, key, path, signal);
    const at = versions.findIndex(({ id }) => id === idOf(there));
    return at === -1 ? null : { ...unversioned(there), versions: versions.slice(at).map(markOf) };
  }

  async stat(path: string): Promise<SeenFile | null> {
    return look(this.wire, this.target(path).key, path);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<SeenObject, void, void> {
    parseFolder(prefix);
    signal?.throwIfAborted();
    const root = this.wire.root.prefix;
    const of = prefix === '' ? 'the root' : JSON.stringify(prefix);
    const range = { prefix: root + prefix, of };
    for await (const { key, seen } of objectsBelow(this.wire, range, OWN, signal)) {
      signal?.throwIfAborted();
      const path = key.slice(root.length);
      // A key that is no path (`a//b`, or the `a/` by which some programs mark a folder) was written behind the store's back.
      if (isFile(path)) yield { path, ...seen };
    }
  }

  async delete(path: string, seen: SeenFile): Promise<'deleted' | 'missing' | 'changed'> {
    return deleteSeen(this.wire, this.target(path), seen);
  }

  /** A bucket has no folders. */
  async prune(path: string): Promise<void> {
    if (parseFolder(path).length === 0)
      throw new InvalidPath('the root itself is never removed; name a folder below it');
  }

  async *unfinished(signal?: AbortSignal): AsyncGenerator<UnfinishedUpload, void, void> {
    for await (const { key, id, startedAt } of uploadsBelow(this.wire, signal)) {
      const path = key.slice(this.wire.root.prefix.length);
      if (isFile(path)) yield { path, id, startedAt };
    }
  }

  async abandon({ path, id }: UnfinishedUpload): Promise<void> {
    const { key } = this.target(path);
    const request = { action: 's3:AbortMultipartUpload', of: JSON.stringify(path), method: 'DELETE', key } as const;
    await this.wire.ask({ ...request, query: { uploadId: id }, expects: [404] });
  }

  async close(): Promise<void> {
    this.wire.close();
  }

  /** @throws InvalidPath */
  private target(path: string): Target {
    parseFile(path);
    const key = this.wire.root.prefix + path;
    const bytes = Buffer.byteLength(key);
    if (bytes > MAX_KEY_BYTES)
      throw new InvalidPath(
        `the path has, with the storage's prefix before it, ${bytes} bytes; at most ${MAX_KEY_BYTES} can be stored`,
      );
    return { path, key };
  }
}

function checkRange({ start, end }: { start: number; end: number }): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start) return;
  throw new RangeError(`a range is two whole numbers, from 0, the second not below the first; got ${start} to ${end}`);
}
