import { Controller, Delete, Get, Inject, Patch, Post, Put, Req, Res } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  HoldRecord,
  PurgeRecord,
  ReleaseHold,
  RestoreRecord,
  TrashRecord,
  UpdateRecord,
} from '../commands/commands.js';
import { NotFound } from '../commands/refusals.js';
import { isTrashable, uidSchema, type Ref } from '../events/vocabulary.js';
import type { AsOfAnswer, Found } from '../projections/query.handlers.js';
import { CountVisible, GetRecord, GetRecordAsOf } from '../projections/queries.js';
import type { Counted } from '../projections/stats.handlers.js';
import { changing, deleting, Needs } from './access.js';
import { ahead, AS_OF, asOfQuery, timeQuery } from './as-of.js';
import type { CommandAnswer, HistoryAnswer, List, RecordAnswer } from './answers.js';
import { Commanding, gone } from './commanding.js';
import { Listing } from './listing.js';
import { API_PORTS, type ApiPorts } from './ports.js';
import { unsupported } from './problem.js';
import { patchOf, registering } from './record-bodies.js';
import { PAGING, paged, recordList, recordQuery } from './query-language.js';
import {
  envelopeOf,
  flag,
  neededBody,
  onlyParameters,
  parseBody,
  pathParameter,
  queryOf,
  storageWish,
} from './request.js';
import { holdSchema, nothingSchema } from './schemas.js';
import { Uploads } from './uploads.js';
import { historyWire, recordWire } from './wire.js';

/** How long a DELETE on a plain record waits for its purge. */
const PLAIN_WAIT_MS = 5_000;

@Controller('v1')
export class RecordsController {
  constructor(
    @Inject(QueryBus) private readonly queries: QueryBus,
    @Inject(Commanding) private readonly commanding: Commanding,
    @Inject(Listing) private readonly listing: Listing,
    @Inject(Uploads) private readonly uploads: Uploads,
    @Inject(API_PORTS) private readonly ports: ApiPorts,
  ) {}

  @Get()
  @Needs('read')
  async registries(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    onlyParameters(queryOf(request), []);
    const { registries } = this.ports;
    const { counts, position } = await this.queries.execute<CountVisible, Counted>(new CountVisible());
    reply.header('X-Position', String(position)).header('Cache-Control', 'no-cache');
    const items = registries.names.map((name) => ({
      name,
      kind: registries.kindOf(name) ?? 'plain',
      count: counts.get(name) ?? 0,
      schema: registries.schemaOf(name),
    }));
    return { items, next: null, position: String(position) };
  }

