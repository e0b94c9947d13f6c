import type { DataFolders } from './data-folders.js';

/** What one benchmark found. */
export interface Report {
  readonly results: readonly Result[];
  /** How it was measured, and the single runs: Markdown. */
  readonly details: string;
}

export interface Result {
  readonly what: string;
  readonly measured: string;
  /** What it is held against; null for a number that is only told. */
  readonly wanted: string | null;
  readonly met: boolean | null;
}

/** What a benchmark gets. */
export interface Setting {
  /** Small numbers, to see whether it runs: what comes out says nothing. */
  readonly quick: boolean;
  /** Of whatever is compared side by side. */
  readonly rounds: number;
  readonly folders: DataFolders;
  say(line: string): void;
}

export type Benchmark = (setting: Setting) => Promise<Report>;

/** A Markdown table. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

export const told = (what: string, measured: string): Result => ({ what, measured, wanted: null, met: null });
