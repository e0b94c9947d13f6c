import { decode } from '../../src/events/codec.js';
import type { EventOf, Fields, LetheEvent, Recorded } from '../../src/events/events.js';
import type { Json } from '../../src/events/vocabulary.js';
import type { StoredEvent } from '../../src/storage/event-store/port.js';
import { PREFIX } from './process.js';

/*
 * What a log comes to by the contract and by section 4 of the design, read from its events alone and as plainly as possible: every question
 * looks at everything. It shares no line with the projections: what both get wrong, they would have to get wrong apart.
 */

export type Fate = 'called-off' | 'none' | 'delete' | 'foreign-storage' | 'asked' | 'shared' | 'semantic-key';

/** A purge that was requested, and what became of it. */
export interface Request {
  readonly revision: number;
  readonly position: number;
  readonly event: EventOf<'RecordPurgeRequested'>;
  readonly fate: Fate;
  /** `registry/uid` of those who call it off, or share the object. */
  readonly by: readonly string[];
  cancelled: Recorded | null;
  started: { position: number; seen: EventOf<'ObjectDeletionStarted'>['seen'] } | null;
  keepAsked: number | null;
  kept: { position: number; why: string } | null;
  deleted: { position: number; objects: number; changed: boolean } | null;
  parked: boolean;
  ended: number | null;
}

/** An event that came to point at what was going already. */
export interface Late {
  readonly kind: 'registration' | 'update';
  readonly position: number;
  readonly revision: number;
  readonly targets: readonly string[];
}

/** One record, as the log tells it. */
export interface Told {
  readonly key: string;
  readonly registry: string;
  readonly uid: string;
  readonly registered: Recorded & { event: EventOf<'RecordRegistered'> };
  fields: Fields;
  visibility: number;
  held: boolean;
  revision: number;
  /** The trashing by which it is in the trash. */
  trashed: { revision: number; position: number; from: number } | null;
  readonly requests: Request[];
  /** Those that have not been taken back. */
  late: Late[];
  /** Every one that ever was. */
  readonly everLate: Late[];
}

export interface Operation {
  readonly id: string;
  readonly kind: string;
  readonly position: number;
  completed: boolean;
}

export interface Tale {
  readonly events: readonly Recorded[];
  readonly records: ReadonlyMap<string, Told>;
  readonly operations: ReadonlyMap<string, Operation>;
  /** What no log may hold. */
  readonly faults: readonly string[];
}

export const told = (stored: readonly StoredEvent[]): Tale => new Teller().tell(stored);

/** The purge that stands: asked for, and not called off by what stood before it. */
export const standing = ({ requests }: Told): Request | null => {
  const last = requests.at(-1);
  return last === undefined || last.fate === 'called-off' ? null : last;
};

/** A record that protects what it points to. */
export const isLive = (record: Told): boolean =>
  standing(record) === null && !record.late.some(({ kind }) => kind === 'registration');

export const pointersOf = (registry: string, fields: Fields): string[] => {
  if (fields.kind === 'plain') return [];
  const to = (other: string, uids: readonly (string | null)[]): string[] =>
    uids.flatMap((uid) => (uid === null ? [] : [`${other}/${uid}`]));
  return [
    ...to('labels', fields.labels),
    ...to('runs', [fields.run]),
    ...to('transforms', [fields.transform]),
    ...to(registry, [fields.initialVersion]),
    ...(fields.kind === 'file' ? to('storages', [fields.storage]) : to('files', fields.files)),
  ];
};

export const overlap = (a: string, b: string): boolean =>
  a === b || (a.endsWith('/') && b.startsWith(a)) || (b.endsWith('/') && a.startsWith(b));

class Teller {
  private readonly records = new Map<string, Told>();
  private readonly operations = new Map<string, Operation>();
  private readonly faults: string[] = [];
  private readonly ticks: number[] = [];
  /** Every update, by its position. */
  private readonly updates = new Map<number, { event: EventOf<'RecordUpdated'>; record: Told }>();

