import { Exists } from '../errors.js';
import { head } from './minio.seen.js';
import type { Wire } from './minio.wire.js';
import { elements } from './minio.xml.js';

export interface Target {
  /** As the caller gave it, for errors. */
  readonly path: string;
  readonly key: string;
}

/** Asks before a byte of the body is read, to be early, and again before the last request, for servers without conditional writes. @throws Exists */
export async function refuseTaken(wire: Wire, { key, path }: Target, signal?: AbortSignal): Promise<void> {
  const { there } = await head(wire, key, path, signal);
  if (there !== null) throw taken(path);
}

/** Keeps a path from being a file and a folder: some servers' listings then hide what is in the folder. @throws Exists */
export async function refuseNested(wire: Wire, { key, path }: Target, signal?: AbortSignal): Promise<void> {
  const { prefix } = wire.root;
  const names = path.split('/').slice(0, -1);
  const above = names.map((_, index) => names.slice(0, index + 1).join('/'));
  const files = above.map(async (file) => (await head(wire, prefix + file, file, signal)).there !== null);
  const query = { 'list-type': '2', 'max-keys': '1', prefix: `${key}/` };
  const listing = { action: 's3:ListBucket', of: JSON.stringify(`${path}/`), method: 'GET', query, signal } as const;
  const [below, ...isFile] = await Promise.all([wire.ask(listing), ...files]);
  if (isFile.includes(true))
    throw new Exists(
      `a part of ${JSON.stringify(path)} before its last is a file, and stays; choose another path, or delete that first`,
    );
  if (elements(below.text, 'Contents').length > 0) throw taken(path);
}

export function taken(path: string): Exists {
  return new Exists(
    `something lies at ${JSON.stringify(path)} already, and stays; choose another path, or delete that first`,
  );
}
