import { Controller, Delete, Get, Inject, Req, Res } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { StartOperation, type Started } from '../commands/operation.handlers.js';
import { Invalid } from '../commands/refusals.js';
import { isTrashable, TRASHABLE, type Json } from '../events/vocabulary.js';
import { GetOperation, TrashTotals } from '../projections/queries.js';
import { inTrash, type SeenOperation } from '../projections/query.handlers.js';
import type { Condition } from '../storage/read-model/port.js';
import { Needs } from './access.js';
import type { OperationAnswer } from './answers.js';
import { durationMs } from './duration.js';
import { Listing } from './listing.js';
import { API_PORTS, type ApiPorts } from './ports.js';
import { Problem } from './problem.js';
import { PAGING, paged } from './query-language.js';
import { envelopeOf, flag, onlyParameters, queryOf, refuseIfMatch } from './request.js';
import { operationWire, recordWire } from './wire.js';

@Controller('v1/trash')
export class TrashController {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(QueryBus) private readonly queries: QueryBus,
    @Inject(Listing) private readonly listing: Listing,
    @Inject(API_PORTS) private readonly ports: ApiPorts,
  ) {}

  @Get()
  @Needs('read')
  async list(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const query = queryOf(request);
    onlyParameters(query, ['registry', ...PAGING.filter((name) => name !== 'sort')]);
    const where = [...inTrash, ...registryCondition(query)];
    const sort = [
      { path: 'record.trashing.at', descending: true },
      { path: 'uid', descending: true },
    ];
    const page = await this.listing.page(
      request,
      reply,
      'trash',
      'catalogue',
      paged('trash', query, where, sort),
      (row) => recordWire(row.record, row.isLatest),
    );
    return { ...page, totals: await this.totals(where) };
  }

  @Delete()
  @Needs('purge')
  async empty(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<OperationAnswer | object> {
    const query = queryOf(request);
    onlyParameters(query, ['olderThan', 'registry', 'permanent', 'dryRun', 'reason']);
    const permanent = flag(query, 'permanent');
    const dryRun = flag(query, 'dryRun') ?? false;
    const older = olderThan(query);
    const trashedBefore = older === null ? null : new Date(this.ports.clock.now().getTime() - older).toISOString();
    const where: Condition[] = [...inTrash, ...registryCondition(query)];
    if (trashedBefore !== null) where.push({ path: 'record.trashing.at', op: 'lt', value: trashedBefore });
    const envelope = envelopeOf(request, this.ports.ids, query);
    refuseIfMatch(envelope);
    const totals = await this.totals(where);
    if (dryRun) return { outcome: 'purging', dryRun: true, totals };
    if (permanent !== true) {
      throw new Problem(
        'confirmation-required',
        'This would purge everything in the trash that meets the criteria. Repeat with permanent=true; it cannot be undone.',
        {
          totals,
        },
      );
    }
    const criteria: Record<string, Json> = {};
    for (const name of ['registry', 'olderThan']) {
      const value = query.get(name);
      if (value !== undefined) criteria[name] = value;
    }
    if (trashedBefore !== null) criteria['trashedBefore'] = trashedBefore;
    const position = String(this.ports.progress.checkpoint);
    const {
      id,
      position: appended,
      replayed,
    } = await this.commands.execute<StartOperation, Started>(
      new StartOperation(envelope, 'empty-trash', criteria, totals, position),
    );
    const seen = await this.queries.execute<GetOperation, SeenOperation | null>(new GetOperation(id, appended));
    if (seen === null) throw new Problem('internal', 'The operation is not in the read model.');
    if (replayed) reply.header('Idempotent-Replayed', 'true');
    reply
      .code(202)
      .header('Location', `/v1/operations/${id}`)
      .header('Retry-After', '1')
      .header('X-Position', String(appended));
    return operationWire(seen);
  }

  private async totals(where: readonly Condition[]): Promise<{ records: number; bytes: number }> {
    return this.queries.execute(new TrashTotals(where));
  }
}

const registryCondition = (query: ReadonlyMap<string, string>): Condition[] => {
  const registry = query.get('registry');
  if (registry === undefined) return [];
  if (isTrashable(registry)) return [{ path: 'registry', op: 'eq', value: registry }];
  throw new Invalid([{ path: '?registry', message: `must be one of ${TRASHABLE.join(', ')}, got '${registry}'` }]);
};

const olderThan = (query: ReadonlyMap<string, string>): number | null => {
  const value = query.get('olderThan');
  if (value === undefined) return null;
  const ms = durationMs(value);
  if (ms === null)
    throw new Invalid([
      {
        path: '?olderThan',
        message: `must be an ISO 8601 duration of weeks, days, hours, minutes or seconds, such as P30D; got '${value}'`,
      },
    ]);
  return ms;
};
