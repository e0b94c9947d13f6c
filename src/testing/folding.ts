import { createReadStream } from 'node:fs';
import { readExport } from '../events/exported.js';
import type { Recorded } from '../events/events.js';
import type { Json } from '../events/vocabulary.js';
import { project } from '../projections/project.js';
import { COLLECTIONS, type Collection, type ReadModel } from '../storage/read-model/port.js';
import { inMemoryReadModel, type InMemoryReadModel } from './in-memory-read-model.js';

/* An exported log, folded into fresh projections: no service, no folder, nothing but the events. */

/** Which streams an export is read into; any will do where no log is written. */
const PREFIX = 'lethe.';
const BATCH = 1_000;

/** @throws BadLine with the first line that is wrong; the system's error where the file cannot be read */
export const readLogFile = async (file: string | URL): Promise<Recorded[]> => {
  const log: Recorded[] = [];
  for await (const { recorded } of readExport(createReadStream(file), PREFIX)) log.push(recorded);
  return log;
};

/** @param sizes how many events each batch takes, one after the other and from the start again */
export const folded = async (
  log: readonly Recorded[],
  sizes: readonly [number, ...number[]] = [BATCH],
): Promise<InMemoryReadModel> => {
  const model = inMemoryReadModel();
  let checkpoint = 0n;
  for (let [start, turn] = [0, 0]; start < log.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? BATCH;
    const batch = log.slice(start, start + size);
    const to = BigInt(batch.at(-1)?.position ?? 0);
    await model.apply(await project(model, batch), checkpoint, to);
    checkpoint = to;
    start += size;
  }
  return model;
};

/** A model's rows by collection and key. */
export type Dump = ReadonlyMap<string, string>;

/** @param except collections that are left out */
export const dumpOf = async (model: ReadModel, except: readonly Collection[] = []): Promise<Dump> => {
  const rows = new Map<string, string>();
  for (const collection of COLLECTIONS) {
    if (except.includes(collection)) continue;
    for await (const { key, row } of model.dump(collection)) rows.set(`${collection} ${key}`, JSON.stringify(row));
  }
  return rows;
};

/** Where two rows of one key differ, or one of them is missing (`undefined`). */
export interface Difference {
  /** Collection and key, and the path to the value within the row. */
  readonly at: string;
  readonly expected: Json | undefined;
  readonly found: Json | undefined;
}

/** What differs between two dumps, value by value; rows that are equal but for the order of their members differ as a whole. */
export const differences = (expected: Dump, found: Dump): Difference[] =>
  [...new Set([...expected.keys(), ...found.keys()])].sort().flatMap((key) => {
    const [a, b] = [expected.get(key), found.get(key)];
    if (a === b) return [];
    const [before, after] = [jsonOf(a), jsonOf(b)];
    const within = between(key, before, after);
    return within.length > 0 ? within : [{ at: key, expected: before, found: after }];
  });

const between = (at: string, a: Json | undefined, b: Json | undefined): Difference[] => {
  if (isMembers(a) && isMembers(b)) {
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((name) =>
      between(`${at} ${name}`, a[name], b[name]),
    );
  }
  return JSON.stringify(a) === JSON.stringify(b) ? [] : [{ at, expected: a, found: b }];
};

const isMembers = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isJson = (value: unknown): value is Json => value !== undefined;

const jsonOf = (text: string | undefined): Json | undefined => {
  const value: unknown = text === undefined ? undefined : JSON.parse(text);
  return isJson(value) ? value : undefined;
};
