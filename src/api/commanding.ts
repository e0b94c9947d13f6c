import { Inject, Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ConfirmationRequired, Purged, Referenced } from '../commands/refusals.js';
import type { Result, Warning } from '../commands/result.js';
import type { StorageWish } from '../events/events.js';
import type { Ref } from '../events/vocabulary.js';
import { AwaitPurge, GetRecord, IsLatest, PreviewPurge } from '../projections/queries.js';
import type { Found, Previewed } from '../projections/query.handlers.js';
import type { CatalogueRow, PurgeRow } from '../storage/read-model/port.js';
import type { CommandAnswer } from './answers.js';
import { API_PORTS, type ApiPorts } from './ports.js';
import { asProblem, Problem } from './problem.js';
import { preferredWait } from './request.js';
import { previewWire, purgeWire, receiptWire, recordWire, tombstoneWire, warningsWire } from './wire.js';

/** Sends commands and writes their answers: outcome, record, warnings, and the headers that go with every command. */
@Injectable()
export class Commanding {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(QueryBus) private readonly queries: QueryBus,
    @Inject(API_PORTS) private readonly ports: Pick<ApiPorts, 'progress' | 'stopping'>,
  ) {}

  /**
   * Carries a command out, once queries have come near enough to what went before. A refusal comes back with what its answer holds beside
   * the sentence: tombstone or preview.
   */
  async send(command: object, ref: Ref, storage: StorageWish = null): Promise<Result> {
    await this.ports.progress.pace(this.ports.stopping);
    try {
      return await this.commands.execute<object, Result>(command);
    } catch (error) {
      if (error instanceof Purged) throw await this.withTombstone(error, ref);
      if (error instanceof ConfirmationRequired) throw await this.withPreview(error, ref, storage);
      throw error;
    }
  }

  async preview(ref: Ref, storage: StorageWish): Promise<CommandAnswer['preview']> {
    const previewed = await this.queries.execute<PreviewPurge, Previewed | null>(new PreviewPurge(ref, storage));
    return previewed === null ? null : previewWire(previewed);
  }

  async answer(reply: FastifyReply, result: Result): Promise<CommandAnswer> {
    const { outcome, record, warnings } = result;
    headers(reply, result);
    return { outcome, record: recordWire(record, await this.isLatest(result)), warnings: warningsWire(warnings) };
  }

  /**
   * The answer to a purge: 202 while it is under way, 200 with its receipt once it has ended, 409 where it was called off. Who requested it
   * and does not wait is answered 202 even so: a repeat, which comes later, has the answer of the first call.
   * @param defaultWaitMs how long the call waits where the caller does not say
   */
  async answerPurge(
    request: FastifyRequest,
    reply: FastifyReply,
    result: Result,
    defaultWaitMs: number,
  ): Promise<CommandAnswer> {
    const { registry, uid, position, purge } = result.record;
    headers(reply, result);
    const waitMs = preferredWait(request) ?? defaultWaitMs;
    if (preferredWait(request) !== null) reply.header('Preference-Applied', `wait=${waitMs / 1_000}`);
    const row = await this.queries.execute<AwaitPurge, PurgeRow | null>(
      new AwaitPurge({ registry, uid }, waitMs, position, purge?.request),
    );
    if (row === null) throw new Problem('internal', 'The purge is not in the read model.');
    const receipt = receiptWire(row);
    const warnings: Warning[] = [...result.warnings];
    if (receipt !== null && (waitMs > 0 || !result.changed)) {
      return { outcome: 'purged', record: null, receipt, warnings: [...warningsWire(warnings), ...receipt.warnings] };
    }
    if (row.state === 'cancelled' && row.verdict.fate === 'called-off') {
      throw new Referenced(row.verdict.by, row.verdict.by.length);
    }
    reply.code(202).header('Location', `/v1/purges/${registry}/${uid}`).header('Retry-After', '1');
    return { outcome: 'purging', record: null, purge: purgeWire(row), warnings: warningsWire(warnings) };
  }

  async withTombstone(error: Purged, ref: Ref): Promise<Problem> {
    const found = await this.queries.execute<GetRecord, Found | null>(new GetRecord(ref, error.record.position));
    const problem = asProblem(error);
    if (found === null || found.row.live) return problem;
    return gone(problem.message, found.row, found.purge);
  }

  private async withPreview(error: ConfirmationRequired, ref: Ref, storage: StorageWish): Promise<Problem> {
    return new Problem('confirmation-required', error.message, { preview: await this.preview(ref, storage) });
  }

  private async isLatest({ record, replayed }: Result): Promise<boolean> {
    if (record.fields.kind === 'plain') return true;
    return this.queries.execute<IsLatest, boolean>(
      new IsLatest(record, record.position, record.fields.initialVersion !== null, replayed),
    );
  }
}

/** 410, with what is left to say of the record. */
export const gone = (detail: string, row: CatalogueRow, purge: PurgeRow | null): Problem =>
  new Problem('purged', detail, { tombstone: tombstoneWire(row, purge) }, { 'Cache-Control': 'no-store' });

const headers = (reply: FastifyReply, { record, replayed, outcome }: Result): void => {
  reply.header('ETag', `"${record.revision}"`).header('X-Position', String(record.position));
  if (replayed) reply.header('Idempotent-Replayed', 'true');
  if (outcome === 'created') reply.code(201).header('Location', `/v1/${record.registry}/${record.uid}`);
  else reply.code(200);
};
