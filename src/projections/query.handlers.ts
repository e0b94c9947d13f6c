import { Inject } from '@nestjs/common';
import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { z } from 'zod';
import { refKey, refSchema, TRASHED, type Ref } from '../events/vocabulary.js';
import type { Clock } from '../ports.js';
import type {
  CatalogueRow,
  Collection,
  Condition,
  OperationRow,
  PurgeRow,
  ReadModel,
  Rows,
} from '../storage/read-model/port.js';
import { listAsOf, recordAsOf, totalAsOf, type AsOf, type Was } from './as-of.js';
import { fateOf, type Fate } from './fate.js';
import { allStorages, managedStorages, sharersOf, storedOf, unmanagedAt } from './neighbours.js';
import type { Progress } from './progress.js';
import type { StatePorts } from './state.js';
import { Timer } from './timer.js';
import {
  AwaitPurge,
  GetOperation,
  GetRecord,
  GetRecordAsOf,
  IsLatest,
  ListRecordsAsOf,
  ListRows,
  PreviewPurge,
  TrashTotals,
} from './queries.js';

export interface QueryPorts {
  readonly events: StatePorts['events'];
  readonly model: ReadModel;
  readonly progress: Progress;
  readonly clock: Clock;
  /** Aborts when the service ends: nobody waits on for a purge then. */
  readonly stopping: AbortSignal;
}

export const QUERY_PORTS = Symbol('QueryPorts');

export interface Listed<R> {
  readonly rows: readonly R[];
  readonly total: number | null;
  readonly position: bigint;
}

/** A record as it is at a position, or later. */
export interface Found {
  readonly row: CatalogueRow;
  /** Of one that is not live. */
  readonly purge: PurgeRow | null;
  readonly position: bigint;
}

@QueryHandler(GetRecord)
class GetRecordHandler implements IQueryHandler<GetRecord, Found | null> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute({ ref, position: wanted }: GetRecord) {
    const { model, progress } = this.ports;
    await progress.reach(BigInt(wanted));
    const position = progress.checkpoint;
    const key = refKey(ref);
    const [row] = await model.get('catalogue', [key]);
    if (row === undefined) return null;
    if (row.live) return { row, purge: null, position };
    const [purge] = await model.get('purges', [key]);
    return { row, purge: purge ?? null, position };
  }
}

@QueryHandler(IsLatest)
class IsLatestHandler implements IQueryHandler<IsLatest, boolean> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute({ ref, position, inLine, then }: IsLatest) {
    const { model, progress } = this.ports;
    const [known] = await model.get('catalogue', [refKey(ref)]);
    if (!inLine && known?.startsLine !== true) return true;
    await progress.reach(BigInt(position));
    const was = then ? await recordAsOf(model, ref, { position }) : null;
    if (was !== null) return was.row.isLatest;
    const [row] = await model.get('catalogue', [refKey(ref)]);
    return row?.isLatest ?? true;
  }
}

@QueryHandler(ListRows)
class ListRowsHandler implements IQueryHandler<ListRows, Listed<Rows[Collection]>> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute({ collection, find, count }: ListRows) {
    const { model, progress } = this.ports;
    await progress.reach();
    const position = progress.checkpoint;
    const rows = await model.find(collection, find);
    const total = count ? (await model.total(collection, find.where)).rows : null;
    return { rows, total, position };
  }
}

/** `registered`: whether there is such a record at all, now. `ahead`: the moment is yet to come. */
export interface AsOfAnswer {
  readonly registered: boolean;
  readonly ahead: boolean;
  readonly was: Was | null;
}

@QueryHandler(GetRecordAsOf)
class GetRecordAsOfHandler implements IQueryHandler<GetRecordAsOf, AsOfAnswer> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute({ ref, asOf }: GetRecordAsOf) {
    const { model, progress } = this.ports;
    const isPlaced = 'position' in asOf && BigInt(asOf.position) <= (await this.ports.events.head());
    await progress.reach(isPlaced ? BigInt(asOf.position) : undefined);
    const [row] = await model.get('catalogue', [refKey(ref)]);
    const ahead = 'position' in asOf ? !isPlaced : this.isAhead(asOf, row ?? null);
    const was = ahead || row === undefined ? null : await recordAsOf(model, ref, asOf);
    return { registered: row !== undefined, ahead, was };
  }

  private isAhead(asOf: Exclude<AsOf, { position: number }>, row: CatalogueRow | null): boolean {
    if ('at' in asOf) return asOf.at > this.ports.clock.now().toISOString();
    return row !== null && asOf.revision > row.record.revision;
  }
}

@QueryHandler(ListRecordsAsOf)
class ListRecordsAsOfHandler implements IQueryHandler<ListRecordsAsOf, Listed<CatalogueRow>> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute({ find, count, at }: ListRecordsAsOf) {
    const { model, progress } = this.ports;
    await progress.reach();
    const position = progress.checkpoint;
    const rows = await listAsOf(model, find, at);
    const total = count ? await totalAsOf(model, find.where, at) : null;
    return { rows, total, position };
  }
}

