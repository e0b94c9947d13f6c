import { Readable } from 'node:stream';
import {
  HoldRecord,
  PurgeRecord,
  RegisterRecord,
  ReleaseHold,
  RestoreRecord,
  RetryPurge,
  TrashRecord,
  UpdateRecord,
  type Envelope,
} from '../../src/commands/commands.js';
import { RegisterFile, UploadFile, type FileMetadata } from '../../src/commands/file.commands.js';
import type { EventType, StorageWish } from '../../src/events/events.js';
import { commandIdOf, sha256, uidOf, uidOfName } from '../../src/events/ids.js';
import type { Json, Ref, Shown } from '../../src/events/vocabulary.js';
import type { Store } from './calls.js';

/*
 * What virtual clients do, as plain data: records go by names, which their uids follow from. A schedule can be written down, cut short, and
 * run again.
 */

interface Sent {
  /** Its idempotency key, and what it is called where something is said of it. */
  readonly id: string;
  readonly ifMatch?: number;
  /** It is sent without an idempotency key, and so once at most. */
  readonly keyless?: boolean;
  /** It is appended, and no answer to that ever comes. */
  readonly unanswered?: boolean;
  /** The process that carries it out dies with its append. */
  readonly dies?: boolean;
  /** Its append is under way until that record's stream holds such an event. */
  readonly appendAfter?: { readonly target: string; readonly event: EventType };
}

interface Pointing {
  readonly labels?: readonly string[];
  readonly run?: string;
  readonly initial?: string;
}

interface Registering extends Sent, Pointing {
  /** What the record is called in the schedule. */
  readonly name: string;
  readonly visibility?: Shown;
}

interface OfFile extends Registering {
  readonly storage: string;
  readonly onDuplicate?: FileMetadata['onDuplicate'];
}

export type Operation =
  | (Registering & {
      readonly do: 'create';
      readonly registry: 'datasets' | 'labels' | 'runs';
      readonly files?: readonly string[];
    })
  | (Registering & { readonly do: 'create'; readonly registry: 'storages'; readonly root: string })
  /** With `path` as a semantic key. */
  | (OfFile & {
      readonly do: 'upload';
      readonly path: string | null;
      readonly content: string;
      /** Its body breaks off half way. */
      readonly cut?: boolean;
    })
  | (OfFile & { readonly do: 'register'; readonly path: string })
  | (Sent & {
      readonly do: 'patch';
      readonly target: string;
      readonly files?: readonly string[];
      readonly labels?: readonly string[];
      readonly run?: string | null;
      readonly description?: string;
      readonly visibility?: Shown;
    })
  | (Sent & {
      readonly do: 'trash';
      readonly target: string;
      readonly permanent: false | null;
      readonly storage: StorageWish;
      readonly dryRun: boolean;
    })
  | (Sent & { readonly do: 'restore' | 'hold' | 'release'; readonly target: string })
  | (Sent & {
      readonly do: 'purge';
      readonly target: string;
      readonly storage: StorageWish;
      readonly dryRun: boolean;
      readonly waitMs: number;
    })
  | (Sent & { readonly do: 'retry'; readonly target: string; readonly storage: 'keep' | null })
  | (Sent & { readonly do: 'empty'; readonly registry: string | null })
  /** Another program puts this where it likes, over whatever is there; or takes it away. */
  | (Sent & { readonly do: 'write'; readonly location: string; readonly content: string })
  | (Sent & { readonly do: 'remove'; readonly location: string })
  /** A store answers nobody for a while; or does what it is told, and nobody hears of it. */
  | (Sent & { readonly do: 'down' | 'deaf'; readonly store: Store; readonly ms: number })
  /** The same call again. */
  | (Sent & { readonly do: 'repeat'; readonly of: string })
  /** Waits until the record's stream holds such an event. */
  | (Sent & { readonly do: 'await'; readonly target: string; readonly event: EventType })
  | (Sent & { readonly do: 'pause'; readonly ms: number });

const registryOf = (operation: Operation): string =>
  operation.do === 'create'
    ? operation.registry
    : operation.do === 'upload' || operation.do === 'register'
      ? 'files'
      : '';

/** Every record that a schedule may come to have, by its name. */
export class Names {
  private readonly refs = new Map<string, Ref>();

  constructor(operations: readonly Operation[]) {
    for (const operation of operations) {
      if (!('name' in operation)) continue;
      const registry = registryOf(operation);
      const uid = registry === 'storages' ? uidOfName(registry, operation.name, 0) : uidOf(commandIdFor(operation));
      this.refs.set(operation.name, { registry, uid });
    }
  }

  /** A record that no operation makes is one that never was. */
  ref(name: string): Ref {
    return (
      this.refs.get(name) ?? { registry: name.startsWith('D') ? 'datasets' : 'files', uid: uidOf(`nobody ${name}`) }
    );
  }

  uid(name: string): string {
    return this.ref(name).uid;
  }

