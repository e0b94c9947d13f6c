import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectRefused } from '../harness/refusing.js';
import {
  discard,
  startService,
  upload,
  type Answer,
  type RequestOptions,
  type RunningService,
} from '../harness/service.js';

/* The contract's section 4 through HTTP: each field with each of its operators, the order of rows, and what is refused. */

type Row = Answer['body'];
interface Ref {
  readonly registry: string;
  readonly uid: string;
}

const NEVER = 'N0suchRecord00000000';
const q = encodeURIComponent;
const at = ({ registry, uid }: Ref): string => `/v1/${registry}/${uid}`;

let service: RunningService;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => discard(service));

const call = (method: string, path: string, options?: RequestOptions): Promise<Answer> =>
  service.request(method, path, options);
const made = (answer: Answer): Row => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.record;
};
const register = async (registry: string, json: object): Promise<Row> =>
  made(await call('POST', `/v1/${registry}`, { json }));
const file = async (metadata: object, content: string): Promise<Row> =>
  made(await call('POST', '/v1/files', { body: upload({ onDuplicate: 'create', ...metadata }, content) }));
const itemsOf = async (path: string): Promise<Row[]> => {
  const answer = await call('GET', path);
  expect(answer.status, `${path}: ${JSON.stringify(answer.body)}`).toBe(200);
  return answer.body.items;
};
const refuse = (path: string, ...places: string[]): Promise<Answer> =>
  expectRefused(service, [], {
    name: path,
    send: () => call('GET', path),
    status: 422,
    code: 'invalid',
    errors: places,
  });

describe('each field that a record has is a field to ask by', () => {
  let records: Readonly<Record<string, Row>>;
  /** Nested or of many values: they are asked by in ways of their own. */
  const APART = ['registry', 'visibility', 'hold', 'labels', 'files', 'data'];

  beforeAll(async () => {
    const label = await register('labels', { name: 'a label', description: 'of all' });
    const run = await register('runs', { name: 'a run' });
    const transform = await register('transforms', { name: 'a transform' });
    const full = { description: 'full', version: '2', labels: [label.uid], run: run.uid, transform: transform.uid };
    const first = await file({ key: 'first.csv' }, 'first');
    const whole = await file({ ...full, key: 'full.csv', accessor: 'table', initialVersion: first.uid }, 'full');
    await call('DELETE', `${at(whole)}?reason=done`);
    const files = (await call('GET', at(whole))).body;
    const one = await register('datasets', { name: 'first' });
    const dataset = await register('datasets', { ...full, name: 'full', files: [first.uid], initialVersion: one.uid });
    await call('DELETE', `${at(dataset)}?reason=done`);
    records = { files, datasets: (await call('GET', at(dataset))).body, labels: label };
  });

  it.each(['files', 'datasets', 'labels'])('%s', async (registry) => {
    const record = records[registry];
    for (const [field, value] of Object.entries<string | number | boolean | null>(record)) {
      if (APART.includes(field)) continue;
      const uids = async (query: string): Promise<string[]> => {
        const any = registry === 'labels' ? '' : 'visibility=any&';
        return (await itemsOf(`/v1/${registry}?${any}limit=1000&${query}`)).map(({ uid }: Row) => uid);
      };
      if (value === null) {
        expect(field).toBe('purgeAfter');
        expect(await uids(`${field}[null]=true`)).toContain(record.uid);
        continue;
      }
      const is = q(String(value));
      expect(await uids(`${field}=${is}`), field).toContain(record.uid);
      expect(await uids(`${field}[ne]=${is}`), field).not.toContain(record.uid);
      expect(await uids(`${field}[in]=${is}`), field).toContain(record.uid);
      expect(await uids(`${field}[null]=false`), field).toContain(record.uid);
      expect(await uids(`${field}[null]=true`), field).not.toContain(record.uid);
      if (typeof value === 'boolean') continue;
      expect(await uids(`${field}[gte]=${is}&${field}[lte]=${is}`), field).toContain(record.uid);
      expect(await uids(`${field}[gt]=${is}`), field).not.toContain(record.uid);
      expect(await uids(`${field}[lt]=${is}`), field).not.toContain(record.uid);
      expect(await uids(`sort=${field}`), field).toContain(record.uid);
    }
  });

  it('what a registry has not is unknown there', async () => {
    await refuse('/v1/labels?key=x', '?key');
    await refuse('/v1/labels?data=x', '?data');
    await refuse('/v1/labels?createdBy=x', '?createdBy');
    await refuse('/v1/datasets?size=1', '?size');
    await refuse('/v1/files?name=x', '?name');
    await refuse('/v1/files?registry=files', '?registry');
    await refuse('/v1/files?files=x', '?files');
    await refuse('/v1/files?__proto__=x&constructor=y&toString[gt]=1', '?__proto__', '?constructor', '?toString[gt]');
  });

  it('a plain record has no trash: visibility is what it always is', async () => {
    const names = (await itemsOf('/v1/labels')).map(({ name }: Row) => name);
    expect(names).toEqual(['a label']);
    expect(await itemsOf('/v1/labels?visibility=-1')).toEqual([]);
    expect(await itemsOf('/v1/labels?visibility=any')).toHaveLength(1);
  });
});

