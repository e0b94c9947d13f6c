import { TRASHED } from '../events/vocabulary.js';
import type { CatalogueRow, Condition, ReadModel } from '../storage/read-model/port.js';

/** Records of one registry: those that name an initial version, or those that do not. */
export interface Tier {
  readonly registry: string;
  readonly later: boolean;
}

/** From what points to what is pointed at. */
export const TIERS: readonly Tier[] = [
  { registry: 'datasets', later: true },
  { registry: 'datasets', later: false },
  { registry: 'files', later: true },
  { registry: 'files', later: false },
];

/** The records of a tier that were put into the trash at or before a position and have stayed there; a page at a time. */
export async function* inTrash(
  model: ReadModel,
  { registry, later }: Tier,
  { position, where, size }: { position: number; where: readonly Condition[]; size: number },
  signal: AbortSignal,
): AsyncGenerator<CatalogueRow[]> {
  for (let after: string[] | null = null; !signal.aborted;) {
    const page: CatalogueRow[] = await model.find('catalogue', {
      where: [
        { path: 'registry', op: 'eq', value: registry },
        { path: 'live', op: 'eq', value: true },
        { path: 'record.visibility', op: 'eq', value: TRASHED },
        { path: 'record.fields.initialVersion', op: 'null', value: !later },
        { path: 'record.trashing.position', op: 'lte', value: position },
        ...where,
      ],
      sort: [
        { path: 'record.createdAt', descending: false },
        { path: 'uid', descending: false },
      ],
      after,
      limit: size,
    });
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (page.length < size || last === undefined) return;
    after = [last.record.createdAt, last.uid];
  }
}
