import { createHash } from 'node:crypto';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FileFields, Seen } from '../events/events.js';
import type { ObjectStore, SeenFile, SeenObject } from '../storage/object-store/port.js';

/** What a file's bytes, or a folder's, are: the same content has the same three. */
export interface Content {
  readonly size: number;
  /** base64url without padding, 22 characters. */
  readonly hash: string;
  readonly hashType: FileFields['hashType'];
  readonly objects: number;
}

/** Passes bytes through and tells, once all of them are through, what they were; null before that. */
export const measuring = (): { tap: Transform; content: () => Content | null } => {
  const md5 = createHash('md5');
  let size = 0;
  let content: Content | null = null;
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      md5.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
    flush(done) {
      content = { size, hash: md5.digest('base64url'), hashType: 'md5', objects: 1 };
      done();
    },
  });
  return { tap, content: () => content };
};

/** Reads a stream to its end for what its bytes are, keeping none of them. */
export const contentOf = async (body: Readable): Promise<Content> => {
  const { tap, content } = measuring();
  await pipeline(body, tap, async (bytes: AsyncIterable<unknown>) => {
    // Reading is the measuring.
    for await (const _ of bytes);
  });
  return whole(content());
};

/** @throws Error where the bytes did not all come through */
export const whole = (content: Content | null): Content => {
  if (content !== null) return content;
  throw new Error('a stream was asked for its content before its end');
};

export interface Found {
  readonly content: Content;
  readonly seen: Seen;
}

/**
 * Looks at what lies at `path`, a file or a folder, and reads all of it.
 * @returns null where nothing lies there; `'changed'` where it changed while it was read
 */
export const look = async (store: ObjectStore, path: string): Promise<Found | 'changed' | null> => {
  if (!path.endsWith('/')) return lookAtFile(store, path);
  const before = await listing(store, path);
  if (before.length === 0) return null;
  const hashes: string[] = [];
  for (const file of before) {
    const found = await lookAtFile(store, file.path);
    if (found === null || found === 'changed' || found.seen.kind !== 'file' || found.seen.etag !== file.etag)
      return 'changed';
    hashes.push(found.content.hash);
  }
  const seen = seenFolder(before);
  if (seenFolder(await listing(store, path)).digest !== seen.digest) return 'changed';
  return { content: { size: seen.bytes, hash: folderHash(hashes), hashType: 'md5-d', objects: seen.objects }, seen };
};

const lookAtFile = async (store: ObjectStore, path: string): Promise<Found | 'changed' | null> => {
  const found = await store.get(path);
  if (found === null) return null;
  const content = await contentOf(found.body);
  const after = await store.stat(path);
  if (after?.etag !== found.seen.etag || content.size !== found.seen.size) return 'changed';
  return { content, seen: seenFile(found.seen) };
};

export const listing = async (store: ObjectStore, folder: string): Promise<SeenObject[]> => {
  const files: SeenObject[] = [];
  for await (const file of store.list(folder)) files.push(file);
  return files;
};

/** LaminDB's formula: the MD5 over the concatenated MD5s of the files' hash strings, sorted. */
const folderHash = (hashes: readonly string[]): string => {
  const all = createHash('md5');
  for (const hash of hashes.toSorted()) all.update(createHash('md5').update(hash).digest());
  return all.digest('base64url');
};

export const seenFile = ({ etag, size, modifiedAt, versions }: SeenFile): Seen & { kind: 'file' } => ({
  kind: 'file',
  etag,
  size,
  modifiedAt,
  versions: versions === null ? null : [...versions],
});

/** A folder's listing by its digest: every path with what tells its file from another. */
export const seenFolder = (files: readonly SeenObject[], manifest: string | null = null): Seen & { kind: 'folder' } => {
  const digest = createHash('sha256');
  let bytes = 0;
  for (const { path, etag, size, versions } of files) {
    digest.update(`${JSON.stringify([path, etag, size, versions])}\n`);
    bytes += size;
  }
  return { kind: 'folder', digest: digest.digest('base64url'), objects: files.length, bytes, manifest };
};