describe('values and operators', () => {
  let rows: Row[];
  const NUMBERS = [0, 1, 9, 10, 11, 100];

  beforeAll(async () => {
    rows = [];
    for (const size of NUMBERS) rows.push(await file({ accessor: 'values', key: `${size}` }, 'x'.repeat(size)));
  });
  const sizes = async (query: string): Promise<number[]> =>
    (await itemsOf(`/v1/files?accessor=values&sort=createdAt&${query}`)).map(({ size }: Row) => size);

  it('numbers compare as numbers', async () => {
    expect(await sizes('size[gt]=9')).toEqual([10, 11, 100]);
    expect(await sizes('size[lte]=10')).toEqual([0, 1, 9, 10]);
    expect(await sizes('size[in]=100,9,9,-5')).toEqual([9, 100]);
    expect(await sizes('size[gt]=-1')).toEqual(NUMBERS);
    expect(await sizes('size=0')).toEqual([0]);
    expect(await sizes('size=-0')).toEqual([0]);
    expect(await sizes('size=007')).toEqual([]);
    const largestFirst = await itemsOf('/v1/files?accessor=values&sort=-size');
    expect(largestFirst.map(({ size }: Row) => size)).toEqual(NUMBERS.toReversed());
  });

  it.each(['1.5', '1e3', '0x10', '', '+1', ' 1', 'NaN', 'Infinity', '9'.repeat(16), '1,2'])(
    'size[gt]=%s is no number: 422',
    async (value) => {
      await refuse(`/v1/files?size[gt]=${q(value)}`, '?size[gt]');
    },
  );

  it('text compares as text', async () => {
    const keys = async (query: string): Promise<string[]> =>
      (await itemsOf(`/v1/files?accessor=values&sort=key&${query}`)).map(({ key }: Row) => key);
    expect(await keys('')).toEqual(['0', '1', '10', '100', '11', '9']);
    expect(await keys('key[gt]=10')).toEqual(['100', '11', '9']);
    expect(await keys('key[startsWith]=1')).toEqual(['1', '10', '100', '11']);
  });

  it('booleans', async () => {
    expect(await sizes('isLatest=true')).toEqual(NUMBERS);
    expect(await sizes('keyIsVirtual[in]=true,false')).toEqual(NUMBERS);
    expect(await sizes('keyIsVirtual[ne]=true')).toEqual([]);
    for (const query of ['isLatest=1', 'isLatest=', 'isLatest[gt]=true', 'isLatest[startsWith]=t'])
      await refuse(`/v1/files?${query}`, `?${query.split('=')[0] ?? ''}`);
  });

  it('times: any offset, any fraction; without an offset none', async () => {
    const { createdAt } = rows[3];
    const ms = Date.parse(createdAt);
    const offset = (hours: number): string => {
      const sign = hours < 0 ? '-' : '+';
      const there = new Date(ms + hours * 3_600_000).toISOString();
      return there.replace('Z', `${sign}${String(Math.abs(hours)).padStart(2, '0')}:00`);
    };
    for (const time of [createdAt, offset(2), offset(-11), offset(14), createdAt.replace('Z', '000Z')]) {
      expect(await sizes(`createdAt=${q(time)}`), time).toContain(10);
      expect(await sizes(`createdAt[gt]=${q(time)}`), time).not.toContain(10);
    }
    // An address in which the + was not written as %2B.
    expect(await sizes(`createdAt=${offset(2)}`)).toContain(10);
    expect(await sizes(`createdAt[in]=${q(`${offset(2)},${createdAt}`)}`)).toContain(10);
    const second = `${createdAt.slice(0, 19)}Z`;
    expect(await sizes(`createdAt[gte]=${second}`)).toContain(10);
    for (const time of [
      '2026-11-23',
      '2026-11-23T00:57:00',
      '2026-02-30T00:00:00Z',
      '1764000000',
      'now',
      '',
      `${createdAt}x`,
    ])
      await refuse(`/v1/files?createdAt[gte]=${q(time)}`, '?createdAt[gte]');
  });

  it('presence of a hold', async () => {
    const [first] = rows;
    await call('PUT', `${at(first)}/hold`, { json: { reason: 'kept' } });
    expect(await sizes('hold[null]=false')).toEqual([0]);
    expect(await sizes('hold[null]=true')).toEqual(NUMBERS.slice(1));
    await refuse('/v1/files?hold=kept', '?hold');
    await refuse('/v1/files?hold[ne]=kept', '?hold[ne]');
    await call('DELETE', `${at(first)}/hold`);
  });

  it('an operator that there is not, or not for this field: 422, with those that there are', async () => {
    for (const operator of ['eq', 'GT', 'like', 'regex', '', 'in ', '__proto__', 'constructor', '$gt']) {
      const answer = await refuse(`/v1/files?size[${q(operator)}]=1`, `?size[${operator}]`);
      expect(answer.body.errors[0].message).toContain('gte');
    }
    await refuse('/v1/files?size[startsWith]=1', '?size[startsWith]');
    await refuse('/v1/files?createdAt[contains]=2026', '?createdAt[contains]');
    await refuse('/v1/files?size[gt=1', '?size[gt');
    await refuse('/v1/files?size[gt][lt]=1', '?size[gt][lt]');
    await refuse('/v1/files?size%5Bgt%5D=1&size[gt]=2', '?size[gt]');
    await refuse('/v1/files?[gt]=1', '?[gt]');
    await refuse('/v1/files?=1', '?…');
  });

  it('all that is wrong is named at once', async () => {
    const answer = await refuse('/v1/files?size[gt]=big&colour=red&limit=0&visibility=9&sort=colour&count=1&cursor=x');
    const places = answer.body.errors.map(({ path }: Row) => path);
    expect(places.toSorted()).toEqual(['?colour', '?count', '?cursor', '?limit', '?size[gt]', '?sort', '?visibility']);
  });
});

