import fc from 'fast-check';
import type { CatalogueRow, Condition, Find, Path, Scalar, Sort } from '../../src/storage/read-model/port.js';
import { dataset, file, uid } from './read-model.rows.js';

/** Random rows that share many values, and random questions about them, drawn from the same values. */

const text = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '',
      'a',
      'A',
      'ab',
      'a%',
      'a_b',
      'é',
      '\0',
      'a\0',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '😀',
      '\u{10ffff}',
      '\u{10ffff}a',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
);
const number = fc.constantFrom(0, 1, 9, 10, 100, 5_000_000_000, 2 ** 40);
const instant = fc.constantFrom(...['01', '02', '03'].map((day) => `2026-11-${day}T00:00:00.000Z`));
const position = fc.constantFrom(1, 9, 10, 100, 20_000_000_000);
const name = fc.string({ unit: fc.constantFrom('a', 'B', '1', 'z'), minLength: 1, maxLength: 6 }).map(uid);
const line = fc.constantFrom(uid('first'), uid('second'));
const ref = fc.constantFrom('files/a', 'files/b', 'labels/c');
const shared = fc.constantFrom('p', 'q');

const record = fc.record({
  visibility: fc.constantFrom<1 | 0 | -1>(1, 0, -1),
  createdAt: instant,
  updatedAt: instant,
  position,
  revision: fc.nat(3),
  trashing: fc.option(
    fc.record({
      from: fc.constant<1 | 0>(1),
      at: instant,
      by: text,
      reason: fc.option(text),
      purgeAfter: fc.option(instant),
      revision: fc.nat(3),
      position,
    }),
  ),
});
const flags = fc.record({
  live: fc.boolean(),
  isLatest: fc.boolean(),
  pointsTo: fc.array(ref, { maxLength: 3 }),
});
const fields = fc.record({
  key: fc.option(text),
  description: fc.option(text),
  size: number,
  path: shared,
  hash: shared,
  initialVersion: fc.option(line),
  labels: fc.array(shared, { maxLength: 2 }),
});

const row: fc.Arbitrary<CatalogueRow> = fc
  .tuple(fc.boolean(), name, fields, record, flags)
  .map(([isFile, uid, { key, size, path, hash, ...common }, record, row]) =>
    isFile
      ? file(uid, { key, size, path, hash, ...common }, { record, row })
      : dataset(uid, { name: key, ...common }, { record, row }),
  );

const texts: readonly (readonly [Path, fc.Arbitrary<string>])[] = [
  ['registry', fc.constantFrom('files', 'datasets', 'runs')],
  ['uid', name],
  ['record.createdAt', instant],
  ['record.updatedAt', instant],
  ['record.trashing.at', instant],
  ['record.trashing.reason', text],
  ['record.fields.key', text],
  ['record.fields.name', text],
  ['record.fields.description', text],
  ['record.fields.path', shared],
  ['record.fields.hash', shared],
  ['record.fields.initialVersion', line],
];
const numbers: readonly (readonly [Path, fc.Arbitrary<number | string>])[] = [
  ['record.fields.size', number],
  ['record.visibility', fc.constantFrom(1, 0, -1)],
  ['record.revision', fc.nat(3)],
  ['record.position', fc.oneof(position, position.map(String))],
  ['record.trashing.position', position],
];
const booleans: readonly Path[] = ['live', 'isLatest', 'record.fields.keyIsVirtual'];
const wholes: readonly Path[] = ['record.trashing', 'record.hold', 'pointsTo', 'nothing.of.that'];

const compared = (path: Path, value: fc.Arbitrary<Exclude<Scalar, null>>): fc.Arbitrary<Condition> =>
  fc.oneof(
    fc.record({ path: fc.constant(path), op: fc.constantFrom('eq', 'ne', 'gt', 'gte', 'lt', 'lte'), value }),
    fc.record({ path: fc.constant(path), op: fc.constant('in'), value: fc.array(value, { maxLength: 3 }) }),
    isNull(path),
  );
const searched = (path: Path, value: fc.Arbitrary<string>): fc.Arbitrary<Condition> =>
  fc.record({ path: fc.constant(path), op: fc.constantFrom('startsWith', 'contains'), value });
const isNull = (path: Path): fc.Arbitrary<Condition> =>
  fc.record({ path: fc.constant(path), op: fc.constant('null'), value: fc.boolean() });
const having = (path: Path, value: fc.Arbitrary<string>): fc.Arbitrary<Condition> =>
  fc.record({ path: fc.constant(path), op: fc.constant('has'), value });

const condition: fc.Arbitrary<Condition> = fc.oneof(
  ...texts.flatMap(([path, value]) => [compared(path, value), searched(path, value)]),
  ...numbers.map(([path, value]) => compared(path, value)),
  ...booleans.map((path) => compared(path, fc.boolean())),
  ...wholes.map(isNull),
  having('pointsTo', ref),
  having('record.fields.labels', shared),
);

/** The conditions that every list of records has. */
const listed: fc.Arbitrary<readonly Condition[]> = fc
  .tuple(fc.constantFrom('files', 'datasets'), fc.subarray([1, 0, -1], { minLength: 1 }))
  .map(([registry, visibilities]) => [
    { path: 'registry', op: 'eq', value: registry },
    { path: 'live', op: 'eq', value: true },
    { path: 'record.visibility', op: 'in', value: visibilities },
  ]);

const sort: fc.Arbitrary<readonly Sort[]> = fc
  .tuple(
    fc.shuffledSubarray(
      [...texts.map(([path]) => path), ...numbers.map(([path]) => path), ...booleans].filter((path) => path !== 'uid'),
      { maxLength: 3 },
    ),
    fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    fc.constantFrom('record.createdAt', 'record.updatedAt', 'record.fields.key', null),
  )
  .map(([paths, directions, first]) =>
    [...(first === null ? paths : [first]), 'uid'].map((path, i) => ({ path, descending: directions[i] === true })),
  );

const question: fc.Arbitrary<Find> = fc
  .tuple(fc.option(listed), fc.array(condition, { maxLength: 2 }), sort, fc.integer({ min: 1, max: 7 }))
  .map(([list, conditions, sort, limit]) => ({ where: [...(list ?? []), ...conditions], sort, after: null, limit }));

/** The uid ends every sort, so no two rows share one. */
export const datasets = fc.record({
  rows: fc.uniqueArray(row, { minLength: 1, maxLength: 40, selector: (row) => row.uid }),
  questions: fc.array(question, { minLength: 20, maxLength: 20 }),
});
