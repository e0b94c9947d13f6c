import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Asking, ENDED, type Row } from '../harness/asking.js';
import { discard, startService, type Answer, type RunningService } from '../harness/service.js';

/* Reads as of an earlier moment (the contract's section 3): one record, and lists. */

let service: RunningService;
let lethe: Asking;
beforeAll(async () => {
  service = await startService();
  lethe = new Asking(service);
});
afterAll(() => discard(service));

const get = (path: string): Promise<Answer> => service.request('GET', path);
const call = async (method: string, path: string, json?: unknown): Promise<Row> => {
  const answer = await service.request(method, path, {
    ...(json === undefined ? {} : { json }),
    headers: ENDED,
  });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer.body;
};
const added = (metadata: object): Promise<Row> => lethe.file(metadata);
/** A time between what has happened and what is to come. Events have whole milliseconds. */
const now = async (): Promise<string> => {
  const at = new Date().toISOString();
  while (new Date().toISOString() <= at) await get('/v1/labels?limit=1');
  return at;
};
const uids = (rows: readonly Row[]): string[] => rows.map(({ uid }) => uid);

describe('one record as it was', () => {
  let file: Row;
  let before: string;
  let times: string[];
  let history: Row[];
  beforeAll(async () => {
    before = await now();
    times = [];
    file = await added({ key: 'a.txt', description: 'first' });
    times.push(await now());
    await call('PATCH', `/v1/files/${file.uid}`, { description: 'second', visibility: 0 });
    times.push(await now());
    await call('DELETE', `/v1/files/${file.uid}?reason=old`);
    times.push(await now());
    await call('POST', `/v1/files/${file.uid}/restore`);
    times.push(await now());
    await call('DELETE', `/v1/files/${file.uid}?permanent=true`);
    times.push(await now());
    history = await lethe.historyOf(file);
  });

  const states = [
    { revision: 0, description: 'first', visibility: 1, reason: null },
    { revision: 1, description: 'second', visibility: 0, reason: null },
    { revision: 2, description: 'second', visibility: -1, reason: 'old' },
    { revision: 3, description: 'second', visibility: 0, reason: null },
  ];

  it.each(states.map((state, index) => [index, state] as const))(
    'by revision %i, by its position, and by a time after it',
    async (index, state) => {
      const at = times[index] ?? '';
      for (const query of [
        `revision=${index}`,
        `position=${history[index].position}`,
        `at=${at}`,
        `at=${encodeURIComponent(at.replace('Z', '+00:00'))}`,
      ]) {
        const answer = await get(`/v1/files/${file.uid}?${query}`);
        expect(answer.status, query).toBe(200);
        expect(answer.body, query).toMatchObject(state);
        expect(answer.headers.get('etag'), query).toBe(`"${index}"`);
      }
    },
  );

  it('in between two of its events is as after the first of them', async () => {
    const position = String(Number(history[2].position) - 1);
    expect((await get(`/v1/files/${file.uid}?position=${position}`)).body.revision).toBeLessThan(2);
  });

  it('answers 404 before its registration', async () => {
    for (const query of [`at=${before}`, 'position=0', 'at=1999-01-01T00:00:00Z'])
      expect((await get(`/v1/files/${file.uid}?${query}`)).status, query).toBe(404);
  });

  it('answers 410 from the purge request on', async () => {
    const requested = history.findIndex(({ type }) => type === 'RecordPurgeRequested');
    for (const query of [
      `revision=${requested}`,
      `revision=${history.length - 1}`,
      `position=${history[requested].position}`,
      `at=${times[4]}`,
    ]) {
      const answer = await get(`/v1/files/${file.uid}?${query}`);
      expect([answer.status, answer.body.code], query).toEqual([410, 'purged']);
      expect(answer.body.tombstone, query).toMatchObject({ uid: file.uid, key: 'a.txt' });
    }
    const purging = await get(`/v1/files/${file.uid}?revision=${requested}`);
    expect(purging.body.tombstone).toMatchObject({ state: 'purging', receipt: null, revision: requested });
  });

  it.each([
    ['revision=99', 422, '?revision'],
    ['position=99999999', 422, '?position'],
    ['position=9223372036854775807', 422, '?position'],
    ['at=2999-01-01T00:00:00Z', 422, '?at'],
    ['at=yesterday', 422, '?at'],
    ['at=2026-02-30T00:00:00Z', 422, '?at'],
    ['revision=-1', 422, '?revision'],
    ['revision=1.5', 422, '?revision'],
    ['revision=', 422, '?revision'],
    ['position=x', 422, '?position'],
    ['revision=1&position=1', 422, '?position'],
    ['at=2026-01-01T00:00:00Z&revision=0', 422, '?at'],
    ['revision=1&revision=1', 422, '?revision'],
    ['version=1', 422, '?version'],
  ])('refuses ?%s', async (query, status, path) => {
    const answer = await get(`/v1/files/${file.uid}?${query}`);
    expect([answer.status, answer.body.code]).toEqual([status, 'invalid']);
    expect(answer.body.errors).toMatchObject([{ path }]);
  });

  it('of what never was is 404', async () => {
    expect((await get('/v1/files/NobodyNobodyNobody00?revision=0')).status).toBe(404);
    expect((await get('/v1/nonsense/NobodyNobodyNobody00?revision=0')).status).toBe(404);
  });

  it('knows which of its line was the latest then', async () => {
    const first = await added({ key: 'v.txt', version: '1' });
    const alone = await now();
    const second = await added({ key: 'v.txt', version: '2', initialVersion: first.uid });
    const both = await now();
    await call('DELETE', `/v1/files/${second.uid}`);
    const latest = async (uid: string, at: string): Promise<boolean> =>
      (await get(`/v1/files/${uid}?at=${at}`)).body.isLatest;
    expect(await latest(first.uid, alone)).toBe(true);
    expect([await latest(first.uid, both), await latest(second.uid, both)]).toEqual([false, true]);
    const after = await now();
    expect([await latest(first.uid, after), await latest(second.uid, after)]).toEqual([true, false]);
  });
});