describe('text and absence', () => {
  const KEYS = [
    'a,b',
    'a\\',
    'a',
    'b',
    'A',
    'ä',
    'é',
    'e\u0301',
    '～',
    '😀',
    '%',
    '_',
    '*',
    "'",
    '"',
    '--',
    null,
  ] as const;

  beforeAll(async () => {
    for (const [index, key] of KEYS.entries()) await file({ accessor: 'text', key }, `text ${index}`);
  });
  const keys = async (query: string): Promise<(string | null)[]> =>
    (await itemsOf(`/v1/files?accessor=text&sort=key&${query}`)).map(({ key }: Row) => key);
  const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const TEXTS = KEYS.filter((key) => key !== null).toSorted(byCodePoint);

  it('rows come by code point, absent ones lowest, whichever way', async () => {
    expect(await keys('')).toEqual([null, ...TEXTS]);
    const descending = await itemsOf('/v1/files?accessor=text&sort=-key');
    expect(descending.map(({ key }: Row) => key)).toEqual([...TEXTS.toReversed(), null]);
  });

  it.each(KEYS.filter((key) => key !== null))(
    '%s is found by equality and each operator, and stands for itself alone',
    async (key) => {
      expect(await keys(`key=${q(key)}`)).toEqual([key]);
      expect(await keys(`key[ne]=${q(key)}`)).toEqual([null, ...TEXTS.filter((other) => other !== key)]);
      expect(await keys(`key[gt]=${q(key)}`)).toEqual(TEXTS.filter((other) => byCodePoint(other, key) > 0));
      expect(await keys(`key[lte]=${q(key)}`)).toEqual(TEXTS.filter((other) => byCodePoint(other, key) <= 0));
      expect(await keys(`key[startsWith]=${q(key)}`)).toEqual(TEXTS.filter((other) => other.startsWith(key)));
      expect(await keys(`key[contains]=${q(key)}`)).toEqual(TEXTS.filter((other) => other.includes(key)));
    },
  );

  it('in: \\, is a comma and \\\\ a backslash; another backslash is itself', async () => {
    expect(await keys(`key[in]=${q('a\\,b')}`)).toEqual(['a,b']);
    expect(await keys(`key[in]=${q('a,b')}`)).toEqual(['a', 'b']);
    expect(await keys(`key[in]=${q('a\\\\,b')}`)).toEqual(['a\\', 'b']);
    expect(await keys(`key[in]=${q('b,a\\')}`)).toEqual(['a\\', 'b']);
    expect(await keys('key[in]=')).toEqual([]);
    expect(await keys(`key[in]=${Array.from({ length: 1_000 }, (_, index) => index).join(',')}`)).toEqual([]);
    await refuse(`/v1/files?key[in]=${','.repeat(1_000)}`, '?key[in]');
  });

  it('ne matches what is absent, no other operator does', async () => {
    for (const query of ['gt', 'gte', 'startsWith', 'contains'].map((operator) => `key[${operator}]=`))
      expect(await keys(query)).not.toContain(null);
    expect(await keys(`key[lt]=${q('\u{10ffff}')}`)).not.toContain(null);
    expect(await keys(`key[in]=${q(TEXTS.filter((key) => !/[,\\]/.test(key)).join(','))}`)).not.toContain(null);
    expect(await keys('key[ne]=')).toContain(null);
    expect(await keys('key=null')).toEqual([]);
    expect(await keys('key[null]=true')).toEqual([null]);
  });
});

