import Database from 'better-sqlite3';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { INDEXES } from '../src/storage/read-model/indexes.js';

const fileOf = (data: string): string => join(data, 'read-model.sqlite');

/** Throws the read model of a stopped service away: its next start builds it again. */
export const dropReadModel = (data: string): void => {
  for (const name of readdirSync(data)) if (name.startsWith('read-model.sqlite')) rmSync(join(data, name));
};

/** Resolves with the moment in which the projector made the file, or found it, on `performance.now()`'s clock. */
export const whenBegun = async (data: string): Promise<number> => {
  while (!existsSync(fileOf(data))) await sleep(1);
  return performance.now();
};

const INDEXED = Object.values(INDEXES).flat().length;

/**
 * Resolves once the read model stands at `head` or later, and every index that it has in ordinary use is in place: in the file itself, as
 * another connection sees it.
 */
export const whenBuilt = async (data: string, head: number, withinMs = 600_000): Promise<number> => {
  const late = performance.now() + withinMs;
  for (;;) {
    const at = standingOf(fileOf(data));
    if (at !== null && at.checkpoint >= head && at.indexes === INDEXED) return performance.now();
    if (performance.now() > late) {
      const how = at === null ? 'not there' : `at position ${at.checkpoint} with ${at.indexes} of ${INDEXED} indexes`;
      throw new Error(`the read model of ${data} is ${how} after ${withinMs / 1_000} s, not at ${head}`);
    }
    await sleep(20);
  }
};

const standingOf = (file: string): { checkpoint: number; indexes: number } | null => {
  if (!existsSync(file)) return null;
  let db: Database.Database | null = null;
  try {
    db = new Database(file, { readonly: true, fileMustExist: true });
    const checkpoint = db.prepare<[], number>('SELECT checkpoint FROM meta').pluck().get() ?? 0;
    const indexes = db
      .prepare<[], number>("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
      .pluck()
      .get();
    return { checkpoint, indexes: indexes ?? 0 };
  } catch (error) {
    if (error instanceof Database.SqliteError) return null; // it is being made
    throw error;
  } finally {
    db?.close();
  }
};
