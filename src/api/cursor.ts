import { z } from 'zod';
import { sha256 } from '../events/ids.js';
import { scalarAt } from '../projections/as-of.js';
import type { Condition, Find, Scalar, Sort } from '../storage/read-model/port.js';

/* Where a list goes on: the sorted values of the last row that the caller has, with a mark of the list that they belong to. */

const cursorSchema = z.tuple([z.string(), z.array(z.union([z.string(), z.number(), z.boolean(), z.null()]))]);

/** The same for the same conditions, in whatever order they were asked for. */
const mark = (list: string, where: readonly Condition[], sort: readonly Sort[]): string =>
  sha256(JSON.stringify([list, where.map(told).sort(), sort])).slice(0, 12);

const told = (condition: Condition): string =>
  JSON.stringify(condition.op === 'in' ? { ...condition, value: [...condition.value].sort() } : condition);

/** @returns null where it is none, or another query's */
export const readCursor = (
  cursor: string,
  list: string,
  where: readonly Condition[],
  sort: readonly Sort[],
): Scalar[] | null => {
  try {
    const parsed = cursorSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
    return parsed[0] === mark(list, where, sort) && parsed[1].length === sort.length ? parsed[1] : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
};

/** The cursor that goes on after `row`. */
export const cursorAfter = (list: string, { where, sort }: Find, row: unknown): string =>
  Buffer.from(JSON.stringify([mark(list, where, sort), sort.map(({ path }) => scalarAt(row, path))])).toString(
    'base64url',
  );