describe('visibility', () => {
  let uids: Readonly<Record<string, string>>;

  beforeAll(async () => {
    const shown = await file({ accessor: 'seen' }, 'shown');
    const hidden = await file({ accessor: 'seen', visibility: 0 }, 'hidden');
    const binned = await file({ accessor: 'seen' }, 'binned');
    const wasHidden = await file({ accessor: 'seen', visibility: 0 }, 'was hidden');
    const gone = await file({ accessor: 'seen' }, 'gone');
    for (const { uid } of [binned, wasHidden]) await call('DELETE', `/v1/files/${uid}`);
    await call('DELETE', `${at(gone)}?permanent=true`, { headers: { prefer: 'wait=20' } });
    uids = { 1: shown.uid, 0: hidden.uid, '-1': binned.uid, 'was 0': wasHidden.uid, gone: gone.uid };
  });

  it.each([
    ['', ['1']],
    ['visibility=1', ['1']],
    ['visibility=0', ['0']],
    ['visibility=-1', ['-1', 'was 0']],
    ['visibility=1,0', ['1', '0']],
    ['visibility=0,-1', ['0', '-1', 'was 0']],
    ['visibility=-1,1,-1', ['1', '-1', 'was 0']],
    ['visibility=any', ['1', '0', '-1', 'was 0']],
    ['visibility=1,0,-1', ['1', '0', '-1', 'was 0']],
  ])('%s', async (query, expected) => {
    const wanted = expected.map((name) => uids[name]);
    const rows = await itemsOf(`/v1/files?accessor=seen&sort=createdAt&${query}`);
    expect(rows.map(({ uid }: Row) => uid)).toEqual(wanted);
    for (const uid of Object.values(uids)) {
      const found = wanted.includes(uid) ? [uid] : [];
      const by = async (filter: string): Promise<string[]> =>
        (await itemsOf(`/v1/files?${query}&${filter}`)).map((row: Row) => row.uid);
      expect(await by(`uid=${uid}`)).toEqual(found);
      expect(await by(`uid[in]=${uid},${NEVER}`)).toEqual(found);
    }
  });

  it.each(['', '2', '-2', '1,', 'any,1', 'ANY', '1 ', 'true', '1.0', '+1', 'null'])(
    'visibility=%s: 422',
    async (value) => {
      await refuse(`/v1/files?visibility=${q(value)}`, '?visibility');
    },
  );

  it('takes no operator', async () => {
    await refuse('/v1/files?visibility[in]=1', '?visibility[in]');
    await refuse('/v1/files?visibility=1&visibility=0', '?visibility');
  });
});

describe('members', () => {
  it('labels= and files= match one of them, and nothing that only looks like it', async () => {
    const [one, two] = [await register('labels', { name: 'one' }), await register('labels', { name: 'two' })];
    const both = await file({ key: 'both', labels: [one.uid, two.uid] }, 'both');
    const first = await file({ key: 'first', labels: [one.uid] }, 'first of two');
    // A run is pointed to as well, and is no label.
    const run = await register('runs', { name: 'run' });
    const other = await file({ key: 'other', run: run.uid }, 'other');
    const dataset = await register('datasets', { files: [both.uid, other.uid], labels: [two.uid] });
    const found = async (path: string): Promise<string[]> => (await itemsOf(path)).map(({ uid }: Row) => uid);
    expect(await found(`/v1/files?labels=${one.uid}&sort=createdAt`)).toEqual([both.uid, first.uid]);
    expect(await found(`/v1/files?labels=${two.uid}`)).toEqual([both.uid]);
    expect(await found(`/v1/files?labels=${run.uid}`)).toEqual([]);
    expect(await found(`/v1/files?labels=${NEVER}`)).toEqual([]);
    expect(await found(`/v1/files?labels=${one.uid.toLowerCase()}`)).toEqual([]);
    expect(await found(`/v1/datasets?files=${other.uid}&labels=${two.uid}`)).toEqual([dataset.uid]);
    expect(await found(`/v1/datasets?files=${first.uid}`)).toEqual([]);
    await call('PATCH', at(both), { json: { labels: [one.uid] } });
    expect(await found(`/v1/files?labels=${two.uid}`)).toEqual([]);
    await refuse(`/v1/files?labels[in]=${one.uid}`, '?labels[in]');
    await refuse(`/v1/files?labels=${one.uid}&labels=${two.uid}`, '?labels');
    await refuse('/v1/files?sort=labels', '?sort');
  });
});
