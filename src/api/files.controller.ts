import { Readable } from 'node:stream';
import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { InTrash, Invalid, NotFound } from '../commands/refusals.js';
import type { FileFields } from '../events/events.js';
import { isTrashed } from '../events/record.js';
import { isReserved, uidSchema } from '../events/vocabulary.js';
import { GetRecord } from '../projections/queries.js';
import type { Found } from '../projections/query.handlers.js';
import type { ObjectStore, SeenFile, SeenObject } from '../storage/object-store/port.js';
import type { CatalogueRow } from '../storage/read-model/port.js';
import { Needs } from './access.js';
import type { List } from './answers.js';
import { gone } from './commanding.js';
import { contentDisposition, matchesEtag, rangeOf, type Range } from './content.js';
import { pageOf } from './listing.js';
import { opened } from './opening.js';
import { API_PORTS, type ApiPorts } from './ports.js';
import { Problem } from './problem.js';
import { paged } from './query-language.js';
import { onlyParameters, pathParameter, queryOf } from './request.js';

@Controller('v1/files/:uid')
export class FilesController {
  constructor(
    @Inject(QueryBus) private readonly queries: QueryBus,
    @Inject(API_PORTS) private readonly ports: ApiPorts,
  ) {}

  @Get('content')
  @Needs('read')
  async content(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const query = queryOf(request);
    onlyParameters(query, ['visibility', 'path']);
    const { row } = await this.found(request);
    const visibility = query.get('visibility');
    if (visibility !== undefined && visibility !== 'any')
      throw new Invalid([{ path: '?visibility', message: `must be any, got '${visibility}'` }]);
    if (isTrashed(row.record) && visibility !== 'any') throw new InTrash('read it, or ask with visibility=any');
    const fields = fieldsOf(row);
    const path = pathOf(fields, query.get('path'));
    const { store } = await this.ports.open(fields.storage);
    const { whole, plan, body } = await opened(store, path, (seen) => planOf(request, fields, path, seen));
    const { etag, range } = plan;
    reply.header('ETag', etag).header('Accept-Ranges', 'bytes').header('Cache-Control', 'no-cache');
    if (plan.isKnown) {
      // A stream for HEAD, here too: without one the server would say that the content is empty.
      await reply.code(304).send(request.method === 'HEAD' ? Readable.from([]) : undefined);
      return;
    }
    const name = path === fields.path ? (fields.key ?? `${row.uid}${fields.suffix ?? ''}`) : path;
    reply
      .header('Content-Type', 'application/octet-stream')
      .header('X-Content-Type-Options', 'nosniff')
      .header('Content-Disposition', contentDisposition(name))
      .header('Content-Length', range === null ? whole.size : range.end - range.start + 1);
    if (range !== null) reply.code(206).header('Content-Range', `bytes ${range.start}-${range.end}/${whole.size}`);
    // A stream for HEAD, if an empty one: the server leaves the length of a stream as it was said.
    await reply.send(body ?? Readable.from([]));
  }

  @Get('objects')
  @Needs('read')
  async objects(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<List<{ path: string; size: number }>> {
    const { row, position } = await this.found(request);
    const query = queryOf(request);
    onlyParameters(query, ['limit', 'cursor', 'count']);
    const fields = fieldsOf(row);
    const { store } = await this.ports.open(fields.storage);
    const name = `objects/${row.uid}`;
    const { find, count } = paged(name, query, [], [{ path: 'path', descending: false }]);
    const after = find.after?.[0] ?? null;
    const rows: { path: string; size: number }[] = [];
    let total = 0;
    for await (const { path, size } of objectsOf(store, fields)) {
      total += 1;
      if (rows.length > find.limit) {
        if (!count) break;
      } else if (typeof after !== 'string' || isAfter(path, after)) rows.push({ path, size });
    }
    return pageOf(request, reply, name, find, { rows, total: count ? total : null, position });
  }

  private async found(request: FastifyRequest): Promise<Found> {
    const uid = pathParameter(request, 'uid');
    const ref = { registry: 'files', uid };
    const found = uidSchema.safeParse(uid).success
      ? await this.queries.execute<GetRecord, Found | null>(new GetRecord(ref))
      : null;
    if (found === null) throw new NotFound(`There is no record files/${uid}.`);
    if (!found.row.live) {
      throw gone(
        `This file was purged, or is about to be. Its history stays at /v1/files/${uid}/history.`,
        found.row,
        found.purge,
      );
    }
    return found;
  }
}

const fieldsOf = ({ uid, record: { fields } }: CatalogueRow): FileFields => {
  if (fields.kind === 'file') return fields;
  throw new NotFound(`files/${uid} has no content.`);
};

/** Stores list by code point, and so by the bytes of UTF-8; JavaScript compares UTF-16. */
const isAfter = (path: string, other: string): boolean => Buffer.compare(Buffer.from(path), Buffer.from(other)) > 0;

const isAsRegistered = ({ seen }: FileFields, etag: string): boolean => seen?.kind === 'file' && seen.etag === etag;

/** The path of the one file that is asked for. Within a folder the caller names it. */
const pathOf = ({ path }: FileFields, inner: string | undefined): string => {
  const isFolder = path.endsWith('/');
  if (isFolder && inner === undefined)
    throw new Invalid([{ path: '?path', message: 'must name one file of this folder; GET …/objects lists them' }]);
  if (!isFolder && inner !== undefined)
    throw new Invalid([{ path: '?path', message: 'is for folders; this is one file' }]);
  if (inner === undefined) return path;
  const whole = inner.startsWith(path) ? inner : path + inner;
  if (isReserved(whole.slice(path.length)))
    throw new Invalid([{ path: '?path', message: 'leads below a folder .lethe/, which is no part of this one' }]);
  return whole;
};

interface Plan {
  readonly etag: string;
  /** The caller has it: 304. */
  readonly isKnown: boolean;
  readonly range: Range | null;
  readonly reads: boolean;
}

/** What a request wants of a file that lies there so. @throws Problem for a range that it does not have */
const planOf = ({ headers, method }: FastifyRequest, fields: FileFields, path: string, whole: SeenFile): Plan => {
  // The hash speaks for the bytes that were registered; where others lie there by now, the store's own mark does.
  const etag = path === fields.path && isAsRegistered(fields, whole.etag) ? `"${fields.hash}"` : `"${whole.etag}"`;
  if (matchesEtag(headers['if-none-match'], etag)) return { etag, isKnown: true, range: null, reads: false };
  const range = rangeOf(headers['range'], headers['if-range'], etag, whole.size);
  if (range !== 'unsatisfiable') return { etag, isKnown: false, range, reads: method !== 'HEAD' };
  throw new Problem(
    'range',
    `The content has ${whole.size} bytes.`,
    {},
    { 'Content-Range': `bytes */${whole.size}`, ETag: etag, 'Accept-Ranges': 'bytes', 'Cache-Control': 'no-cache' },
  );
};

async function* objectsOf(store: ObjectStore, { path }: FileFields): AsyncGenerator<SeenObject> {
  if (path.endsWith('/')) yield* store.list(path);
  else {
    const seen = await store.stat(path);
    if (seen !== null) yield { ...seen, path };
  }
}
