import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectRefused } from '../harness/refusing.js';
import { discard, startService, type Answer, type RequestOptions, type RunningService } from '../harness/service.js';
import { until } from '../harness/until.js';

/* What all lists share (the contract's section 4): pages and cursors, while others write too; the answer and its headers. */

type Row = Answer['body'];
interface Ref {
  readonly registry: string;
  readonly uid: string;
}

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

/** Follows `next` to the end. @returns the items of each page */
const pagesOf = async (path: string, between: () => Promise<unknown> = async () => undefined): Promise<Row[][]> => {
  const pages: Row[][] = [];
  for (let next: string | null = path; next !== null; await between()) {
    expect(pages.length, 'a walk that does not end').toBeLessThan(100);
    const answer: Answer = await call('GET', next);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    pages.push(answer.body.items);
    next = null;
    const link = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
    if (answer.body.next === null) expect(answer.headers.get('link')).toBeNull();
    else {
      expect(new URL(link ?? '', service.url).searchParams.get('cursor')).toBe(answer.body.next);
      next = link ?? null;
    }
  }
  return pages;
};

describe('pages', () => {
  const COUNT = 12;
  let rows: Row[];

  beforeAll(async () => {
    rows = [];
    for (let index = 0; index < COUNT; index += 1) {
      const description = index % 3 === 0 ? undefined : `group ${index % 3}`;
      rows.push(await register('datasets', { name: `page ${String(index).padStart(2, '0')}`, description }));
    }
  });
  const mine = 'name[startsWith]=page';

  it('limit: 50 by default, from 1 to 1,000', async () => {
    for (let index = 0; index < 55; index += 1) await register('users', { name: `user ${index}` });
    expect(await itemsOf('/v1/users')).toHaveLength(50);
    expect(await itemsOf('/v1/users?limit=1')).toHaveLength(1);
    expect(await itemsOf('/v1/users?limit=1000')).toHaveLength(55);
    expect(await itemsOf('/v1/users?limit=0055')).toHaveLength(55);
    for (const limit of ['0', '1001', '-1', '1.5', '', 'all', '1e2', '00055', '%20'])
      await refuse(`/v1/users?limit=${limit}`, '?limit');
  });

  it('count=true: all that match, on every page', async () => {
    const first = await call('GET', `/v1/datasets?${mine}&limit=5&count=true`);
    expect(first.body.total).toBe(COUNT);
    const second = await call('GET', `/v1/datasets?${mine}&limit=5&count=true&cursor=${first.body.next}`);
    expect(second.body.total).toBe(COUNT);
    expect((await call('GET', '/v1/datasets?name=nothing&count=true')).body).toMatchObject({
      items: [],
      total: 0,
      next: null,
    });
    expect((await call('GET', `/v1/datasets?${mine}&count=false`)).body).not.toHaveProperty('total');
    expect((await call('GET', `/v1/datasets?${mine}`)).body).not.toHaveProperty('total');
  });

  it('a page that is just full says that there is no other', async () => {
    expect((await call('GET', `/v1/datasets?${mine}&limit=${COUNT}`)).body.next).toBeNull();
    expect((await call('GET', `/v1/datasets?${mine}&limit=${COUNT - 1}`)).body.next).toEqual(expect.any(String));
  });

  it.each([
    '',
    'sort=name',
    'sort=-description,name',
    'sort=description',
    'sort=-uid',
    'sort=updatedAt,-name',
    'sort=isLatest,-description',
  ])('a walk, %s: the whole list in its order, each once', async (sort) => {
    const whole = await itemsOf(`/v1/datasets?${mine}&${sort}`);
    for (const limit of [1, 5]) {
      const pages = await pagesOf(`/v1/datasets?${mine}&${sort}&limit=${limit}`);
      expect(pages.flat()).toEqual(whole);
      expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
    }
    expect(whole).toHaveLength(COUNT);
  });

  it('while others come, go and change: a record that does not change appears exactly once', async () => {
    const changing = rows.filter((_, index) => index % 4 === 1);
    const still = rows.filter((_, index) => index % 4 !== 1).map(({ uid }: Row) => uid);
    for (const sort of ['-createdAt', 'description,name', '-name', 'updatedAt']) {
      const come: Row[] = [];
      let turn = 0;
      const pages = await pagesOf(`/v1/datasets?${mine}&sort=${sort}&limit=2`, async () => {
        turn += 1;
        const record = changing[turn % changing.length];
        for (const name of ['page 00 new', 'page 05 new', 'page 99 new'])
          come.push(await register('datasets', { name }));
        await call('PATCH', at(record), { json: { description: `changed ${turn}` } });
        await call(turn % 2 === 0 ? 'POST' : 'DELETE', `${at(record)}${turn % 2 === 0 ? '/restore' : ''}`);
        // No more than fit between two pages, or a walk towards what comes would never end.
        if (turn > 6) await Promise.all(come.splice(0).map((row) => call('DELETE', at(row))));
      });
      const seen = pages.flat().map(({ uid }: Row) => uid);
      for (const uid of still)
        expect(
          seen.filter((each) => each === uid),
          `${sort}: ${uid}`,
        ).toHaveLength(1);
      expect(new Set(seen.filter((uid) => !changing.some((row) => row.uid === uid))).size).toBe(
        seen.filter((uid) => !changing.some((row) => row.uid === uid)).length,
      );
      for (const row of [...come, ...changing]) await call('DELETE', `${at(row)}?permanent=false`);
      for (const row of changing) await call('POST', `${at(row)}/restore`);
    }
  });

  describe('a cursor', () => {
    const next = async (path: string): Promise<string> => {
      const answer = await call('GET', path);
      expect(answer.body.next, JSON.stringify(answer.body)).toEqual(expect.any(String));
      return answer.body.next;
    };

    it('belongs to its list, its conditions and its order; not to limit and count', async () => {
      const cursor = await next(`/v1/datasets?${mine}&sort=name&limit=2`);
      const same = `/v1/datasets?${mine}&sort=name&cursor=${cursor}`;
      const rest = await itemsOf(same);
      expect(rest.map(({ name }: Row) => name)[0]).toBe('page 02');
      expect(await itemsOf(`${same}&limit=3&count=true`)).toEqual(rest.slice(0, 3));
      for (const other of [
        `/v1/datasets?${mine}&sort=-name`,
        `/v1/datasets?${mine}&sort=name,createdAt`,
        `/v1/datasets?${mine}`,
        '/v1/datasets?sort=name',
        `/v1/datasets?${mine}&sort=name&visibility=any`,
        `/v1/datasets?${mine}x&sort=name`,
        `/v1/datasets?${mine}&sort=name&description[null]=true`,
        '/v1/files?sort=key',
        '/v1/labels?sort=name',
        '/v1/trash?',
        '/v1/purges?',
        '/v1/operations?',
        `${at(rows[0])}/history?`,
      ]) {
        await refuse(`${other}&cursor=${cursor}`, '?cursor');
      }
    });

    it('does not mind in which order the conditions come', async () => {
      const [a, b, uids] = ['visibility=1,0', 'revision=0', rows.map(({ uid }) => uid)];
      const asked = `/v1/datasets?${a}&${b}&uid[in]=${uids.join()}&sort=name`;
      const cursor = await next(`${asked}&limit=2`);
      const turned = `/v1/datasets?uid[in]=${uids.toReversed().join()}&${b}&sort=name&visibility=0,1`;
      const rest = await itemsOf(`${turned}&cursor=${cursor}`);
      expect(rest).toEqual((await itemsOf(asked)).slice(2));
      expect(rest).not.toEqual([]);
    });

    it('Link asks the same again, whatever stands in it', async () => {
      const odd = ['?', '&', '=', '#', '%', '+', ' ', 'ü', '\ufffd'].map((part) => `odd ${part} end`);
      for (const name of odd) for (let i = 0; i < 2; i += 1) await register('transforms', { name });
      for (const name of odd) {
        const pages = await pagesOf(`/v1/transforms?limit=1&name=${encodeURIComponent(name)}`);
        expect(pages.flat().map((row: Row) => row.name)).toEqual([name, name]);
      }
      // In a query a question mark needs no coding.
      expect(await pagesOf('/v1/transforms?name[startsWith]=odd+?&limit=1')).toHaveLength(2);
    });

    it('that somebody made or changed: 422, or rows of this very list', async () => {
      const cursor = await next(`/v1/datasets?${mine}&sort=description&limit=3`);
      const path = `/v1/datasets?${mine}&sort=description`;
      const [mark, after] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [string, unknown[]];
      const written = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      for (const made of [
        written([mark]),
        written([mark, []]),
        written([mark, after.slice(1)]),
        written([mark, [...after, 1]]),
        written([mark, [{ $gt: '' }, '']]),
        written([mark, [['a'], '']]),
        written([`${mark}x`, after]),
        written({ mark, after }),
        written(null),
        cursor.slice(0, -4),
        `${cursor}${cursor}`,
        '',
        'null',
        '%00',
        'x'.repeat(4_000),
        '../../etc/passwd',
      ]) {
        await refuse(`${path}&cursor=${made}`, '?cursor');
      }
      // Whoever moves the place gets rows from there on: nothing that a filter would not show.
      const whole = (await itemsOf(path)).map(({ uid }: Row) => uid);
      for (const place of [
        [1e300, ''],
        [true, false],
        ["' OR 1=1 --", ''],
        [null, null],
      ]) {
        const answer = await call('GET', `${path}&cursor=${written([mark, place])}`);
        expect([200, 422], JSON.stringify(answer.body)).toContain(answer.status);
        for (const { uid } of answer.body.items ?? []) expect(whole).toContain(uid);
      }
    });

    it('goes on also where the record that it names is gone', async () => {
      const cursor = await next(`/v1/datasets?${mine}&sort=name&limit=3`);
      await call('DELETE', at(rows[2]));
      const rest = await itemsOf(`/v1/datasets?${mine}&sort=name&cursor=${cursor}`);
      expect(rest.map(({ name }: Row) => name)).toEqual(rows.slice(3).map(({ name }) => name));
      await call('POST', `${at(rows[2])}/restore`);
    });
  });
});