  tell(stored: readonly StoredEvent[]): Tale {
    const events = stored.map((event) => decode(PREFIX, event)).filter((recorded) => recorded !== null);
    if (events.length !== stored.length) this.faults.push('the log holds an event of an unknown type');
    for (const recorded of events) this.hear(recorded);
    return { events, records: this.records, operations: this.operations, faults: this.faults };
  }

  private hear(recorded: Recorded): void {
    const { event, registry, uid, position } = recorded;
    if (event.type === 'ClockTicked') this.ticks.push(position);
    if (event.type === 'InstanceCreated' || event.type === 'ClockTicked') return;
    if (event.type === 'OperationStarted') {
      this.operations.set(uid, { id: uid, kind: event.kind, position: Number(event.position), completed: false });
      return;
    }
    if (event.type === 'OperationCompleted') {
      const operation = this.operations.get(uid);
      if (operation === undefined || operation.completed) this.faults.push(`operation ${uid} ends, and does not run`);
      else operation.completed = true;
      return;
    }
    const key = `${registry}/${uid}`;
    if (event.type === 'RecordRegistered') {
      if (this.records.has(key)) this.faults.push(`${key} is registered twice`);
      else this.register(key, { ...recorded, event });
      return;
    }
    const record = this.records.get(key);
    if (record === undefined) this.faults.push(`${key} has a ${event.type} at ${position} before it is registered`);
    else this.change(record, recorded, event);
  }

  private register(key: string, recorded: Told['registered']): void {
    const { event, registry, uid, position, revision } = recorded;
    const record: Told = {
      key,
      registry,
      uid,
      registered: recorded,
      fields: event.fields,
      visibility: event.visibility,
      held: false,
      revision,
      trashed: null,
      requests: [],
      late: [],
      everLate: [],
    };
    const targets = pointersOf(registry, event.fields).filter((target) => this.isGoing(target));
    if (event.fields.kind === 'file') {
      const since = event.seenAt === null ? position : Number(event.seenAt);
      const location = this.locationOf(event.fields);
      for (const other of this.records.values())
        for (const request of other.requests)
          if (this.stoodAfter(other, request, since) && overlap(this.locationOf(other.fields), location))
            targets.push(other.key);
    }
    this.records.set(key, record);
    if (targets.length > 0) this.isLate(record, { kind: 'registration', position, revision, targets });
  }

  private isLate(record: Told, late: Late): void {
    record.late.push(late);
    record.everLate.push(late);
  }

  private change(record: Told, recorded: Recorded, event: LetheEvent): void {
    const { revision, position } = recorded;
    record.revision = revision;
    const open = record.requests.at(-1);
    const request = open !== undefined && open.ended === null && open.cancelled === null ? open : null;
    const where = `${record.key}#${revision} ${event.type}`;
    if ('request' in event && event.request !== request?.revision) {
      this.faults.push(`${where} belongs to the request ${event.request}, which is not open`);
      return;
    }
    switch (event.type) {
      case 'RecordUpdated': {
        this.update(record, recorded, event);
        return;
      }
      case 'RecordTrashed':
        if (event.from !== record.visibility)
          this.faults.push(`${where} remembers ${event.from}, it was ${record.visibility}`);
        record.trashed = { revision, position, from: record.visibility };
        record.visibility = -1;
        return;
      case 'RecordRestored':
        if (event.to !== record.trashed?.from)
          this.faults.push(`I6 ${where} gives back ${event.to}, it was ${String(record.trashed?.from)}`);
        record.visibility = event.to;
        record.trashed = null;
        return;
      case 'RecordHeld':
        record.held = true;
        return;
      case 'RecordHoldReleased':
        record.held = false;
        return;
      case 'RecordPurgeRequested': {
        this.request(record, recorded, event);
        return;
      }
      case 'RecordPurgeCancelled':
        if (request === null) return;
        if (request.started !== null || request.kept !== null)
          this.faults.push(`${where} comes after its object was dealt with`);
        if (request.fate !== 'called-off') this.faults.push(`${where}: its fate is ${request.fate}`);
        request.cancelled = recorded;
        return;
      case 'ObjectDeletionStarted':
        if (request === null) return;
        if (request.started !== null) this.faults.push(`${where} comes twice`);
        if (request.fate !== 'delete') this.faults.push(`I3 ${where}: its fate is ${request.fate}`);
        request.started = { position, seen: event.seen };
        return;
      case 'ObjectDeletionFailed':
        if (request !== null) request.parked = event.waitMs === null;
        return;
      case 'RecordPurgeRetried':
        if (request === null) return;
        request.parked = false;
        if (event.storage === 'keep') request.keepAsked ??= position;
        return;
      case 'ObjectKept':
        if (request !== null) request.kept = { position, why: event.why };
        return;
      case 'ObjectDeleted':
        if (request !== null) request.deleted = { position, objects: event.objects, changed: event.changed };
        return;
      case 'RecordPurged':
        if (request !== null) request.ended = position;
        return;
      default:
        this.faults.push(`${where} is no event of a record`);
    }
  }

