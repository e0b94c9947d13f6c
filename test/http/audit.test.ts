import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectRefused } from '../harness/refusing.js';
import { discard, startService, upload, type Answer, type RunningService } from '../harness/service.js';

/* GET /v1/audit: every event, as a list and as a file. */

type Row = Answer['body'];

const FIELDS = [
  'position',
  'registry',
  'uid',
  'revision',
  'id',
  'at',
  'actor',
  'type',
  'version',
  'reason',
  'data',
  'commandId',
  'correlationId',
  'previous',
];
const NDJSON = { accept: 'application/x-ndjson' };
const CSV = { accept: 'text/csv' };
/** What a spreadsheet would run, what CSV has to quote, and what must come through as it is. */
const ACTORS = ['=1+1', '+1', '-1', '@SUM(A1)', 'ann', "'ann"];
const REASONS = ['=cmd|A0', '\tx', 'a\nb', 'a\rb', 'a\r\nb', 'say "so", then', 'Zoë ✓', ' padded '];

let service: RunningService;
let file: Row;

beforeAll(async () => {
  service = await startService();
  for (const [i, reason] of REASONS.entries()) {
    const query = new URLSearchParams({ reason });
    const headers = { 'x-actor': ACTORS[i % ACTORS.length] ?? '' };
    const made = await service.request('POST', `/v1/labels?${query.toString()}`, {
      json: { name: `label ${i}` },
      headers,
    });
    expect(made.status).toBe(201);
  }
  const headers = { 'x-actor': 'bob', 'x-correlation-id': 'the-upload' };
  const made = await service.request('POST', '/v1/files', { body: upload({ key: 'a.csv' }, 'a,b'), headers });
  file = made.body.record;
  await service.request('DELETE', `/v1/files/${file.uid}`, { headers });
});
afterAll(() => discard(service));

