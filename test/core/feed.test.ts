import { setMaxListeners } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/ports.js';
import { Feed } from '../../src/projections/feed.js';
import { Progress } from '../../src/projections/progress.js';
import type { Find, HistoryRow, ReadModel } from '../../src/storage/read-model/port.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import { event } from '../contract/read-model.rows.js';
import { until } from '../harness/until.js';

/* The one reader of the model behind all live streams. */

class TestClock implements Clock {
  private readonly sleepers: (() => void)[] = [];
  now = () => new Date(0);
  monotonic = () => 0;
  sleep = (_ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      this.sleepers.push(resolve);
      signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });

  /** Every sleep is over. */
  pass(): void {
    for (const wake of this.sleepers.splice(0)) wake();
  }
}

let stop = new AbortController();
afterEach(() => stop.abort());

const setUp = () => {
  stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const model = inMemoryReadModel();
  const clock = new TestClock();
  const progress = new Progress(clock, 1_000);
  const asked: Find[] = [];
  const counting = Object.assign(Object.create(model) as ReadModel, {
    find: (...[collection, find]: Parameters<ReadModel['find']>) => {
      asked.push(find);
      return model.find(collection, find);
    },
  });
  const rendered: string[] = [];
  const feed = new Feed({
    model: counting,
    progress,
    clock,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    render: (row) => {
      rendered.push(row.position);
      return `${row.position},`;
    },
    beat: 'beat,',
  });
  let head = 0n;
  const append = async (count: number, own: Partial<HistoryRow> = {}): Promise<void> => {
    const from = head;
    const history = Array.from({ length: count }, (_, i) => event(Number(from) + i + 1, own));
    head += BigInt(count);
    await model.apply({ history }, from, head);
    progress.moved(head, 0n);
  };
  const read = (after: bigint, where: Parameters<Feed['follow']>[1] = []): { text: () => string } => {
    let text = '';
    void (async () => {
      for await (const piece of feed.follow(after, where, stop.signal)) text += String(piece);
    })();
    return { text: () => text };
  };
  return { feed, append, read, asked, rendered, clock };
};
const numbers = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => `${from + i},`).join('');

describe('the feed', () => {
  it('asks the model once for a batch, and renders a row once, however many follow', async () => {
    const { append, read, asked, rendered } = setUp();
    await append(10);
    const readers = Array.from({ length: 1_000 }, () => read(10n));
    await append(100);
    await until('all have it', async () => readers.every(({ text }) => text() === numbers(11, 110)));
    await append(50);
    await until('all have that, too', async () => readers.every(({ text }) => text() === numbers(11, 160)));
    expect(asked).toHaveLength(2);
    expect(rendered).toHaveLength(150);
  });

  it('brings who is behind to where the others are, page by page', async () => {
    const { append, read } = setUp();
    await append(1_050);
    const late = [read(0n), read(999n), read(1_050n), read(400n)];
    await append(450);
    await until('they are there', async () => late.every(({ text }) => text().endsWith('1500,')));
    expect(late.map(({ text }) => text())).toEqual([1, 1_000, 1_051, 401].map((from) => numbers(from, 1_500)));
  });

  it('begins anew when everybody had left', async () => {
    const { feed, append, read } = setUp();
    const first = read(0n);
    await append(5);
    await until('it is there', async () => first.text() === numbers(1, 5));
    stop.abort();
    await until('it left', async () => feed.readers === 0);
    stop = new AbortController();
    await append(5);
    const second = read(3n);
    await append(5);
    await until('it is there', async () => second.text() === numbers(4, 15));
    expect(first.text()).toBe(numbers(1, 5));
  });

  it('sends a beat now and then, whatever else goes on', async () => {
    const { append, read, clock } = setUp();
    const reader = read(0n);
    await append(1);
    await until('it is there', async () => reader.text() === '1,');
    clock.pass();
    await until('the beat', async () => reader.text() === '1,beat,');
    await append(1);
    await until('and more', async () => reader.text() === '1,beat,2,');
  });
});