  @Get(':registry')
  @Needs('read')
  async list(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<List<RecordAnswer>> {
    const registry = this.registryOf(request);
    const parameters = queryOf(request);
    const at = timeQuery(parameters, this.ports.clock.now());
    const query = recordQuery(registry, parameters, at);
    if (at !== null) {
      return this.listing.pageAsOf(request, reply, recordList(registry, at), query, at, (row) =>
        recordWire(row.record, row.isLatest),
      );
    }
    return this.listing.page(request, reply, recordList(registry, null), 'catalogue', query, (row) =>
      recordWire(row.record, row.isLatest),
    );
  }

  @Post(':registry')
  @Needs(changing('write'))
  async register(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CommandAnswer> {
    const registry = this.registryOf(request);
    const query = queryOf(request);
    onlyParameters(query, ['reason']);
    if (request.isMultipart()) {
      if (registry !== 'files') throw unsupported();
      return this.uploads.receive(request, reply, envelopeOf(request, this.ports.ids, query));
    }
    if (request.headers['content-type'] === undefined && request.body === undefined) throw unsupported();
    const { command, ref } = registering(registry, neededBody(request), envelopeOf(request, this.ports.ids, query));
    return this.commanding.answer(reply, await this.commanding.send(command, ref));
  }

  @Get(':registry/:uid')
  @Needs('read')
  async one(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<RecordAnswer> {
    const ref = this.refOf(request);
    const query = queryOf(request);
    onlyParameters(query, AS_OF);
    const { row, purge, position } = await this.found(ref, query);
    if (!row.live) {
      const state = purge === null || purge.purge.ended === null ? 'is being purged' : 'was purged';
      throw gone(`This record ${state}. Its history stays at /v1/${ref.registry}/${ref.uid}/history.`, row, purge);
    }
    reply.header('ETag', `"${row.record.revision}"`).header('Cache-Control', 'no-cache');
    reply.header('X-Position', String(position));
    return recordWire(row.record, row.isLatest);
  }

  @Patch(':registry/:uid')
  @Needs(changing('write'))
  async update(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CommandAnswer> {
    const ref = this.refOf(request);
    const query = queryOf(request);
    onlyParameters(query, ['reason']);
    const patch = patchOf(ref.registry, neededBody(request));
    const command = new UpdateRecord(ref, envelopeOf(request, this.ports.ids, query), patch);
    return this.commanding.answer(reply, await this.commanding.send(command, ref));
  }

  @Delete(':registry/:uid')
  @Needs(deleting)
  async remove(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CommandAnswer> {
    const ref = this.refOf(request);
    const query = queryOf(request);
    onlyParameters(query, ['permanent', 'storage', 'dryRun', 'reason']);
    const permanent = flag(query, 'permanent');
    const dryRun = flag(query, 'dryRun') ?? false;
    const storage = storageWish(query);
    const envelope = envelopeOf(request, this.ports.ids, query);
    const plain = !isTrashable(ref.registry);
    const purges = permanent === true || (plain && permanent === null);
    const command = purges
      ? new PurgeRecord(ref, envelope, storage, dryRun)
      : new TrashRecord(ref, envelope, permanent === false ? false : null, storage, dryRun);
    const result = await this.commanding.send(command, ref, storage);
    const asItStands = result.outcome === 'purging' && !result.changed;
    if (dryRun && !asItStands) {
      const preview = result.outcome === 'purging' ? await this.commanding.preview(ref, storage) : null;
      const answer = await this.commanding.answer(reply, result);
      const record = result.outcome === 'purging' ? null : answer.record;
      return {
        ...answer,
        record,
        dryRun: true,
        preview: preview ?? { ...ref, revision: result.record.revision, object: null },
      };
    }
    if (result.outcome !== 'purging') return this.commanding.answer(reply, result);
    const answer = await this.commanding.answerPurge(request, reply, result, plain ? PLAIN_WAIT_MS : 0);
    return dryRun ? { ...answer, dryRun: true } : answer;
  }

  @Post(':registry/:uid/restore')
  @Needs(changing('write'))
  async restore(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CommandAnswer> {
    const ref = this.refOf(request);
    const query = queryOf(request);
    onlyParameters(query, ['reason']);
    parseBody(nothingSchema, request.body);
    const command = new RestoreRecord(ref, envelopeOf(request, this.ports.ids, query));
    return this.commanding.answer(reply, await this.commanding.send(command, ref));
  }

  @Put(':registry/:uid/hold')
  @Needs(changing('write'))
  async hold(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<CommandAnswer> {
    const ref = this.refOf(request);
    const query = queryOf(request);
    onlyParameters(query, ['reason']);
    const { reason } = parseBody(holdSchema, request.body);
    const command = new HoldRecord(ref, envelopeOf(request, this.ports.ids, query, reason));
    return this.commanding.answer(reply, await this.commanding.send(command, ref));
  }

  @Delete(':registry/:uid/hold')
  @Needs(changing('purge'))
  async release(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CommandAnswer> {
    const ref = this.refOf(request);
    const query = queryOf(request);
    onlyParameters(query, ['reason']);
    const command = new ReleaseHold(ref, envelopeOf(request, this.ports.ids, query));
    return this.commanding.answer(reply, await this.commanding.send(command, ref));
  }

  @Get(':registry/:uid/history')
  @Needs('read')
  async history(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<List<HistoryAnswer>> {
    const ref = this.refOf(request);
    const query = queryOf(request);
    onlyParameters(
      query,
      PAGING.filter((name) => name !== 'sort'),
    );
    const name = `history/${ref.registry}/${ref.uid}`;
    const where = [
      { path: 'registry', op: 'eq', value: ref.registry },
      { path: 'uid', op: 'eq', value: ref.uid },
    ] as const;
    const sort = [{ path: 'revision', descending: false }];
    const page = await this.listing.page(request, reply, name, 'history', paged(name, query, where, sort), historyWire);
    if (page.items.length === 0 && !query.has('cursor')) throw missing(ref);
    return page;
  }

  /** A record's row, now or as it was at the moment that the query names. @throws NotFound, Invalid */
  private async found(ref: Ref, query: ReadonlyMap<string, string>): Promise<Found> {
    const asOf = asOfQuery(query);
    if (asOf === null) {
      const found = await this.queries.execute<GetRecord, Found | null>(new GetRecord(ref));
      if (found === null) throw missing(ref);
      return found;
    }
    const answer = await this.queries.execute<GetRecordAsOf, AsOfAnswer>(new GetRecordAsOf(ref, asOf));
    if (!answer.registered) throw missing(ref);
    if (answer.ahead) throw ahead(AS_OF.find((name) => query.has(name)) ?? 'at');
    if (answer.was === null) throw new NotFound(`The record ${ref.registry}/${ref.uid} was not registered then.`);
    return { ...answer.was, position: this.ports.progress.checkpoint };
  }

  private registryOf(request: FastifyRequest): string {
    const registry = pathParameter(request, 'registry');
    if (this.ports.registries.kindOf(registry) !== null) return registry;
    throw new NotFound(`There is no registry ${registry}. GET /v1 lists them.`);
  }

  private refOf(request: FastifyRequest): Ref {
    const registry = this.registryOf(request);
    const uid = pathParameter(request, 'uid');
    if (uidSchema.safeParse(uid).success) return { registry, uid };
    throw new NotFound(`There is no record ${registry}/${uid}: a uid has 20 base62 characters.`);
  }
}

const missing = ({ registry, uid }: Ref): NotFound => new NotFound(`There is no record ${registry}/${uid}.`);
