import { stringify } from 'csv-stringify/sync';
import type { HistoryRow } from '../storage/read-model/port.js';
import { historyAnswer } from './answers.js';
import { historyWire } from './wire.js';

/* All events as one file: a page of rows becomes a piece of text, so that no more than a page is ever held. */

export const NDJSON = 'application/x-ndjson';
export const CSV = 'text/csv';

export interface Format {
  readonly contentType: string;
  readonly extension: string;
  /** What comes before the first row. */
  readonly head: string;
  readonly lines: (rows: readonly HistoryRow[]) => string;
}

/** In the order of the contract's shapes. */
const FIELDS = Object.keys(historyAnswer.shape);

/**
 * RFC 4180. A cell that a spreadsheet would run as a formula gets an apostrophe before it. One with a lone CR or LF is quoted, too: not
 * every reader takes CR LF alone for the end of a row.
 */
const csv = (rows: readonly (readonly unknown[])[]): string =>
  stringify([...rows], { record_delimiter: 'windows', escape_formulas: true, quoted_match: /[\r\n]/ });

export const FORMATS: { readonly [NDJSON]: Format; readonly [CSV]: Format } = {
  [NDJSON]: {
    contentType: NDJSON,
    extension: 'ndjson',
    head: '',
    lines: (rows) => rows.map((row) => `${JSON.stringify(historyWire(row))}\n`).join(''),
  },
  [CSV]: {
    contentType: `${CSV}; charset=utf-8; header=present`,
    extension: 'csv',
    head: csv([FIELDS]),
    lines: (rows) => csv(rows.map((row) => Object.values(historyWire(row)).map(cellOf))),
  },
};

const cellOf = (value: unknown): string => {
  if (value === null) return '';
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  return JSON.stringify(value);
};

/** The whole file, made as it is read. */
export async function* exported(
  pages: AsyncIterable<readonly HistoryRow[]>,
  { head, lines }: Format,
): AsyncGenerator<string> {
  if (head !== '') yield head;
  for await (const rows of pages) yield lines(rows);
}
