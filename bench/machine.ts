import Database from 'better-sqlite3';
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { fixed, quantile } from './statistics.js';

/** What the numbers were measured on. */
export const machine = (folder: string): readonly (readonly [string, string])[] => [
  ['processor', `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`],
  ['memory', `${fixed(totalmem() / 2 ** 30, 0)} GiB`],
  ['disk', `${fileSystemOf(folder)}; an fsync of 4 KiB takes ${fsyncOf(folder)} ms (p50)`],
  ['system', `${type()} ${release()}`],
  ['Node', `${process.version}, SQLite ${sqlite()}`],
  ['busy before the start', `load average ${fixed(loadavg()[0] ?? 0, 1)}`],
];

/** The mount that holds the folder: the longest that its path begins with. */
const fileSystemOf = (folder: string): string => {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, at = '']) => `${folder}/`.startsWith(at.endsWith('/') ? at : `${at}/`))
    .sort(([, a = ''], [, b = '']) => a.length - b.length);
  const [device = 'unknown', , kind = ''] = mounts.at(-1) ?? [];
  return `${kind} on ${device}`;
};

const fsyncOf = (folder: string): string => {
  const path = join(folder, 'fsync');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(4_096, 1);
  const times = Array.from({ length: 200 }, () => {
    const began = performance.now();
    writeSync(file, block);
    fsyncSync(file);
    return performance.now() - began;
  });
  closeSync(file);
  rmSync(path);
  return fixed(quantile(times, 0.5), 2);
};

const sqlite = (): string => {
  const db = new Database(':memory:');
  try {
    return db.prepare<[], string>('SELECT sqlite_version()').pluck().get() ?? 'unknown';
  } finally {
    db.close();
  }
};
