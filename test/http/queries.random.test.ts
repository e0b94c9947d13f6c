import fc, { type Arbitrary } from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { discard, startService, upload, type Answer, type RunningService } from '../harness/service.js';

/*
 * Random records and random questions. The answer, all its pages together, is what a plain filter over all records gives: the whole of
 * section 4 of the contract, written down once more in the simplest way.
 */

type Row = Answer['body'];
type Value = string | number | boolean | null;
type Kind = 'text' | 'number' | 'boolean' | 'instant';

const FIELDS: Readonly<Record<string, Kind>> = {
  uid: 'text',
  key: 'text',
  description: 'text',
  suffix: 'text',
  accessor: 'text',
  version: 'text',
  run: 'text',
  reason: 'text',
  path: 'text',
  size: 'number',
  revision: 'number',
  objects: 'number',
  isLatest: 'boolean',
  keyIsVirtual: 'boolean',
  createdAt: 'instant',
  updatedAt: 'instant',
  trashedAt: 'instant',
  purgeAfter: 'instant',
};
const OPERATORS: Readonly<Record<Kind, readonly string[]>> = {
  text: ['', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'startsWith', 'contains', 'null'],
  number: ['', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'null'],
  instant: ['', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'null'],
  boolean: ['', 'ne', 'in', 'null'],
};
/** What means something in SQL, in regular expressions, in addresses or in the language itself; and both sides of the surrogates. */
const SIGNS = ['a', 'b', 'A', ',', '\\', '%', '_', '*', "'", '&', '+', ' ', 'é', '～', '\u{10000}', '😀'];
const text = fc.string({ unit: fc.constantFrom(...SIGNS), minLength: 1, maxLength: 3 });

let service: RunningService;
let records: Row[];
let labels: string[];

beforeAll(async () => {
  service = await startService();
  const make = async (registry: string): Promise<string> =>
    (await service.request('POST', `/v1/${registry}`, { json: {} })).body.record.uid;
  labels = [await make('labels'), await make('labels')];
  const runs = [await make('runs'), await make('runs')];
  const maybe = <T>(value: Arbitrary<T>): Arbitrary<T | null> => fc.option(value, { freq: 3 });
  const wanted = fc.record({
    size: fc.integer({ min: 0, max: 6 }),
    patches: fc.integer({ min: 0, max: 2 }),
    trashed: fc.option(text, { freq: 3 }),
    metadata: fc.record({
      key: maybe(text),
      description: maybe(text),
      suffix: maybe(fc.constantFrom('.csv', '.tar.gz')),
      accessor: maybe(text),
      version: maybe(fc.constantFrom('1', '2', '10')),
      run: maybe(fc.constantFrom(...runs)),
      labels: fc.subarray(labels),
      visibility: fc.constantFrom(1, 1, 0),
      onDuplicate: fc.constant('create'),
    }),
  });
  const uids: string[] = [];
  for (const { metadata, size, patches, trashed } of fc.sample(wanted, { numRuns: 120, seed: 1 })) {
    const { uid } = (await service.request('POST', '/v1/files', { body: upload(metadata, 'x'.repeat(size)) })).body
      .record;
    uids.push(uid);
    for (let patch = 0; patch < patches; patch += 1)
      await service.request('PATCH', `/v1/files/${uid}`, { json: { description: `patch ${patch}` } });
    if (trashed !== null) await service.request('DELETE', `/v1/files/${uid}?reason=${encodeURIComponent(trashed)}`);
  }
  records = await Promise.all(uids.map(async (uid) => (await service.request('GET', `/v1/files/${uid}`)).body));
  expect(records).toHaveLength(120);
});

afterAll(() => discard(service));

interface Condition {
  readonly field: string;
  readonly operator: string;
  readonly values: readonly Value[];
}

interface Question {
  readonly visibility: readonly number[] | null;
  readonly conditions: readonly Condition[];
  readonly label: string | null;
  readonly sort: readonly { readonly field: string; readonly descending: boolean }[] | null;
  readonly limit: number;
}

/** Mostly values that some record has: others are seldom of interest. */
const valueOf = (field: string, kind: Kind): Arbitrary<Value> => {
  const there = [...new Set(records.map((record) => record[field] as Value))].filter((value) => value !== null);
  const known = there.length === 0 ? [] : [{ weight: 4, arbitrary: fc.constantFrom(...there) }];
  const other = {
    text: fc.oneof(text, fc.constant('')),
    number: fc.integer({ min: -1, max: 9 }),
    boolean: fc.boolean(),
    instant: fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date('2100-01-01') })
      .map((date) => date.toISOString()),
  }[kind];
  return fc.oneof(...known, { weight: 1, arbitrary: other as Arbitrary<Value> });
};