describe('what every list answers', () => {
  let parked: Row;

  beforeAll(async () => {
    for (let index = 0; index < 5; index += 1) {
      const record = await register('datasets', { name: `of all lists ${index}` });
      await call('DELETE', at(record));
      if (index > 1) await call('DELETE', `${at(record)}?permanent=true`, { headers: { prefer: 'wait=20' } });
    }
    for (let index = 0; index < 3; index += 1) {
      const key = { 'idempotency-key': `operation ${index}` };
      const answer = await call('DELETE', '/v1/trash?permanent=true&registry=files&olderThan=P1000D', { headers: key });
      expect(answer.status, JSON.stringify(answer.body)).toBe(202);
      await until('it is done', async () => {
        const { state } = (await call('GET', answer.headers.get('location') ?? '')).body;
        return state === 'done';
      });
    }
    parked = await register('datasets', { name: 'of many revisions' });
    for (let index = 0; index < 4; index += 1) await call('PATCH', at(parked), { json: { version: String(index) } });
  });

  const LISTS = ['/v1/datasets', '/v1/files', '/v1/labels', '/v1/trash', '/v1/purges', '/v1/operations', 'HISTORY'];
  const address = (list: string): string => (list === 'HISTORY' ? `${at(parked)}/history` : list);

  it.each(LISTS)('%s: items, next, position, total; Link; never 304', async (list) => {
    const path = address(list);
    const whole = await call('GET', `${path}?limit=1000&count=true`);
    expect(whole.status, JSON.stringify(whole.body)).toBe(200);
    expect(whole.body).toMatchObject({
      next: null,
      position: expect.stringMatching(/^\d+$/),
      total: whole.body.items.length,
    });
    expect(whole.headers.get('x-position')).toBe(whole.body.position);
    expect(whole.headers.get('cache-control')).toBe('no-cache');
    expect(whole.headers.get('etag')).toBeNull();
    expect((await pagesOf(`${path}?limit=2`)).flat()).toEqual(whole.body.items);
    expect((await pagesOf(`${path}?limit=1&count=true`)).flat()).toEqual(whole.body.items);
    const again = await call('GET', path, {
      headers: { 'if-none-match': '*', 'if-modified-since': new Date(Date.now() + 1e6).toUTCString() },
    });
    expect(again.status).toBe(200);
    if (list !== '/v1/labels' && list !== '/v1/files') expect(whole.body.items.length).toBeGreaterThan(1);
  });

  it.each(LISTS)('%s: HEAD as GET, without the items', async (list) => {
    const path = `${address(list)}?limit=1`;
    const [answer, got] = [await call('HEAD', path), await call('GET', path)];
    expect([answer.status, answer.body]).toEqual([200, '']);
    for (const name of ['x-position', 'link', 'cache-control', 'content-type', 'content-length'])
      expect(answer.headers.get(name), name).toBe(got.headers.get(name));
  });

  it.each(LISTS)('%s: the same refusals', async (list) => {
    const path = address(list);
    await refuse(`${path}?limit=0&count=maybe&cursor=x`, '?limit', '?count', '?cursor');
    await refuse(`${path}?colour=red`, '?colour');
    await refuse(`${path}?limit=1&limit=2`, '?limit');
  });

  it('GET /trash: newest first; registry= and its cursor', async () => {
    const items = await itemsOf('/v1/trash');
    const times = items.map(({ trashedAt }: Row) => trashedAt);
    expect(times).toEqual(times.toSorted().toReversed());
    const { next } = (await call('GET', '/v1/trash?limit=1')).body;
    await refuse(`/v1/trash?registry=datasets&cursor=${next}`, '?cursor');
    expect((await itemsOf('/v1/trash?registry=datasets')).every(({ registry }: Row) => registry === 'datasets')).toBe(
      true,
    );
  });

  it('GET /purges: newest first; state= and its cursor', async () => {
    const items = await itemsOf('/v1/purges');
    const times = items.map(({ requestedAt }: Row) => requestedAt);
    expect(times).toEqual(times.toSorted().toReversed());
    expect(await itemsOf('/v1/purges?state=done')).toEqual(items.filter(({ state }: Row) => state === 'done'));
    expect(await itemsOf('/v1/purges?state=parked,failed,pending,cancelled')).toEqual([]);
    const { next } = (await call('GET', '/v1/purges?limit=1')).body;
    await refuse(`/v1/purges?state=done&cursor=${next}`, '?cursor');
  });

  it('GET …/history: oldest first, and only its own', async () => {
    const items = await itemsOf(`${at(parked)}/history`);
    expect(items.map(({ revision }: Row) => revision)).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(items.map(({ uid }: Row) => uid))).toEqual(new Set([parked.uid]));
    const { next } = (await call('GET', `${at(parked)}/history?limit=2`)).body;
    const other = await register('datasets', { name: 'another' });
    await refuse(`${at(other)}/history?cursor=${next}`, '?cursor');
  });

  it('a record: HEAD as GET, ETag and no-cache, never 304', async () => {
    const got = await call('GET', at(parked));
    expect(got.headers.get('etag')).toBe('"4"');
    expect(got.headers.get('cache-control')).toBe('no-cache');
    const head = await call('HEAD', at(parked));
    expect([head.status, head.body, head.headers.get('etag')]).toEqual([200, '', '"4"']);
    for (const etag of ['"4"', 'W/"4"', '*']) {
      const again = await call('GET', at(parked), { headers: { 'if-none-match': etag } });
      expect([again.status, again.body]).toEqual([200, got.body]);
    }
  });
});
