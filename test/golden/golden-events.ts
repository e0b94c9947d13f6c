import { mkdirSync, readdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { digestOf } from '../../src/events/codec.js';
import { EVENTS, type EventType, type Recorded } from '../../src/events/events.js';
import type { StoredEvent } from '../../src/storage/event-store/port.js';
import { TestLog } from '../../src/testing/log.js';
import { shapeOf, TYPES, type Shape } from '../harness/event-arbitraries.js';
import { EXAMPLES } from './examples.js';

/*
 * One golden file per event version: what the schema was, and events as a disk holds them beside what they decode to. They are never
 * edited: a changed field is a new version with an upcaster and a golden file of its own.
 *
 * `LETHE_GOLDEN=write npx vitest run test/core/codec.test.ts` writes the files that are missing, and no other.
 */

const FOLDER = fileURLToPath(new URL('./events/', import.meta.url));

export interface GoldenExample {
  readonly stored: Omit<StoredEvent, 'position'> & { readonly position: string };
  readonly recorded: Recorded;
  /** What the next event of the stream carries as `previous`. */
  readonly digest: string;
}

export interface Golden {
  readonly type: EventType;
  readonly version: number;
  /** The schema's fields and what each may hold. */
  readonly shape: Described;
  readonly examples: readonly GoldenExample[];
}

const nameOf = (type: EventType, version: number): string => `${type}.v${version}.json`;

/** The golden files that there should be: one for every version that was ever written. */
export const expectedNames = (): string[] =>
  TYPES.flatMap((type) => Array.from({ length: EVENTS[type].version }, (_, index) => nameOf(type, index + 1))).sort();

export const presentNames = (): string[] => readdirSync(FOLDER).sort();

export const readGolden = (name: string): Golden => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Golden;

/** Writes the files of today's versions that are missing. */
export const writeMissing = (): void => {
  mkdirSync(FOLDER, { recursive: true });
  for (const type of TYPES) {
    const path = join(FOLDER, nameOf(type, EVENTS[type].version));
    if (!existsSync(path)) writeFileSync(path, `${JSON.stringify(goldenOf(type), null, 2)}\n`);
  }
};

const goldenOf = (type: EventType): Golden => {
  const log = new TestLog();
  for (const { ref, happening } of EXAMPLES[type]) log.happens(ref, happening);
  return {
    type,
    version: EVENTS[type].version,
    shape: describe(shapeOf(EVENTS[type].schema)),
    examples: log.recorded.map((recorded, index) => {
      const stored = log.stored[index];
      if (stored === undefined) throw new Error(`${type} has no stored form`);
      return { stored: { ...stored, position: String(stored.position) }, recorded, digest: digestOf(stored, recorded.meta) };
    }),
  };
};

export type Described = string | { readonly [name: string]: Described } | readonly Described[];

/** A schema in a few words, which say all that it accepts and do not depend on how a version of zod prints it. */
export const describe = (shape: Shape): Described => {
  const { type } = shape;
  if (shape.const !== undefined) return JSON.stringify(shape.const);
  if (shape.enum !== undefined) return shape.enum.map((value) => JSON.stringify(value)).join(' | ');
  const choices = shape.anyOf ?? shape.oneOf;
  if (choices !== undefined) return joined(choices.map(describe));
  if (shape.$ref !== undefined) return 'json';
  if (typeof type === 'object') return joined(type.map((each) => describe({ ...shape, type: each })));
  if (type === 'object') return describeObject(shape);
  if (type === 'array') return [describe(shape.items ?? {})];
  if (type === 'string') return [type, shape.format, shape.format === undefined ? shape.pattern : undefined].filter(Boolean).join(' ');
  const least = shape.exclusiveMinimum !== undefined ? ` > ${shape.exclusiveMinimum}` : shape.minimum !== undefined ? ` >= ${shape.minimum}` : '';
  return `${type ?? 'anything'}${least}`;
};

const joined = (choices: readonly Described[]): Described =>
  choices.every((choice) => typeof choice === 'string') ? choices.join(' | ') : choices;

const describeObject = ({ properties, required = [], additionalProperties }: Shape): Described => {
  const fields = Object.entries(properties ?? {}).map(([name, field]) => [required.includes(name) ? name : `${name}?`, describe(field)]);
  const others = additionalProperties === false ? [] : [['*', typeof additionalProperties === 'object' ? describe(additionalProperties) : 'anything']];
  return Object.fromEntries([...fields, ...others]) as Described;
};
