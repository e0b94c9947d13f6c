import { z } from 'zod';
import type { Recorded } from '../events/events.js';
import { jsonSchema, positionSchema } from '../events/vocabulary.js';
import { differences, dumpOf, folded, type Difference, type Dump } from './folding.js';

/* Whether a log always comes to the same, and whether it comes to what it once did. */

/** The ways to cut a log into batches that have to make no difference. */
const RUNS: readonly { readonly name: string; readonly sizes: readonly [number, ...number[]] }[] = [
  { name: 'again', sizes: [1_000] },
  { name: 'in batches of 1', sizes: [1] },
  { name: 'in batches of 7, 1, 64 and 3', sizes: [7, 1, 64, 3] },
];

export interface Compared {
  /** The runs that were compared with the first, which takes batches of 1,000. */
  readonly runs: readonly string[];
  /** The first run that came to something else; null where none did. */
  readonly differing: { readonly run: string; readonly differences: readonly Difference[] } | null;
}

/** Folds a log once for each way of cutting it, and compares all that the models hold. */
export const compareRuns = async (log: readonly Recorded[]): Promise<Compared> => {
  const first = await dumpOf(await folded(log));
  for (const { name: run, sizes } of RUNS) {
    const found = differences(first, await dumpOf(await folded(log, sizes)));
    if (found.length > 0) return { runs: RUNS.map(({ name }) => name), differing: { run, differences: found } };
  }
  return { runs: RUNS.map(({ name }) => name), differing: null };
};

/** What a log comes to. Its history is left out, which is the log itself. */
export interface Snapshot {
  readonly events: number;
  readonly position: string;
  readonly rows: Dump;
  /** What differs from a snapshot of before. */
  against(expected: Pick<Snapshot, 'rows'>): Difference[];
}

export const snapshotOf = async (log: readonly Recorded[]): Promise<Snapshot> => {
  const rows = await dumpOf(await folded(log), ['history']);
  return {
    events: log.length,
    position: String(log.at(-1)?.position ?? 0),
    rows,
    against: (expected) => differences(expected.rows, rows),
  };
};

const fileSchema = z.strictObject({
  format: z.literal(1),
  events: z.int().nonnegative(),
  position: positionSchema,
  rows: z.record(z.string(), jsonSchema),
});

/** One line a row, so that two snapshots can be compared by any tool. */
export const snapshotText = ({ events, position, rows }: Snapshot): string => {
  const lines = [...rows].map(([key, row]) => `    ${JSON.stringify(key)}: ${row}`);
  return `{\n  "format": 1,\n  "events": ${events},\n  "position": "${position}",\n  "rows": {\n${lines.join(',\n')}\n  }\n}\n`;
};

/** @param name of the file, for the error @throws Error where it is no snapshot */
export const readSnapshot = (text: string, name: string): Pick<Snapshot, 'rows'> => {
  const parsed = fileSchema.safeParse(jsonOf(text));
  if (!parsed.success) {
    throw new Error(`${name} is no snapshot: make one with lethe replay --write. ${z.prettifyError(parsed.error)}`);
  }
  return { rows: new Map(Object.entries(parsed.data.rows).map(([key, row]) => [key, JSON.stringify(row)])) };
};

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null; // which is no snapshot either, and is said so
  }
};
