import type { Readable } from 'node:stream';

/**
 * One storage's bytes. Paths are relative to the storage's root, with `/` between their parts; one that ends in `/` is a folder:
 * every object below it. No path ever leads outside the root, whatever a caller names.
 */
export interface ObjectStore {
  /**
   * Stores `body` under `path`: complete or absent, whatever breaks in between; once it answers, it is on disk. Never overwrites.
   * When all bytes are in, and before any of them is visible under `path`, `publish` is asked; where it throws, nothing is left and its error comes back.
   *
   * @throws Exists: something lies there already. Full, Unavailable, InvalidPath: nothing was stored.
   *   Whatever `body` throws: nothing was stored. OutcomeUnknown: no answer came, and the file may lie there, whole.
   */
  put(
    path: string,
    body: Readable,
    options?: { publish?: () => Promise<void>; signal?: AbortSignal },
  ): Promise<SeenFile>;

  /**
   * The bytes of one file, or `range` of them (both ends inclusive, within the size: where the file has become shorter, what there is of
   * them); `null` when it is missing. The stream is of the very file that the answer describes, also when another takes its place meanwhile.
   */
  get(
    path: string,
    range?: { start: number; end: number },
    signal?: AbortSignal,
  ): Promise<{ seen: SeenFile; body: Readable } | null>;

  /** What lies at the path of one file; `null` when nothing does. */
  stat(path: string): Promise<SeenFile | null>;

  /**
   * Every object below a folder (`''` is the root), by path in code point order, paths relative to the root. Never what lies below a folder
   * `.lethe/` (storages within this one have theirs), unless the prefix does.
   */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<SeenObject>;

  /**
   * Deletes the file at `path` if it is the one that was `seen`. Safe to repeat. Once it answers `deleted`, the store has been asked again and no
   * longer has it; in a versioned bucket none of the versions that were seen.
   *
   * @returns `deleted`: it was there and is gone; `missing`: nothing is there; `changed`: something else lies there and stays.
   */
  delete(path: string, seen: SeenFile): Promise<'deleted' | 'missing' | 'changed'>;

  /** Writes one of Lethe's own small files (below `.lethe/`), whole, in the place of whatever lies there; on disk once it answers. */
  replace(path: string, content: string): Promise<void>;

  /** Removes what is left of a folder object once its files are gone (empty directories, where the store has such). Safe to repeat. */
  prune(path: string): Promise<void>;

  /**
   * The uploads whose parts the store keeps though they never became an object, or not yet. None where such parts are files below `.lethe/`,
   * which `list` shows.
   */
  unfinished(signal?: AbortSignal): AsyncIterable<UnfinishedUpload>;

  /** Throws an unfinished upload's parts away. Safe to repeat; whoever still sends to it fails, and has stored nothing. */
  abandon(upload: UnfinishedUpload): Promise<void>;

  close(): Promise<void>;
}

export interface UnfinishedUpload {
  /** The object that it would have become. */
  readonly path: string;
  /** By which the store tells it from another of the same path. */
  readonly id: string;
  /** RFC 3339, by the store's clock. */
  readonly startedAt: string;
}

/**
 * What tells one file from another that takes its place: the fence of every deletion. `etag` is the store's own mark for these very bytes at
 * this very place; `modifiedAt` is RFC 3339; `versions` are those of a versioned bucket, else null.
 */
export interface SeenFile {
  readonly etag: string;
  readonly size: number;
  readonly modifiedAt: string;
  readonly versions: readonly string[] | null;
}

export interface SeenObject extends SeenFile {
  readonly path: string;
}

/** The object stores of all storages that this service was given. */
export interface ObjectStores {
  /**
   * The store behind a storage's root. Where the configuration does not reach that root, or no longer, nothing of it is touched.
   * @throws Unavailable
   */
  at(root: string): Promise<ObjectStore>;
  /** A root with links resolved, ending in `/`: by this text objects of nested storages are compared. */
  placeOf(root: string): Promise<string>;
  /**
   * What the configuration says of a root that a caller names: `null` where it lies below no configured one.
   * @throws InvalidPath: it is no root, or lies below a folder `.lethe/` of another storage
   */
  grant(root: string): Promise<{ managed: boolean } | null>;
  /** Whether the configuration names a storage so. */
  isConfigured(name: string): boolean;
  close(): Promise<void>;
}
