import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ListRecordsAsOf, ListRows } from '../projections/queries.js';
import type { Listed } from '../projections/query.handlers.js';
import type { CatalogueRow, Collection, Find, Rows } from '../storage/read-model/port.js';
import type { List } from './answers.js';
import { cursorAfter } from './cursor.js';
import type { ListQuery } from './query-language.js';

/** All lists share one answer: items, the next page, the position that they were read at. */
@Injectable()
export class Listing {
  constructor(@Inject(QueryBus) private readonly queries: QueryBus) {}

  /** @param name the list's own, as its cursors carry it */
  async page<C extends Collection, T>(
    request: FastifyRequest,
    reply: FastifyReply,
    name: string,
    collection: C,
    { find, count }: ListQuery,
    wire: (row: Rows[C]) => T,
  ): Promise<List<T>> {
    const more = { ...find, limit: find.limit + 1 };
    const { rows, total, position } = await this.queries.execute<ListRows<C>, Listed<Rows[C]>>(
      new ListRows(collection, more, count),
    );
    const page = pageOf(request, reply, name, find, { rows, total, position });
    return { ...page, items: page.items.map(wire) };
  }

  /** The same of records as they were. @param at in UTC with milliseconds */
  async pageAsOf<T>(
    request: FastifyRequest,
    reply: FastifyReply,
    name: string,
    { find, count }: ListQuery,
    at: string,
    wire: (row: CatalogueRow) => T,
  ): Promise<List<T>> {
    const more = { ...find, limit: find.limit + 1 };
    const listed = await this.queries.execute<ListRecordsAsOf, Listed<CatalogueRow>>(
      new ListRecordsAsOf(more, count, at),
    );
    const page = pageOf(request, reply, name, find, listed);
    return { ...page, items: page.items.map(wire) };
  }
}

/** A page with its headers. @param listed one row more than the page has, where there are more */
export const pageOf = <R>(
  request: FastifyRequest,
  reply: FastifyReply,
  name: string,
  find: Find,
  { rows, total, position }: Listed<R>,
): List<R> => {
  const items = rows.slice(0, find.limit);
  const last = items.at(-1);
  const next = rows.length > find.limit && last !== undefined ? cursorAfter(name, find, last) : null;
  reply.header('X-Position', String(position)).header('Cache-Control', 'no-cache');
  if (next !== null) reply.header('Link', `<${nextUrl(request.url, next)}>; rel="next"`);
  return { items, next, position: String(position), ...(total === null ? {} : { total }) };
};

const nextUrl = (url: string, cursor: string): string => {
  const mark = url.indexOf('?');
  const parameters = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  parameters.set('cursor', cursor);
  return `${mark < 0 ? url : url.slice(0, mark)}?${parameters.toString()}`;
};
