import { Inject } from '@nestjs/common';
import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { StatsRow } from '../storage/read-model/port.js';
import { ProjectionBehind } from './progress.js';
import { GetStats } from './queries.js';
import { QUERY_PORTS, type QueryPorts } from './query.handlers.js';
import { groupsOf, projectionState, purgeQueue, type ProjectionState, type PurgeQueue } from './state.js';

export interface Stats {
  readonly groups: readonly StatsRow[];
  readonly projection: ProjectionState;
  readonly purges: PurgeQueue;
}

@QueryHandler(GetStats)
export class GetStatsHandler implements IQueryHandler<GetStats, Stats> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute() {
    const { model, progress } = this.ports;
    try {
      await progress.reach();
    } catch (error) {
      // It lags: to say so is what this is for.
      if (!(error instanceof ProjectionBehind)) throw error;
    }
    const [groups, projection, purges] = await Promise.all([
      groupsOf(model),
      projectionState(this.ports),
      purgeQueue(model),
    ]);
    return { groups, projection, purges };
  }
}
