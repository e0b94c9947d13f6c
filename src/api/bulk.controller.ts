import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PurgeRecord, RecogniseRepeat, RestoreRecord, TrashRecord, type Envelope } from '../commands/commands.js';
import { NotFound } from '../commands/refusals.js';
import type { Result } from '../commands/result.js';
import { sha256 } from '../events/ids.js';
import { uidSchema, type Ref } from '../events/vocabulary.js';
import { ofMany, Needs } from './access.js';
import type { BulkAnswer } from './answers.js';
import { Commanding } from './commanding.js';
import { API_PORTS, type ApiPorts } from './ports.js';
import { asProblem, Problem, PROBLEMS, problemBody } from './problem.js';
import { envelopeOf, neededBody, onlyParameters, parseBody, queryOf, refuseIfMatch } from './request.js';
import { bulkSchema, type Bulk } from './schemas.js';

/** Records that are trashed or restored at once: what one append waits for the disk, many wait together. */
const AT_ONCE = 32;

interface Step {
  readonly ref: Ref;
  readonly envelope: Envelope;
}
type BulkResult = BulkAnswer['results'][number];

/** One command on many records: each of them is carried out or refused by itself, and answered in its place. */
@Controller('v1/bulk')
export class BulkController {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(Commanding) private readonly commanding: Commanding,
    @Inject(API_PORTS) private readonly ports: ApiPorts,
  ) {}

  @Post()
  @Needs(ofMany)
  async all(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<BulkAnswer> {
    const query = queryOf(request);
    onlyParameters(query, ['reason']);
    const bulk = parseBody(bulkSchema, neededBody(request));
    const envelope = envelopeOf(request, this.ports.ids, query, bulk.reason);
    refuseIfMatch(envelope);
    const steps = bulk.records.map((ref) => ({ ref, envelope: stepOf(envelope, ref) }));
    if (envelope.repeatable)
      await this.commands.execute(
        new RecogniseRepeat(
          envelope.commandId,
          bulk.records,
          steps.filter(({ ref }) => this.isRecord(ref)),
        ),
      );
    const results: BulkResult[] = [];
    let position = 0;
    const carriedOut = { now: false, before: false };
    // A purge is refused while something points to the record: what comes first in the caller's order is to be seen by what follows.
    const size = bulk.action === 'purge' ? 1 : AT_ONCE;
    let broken: Problem | null = null;
    for (let from = 0; from < steps.length; from += size) {
      const some = steps.slice(from, from + size);
      const done = await Promise.all(some.map((step) => this.one(request, bulk, step, broken)));
      for (const { result, done: one, problem } of done) {
        results.push(result);
        position = Math.max(position, one?.record.position ?? 0);
        if (one?.changed === true) carriedOut[one.replayed ? 'before' : 'now'] = true;
        if (problem !== null && PROBLEMS[problem.code][0] >= 500) broken = problem;
      }
    }
    reply.code(200);
    if (position > 0) reply.header('X-Position', String(position));
    // A repeat that also carries out what the first call could not is none.
    if (carriedOut.before && !carriedOut.now) reply.header('Idempotent-Replayed', 'true');
    return { results };
  }

  /** @param broken what no further try mends: a store that cannot be reached is not asked a thousand times */
  private async one(
    request: FastifyRequest,
    bulk: Bulk,
    { ref, envelope }: Step,
    broken: Problem | null,
  ): Promise<{ result: BulkResult; done: Result | null; problem: Problem | null }> {
    try {
      if (broken !== null) throw broken;
      if (!this.isRecord(ref)) throw new NotFound(`There is no record ${ref.registry}/${ref.uid}.`);
      this.permit(request, ref);
      const done = await this.commanding.send(commandOf(bulk, ref, envelope), ref, bulk.storage);
      return { result: await this.told(bulk, ref, done), done, problem: null };
    } catch (failure) {
      const problem = asProblem(failure);
      if (problem.code === 'internal' && problem !== broken)
        this.ports.log.error(
          { correlationId: request.correlationId, ...ref, err: failure },
          'a record of many failed in a way that nobody expected',
        );
      const { errors, ...body } = problemBody(problem, request.correlationId);
      const error = { ...body, ...(errors !== undefined && { errors: [...errors] }) };
      return { result: { ...ref, status: body.status, error }, done: null, problem };
    }
  }

  private isRecord({ registry, uid }: Ref): boolean {
    return this.ports.registries.kindOf(registry) !== null && uidSchema.safeParse(uid).success;
  }

  /** A command on a storage takes more than the others. */
  private permit({ caller }: FastifyRequest, { registry }: Ref): void {
    if (registry !== 'storages' || caller === null || caller.may.includes('admin')) return;
    throw new Problem('forbidden', `A command on storages takes the right 'admin', which ${caller.subject} has not.`);
  }

  private async told({ dryRun, storage }: Bulk, ref: Ref, done: Result): Promise<BulkResult> {
    const { outcome, record, changed } = done;
    const ended = outcome === 'purging' && record.purge?.ended != null;
    const told: BulkResult = {
      ...ref,
      status: outcome === 'purging' && !ended && !dryRun ? 202 : 200,
      outcome: ended ? 'purged' : outcome,
      revision: record.revision,
    };
    if (!dryRun) return told;
    const preview = outcome === 'purging' && changed ? { preview: await this.commanding.preview(ref, storage) } : {};
    return { ...told, dryRun: true, ...preview };
  }
}

const commandOf = ({ action, storage, dryRun }: Bulk, ref: Ref, envelope: Envelope): object => {
  if (action === 'trash') return new TrashRecord(ref, envelope, false, null, dryRun);
  if (action === 'restore') return new RestoreRecord(ref, envelope, dryRun);
  return new PurgeRecord(ref, envelope, storage, dryRun);
};

/** Each record's command has the call's id, by which a repeat is known whatever it names, and a hash of its own. */
const stepOf = (envelope: Envelope, { registry, uid }: Ref): Envelope => ({
  ...envelope,
  hash: sha256(JSON.stringify([envelope.hash, registry, uid])),
});
