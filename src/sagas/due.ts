import { z } from 'zod';
import { DAY_MS, readTicks, type Tick } from '../commands/log-time.js';
import type { Journal } from '../commands/execute.js';
import type { Trashing } from '../events/record.js';
import { instantSchema } from '../events/vocabulary.js';
import type { CatalogueRow, Condition } from '../storage/read-model/port.js';

/*
 * When retention may purge a record: once the log's time has advanced by its days since the first tick after its trashing, and the wall
 * clock says so too. That is up to two hours late, and never early: between two ticks nobody knows how much time has passed.
 */

/** The criteria of a retention operation: a stretch of the log's time, and the wall clock at its end. */
export const stretchSchema = z.strictObject({
  purgeAfter: instantSchema,
  /** The end of the stretch before it, null where there was none. */
  sinceMs: z.number().nullable(),
  logTimeMs: z.number(),
});
export type Stretch = z.infer<typeof stretchSchema>;

/** The ticks of a log, as far as they were read. */
export class Ticks {
  private readonly known: Tick[] = [];

  constructor(private readonly journal: Journal) {}

  get last(): Tick | null {
    return this.known.at(-1) ?? null;
  }

  async refresh(): Promise<readonly Tick[]> {
    // Two may ask at once.
    for (const tick of await readTicks(this.journal, this.known.length))
      if (tick.revision === this.known.length) this.known.push(tick);
    return this.known;
  }
}

/** What may be due: the rest is for `isDue`. */
export const mayBeDue = ({ purgeAfter }: Stretch): Condition[] => [
  { path: 'record.trashing.purgeAfter', op: 'lte', value: purgeAfter },
];

/** Whether its time came in this stretch. Of a record that was skipped, it comes again a day later, and each day after that. */
export const isDue = (
  trashing: Pick<Trashing, 'at' | 'purgeAfter' | 'position'>,
  ticks: readonly Tick[],
  { sinceMs, logTimeMs }: Stretch,
): boolean => {
  if (trashing.purgeAfter === null) return false;
  const first = firstAfter(ticks, trashing.position);
  if (first === null) return false;
  const overdue = logTimeMs - first.logTimeMs - (Date.parse(trashing.purgeAfter) - Date.parse(trashing.at));
  if (overdue < 0) return false;
  return sinceMs === null || Math.floor(overdue / DAY_MS) > Math.floor((overdue - logTimeMs + sinceMs) / DAY_MS);
};

/** Whether a row's record is one of those whose time came in a stretch. */
export const dueIn =
  (stretch: Stretch, ticks: readonly Tick[]) =>
  ({ record: { trashing } }: CatalogueRow): boolean =>
    trashing !== null && isDue(trashing, ticks, stretch);

const firstAfter = (ticks: readonly Tick[], position: number): Tick | null => {
  let [from, to] = [0, ticks.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((ticks[middle]?.position ?? 0) > position) to = middle;
    else from = middle + 1;
  }
  return ticks[from] ?? null;
};
