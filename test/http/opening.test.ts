import { text } from 'node:stream/consumers';
import { beforeEach, describe, expect, it } from 'vitest';
import { opened } from '../../src/api/opening.js';
import type { ObjectStore, SeenFile } from '../../src/storage/object-store/port.js';
import { InMemoryObjects } from '../../src/testing/in-memory-object-store.js';

/* What lies under a semantic key may be replaced at any moment: between the look at it and its opening, too. */

let objects: InMemoryObjects;
let store: ObjectStore;
const write = (content: string): SeenFile => objects.write('/lab/a.csv', Buffer.from(content));
const whole = { range: null, reads: true };

beforeEach(() => {
  objects = new InMemoryObjects({ now: () => new Date(0) });
  store = objects.open('/lab/');
  write('first');
});

describe('opening a file', () => {
  it('gives the bytes of just what was seen, also where others came to lie there meanwhile', async () => {
    const seen: SeenFile[] = [];
    const answer = await opened(store, 'a.csv', (there) => {
      seen.push(there);
      if (seen.length < 3) write(`the ${seen.length + 1}. of them`);
      return whole;
    });
    expect(seen).toHaveLength(3);
    expect(answer.whole).toEqual(seen[2]);
    expect(answer.body === null ? null : await text(answer.body)).toBe('the 3. of them');
  });

  it('finds the range anew in one that is shorter by now', async () => {
    let looks = 0;
    const { plan, body } = await opened(store, 'a.csv', ({ size }) => {
      looks += 1;
      if (looks === 1) write('ab');
      return { range: { start: size - 1, end: size - 1 }, reads: true };
    });
    expect([looks, plan.range?.start, body === null ? null : await text(body)]).toEqual([2, 1, 'b']);
  });

  it('looks no further where no bytes are wanted', async () => {
    const answer = await opened(store, 'a.csv', (there) => {
      write('another');
      return { range: null, reads: false, size: there.size };
    });
    expect([answer.plan.size, answer.body]).toEqual([5, null]);
  });

  it('gives up where it is another one each time', async () => {
    let looks = 0;
    const opening = opened(store, 'a.csv', () => {
      looks += 1;
      write(`${looks}`);
      return whole;
    });
    await expect(opening).rejects.toMatchObject({ code: 'store-unavailable', headers: { 'Retry-After': '1' } });
    expect(looks).toBe(5);
  });

  it('says so where it went away', async () => {
    const opening = opened(store, 'a.csv', () => {
      objects.remove('/lab/a.csv');
      return whole;
    });
    await expect(opening).rejects.toMatchObject({ code: 'object-missing' });
  });
});