describe('a list as it was', () => {
  it('shows what was visible then, and nothing that came or went since', async () => {
    const [a, b, c] = [await added({ key: 'l/a' }), await added({ key: 'l/b' }), await added({ key: 'l/c' })];
    const all = await now();
    await call('DELETE', `/v1/files/${a.uid}`);
    await call('DELETE', `/v1/files/${b.uid}?permanent=true`);
    await call('PATCH', `/v1/files/${c.uid}`, { description: 'changed' });
    const fewer = await now();
    const d = await added({ key: 'l/d' });
    await call('POST', `/v1/files/${a.uid}/restore`);
    const list = async (query: string): Promise<Row> => (await get(`/v1/files?key[startsWith]=l/&${query}`)).body;
    expect(uids((await list(`at=${all}&sort=key`)).items)).toEqual(uids([a, b, c]));
    expect(uids((await list(`at=${fewer}&sort=key`)).items)).toEqual([c.uid]);
    expect(uids((await list(`at=${fewer}&sort=key&visibility=any`)).items)).toEqual(uids([a, c]));
    expect(uids((await list(`at=${fewer}&visibility=-1`)).items)).toEqual([a.uid]);
    expect(uids((await list('sort=key')).items)).toEqual(uids([a, c, d]));
    // Filters and counts mean what was so then.
    expect(uids((await list(`at=${all}&description=changed`)).items)).toEqual([]);
    expect(uids((await list(`at=${fewer}&description=changed`)).items)).toEqual([c.uid]);
    expect((await list(`at=${all}&count=true&limit=1`)).total).toBe(3);
    expect((await list(`at=${fewer}&count=true&visibility=any`)).total).toBe(2);
    expect((await list('at=1999-01-01T00:00:00Z&count=true')).total).toBe(0);
    expect((await list(`at=${all}&sort=key`)).items[2]).toMatchObject({ revision: 0, description: null });
  });

  it('goes on from page to page, whatever happens in between', async () => {
    const files: Row[] = [];
    for (let number = 0; number < 7; number += 1) files.push(await added({ key: `p/${number}` }));
    const at = await now();
    const seen: string[] = [];
    let next: string | null = null;
    for (let page = 0; page < 4; page += 1) {
      const cursor: string = next === null ? '' : `&cursor=${encodeURIComponent(next)}`;
      const answer: Answer = await get(`/v1/files?key[startsWith]=p/&sort=-key&limit=2&at=${at}${cursor}`);
      expect(answer.status).toBe(200);
      seen.push(...uids(answer.body.items));
      next = answer.body.next;
      await call('DELETE', `/v1/files/${files[page].uid}`);
      await call('DELETE', `/v1/files/${files[6 - page].uid}?permanent=true`);
      await added({ key: `p/${page}-later` });
    }
    expect(seen).toEqual(uids(files.toReversed()));
    expect(next).toBeNull();
  });

  it('takes a cursor of the same time alone', async () => {
    for (let number = 0; number < 3; number += 1) await added({ key: `q/${number}` });
    const [first, second] = [await now(), await now()];
    const { body } = await get(`/v1/files?key[startsWith]=q/&limit=1&at=${first}`);
    const cursor = encodeURIComponent(body.next);
    expect((await get(`/v1/files?key[startsWith]=q/&limit=1&at=${first}&cursor=${cursor}`)).status).toBe(200);
    for (const other of [`&at=${second}`, '']) {
      const answer = await get(`/v1/files?key[startsWith]=q/&limit=1${other}&cursor=${cursor}`);
      expect([answer.status, answer.body.errors[0].path]).toEqual([422, '?cursor']);
    }
  });

  it('shows plain records and datasets, too', async () => {
    const label = await call('POST', '/v1/labels', { name: 'then' });
    const at = await now();
    await call('PATCH', `/v1/labels/${label.record.uid}`, { name: 'since' });
    expect((await get(`/v1/labels?at=${at}`)).body.items).toMatchObject([{ name: 'then' }]);
    expect((await get('/v1/labels')).body.items).toMatchObject([{ name: 'since' }]);
    expect((await get(`/v1/datasets?at=${at}`)).body.items).toEqual([]);
  });

  it.each(['2999-01-01T00:00:00Z', 'yesterday', ''])('refuses ?at=%s', async (at) => {
    const answer = await get(`/v1/files?at=${at}`);
    expect([answer.status, answer.body.errors[0].path]).toEqual([422, '?at']);
  });
});