  of({ registry, uid }: Ref): string {
    for (const [name, ref] of this.refs) if (ref.registry === registry && ref.uid === uid) return name;
    return `${registry}/${uid}`;
  }
}

export const commandIdFor = ({ id }: Sent): string => commandIdOf('alice', 'POST', '/simulated', id);

const envelopeOf = (operation: Operation): Envelope => {
  const commandId = commandIdFor(operation);
  return {
    commandId,
    repeatable: operation.keyless !== true,
    hash: sha256(JSON.stringify(operation)),
    actor: 'alice',
    reason: operation.id,
    correlationId: commandId,
    ifMatch: operation.ifMatch ?? null,
  };
};

export type Commanded = Exclude<
  Operation,
  { readonly do: 'write' | 'remove' | 'down' | 'deaf' | 'repeat' | 'await' | 'pause' | 'empty' }
>;

/** The command as the API would send it: a new one each time, since an upload's body is read once. */
export const commandOf = (names: Names, operation: Commanded): object => {
  const envelope = envelopeOf(operation);
  switch (operation.do) {
    case 'create':
      return new RegisterRecord(
        names.ref(operation.name),
        envelope,
        fieldsOf(names, operation),
        operation.visibility ?? 1,
        null,
      );
    case 'upload': {
      const body = Readable.from(bytesOf(operation), { objectMode: false });
      return new UploadFile(names.ref(operation.name), envelope, metadataOf(names, operation), 'content.csv', body);
    }
    case 'register':
      return new RegisterFile(names.ref(operation.name), envelope, metadataOf(names, operation), operation.path);
    case 'patch':
      return new UpdateRecord(names.ref(operation.target), envelope, patchOf(names, operation));
    case 'trash': {
      const { permanent, storage, dryRun } = operation;
      return new TrashRecord(names.ref(operation.target), envelope, permanent, storage, dryRun);
    }
    case 'restore':
      return new RestoreRecord(names.ref(operation.target), envelope);
    case 'hold':
      return new HoldRecord(names.ref(operation.target), envelope);
    case 'release':
      return new ReleaseHold(names.ref(operation.target), envelope);
    case 'purge':
      return new PurgeRecord(names.ref(operation.target), envelope, operation.storage, operation.dryRun);
    case 'retry':
      return new RetryPurge(names.ref(operation.target), envelope, operation.storage);
  }
};

/** A caller went away before all of an upload was sent. */
class CutOff extends Error {
  override readonly name = 'CutOff';
}

const bytesOf = function* ({ content, cut }: Operation & { do: 'upload' }): Generator<Buffer> {
  const all = Buffer.from(content);
  yield all.subarray(0, 1);
  if (cut === true) throw new CutOff('the rest of the body does not come');
  yield all.subarray(1);
};

/** The record that an operation is about. */
export const refOf = (names: Names, operation: Operation): Ref | null => {
  if ('name' in operation) return names.ref(operation.name);
  return 'target' in operation ? names.ref(operation.target) : null;
};

export const envelopeFor = envelopeOf;

const fieldsOf = (names: Names, operation: Operation & { do: 'create' }): RegisterRecord['fields'] => {
  if (operation.registry === 'storages') {
    const { name, root } = operation;
    return { kind: 'plain', name, description: null, data: { root, managed: true }, place: null };
  }
  if (operation.registry !== 'datasets')
    return { kind: 'plain', name: operation.name, description: null, data: null, place: null };
  return {
    kind: 'dataset',
    name: operation.name,
    description: null,
    version: null,
    initialVersion: operation.initial === undefined ? null : names.uid(operation.initial),
    files: (operation.files ?? []).map((name) => names.uid(name)),
    run: operation.run === undefined ? null : names.uid(operation.run),
    transform: null,
    labels: (operation.labels ?? []).map((name) => names.uid(name)),
  };
};

const metadataOf = (names: Names, operation: Operation & { do: 'upload' | 'register' }): FileMetadata => ({
  key: operation.path,
  keyIsVirtual: operation.path === null,
  storage: operation.storage,
  suffix: '.csv',
  accessor: null,
  description: null,
  version: null,
  initialVersion: operation.initial === undefined ? null : names.uid(operation.initial),
  labels: (operation.labels ?? []).map((name) => names.uid(name)),
  run: operation.run === undefined ? null : names.uid(operation.run),
  transform: null,
  visibility: operation.visibility ?? 1,
  onDuplicate: operation.onDuplicate ?? 'create',
});

const patchOf = (names: Names, operation: Operation & { do: 'patch' }): Readonly<Record<string, Json>> => {
  const { files, labels, run, description, visibility } = operation;
  return {
    ...(files !== undefined && { files: files.map((name) => names.uid(name)) }),
    ...(labels !== undefined && { labels: labels.map((name) => names.uid(name)) }),
    ...(run !== undefined && { run: run === null ? null : names.uid(run) }),
    ...(description !== undefined && { description }),
    ...(visibility !== undefined && { visibility }),
  };
};
