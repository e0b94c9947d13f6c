import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { GetStats } from '../projections/queries.js';
import type { Stats } from '../projections/stats.handlers.js';
import { Needs } from './access.js';
import type { StatsAnswer } from './answers.js';
import { onlyParameters, queryOf } from './request.js';
import { statsWire } from './wire.js';

@Controller('v1/stats')
export class StatsController {
  constructor(@Inject(QueryBus) private readonly queries: QueryBus) {}

  @Get()
  @Needs('read')
  async stats(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<StatsAnswer> {
    onlyParameters(queryOf(request), []);
    const answer = statsWire(await this.queries.execute<GetStats, Stats>(new GetStats()));
    reply.header('X-Position', answer.projection.position).header('Cache-Control', 'no-cache');
    return answer;
  }
}
