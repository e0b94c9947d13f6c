import { Controller, Get, Inject, Post, Req, Res } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RetryPurge } from '../commands/commands.js';
import { Invalid, NotFound } from '../commands/refusals.js';
import { uidSchema, type Ref } from '../events/vocabulary.js';
import { AwaitPurge } from '../projections/queries.js';
import type { Condition, PurgeRow } from '../storage/read-model/port.js';
import { Needs } from './access.js';
import type { CommandAnswer, List, PurgeAnswer } from './answers.js';
import { Commanding } from './commanding.js';
import { Listing } from './listing.js';
import { API_PORTS, type ApiPorts } from './ports.js';
import { PAGING, paged } from './query-language.js';
import { envelopeOf, onlyParameters, parseBody, pathParameter, queryOf } from './request.js';
import { retrySchema } from './schemas.js';
import { purgeWire } from './wire.js';

const STATES = ['pending', 'failed', 'parked', 'done', 'cancelled'];

@Controller('v1/purges')
export class PurgesController {
  constructor(
    @Inject(QueryBus) private readonly queries: QueryBus,
    @Inject(Commanding) private readonly commanding: Commanding,
    @Inject(Listing) private readonly listing: Listing,
    @Inject(API_PORTS) private readonly ports: ApiPorts,
  ) {}

  @Get()
  @Needs('read')
  async list(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<List<PurgeAnswer>> {
    const query = queryOf(request);
    onlyParameters(query, ['state', ...PAGING.filter((name) => name !== 'sort')]);
    const where: Condition[] = [];
    const states = query.get('state')?.split(',');
    if (states?.every((state) => STATES.includes(state)) === false) {
      throw new Invalid([{ path: '?state', message: `must be one or more of ${STATES.join(', ')}, with commas` }]);
    }
    if (states !== undefined) where.push({ path: 'state', op: 'in', value: states });
    const sort = [
      { path: 'purge.at', descending: true },
      { path: 'uid', descending: true },
    ];
    return this.listing.page(request, reply, 'purges', 'purges', paged('purges', query, where, sort), purgeWire);
  }

  @Get(':registry/:uid')
  @Needs('read')
  async one(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<PurgeAnswer> {
    onlyParameters(queryOf(request), []);
    const ref = this.refOf(request);
    const row = await this.queries.execute<AwaitPurge, PurgeRow | null>(new AwaitPurge(ref, 0));
    if (row === null) throw new NotFound(`No purge of ${ref.registry}/${ref.uid} was ever requested.`);
    reply.header('Cache-Control', 'no-cache');
    return purgeWire(row);
  }

  @Post(':registry/:uid/retry')
  @Needs('purge')
  async retry(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<CommandAnswer> {
    const query = queryOf(request);
    onlyParameters(query, ['reason']);
    const ref = this.refOf(request);
    const { storage } = parseBody(retrySchema, request.body);
    const command = new RetryPurge(ref, envelopeOf(request, this.ports.ids, query), storage);
    return this.commanding.answerPurge(request, reply, await this.commanding.send(command, ref), 0);
  }

  private refOf(request: FastifyRequest): Ref {
    const registry = pathParameter(request, 'registry');
    const uid = pathParameter(request, 'uid');
    if (this.ports.registries.kindOf(registry) === null || !uidSchema.safeParse(uid).success) {
      throw new NotFound(`There is no record ${registry}/${uid}.`);
    }
    return { registry, uid };
  }
}
