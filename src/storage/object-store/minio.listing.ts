import type { SeenFile } from './port.js';
import { listed, listVersions, versionedFile, type Version } from './minio.seen.js';
import type { Wire } from './minio.wire.js';
import { elements, keyIn, textIn, textOf } from './minio.xml.js';

/** Below a folder's prefix the last of all keys. */
const LAST = '\u{10ffff}';

interface Entry {
  readonly key: string;
  readonly seen: SeenFile;
}

interface Range {
  readonly prefix: string;
  /** What is listed, for errors. */
  readonly of: string;
  readonly after?: string;
}

/**
 * Every object whose key begins with `prefix`, by key in code point order.
 * @param without a folder's prefix that is left out; its objects are not even paged through
 */
export async function* objectsBelow(
  wire: Wire,
  range: Range,
  without: string | null,
  signal?: AbortSignal,
): AsyncGenerator<Entry, void, void> {
  const entries = (await hasVersions(wire, signal)) ? latest : current;
  for await (const entry of entries(wire, range, signal)) {
    if (without !== null && entry.key.startsWith(without)) {
      yield* entries(wire, { ...range, after: without + LAST }, signal);
      return;
    }
    yield entry;
  }
}

/** Whether the bucket has versions, or had them once. A server that does not know of versions has none. */
async function hasVersions(wire: Wire, signal: AbortSignal | undefined): Promise<boolean> {
  const purpose = { action: 's3:GetBucketVersioning', of: `the bucket ${wire.root.bucket}` };
  const answer = await wire.ask({ purpose, method: 'GET', query: { versioning: '' }, expects: [501], signal });
  return answer.status !== 501 && textOf(answer.text, 'Status') !== null;
}

/** Of a bucket without versions. */
async function* current(
  wire: Wire,
  { prefix, of, after }: Range,
  signal?: AbortSignal,
): AsyncGenerator<Entry, void, void> {
  const purpose = { action: 's3:ListBucket', of };
  let from: Record<string, string> = after === undefined ? {} : { 'start-after': after };
  for (;;) {
    const query = { 'encoding-type': 'url', 'list-type': '2', prefix, ...from };
    const { text } = await wire.ask({ purpose, method: 'GET', query, signal });
    for (const { content } of elements(text, 'Contents')) {
      const key = keyIn(text, textIn(content, 'Key'));
      yield { key, seen: { ...listed(content, key), versions: null } };
    }
    if (textOf(text, 'IsTruncated') !== 'true') return;
    from = { 'continuation-token': textIn(text, 'NextContinuationToken') };
  }
}

/** Of a bucket with versions: those of each key together. One whose newest is a marker is deleted, and no object. */
async function* latest(wire: Wire, range: Range, signal?: AbortSignal): AsyncGenerator<Entry, void, void> {
  let first: Version | null = null;
  let older: Version[] = [];
  for await (const version of listVersions(wire, range, signal)) {
    if (version.key === first?.key) {
      older.push(version);
      continue;
    }
    if (first !== null && !first.isMarker) yield { key: first.key, seen: versionedFile([first, ...older]) };
    first = version;
    older = [];
  }
  if (first !== null && !first.isMarker) yield { key: first.key, seen: versionedFile([first, ...older]) };
}
