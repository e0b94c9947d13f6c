import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Invalid, type Fault } from '../commands/refusals.js';
import type { Position } from '../storage/event-store/port.js';
import { wantedOf } from './accept.js';
import { Needs } from './access.js';
import { AUDIT_FILTERS, auditConditions, newestFirst, refuseFaults } from './audit-query.js';
import { contentDisposition } from './content.js';
import { CSV, exported, FORMATS, NDJSON } from './export.js';
import { Listing } from './listing.js';
import { API_PORTS, type ApiPorts } from './ports.js';
import { Problem } from './problem.js';
import { paged } from './query-language.js';
import { onlyParameters, queryOf } from './request.js';
import { Streaming } from './streaming.js';
import { historyWire } from './wire.js';

const JSON_LIST = 'application/json';
const SSE = 'text/event-stream';
const PAGES = ['limit', 'cursor', 'count'];
const POSITION = /^\d{1,18}$/;
/** How long a browser waits before it comes back. */
const RECONNECT_MS = 1_000;

/** Every event: as a list, as a file, or live. */
@Controller('v1')
export class AuditController {
  constructor(
    @Inject(Listing) private readonly listing: Listing,
    @Inject(Streaming) private readonly streaming: Streaming,
    @Inject(API_PORTS) private readonly ports: ApiPorts,
  ) {}

  @Get('audit')
  @Needs('read')
  async audit(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const wanted = wantedOf(request, [JSON_LIST, NDJSON, CSV]);
    const query = queryOf(request);
    // An export is whole: a page of it would pass for all of it.
    onlyParameters(query, [...AUDIT_FILTERS, 'order', ...(wanted === JSON_LIST ? PAGES : [])]);
    const faults: Fault[] = [];
    const where = auditConditions(query, faults);
    const descending = newestFirst(query, faults);
    reply.header('Vary', 'Accept');
    if (wanted === JSON_LIST) {
      const sort = [{ path: 'position', descending }];
      const list = paged('audit', query, where, sort, faults);
      await reply.send(await this.listing.page(request, reply, 'audit', 'history', list, historyWire));
      return;
    }
    refuseFaults(faults);
    const format = FORMATS[wanted];
    const { feed } = this.ports;
    const upTo = await feed.reached();
    reply
      .header('Content-Type', format.contentType)
      .header('Content-Disposition', contentDisposition(`lethe-audit-${upTo}.${format.extension}`))
      .header('X-Content-Type-Options', 'nosniff')
      .header('X-Position', String(upTo))
      .header('Cache-Control', 'no-cache');
    await this.streaming.send(request, reply, () => exported(feed.pages(where, upTo, descending), format));
  }

  @Get('events')
  @Needs('read')
  async events(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (request.method === 'HEAD')
      throw new Problem('method-not-allowed', 'The event stream has no end, and so no HEAD.', {}, { Allow: 'GET' });
    wantedOf(request, [SSE]);
    const query = queryOf(request);
    onlyParameters(query, [...AUDIT_FILTERS, 'after']);
    const faults: Fault[] = [];
    const where = auditConditions(query, faults);
    const resumed = resumedAfter(request, query, faults);
    refuseFaults(faults);
    const after = resumed === null ? await this.ports.feed.reached() : await this.known(resumed);
    reply
      .header('Content-Type', SSE)
      .header('Cache-Control', 'no-cache, no-transform')
      .header('X-Position', String(after))
      .header('X-Accel-Buffering', 'no');
    await this.streaming.sendLive(request, reply, `retry: ${RECONNECT_MS}\n\n`, (signal) =>
      this.ports.feed.follow(after, where, signal),
    );
  }

  /** Another process may be ahead of this one, but nobody of the log. @throws Invalid for a position that is yet to come */
  private async known({ position, path }: Resumed): Promise<Position> {
    const { feed, progress, head } = this.ports;
    if (position <= (await feed.reached())) return position;
    const last = await head();
    if (position > last)
      throw new Invalid([{ path, message: `is beyond the log's last position ${last}: it was of another log` }]);
    await progress.reach(position);
    return position;
  }
}

interface Resumed {
  readonly position: Position;
  /** Where it was said, for a refusal. */
  readonly path: string;
}

/** The header comes first: a browser that reconnects sends it beside the address as that was at first. */
const resumedAfter = (request: FastifyRequest, query: ReadonlyMap<string, string>, faults: Fault[]): Resumed | null => {
  const header = request.headers['last-event-id'];
  const [path, text] = header === undefined ? ['?after', query.get('after')] : ['last-event-id', header];
  if (text === undefined) return null;
  if (typeof text === 'string' && POSITION.test(text)) return { position: BigInt(text), path };
  faults.push({ path, message: 'must be a position, such as 1043' });
  return null;
};
