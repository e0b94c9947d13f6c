import type { List } from './answers.js';
import type { Aborting, Query } from './requests.js';

/** Asks for pages: `limit` and `count` are the caller's, the rest is the list's own. */
export type Pages<T> = (
  paging: Readonly<Record<string, string | number | boolean>>,
  options: Aborting,
) => AsyncGenerator<List<T>>;

/** The most that one page takes. */
const PAGE = 1_000;

/**
 * A list of the service, read page by page as far as somebody asks: by `for await`, or by its methods. It is asked anew each time.
 */
export class Rows<T> implements AsyncIterable<T> {
  readonly #pages: Pages<T>;
  readonly #signal: AbortSignal | undefined;

  constructor(pages: Pages<T>, signal?: AbortSignal) {
    this.#pages = pages;
    this.#signal = signal;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, undefined> {
    yield* this.#rows({});
  }

  async all(options: Aborting = {}): Promise<T[]> {
    const found: T[] = [];
    for await (const row of this.#rows(options)) found.push(row);
    return found;
  }

  /** @returns null where there is none */
  async first(options: Aborting = {}): Promise<T | null> {
    const page = await this.page({ limit: 1 }, options);
    return page.items[0] ?? null;
  }

  protected async page(paging: Readonly<Record<string, number | boolean>>, options: Aborting): Promise<List<T>> {
    for await (const page of this.#pages(paging, this.#with(options))) return page;
    return { items: [], next: null, position: '0' };
  }

  async *#rows(options: Aborting): AsyncGenerator<T, undefined> {
    for await (const { items } of this.#pages({ limit: PAGE }, this.#with(options))) yield* items;
  }

  #with(options: Aborting): Aborting {
    return { signal: options.signal ?? this.#signal };
  }
}

/** A list that the service counts. */
export class CountedRows<T> extends Rows<T> {
  /** How many there are, without reading them. */
  async count(options: Aborting = {}): Promise<number> {
    const { total } = await this.page({ limit: 1, count: true }, options);
    return total ?? 0;
  }
}

/** A query with more parameters. */
export const withParameters = (query: URLSearchParams, more: Exclude<Query, URLSearchParams>): URLSearchParams => {
  const all = new URLSearchParams(query);
  for (const [name, value] of Object.entries(more)) if (value !== undefined) all.set(name, String(value));
  return all;
};

/** Each page with its items made into something else. */
export async function* mapped<T, U>(
  pages: AsyncGenerator<List<T>>,
  map: (item: T) => Promise<U>,
): AsyncGenerator<List<U>> {
  for await (const page of pages) yield { ...page, items: await Promise.all(page.items.map(map)) };
}
