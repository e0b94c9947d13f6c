import { KEYS, type CatalogueRow, type ReadModel, type StatsRow } from '../storage/read-model/port.js';

/**
 * Records moving between the groups of `stats`. Every group that a record passes through is written, also where a batch leaves it as it
 * was: the rows are then the same however the log is cut into batches.
 */
export class StatsMoves {
  private readonly moves = new Map<string, StatsRow>();

  move(before: CatalogueRow | null, after: CatalogueRow): void {
    const [from, to] = [before === null ? null : groupOf(before), groupOf(after)];
    if (from !== null && to !== null && KEYS.stats(from) === KEYS.stats(to) && from.bytes === to.bytes) return;
    if (from !== null) this.add(from, -1);
    if (to !== null) this.add(to, 1);
  }

  /** The groups' rows with these moves added. */
  async onto(model: ReadModel): Promise<StatsRow[]> {
    if (this.moves.size === 0) return [];
    const rows = await model.get('stats', [...this.moves.keys()]);
    const known = new Map(rows.map((row) => [KEYS.stats(row), row]));
    return [...this.moves].map(([key, row]) => {
      const { records, bytes } = known.get(key) ?? { records: 0, bytes: 0 };
      return { ...row, records: row.records + records, bytes: row.bytes + bytes };
    });
  }

  private add(group: StatsRow, sign: 1 | -1): void {
    const key = String(KEYS.stats(group));
    const { records, bytes } = this.moves.get(key) ?? { records: 0, bytes: 0 };
    this.moves.set(key, { ...group, records: records + sign, bytes: bytes + sign * group.bytes });
  }
}

/** The group that a live record counts in, with the record's own bytes. */
const groupOf = ({ live, registry, record: { fields, visibility } }: CatalogueRow): StatsRow | null => {
  if (!live) return null;
  const isFile = fields.kind === 'file';
  return { registry, suffix: isFile ? fields.suffix : null, visibility, records: 0, bytes: isFile ? fields.size : 0 };
};
