import { Inject } from '@nestjs/common';
import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { VISIBLE } from '../events/vocabulary.js';
import type { StatsRow } from '../storage/read-model/port.js';
import { ProjectionBehind } from './progress.js';
import { CountVisible, GetStats } from './queries.js';
import { QUERY_PORTS, type QueryPorts } from './query.handlers.js';
import { groupsOf, projectionState, purgeQueue, type ProjectionState, type PurgeQueue } from './state.js';

export interface Stats {
  readonly groups: readonly StatsRow[];
  readonly projection: ProjectionState;
  readonly purges: PurgeQueue;
}

@QueryHandler(GetStats)
class GetStatsHandler implements IQueryHandler<GetStats, Stats> {
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

/** How many visible records each registry has, at a position or later. */
export interface Counted {
  readonly counts: ReadonlyMap<string, number>;
  readonly position: bigint;
}

@QueryHandler(CountVisible)
class CountVisibleHandler implements IQueryHandler<CountVisible, Counted> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute() {
    const { model, progress } = this.ports;
    await progress.reach();
    const position = progress.checkpoint;
    const counts = new Map<string, number>();
    for (const { registry, visibility, records } of await groupsOf(model))
      if (visibility === VISIBLE) counts.set(registry, (counts.get(registry) ?? 0) + records);
    return { counts, position };
  }
}

export const STATS_HANDLERS = [GetStatsHandler, CountVisibleHandler];