  private update(
    record: Told,
    { position, revision }: Recorded,
    { changes, withdraws }: EventOf<'RecordUpdated'>,
  ): void {
    const taken = withdraws === null ? undefined : this.updates.get(Number(withdraws));
    const untouched = Object.entries(taken?.event.changes ?? {}).filter(
      ([name, { to }]) => taken?.event.withdraws === null && same(valueOf(record, name), to),
    );
    this.updates.set(position, { event: { type: 'RecordUpdated', changes, withdraws }, record });
    const before = pointersOf(record.registry, record.fields);
    const fields: { [name: string]: Json } = { ...record.fields };
    for (const [name, { from, to }] of Object.entries(changes)) {
      const was = name === 'visibility' ? record.visibility : fields[name];
      if (JSON.stringify(was ?? null) !== JSON.stringify(from))
        this.faults.push(
          `${record.key}#${revision} says that ${name} was ${JSON.stringify(from)}, it was ${JSON.stringify(was)}`,
        );
      if (name === 'visibility') record.visibility = Number(to);
      else fields[name] = to;
    }
    record.fields = fields as Fields;
    const going = record.everLate.find((late) => String(late.position) === withdraws)?.targets ?? [];
    for (const [name, { from }] of untouched) {
      const back = Array.isArray(from)
        ? from.filter((uid) => !going.includes(`${name}/${JSON.stringify(uid).slice(1, -1)}`))
        : from;
      const gone = !Array.isArray(from) && going.includes(`${name}s/${JSON.stringify(from).slice(1, -1)}`);
      if (!same(valueOf(record, name), gone ? null : back))
        this.faults.push(`I11 ${record.key}#${revision} takes back an update, and does not put back its ${name}`);
    }
    if (taken !== undefined && taken.record !== record)
      this.faults.push(`I11 ${record.key}#${revision} takes back another's update`);
    const now = pointersOf(record.registry, record.fields);
    record.late = record.late.filter(
      ({ kind, targets }) => kind === 'registration' || targets.some((target) => now.includes(target)),
    );
    const targets = now.filter((target) => !before.includes(target) && this.isGoing(target));
    if (targets.length > 0) this.isLate(record, { kind: 'update', position, revision, targets });
  }

  private request(record: Told, { position, revision }: Recorded, event: EventOf<'RecordPurgeRequested'>): void {
    const { fate, by } = this.judge(record, event);
    const own = record.fields.kind !== 'file' ? null : record.fields.own ? 'delete' : 'keep';
    if (event.withdraws !== null && event.storage !== own)
      this.faults.push(
        `I3 ${record.key} is withdrawn with storage=${event.storage ?? ''}, and should be with ${own ?? ''}`,
      );
    if (record.requests.some(({ cancelled }) => cancelled === null))
      this.faults.push(`${record.key}#${revision} asks for a purge while another stands`);
    if (record.held && event.withdraws === null)
      this.faults.push(`I8 ${record.key} is purged at ${position} while it is held`);
    const open = {
      cancelled: null,
      started: null,
      keepAsked: null,
      kept: null,
      deleted: null,
      parked: false,
      ended: null,
    };
    record.requests.push({ revision, position, event, fate, by, ...open });
  }

