import { Unavailable } from '../errors.js';
import { refused } from './minio.errors.js';
import { hasVersions, head, markOf, VERSIONING, versionsOf, type Stated, type Version } from './minio.seen.js';
import type { Target } from './minio.taken.js';
import type { Wire } from './minio.wire.js';
import type { SeenFile } from './port.js';

type Found = 'deleted' | 'missing' | 'changed';

/**
 * Deletes what was seen. With versions: each that was named, by its id, so that no marker is written and nothing else can be meant. Without:
 * the server is asked right before, and given the etag as a condition. A server that knows no conditional delete ignores it; there, what takes
 * the object's place in the milliseconds between is deleted.
 */
export async function deleteSeen(wire: Wire, target: Target, seen: SeenFile): Promise<Found> {
  const { key, path } = target;
  const [{ there }, versions] = await Promise.all([head(wire, key, path), hasVersions(wire)]);
  if (versions === null) throw refused(wire.purpose({ action: VERSIONING }), 403, 'AccessDenied');
  if (versions || seen.versions !== null) return deleteVersions(wire, target, seen);
  if (there === null) return 'missing';
  if (!isSame(there, seen)) return 'changed';

  const answer = await wire.ask({
    action: 's3:DeleteObject',
    of: JSON.stringify(path),
    method: 'DELETE',
    key,
    headers: { 'if-match': `"${seen.etag}"` },
    expects: [404, 412],
  });
  const { there: after, marked } = await head(wire, key, path);
  if (marked)
    throw new Unavailable(
      `the bucket of ${JSON.stringify(path)} came to have versions while it was deleted; try again`,
    );
  if (after !== null && isSame(after, seen)) throw stillThere(path);
  if (answer.status < 300) return 'deleted';
  return after === null ? 'missing' : 'changed';
}

async function deleteVersions(wire: Wire, { key, path }: Target, seen: SeenFile): Promise<Found> {
  // What was seen before the bucket had versions has been the version `null` since.
  const named = new Set(seen.versions ?? [markOf({ ...seen, id: 'null' })]);
  const isNamed = (version: Version) => named.has(markOf(version));
  const going = (await versionsOf(wire, key, path)).filter(isNamed);
  // The oldest first: what lies below the newest is never visible in between.
  for (const { id } of going.toReversed()) {
    await deleteVersion(wire, { key, path }, id);
  }
  const left = await versionsOf(wire, key, path);
  if (left.some(isNamed)) throw stillThere(path);
  const [visible] = left;
  if (visible !== undefined && !visible.isMarker) return 'changed';
  return going.length > 0 ? 'deleted' : 'missing';
}

/** For good, and whatever it is: an object or a marker. */
export async function deleteVersion(wire: Wire, { key, path }: Target, id: string): Promise<void> {
  const request = { action: 's3:DeleteObjectVersion', of: JSON.stringify(path), method: 'DELETE', key } as const;
  await wire.ask({ ...request, query: { versionId: id }, expects: [404] });
}

function isSame(there: Stated, seen: SeenFile): boolean {
  return there.etag === seen.etag && there.size === seen.size && there.modifiedAt === seen.modifiedAt;
}

function stillThere(path: string): Unavailable {
  return new Unavailable(`${JSON.stringify(path)} was deleted, and is still there; look at the server`);
}
