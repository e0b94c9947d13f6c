import { hasVersions, head, listed, listVersions, versionedFile, type Version } from './minio.seen.js';
import type { Wire } from './minio.wire.js';
import { elements, keyIn, textIn, textOf } from './minio.xml.js';
import type { SeenFile } from './port.js';

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
 * @param without a folder, at any depth, that is left out; its objects are not even paged through
 */
export async function* objectsBelow(
  wire: Wire,
  range: Range,
  without: string,
  signal?: AbortSignal,
): AsyncGenerator<Entry, void, void> {
  const versions = (await hasVersions(wire, signal)) ?? (await showsVersions(wire, range, signal));
  const entries = versions ? latest : current;
  for (let after = range.after; ;) {
    let jump: string | null = null;
    for await (const entry of entries(wire, after === undefined ? range : { ...range, after }, signal)) {
      const inside = folderIn(entry.key, range.prefix.length, without);
      if (inside === null) yield entry;
      // A key may come after the last of all, and a server may not know of jumps: from there on one is passed over after the other.
      else if (inside + LAST !== after) {
        jump = inside + LAST;
        break;
      }
    }
    if (jump === null) return;
    after = jump;
  }
}

/** The key up to a folder of this name, the folder with it; null where it leads through none. */
const folderIn = (key: string, from: number, folder: string): string | null => {
  const at = `/${key.slice(from)}`.indexOf(`/${folder}`);
  return at < 0 ? null : key.slice(0, from + at + folder.length);
};

/** Who may only read may not always know of the bucket's versions. Most objects tell of their own. */
async function showsVersions(wire: Wire, range: Range, signal: AbortSignal | undefined): Promise<boolean> {
  for await (const { key } of current(wire, range, signal)) {
    const { there } = await head(wire, key, key.slice(wire.root.prefix.length), signal);
    if (there !== null) return there.version !== null;
  }
  return false;
}

/** Of a bucket without versions. */
async function* current(
  wire: Wire,
  { prefix, of, after }: Range,
  signal?: AbortSignal,
): AsyncGenerator<Entry, void, void> {
  let from: Record<string, string> = after === undefined ? {} : { 'start-after': after };
  for (;;) {
    const query = { 'encoding-type': 'url', 'list-type': '2', prefix, ...from };
    const { text } = await wire.ask({ action: 's3:ListBucket', of, method: 'GET', query, signal });
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
