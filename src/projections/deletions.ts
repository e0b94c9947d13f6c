import type { PurgeRow, ReadModel } from '../storage/read-model/port.js';
import { deletionsIn, fewDeletions, type Deletions, type Overlap } from './neighbours.js';
import { inSpan } from './overlap.js';

/**
 * The deletions of one kind as they stand in the model, for all registrations of a batch: in memory where they are few, which they are but
 * for a large trash that is being emptied.
 */
export class KnownDeletions {
  private constructor(
    private readonly model: ReadModel,
    private readonly which: Deletions,
    /** By storage and path; null: too many. */
    private readonly rows: ReadonlyMap<string, ReadonlyMap<string, PurgeRow[]>> | null,
  ) {}

  static async of(model: ReadModel, which: Deletions): Promise<KnownDeletions> {
    const rows = await fewDeletions(model, which);
    return new KnownDeletions(model, which, rows === null ? null : byPlace(rows));
  }

  async overlapping(overlaps: readonly Overlap[]): Promise<PurgeRow[]> {
    const { rows } = this;
    if (rows === null) return deletionsIn(this.model, overlaps, this.which);
    return overlaps.flatMap(({ storage, span }) => {
      const here = rows.get(storage);
      if (here === undefined) return [];
      if (!span.all && span.under === null) return span.paths.flatMap((path) => here.get(path) ?? []);
      return [...here].flatMap(([path, found]) => (inSpan(span, path) ? found : []));
    });
  }
}

const byPlace = (rows: readonly PurgeRow[]): Map<string, Map<string, PurgeRow[]>> => {
  const places = new Map<string, Map<string, PurgeRow[]>>();
  for (const row of rows) {
    if (row.object === null) continue;
    const { storage, path } = row.object;
    const here = places.get(storage) ?? new Map<string, PurgeRow[]>();
    places.set(storage, here.set(path, [...(here.get(path) ?? []), row]));
  }
  return places;
};
