import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { NotFound } from '../commands/refusals.js';
import { GetOperation } from '../projections/queries.js';
import type { SeenOperation } from '../projections/query.handlers.js';
import { Needs } from './access.js';
import type { OperationAnswer } from './answers.js';
import { Listing } from './listing.js';
import { PAGING, paged } from './query-language.js';
import { onlyParameters, pathParameter, queryOf } from './request.js';
import { operationWire } from './wire.js';

@Controller('v1/operations')
export class OperationsController {
  constructor(
    @Inject(QueryBus) private readonly queries: QueryBus,
    @Inject(Listing) private readonly listing: Listing,
  ) {}

  @Get()
  @Needs('read')
  async list(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const query = queryOf(request);
    onlyParameters(
      query,
      PAGING.filter((name) => name !== 'sort'),
    );
    const sort = [
      { path: 'startedAt', descending: true },
      { path: 'id', descending: true },
    ];
    const page = await this.listing.page(
      request,
      reply,
      'operations',
      'operations',
      paged('operations', query, [], sort),
      ({ id }) => id,
    );
    const items = await Promise.all(page.items.map((id) => this.read(id)));
    return { ...page, items };
  }

  @Get(':id')
  @Needs('read')
  async one(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<OperationAnswer> {
    onlyParameters(queryOf(request), []);
    const id = pathParameter(request, 'id');
    reply.header('Cache-Control', 'no-cache');
    return this.read(id);
  }

  private async read(id: string): Promise<OperationAnswer> {
    const seen = await this.queries.execute<GetOperation, SeenOperation | null>(new GetOperation(id));
    if (seen === null) throw new NotFound(`There is no operation ${id}.`);
    return operationWire(seen);
  }
}