const get = async (query = '', headers: Record<string, string> = {}): Promise<Answer> => {
  const answer = await service.request('GET', `/v1/audit${query}`, { headers });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer;
};
const itemsOf = async (query: string): Promise<Row[]> => (await get(query)).body.items;
const everything = (): Promise<Row[]> => itemsOf('?limit=1000&order=asc');
const linesOf = (text: string): Row[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

describe('the list', () => {
  it('has every event, newest first, with all that the contract says and in its order', async () => {
    const items = await itemsOf('?limit=1000');
    const positions = items.map(({ position }) => BigInt(position));
    expect(positions).toEqual([...positions].sort((a, b) => Number(b - a)));
    expect(items.map(({ type }) => type)).toEqual([
      'RecordTrashed',
      'RecordRegistered',
      ...REASONS.map(() => 'RecordRegistered'),
      'RecordRegistered',
      'InstanceCreated',
    ]);
    for (const item of items) expect(Object.keys(item)).toEqual(FIELDS);
    expect(await everything()).toEqual([...items].reverse());
    const history = await service.request('GET', `/v1/files/${file.uid}/history`);
    expect(history.body.items).toEqual([items[1], items[0]]);
  });

  it.each([
    ['actor=bob', (row: Row) => row.actor === 'bob'],
    ['type=RecordTrashed', (row: Row) => row.type === 'RecordTrashed'],
    ['registry=labels', (row: Row) => row.registry === 'labels'],
    ['correlationId=the-upload', (row: Row) => row.correlationId === 'the-upload'],
    ['registry=files&type=RecordRegistered&actor=bob', (row: Row) => row.uid === file.uid && row.revision === 0],
    ['actor=%3D1%2B1', (row: Row) => row.actor === '=1+1'],
  ])('filters by %s', async (query, meets) => {
    const wanted = (await everything()).filter(meets);
    expect(wanted.length).toBeGreaterThan(0);
    expect(await itemsOf(`?order=asc&${query}`)).toEqual(wanted);
    expect(linesOf((await get(`?order=asc&${query}`, NDJSON)).body)).toEqual(wanted);
    expect((await get(`?limit=1&count=true&${query}`)).body.total).toBe(wanted.length);
  });

  it('filters by uid, and nobody has an event of what is not there', async () => {
    expect((await itemsOf(`?uid=${file.uid}`)).map(({ revision }) => revision)).toEqual([1, 0]);
    for (const query of ['?actor=nobody', '?actor=', '?registry=nothing', '?uid=x', '?correlationId=x'])
      expect(await itemsOf(query)).toEqual([]);
  });

  it('filters by time: from is in, to is out, whatever the offset', async () => {
    const all = await everything();
    const { at } = all[4];
    expect(await itemsOf(`?order=asc&from=${at}`)).toEqual(all.filter((row) => row.at >= at));
    expect(await itemsOf(`?order=asc&to=${at}`)).toEqual(all.filter((row) => row.at < at));
    expect(await itemsOf(`?from=${at}&to=${at}`)).toEqual([]);
    const elsewhere = new Date(Date.parse(at) + 7_200_000).toISOString().replace('Z', '+02:00');
    expect(await itemsOf(`?order=asc&from=${encodeURIComponent(elsewhere)}`)).toEqual(
      all.filter((row) => row.at >= at),
    );
  });

  it.each(['desc', 'asc'])('comes in pages, %s, each event once', async (order) => {
    const whole = await itemsOf(`?limit=1000&order=${order}`);
    const seen: Row[] = [];
    for (let next: string | null = `?limit=3&order=${order}`; next !== null;) {
      const answer = await get(next);
      expect(answer.body.items.length).toBeLessThanOrEqual(3);
      seen.push(...answer.body.items);
      next = answer.body.next === null ? null : `?limit=3&order=${order}&cursor=${answer.body.next}`;
      expect(answer.headers.get('link') === null).toBe(next === null);
      expect(answer.headers.get('x-position')).toBe(answer.body.position);
    }
    expect(seen).toEqual(whole);
  });

  it.each([
    ['?actors=x', '?actors'],
    ['?sort=at', '?sort'],
    ['?after=1', '?after'],
    ['?actor=a&actor=b', '?actor'],
    ['?order=up', '?order'],
    ['?from=yesterday', '?from'],
    ['?to=2026-13-01T00:00:00Z', '?to'],
    ['?type=RecordTrash', '?type'],
    ['?limit=0', '?limit'],
    ['?cursor=x', '?cursor'],
    ['?actor[in]=a,b', '?actor[in]'],
  ])('refuses %s', (query, place) =>
    expectRefused(service, [], {
      name: query,
      send: () => service.request('GET', `/v1/audit${query}`),
      status: 422,
      code: 'invalid',
      errors: [place],
    }).then(() => undefined),
  );

  it("does not take another query's cursor", async () => {
    const { next } = (await get('?limit=2&registry=labels')).body;
    for (const query of ['registry=files', 'registry=labels&order=asc', ''])
      expect((await service.request('GET', `/v1/audit?cursor=${next}&${query}`)).status).toBe(422);
  });

  it('waits for X-Min-Position, and says so where it is not reached', async () => {
    const { position } = (await get()).body;
    expect((await get('', { 'x-min-position': position })).status).toBe(200);
    const behind = await service.request('GET', '/v1/audit', { headers: { 'x-min-position': '999999' } });
    expect([behind.status, behind.body.code]).toEqual([503, 'projection-behind']);
  });
});

describe('what Accept asks for', () => {
  it.each([
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['application/*', 'application/json'],
    ['text/html, application/xhtml+xml, */*;q=0.8', 'application/json'],
    ['application/x-ndjson', 'application/x-ndjson'],
    ['APPLICATION/X-NDJSON', 'application/x-ndjson'],
    ['text/csv;q=0.5, application/x-ndjson;q=0.6', 'application/x-ndjson'],
    ['application/json;q=0, */*', 'application/x-ndjson'],
    ['text/*', 'text/csv'],
    ['text/csv, */*;q=0.1', 'text/csv'],
  ])('%s is %s', async (accept, type) => {
    const answer = await get('', accept === undefined ? {} : { accept });
    expect(answer.headers.get('content-type')?.split(';')[0]).toBe(type);
    expect(answer.headers.get('vary')).toContain('Accept');
  });

  it.each(['text/html', 'application/xml', 'application/json;q=0', 'nonsense', 'text/csv;q=2'])(
    '%s is nothing that there is',
    async (accept) => {
      await expectRefused(service, [], {
        name: accept,
        send: () => service.request('GET', '/v1/audit', { headers: { accept } }),
        status: 406,
        code: 'not-acceptable',
        detail: /application\/x-ndjson/,
      });
    },
  );

  it.each(['?limit=10', '?cursor=x', '?count=true'])('an export is whole, and takes no %s', async (query) => {
    await expectRefused(service, [], {
      name: query,
      send: () => service.request('GET', `/v1/audit${query}`, { headers: NDJSON }),
      status: 422,
      code: 'invalid',
      errors: [query.split('=')[0] ?? ''],
    });
  });
});

describe('an export', () => {
  it.each([
    [NDJSON, 'ndjson'],
    [CSV, 'csv'],
  ])('is an attachment, up to the position that it begins with: %j', async (headers, extension) => {
    const answer = await get('', headers);
    const position = answer.headers.get('x-position');
    expect(position).toBe((await get()).body.position);
    expect(answer.headers.get('content-disposition')).toContain(`attachment; filename="lethe-audit-${position}.`);
    expect(answer.headers.get('content-disposition')).toContain(`.${extension}"`);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    const head = await service.request('HEAD', '/v1/audit', { headers });
    expect([head.status, head.body]).toEqual([200, '']);
    for (const name of ['content-type', 'content-disposition', 'x-position'])
      expect(head.headers.get(name)).toBe(answer.headers.get(name));
  });

  it('in NDJSON has one row a line, in both orders', async () => {
    const all = await everything();
    const { body } = await get('?order=asc', NDJSON);
    expect(linesOf(body)).toEqual(all);
    expect(body).toBe(all.map((row) => `${JSON.stringify(row)}\n`).join(''));
    expect(linesOf((await get('', NDJSON)).body)).toEqual([...all].reverse());
    expect((await get('?actor=nobody', NDJSON)).body).toBe('');
  });

  it('in CSV has the fields in their order, data as JSON, and nothing that a spreadsheet would run', async () => {
    const all = await everything();
    const { body } = await get('?order=asc', CSV);
    const [head, ...lines] = csvOf(body);
    expect(head).toEqual(FIELDS);
    const risky = (text: string): string => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
    expect(lines).toEqual(
      all.map((row) =>
        FIELDS.map((name) => {
          const value = row[name];
          return value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : risky(String(value));
        }),
      ),
    );
    for (const cell of lines.flat()) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
    expect(lines.map((cells) => cells[6])).toEqual(expect.arrayContaining(["'=1+1", "'+1", "'-1", "'@SUM(A1)"]));
    expect(lines.map((cells) => cells[9])).toEqual(expect.arrayContaining(["'\tx", 'a\nb', 'a\rb', 'a\r\nb']));
    expect(csvOf((await get('?actor=nobody', CSV)).body)).toEqual([FIELDS]);
  });
});

/** RFC 4180, read strictly: rows end with CR LF, and what is quoted ends where its quote does. */
const csvOf = (text: string): string[][] => {
  const rows: string[][] = [];
  let row: string[] = [];
  for (let rest = text; rest !== '';) {
    const cell = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/.exec(rest);
    if (cell === null) throw new Error(`no cell of CSV: ${JSON.stringify(rest.slice(0, 80))}`);
    row.push(cell[1]?.replaceAll('""', '"') ?? cell[2] ?? '');
    if (cell[3] === '\r\n') {
      rows.push(row);
      row = [];
    }
    rest = rest.slice(cell[0].length);
  }
  return rows;
};