export interface SeenOperation {
  readonly row: OperationRow;
  readonly purged: number;
  readonly purging: number;
}

@QueryHandler(GetOperation)
class GetOperationHandler implements IQueryHandler<GetOperation, SeenOperation | null> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute({ id, position }: GetOperation) {
    const { model, progress } = this.ports;
    await progress.reach(position);
    const [row] = await model.get('operations', [id]);
    if (row === undefined) return null;
    const ofThis: Condition = { path: 'purge.operation', op: 'eq', value: id };
    const done = await model.total('purges', [ofThis, { path: 'state', op: 'eq', value: 'done' }]);
    const under = await model.total('purges', [
      ofThis,
      { path: 'state', op: 'in', value: ['pending', 'failed', 'parked'] },
    ]);
    return { row, purged: done.rows, purging: under.rows };
  }
}

export interface Previewed {
  readonly row: CatalogueRow;
  readonly fate: Fate | null;
  readonly sharedWith: readonly Ref[];
}

@QueryHandler(PreviewPurge)
class PreviewPurgeHandler implements IQueryHandler<PreviewPurge, Previewed | null> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute({ ref, storage }: PreviewPurge) {
    const { model, progress } = this.ports;
    await progress.reach();
    const [row] = await model.get('catalogue', [refKey(ref)]);
    if (row === undefined) return null;
    const { fields } = row.record;
    if (fields.kind !== 'file') return { row, fate: null, sharedWith: [] };
    const managed = unmanagedAt(storedOf(await allStorages(model)), fields.storage, fields.path) === null;
    const sharedWith = await sharersOf(model, ref, fields);
    return { row, fate: fateOf(fields, storage, { managed, sharedWith }), sharedWith: sharedWith.slice(0, 100) };
  }
}

@QueryHandler(AwaitPurge)
export class AwaitPurgeHandler implements IQueryHandler<AwaitPurge, PurgeRow | null> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute({ ref, waitMs, position, request }: AwaitPurge) {
    const { model, progress, clock, stopping } = this.ports;
    await progress.reach(BigInt(position));
    const timer = new Timer(stopping);
    let late = false;
    const over = (): void => {
      late = true;
    };
    const bound = clock.sleep(waitMs, timer.signal).then(over, over);
    try {
      for (;;) {
        let stop = (): unknown => undefined;
        const moved = new Promise<void>((resolve) => {
          stop = progress.onWork(resolve);
        });
        const [row] = await model.get('purges', [refKey(ref)]);
        // There is another one only where this one was called off.
        const isNext = row !== undefined && request !== null && row.purge.request > request;
        const settled = row === undefined || isNext || !row.open || row.state === 'parked';
        if (!settled && !late && waitMs > 0) await Promise.race([moved, bound]);
        stop();
        if (isNext) return await this.calledOff(row, request);
        if (settled || late || waitMs <= 0) return row ?? null;
      }
    } finally {
      timer.end();
    }
  }

  /** The purge as it was called off, though its row is the next one's by now. */
  private async calledOff(row: PurgeRow, request: number): Promise<PurgeRow> {
    const [found] = await this.ports.model.find('history', {
      where: [
        { path: 'registry', op: 'eq', value: row.registry },
        { path: 'uid', op: 'eq', value: row.uid },
        { path: 'type', op: 'eq', value: 'RecordPurgeCancelled' },
        { path: 'revision', op: 'gt', value: request },
      ],
      sort: [{ path: 'revision', descending: false }],
      after: null,
      limit: 1,
    });
    const { by } = cancelledSchema.parse(found?.data);
    return { ...row, state: 'cancelled', open: false, verdict: { fate: 'called-off', by } };
  }
}

const cancelledSchema = z.object({ by: z.array(refSchema) });

@QueryHandler(TrashTotals)
class TrashTotalsHandler implements IQueryHandler<TrashTotals, { records: number; bytes: number }> {
  constructor(@Inject(QUERY_PORTS) private readonly ports: QueryPorts) {}

  async execute({ where }: TrashTotals) {
    const { model, progress } = this.ports;
    await progress.reach();
    const { rows: records } = await model.total('catalogue', where);
    const freed: Condition[] = [
      ...where,
      { path: 'record.hold.at', op: 'null', value: true },
      { path: 'record.fields.keyIsVirtual', op: 'eq', value: true },
      { path: 'record.fields.storage', op: 'in', value: [...(await managedStorages(model))] },
    ];
    const { sum: bytes } = await model.total('catalogue', freed, 'record.fields.size');
    return { records, bytes };
  }
}

/** The rows that lie in the trash. */
export const inTrash: readonly Condition[] = [
  { path: 'record.trashing.at', op: 'null', value: false },
  { path: 'live', op: 'eq', value: true },
  { path: 'record.visibility', op: 'eq', value: TRASHED },
];

export const QUERY_HANDLERS = [
  GetRecordHandler,
  GetRecordAsOfHandler,
  IsLatestHandler,
  ListRecordsAsOfHandler,
  ListRowsHandler,
  GetOperationHandler,
  PreviewPurgeHandler,
  AwaitPurgeHandler,
  TrashTotalsHandler,
];
