import { styleText } from 'node:util';
import type Table from 'cli-table3';
import type { Warning } from '../client/answers.js';
import { LetheError } from '../client/errors.js';
import { PipeClosed } from './exit.js';
import { systemErrorText } from './system-errors.js';
import { cellOf, clean } from './text.js';

type Row = readonly string[];

/**
 * Where a command's words go. Results go to stdout: for people as lines and tables, with `--json` as the HTTP bodies and nothing else.
 * Whatever else is to be said goes to stderr.
 */
export class Output {
  constructor(readonly json: boolean) {}

  /** A result in a line, for people. */
  async line(text: string): Promise<void> {
    if (!this.json) await write(`${clean(text)}\n`);
  }

  /** An HTTP body, for `--json`: one a line. */
  async body(value: unknown): Promise<void> {
    if (this.json) await write(`${JSON.stringify(value)}\n`);
  }

  /** A list, page by page: a table on a terminal, else tab-separated with a first line of names; with `--json` one array. */
  async list(
    pages: AsyncIterable<{ readonly items: readonly object[] }>,
    columns: readonly string[],
    limit = Infinity,
  ): Promise<void> {
    let left = limit;
    let begun = false;
    for await (const { items } of pages) {
      const page = items.slice(0, left);
      if (this.json)
        await write(page.map((item, index) => `${begun || index > 0 ? ',\n' : '['}${JSON.stringify(item)}`).join(''));
      else await printRows(columns, page, begun);
      begun ||= page.length > 0;
      left -= page.length;
      if (left <= 0) break;
    }
    if (this.json) await write(begun ? ']\n' : '[]\n');
    else if (!begun) this.note('nothing found');
  }

  /** What happens, as it happens: tab-separated with a first line of names, and with `--json` one a line: an array would have no end. */
  async live(items: AsyncIterable<object>, columns: readonly string[], limit = Infinity): Promise<void> {
    if (!this.json) await write(tabbed([columns]));
    let left = limit;
    for await (const item of items) {
      await write(this.json ? `${JSON.stringify(item)}\n` : tabbed([rowOf(columns, item)]));
      left -= 1;
      if (left <= 0) return;
    }
  }

  /** One record: a line for each of its values. */
  async fields(record: object): Promise<void> {
    if (this.json) return this.body(record);
    const rows = Object.entries(record).map(([name, value]) => [name, cellOf(value)]);
    await write(process.stdout.isTTY ? await tableOf(null, rows) : tabbed(rows));
  }

  /** Something to know that is no result. */
  note(text: string): void {
    process.stderr.write(`${clean(text)}\n`);
  }

  warnings(warnings: readonly Warning[]): void {
    for (const { message } of warnings) this.note(`lethe: warning: ${message}`);
  }

  /** One line for an error, and one for each fault of the input. */
  error(error: unknown, about: string | null): void {
    const message = messageOf(error);
    // What names its subject itself does not name it twice.
    const subject = about === null || message.startsWith(`${about}: `) ? '' : `${about}: `;
    this.note(`lethe: ${subject}${message}`);
    if (!(error instanceof LetheError)) return;
    for (const { path, message } of error.errors) this.note(`  ${path === '' ? '(all of it)' : path}: ${message}`);
  }
}

const messageOf = (error: unknown): string => {
  if (!(error instanceof LetheError))
    return systemErrorText(error) ?? (error instanceof Error ? error.message : String(error));
  const by = 'by' in error && Array.isArray(error.by) ? error.by : [];
  return by.length === 0
    ? error.detail
    : `${error.detail} (${by.slice(0, 5).map(refText).join(', ')}${by.length > 5 ? ', …' : ''})`;
};

const refText = (ref: unknown): string =>
  typeof ref === 'object' && ref !== null && 'registry' in ref && 'uid' in ref
    ? `${String(ref.registry)}/${String(ref.uid)}`
    : '';

/** Resolves when the text is out: a slow reader slows the command, and no list piles up in memory. */
const write = (text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error == null) resolve();
      else reject('code' in error && error.code === 'EPIPE' ? new PipeClosed() : error);
    });
  });

const printRows = async (columns: Row, items: readonly object[], goesOn: boolean): Promise<void> => {
  if (items.length === 0) return;
  const rows = items.map((item) => rowOf(columns, item));
  if (process.stdout.isTTY) await write(await tableOf(columns, rows));
  else await write(tabbed(goesOn ? rows : [columns, ...rows]));
};

const rowOf = (columns: Row, item: object): Row => {
  const values = new Map<string, unknown>(Object.entries(item));
  return columns.map((name) => cellOf(values.get(name)));
};

const tabbed = (rows: readonly Row[]): string => rows.map((row) => `${row.join('\t')}\n`).join('');

/** A cell wider than this is cut on a terminal; a pipe and `--json` get all of it. */
const WIDEST = 40;
const cut = (text: string): string => (text.length > WIDEST ? `${text.slice(0, WIDEST - 1)}…` : text);

const tableOf = async (head: Row | null, rows: readonly Row[]): Promise<string> => {
  const { default: Cells } = await import('cli-table3');
  const style: Table.TableInstanceOptions['style'] = {
    head: [],
    border: [],
    'padding-left': 0,
    'padding-right': 1,
    compact: true,
  };
  const options = head === null ? { style, chars: NO_LINES } : { style, chars: NO_LINES, head: head.map(bold) };
  const table = new Cells(options);
  for (const row of rows) table.push(head === null ? [...row] : row.map(cut));
  return `${table.toString()}\n`;
};

const NO_LINES = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((name) => [name, name === 'middle' ? ' ' : '']),
);

/** Whether a terminal shows it is asked here alone: what the table's own library thinks of it depends on where it runs. */
const bold = (text: string): string => (hasColours() ? styleText('bold', text, { validateStream: false }) : text);
const hasColours = (): boolean => (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';