  /** The contract's table, and who calls a purge off. */
  private judge(record: Told, { withdraws, storage }: EventOf<'RecordPurgeRequested'>): { fate: Fate; by: string[] } {
    const others = [...this.records.values()].filter((other) => other !== record && isLive(other));
    if (withdraws === null) {
      const by = others.filter((other) => protects(other, record.key)).map(({ key }) => key);
      if (by.length > 0) return { fate: 'called-off', by };
    }
    const { fields } = record;
    if (fields.kind !== 'file') return { fate: 'none', by: [] };
    const location = this.locationOf(fields);
    if (this.isForeign(fields.storage, location)) return { fate: 'foreign-storage', by: [] };
    if (storage === 'keep') return { fate: 'asked', by: [] };
    const sharing = others
      .filter((other) => other.fields.kind === 'file' && overlap(this.locationOf(other.fields), location))
      .map(({ key }) => key);
    if (sharing.length > 0) return { fate: 'shared', by: sharing };
    return { fate: !fields.keyIsVirtual && storage !== 'delete' ? 'semantic-key' : 'delete', by: [] };
  }

  /** Purged, about to be, or to be taken back. */
  private isGoing(key: string): boolean {
    const record = this.records.get(key);
    return record !== undefined && !isLive(record);
  }

  private isForeign(storage: string, location: string): boolean {
    return [...this.records.values()].some((record) => {
      const { fields, key } = record;
      if (record.registry !== 'storages' || !isUnmanaged(fields)) return false;
      return (
        key === `storages/${storage}` ||
        (isLive(record) && overlap(placeOf(fields), location)) ||
        location.startsWith(placeOf(fields))
      );
    });
  }

  /** Whether a deletion stood at any moment after this position; in a bucket without versions, the hour past its end too. */
  private stoodAfter({ fields }: Told, { fate, kept, deleted, ended, started }: Request, since: number): boolean {
    if (fate !== 'delete') return false;
    const until = kept?.position ?? deleted?.position ?? ended;
    if (until === null || until > since) return true;
    const nothingSent = deleted === null || (started?.seen ?? null) === null;
    if (nothingSent || fields.kind !== 'file' || fields.keyIsVirtual) return false;
    const inBucket = JSON.stringify(this.records.get(`storages/${fields.storage}`)?.fields).includes('"root":"s3:');
    return inBucket && this.ticks.filter((tick) => tick > until && tick <= since).length < 2;
  }

  private locationOf(fields: Fields): string {
    return locationIn(this.records, fields);
  }
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

const valueOf = ({ fields, visibility }: Told, name: string): unknown =>
  Object.entries({ ...fields, visibility }).find(([field]) => field === name)?.[1];

/** Where a file's object lies; empty for what has none. */
export const locationIn = (records: ReadonlyMap<string, Told>, fields: Fields): string => {
  if (fields.kind !== 'file') return '';
  const storage = records.get(`storages/${fields.storage}`);
  return (storage === undefined ? '' : placeOf(storage.fields)) + fields.path;
};

const placeOf = (fields: Fields): string => (fields.kind === 'plain' ? (fields.place ?? '') : '');

const isUnmanaged = (fields: Fields): boolean =>
  fields.kind === 'plain' && JSON.stringify(fields.data).includes('"managed":false');

/** What a record points to and protects: not what an update came to point at too late. */
const protects = ({ registry, fields, late }: Told, target: string): boolean =>
  pointersOf(registry, fields).includes(target) &&
  !late.some(({ kind, targets }) => kind === 'update' && targets.includes(target));