const anyCondition = (): Arbitrary<Condition> =>
  fc.constantFrom(...Object.entries(FIELDS)).chain(([field, kind]) =>
    fc.constantFrom(...OPERATORS[kind]).chain((operator) => {
      const values =
        operator === 'null'
          ? fc.tuple(fc.boolean())
          : operator === 'in'
            ? fc.array(valueOf(field, kind), { minLength: 1, maxLength: 5 })
            : fc.tuple(valueOf(field, kind));
      return values.map((chosen): Condition => ({ field, operator, values: chosen }));
    }),
  );

const anyQuestion = (): Arbitrary<Question> =>
  fc.record({
    visibility: fc.option(fc.subarray([1, 0, -1], { minLength: 1 }), { freq: 4 }),
    conditions: fc.uniqueArray(anyCondition(), {
      maxLength: 3,
      selector: ({ field, operator }) => `${field} ${operator}`,
    }),
    label: fc.option(fc.constantFrom(...labels), { freq: 1 }),
    sort: fc.option(
      fc.uniqueArray(fc.record({ field: fc.constantFrom(...Object.keys(FIELDS)), descending: fc.boolean() }), {
        minLength: 1,
        maxLength: 3,
        selector: ({ field }) => field,
      }),
    ),
    limit: fc.constantFrom(7, 30, 1000),
  });

const addressOf = ({ visibility, conditions, label, sort, limit }: Question): string => {
  const query = new URLSearchParams({ limit: String(limit), count: 'true' });
  if (visibility !== null) query.set('visibility', visibility.join(','));
  for (const { field, operator, values } of conditions) {
    const said = values.map((value) => (operator === 'in' ? String(value).replace(/[\\,]/g, '\\$&') : String(value)));
    query.set(operator === '' ? field : `${field}[${operator}]`, said.join(','));
  }
  if (label !== null) query.set('labels', label);
  if (sort !== null) query.set('sort', sort.map(({ field, descending }) => (descending ? '-' : '') + field).join(','));
  return `/v1/files?${query.toString()}`;
};

/** Below, the same, above: numbers as such, all else by code point. Absent is below everything. */
const compare = (a: Value, b: Value): number => {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return Number(a) - Number(b);
};

const meets = (record: Row, { field, operator, values }: Condition): boolean => {
  const value = record[field] as Value;
  const [operand = null] = values;
  if (operator === 'null') return (value === null) === operand;
  if (operator === 'ne') return value !== operand;
  if (value === null) return false;
  const order = compare(value, operand);
  switch (operator) {
    case 'gt':
      return order > 0;
    case 'gte':
      return order >= 0;
    case 'lt':
      return order < 0;
    case 'lte':
      return order <= 0;
    case 'in':
      return values.includes(value);
    case 'startsWith':
      return String(value).startsWith(String(operand));
    case 'contains':
      return String(value).includes(String(operand));
    default:
      return value === operand;
  }
};

const expectedOf = ({ visibility, conditions, label, sort }: Question): string[] => {
  const by = sort ?? [{ field: 'createdAt', descending: true }];
  const last = { field: 'uid', descending: by.at(-1)?.descending === true };
  return records
    .filter((record) => (visibility ?? [1]).includes(record.visibility))
    .filter((record) => label === null || record.labels.includes(label))
    .filter((record) => conditions.every((condition) => meets(record, condition)))
    .toSorted((a, b) => {
      for (const { field, descending } of [...by, last]) {
        const order = compare(a[field] as Value, b[field] as Value);
        if (order !== 0) return descending ? -order : order;
      }
      return 0;
    })
    .map(({ uid }) => uid);
};

const answerTo = async (question: Question): Promise<{ uids: string[]; totals: number[] }> => {
  const [uids, totals]: [string[], number[]] = [[], []];
  const address = addressOf(question);
  for (let cursor: string | null = ''; cursor !== null && totals.length < 50;) {
    const { status, body }: Answer = await service.request('GET', address + (cursor === '' ? '' : `&cursor=${cursor}`));
    expect(status, `${address} ${JSON.stringify(body)}`).toBe(200);
    uids.push(...body.items.map(({ uid }: Row) => uid));
    totals.push(body.total);
    cursor = body.next;
  }
  return { uids, totals };
};

it('any question gets what a plain filter over all records gives, in its order, in pages of any size', async () => {
  let found = 0;
  const property = fc.asyncProperty(anyQuestion(), async (question) => {
    const expected = expectedOf(question);
    const { uids, totals } = await answerTo(question);
    expect(uids, addressOf(question)).toEqual(expected);
    expect(new Set(totals), addressOf(question)).toEqual(new Set([expected.length]));
    if (expected.length > 0) found += 1;
  });
  await fc.assert(property, { numRuns: 250, seed: 7 });
  // Questions that nothing meets would prove little.
  expect(found).toBeGreaterThan(60);
});
