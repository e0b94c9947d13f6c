import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { FileFields, Seen } from '../events/events.js';
import { base62From, sha256 } from '../events/ids.js';
import { allStorages, deletionsIn, overlapsOf, storedOf } from '../projections/neighbours.js';
import { Exists, InvalidPath, OutcomeUnknown } from '../storage/errors.js';
import type { ObjectStore, SeenFile } from '../storage/object-store/port.js';
import type { CatalogueRow } from '../storage/read-model/port.js';
import { RegisterRecord, type Envelope } from './commands.js';
import { contentOf, look, measuring, seenFile, type Content } from './content.js';
import { decideRegister } from './decide.js';
import { notTaken, sameContent } from './duplicates.js';
import { executeNew, findRepeat, readRecord, type Executed } from './execute.js';
import { RegisterFile, UploadFile, type FileMetadata } from './file.commands.js';
import { COMMAND_PORTS, type CommandPorts } from './ports.js';
import { checkReferences } from './references.js';
import { Conflict, Duplicate, ForeignStorage, Invalid } from './refusals.js';
import { result, type Result, type Warning } from './result.js';
import { findStorage, storeOf, type Storage } from './storages.js';
import { suffixOf } from './suffix.js';

/** An upload whose bytes lay this long without an event gives up: what no event names is cleared away later. */
const UNACKNOWLEDGED_MS = 60 * 60 * 1000;

/** The visible record that an upload's content belongs to already. Ends the upload before any byte is visible. */
class AlreadyThere extends Error {
  constructor(readonly row: CatalogueRow) {
    super('the same content is registered already');
  }
}

@CommandHandler(UploadFile)
export class UploadFileHandler implements ICommandHandler<UploadFile, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: UploadFile): Promise<Result> {
    const { journal, stores, ownership } = this.ports;
    const { ref, envelope, metadata, content: body } = command;
    const stream = await readRecord(journal, ref);
    if (stream.record !== null) {
      const repeat = findRepeat(stream, withContent(envelope, await contentOf(body)));
      if (repeat !== null) return result('created', repeat);
    }
    const storage = await storageNamed(this.ports, metadata.storage);
    const granted = await stores.grant(storage.facts.root);
    if (!storage.facts.managed || granted?.managed === false) throw new ForeignStorage(storage.facts.name);
    await checkReferences(journal, ref.registry, { ...metadata, labels: [...metadata.labels] });

    const seenAt = await journal.store.head();
    const suffix = metadata.suffix ?? suffixOf(metadata.key ?? command.filename ?? '');
    const path = metadata.keyIsVirtual ? `.lethe/${ref.uid}-${attemptId(this.ports)}${suffix ?? ''}` : (metadata.key ?? '');
    await refuseWhereDeleting(this.ports, storage, path);
    const store = await ownership.assertOwned(storage);
    const { tap, content } = measuring();
    body.once('error', (error) => tap.destroy(error));
    body.pipe(tap);
    const warnings: Warning[] = [];
    const publish = async (): Promise<void> => {
      const row = await findExisting(this.ports, metadata, store, storage, content(), null, warnings);
      if (row !== null) throw new AlreadyThere(row);
    };
    let stored: { seen: SeenFile; own: boolean };
    try {
      stored = { seen: await store.put(path, tap, { publish }), own: true };
    } catch (error) {
      if (error instanceof AlreadyThere) return existing(error.row, metadata, warnings);
      if (error instanceof InvalidPath) throw new Invalid([{ path: '/key', message: error.message }]);
      if (!(error instanceof Exists)) throw error;
      stored = { seen: await this.sameBytes(store, path, content()), own: false };
    }
    const bytesAt = this.ports.clock.monotonic();
    const fields = fieldsOf(metadata, storage, { path, suffix, content: content(), seen: seenFile(stored.seen), own: stored.own });
    const envelopeWithContent = withContent(envelope, content());
    const register = new RegisterRecord(ref, envelopeWithContent, fields, metadata.visibility, String(seenAt));
    let done: Executed;
    try {
      done = await executeNew(journal, ref, envelopeWithContent, async (record) => {
        if (this.ports.clock.monotonic() - bytesAt > UNACKNOWLEDGED_MS) throw new Conflict('The upload took over an hour to be registered. Try again.');
        await checkReferences(journal, ref.registry, fields);
        return decideRegister(record, register);
      });
    } catch (error) {
      // After an unknown outcome the event may stand, and then it names these bytes.
      if (metadata.keyIsVirtual && !(error instanceof OutcomeUnknown)) await store.delete(path, stored.seen);
      throw error;
    }
    // Another attempt at the same command may have won: its event names its own bytes, and these are nobody's.
    if (metadata.keyIsVirtual && done.record.fields.kind === 'file' && done.record.fields.path !== path) await store.delete(path, stored.seen);
    return result('created', done, warnings);
  }

  /** What lies under a semantic key already is found, not overwritten, where it is the same. */
  private async sameBytes(store: ObjectStore, path: string, content: Content): Promise<SeenFile> {
    const there = await store.get(path);
    if (there === null) throw new Conflict(`The object at ${path} went away while it was compared. Try again.`);
    const { size, hash } = await contentOf(there.body);
    if (size !== content.size || hash !== content.hash) {
      throw new Conflict(`An object with other content lies at ${path}. Register it by its path, or choose another key.`);
    }
    return there.seen;
  }
}

@CommandHandler(RegisterFile)
export class RegisterFileHandler implements ICommandHandler<RegisterFile, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute({ ref, envelope, metadata, path }: RegisterFile): Promise<Result> {
    const { journal, stores } = this.ports;
    const repeat = findRepeat(await readRecord(journal, ref), envelope);
    if (repeat !== null) return result('created', repeat);
    const storage = await storageNamed(this.ports, metadata.storage);
    await checkReferences(journal, ref.registry, { ...metadata, labels: [...metadata.labels] });
    const seenAt = await journal.store.head();
    await refuseWhereDeleting(this.ports, storage, path);
    const store = await storeOf(stores, storage);
    const found = await lookAt(store, path);
    const warnings: Warning[] = [];
    const row = await findExisting(this.ports, metadata, store, storage, found.content, path.endsWith('/') ? path : null, warnings);
    if (row !== null) return existing(row, metadata, warnings);
    const suffix = metadata.suffix ?? suffixOf(path);
    const fields = fieldsOf({ ...metadata, key: path, keyIsVirtual: false }, storage, { path, suffix, ...found, own: false });
    const register = new RegisterRecord(ref, envelope, fields, metadata.visibility, String(seenAt));
    const done = await executeNew(journal, ref, envelope, async (record) => {
      await checkReferences(journal, ref.registry, fields);
      return decideRegister(record, register);
    });
    return result('created', done, warnings);
  }
}

const lookAt = async (store: ObjectStore, path: string): Promise<{ content: Content; seen: Seen }> => {
  try {
    const found = await look(store, path);
    if (found === null) throw new Invalid([{ path: '/path', message: `nothing lies at '${path}'` }]);
    if (found === 'changed') throw new Conflict(`What lies at ${path} changed while it was read. Try again when nobody writes to it.`);
    return found;
  } catch (error) {
    if (error instanceof InvalidPath) throw new Invalid([{ path: '/path', message: error.message }]);
    throw error;
  }
};

const storageNamed = async ({ journal }: CommandPorts, uidOrName: string): Promise<Storage> => {
  const storage = await findStorage(journal, uidOrName);
  if (storage === null) throw new Invalid([{ path: '/storage', message: `no storage has the uid or name '${uidOrName}'` }]);
  return storage;
};

/** The early word on an object that is being deleted; the projection has the last one. */
const refuseWhereDeleting = async ({ model, reach }: CommandPorts, { uid }: Storage, path: string): Promise<void> => {
  await reach();
  const storages = storedOf(await allStorages(model));
  const [deletion] = await deletionsIn(model, overlapsOf(storages, uid, path));
  if (deletion === undefined) return;
  throw new Conflict(`The object there is being deleted, for ${deletion.registry}/${deletion.uid}. Try again when its purge has ended.`);
};

const findExisting = async (
  { model, reach }: CommandPorts,
  metadata: FileMetadata,
  store: ObjectStore,
  storage: Storage,
  content: Content,
  folder: string | null,
  warnings: Warning[],
): Promise<CatalogueRow | null> => {
  if (metadata.onDuplicate === 'create') return null;
  await reach();
  const { visible, trashed } = await sameContent(model, store, storage.uid, content, folder);
  if (visible !== null && metadata.onDuplicate === 'fail') {
    const by = { registry: visible.registry, uid: visible.uid };
    throw new Duplicate(`files/${visible.uid} has the same content in this storage.`, [by]);
  }
  if (visible === null && trashed.length > 0) {
    const by = trashed.map(({ registry, uid }) => ({ registry, uid }));
    warnings.push({ code: 'duplicate-in-trash', message: `the same content lies in the trash: ${by.map(({ uid }) => uid).join(', ')}`, by });
  }
  return visible;
};

const existing = ({ record }: CatalogueRow, metadata: FileMetadata, warnings: readonly Warning[]): Result => {
  const left = record.fields.kind === 'file' ? notTaken(record.fields, { ...metadata, labels: [...metadata.labels], storage: record.fields.storage }) : [];
  const all: Warning[] = [...warnings];
  if (left.length > 0) all.push({ code: 'metadata-ignored', message: `the record exists and keeps its own ${left.join(', ')}` });
  return { outcome: 'existing', record, warnings: all, replayed: false, changed: false };
};

const fieldsOf = (
  metadata: FileMetadata,
  storage: Storage,
  object: { path: string; suffix: string | null; content: Content; seen: Seen; own: boolean },
): FileFields => ({
  kind: 'file',
  key: metadata.key,
  keyIsVirtual: metadata.keyIsVirtual,
  storage: storage.uid,
  path: object.path,
  suffix: object.suffix,
  accessor: metadata.accessor,
  description: metadata.description,
  version: metadata.version,
  initialVersion: metadata.initialVersion,
  ...object.content,
  run: metadata.run,
  transform: metadata.transform,
  labels: [...metadata.labels],
  own: object.own,
  seen: object.seen,
});

/** Each attempt writes to a path of its own. */
const attemptId = ({ ids }: CommandPorts): string => base62From(ids.uuid(), 6);

/** The command with the content that came with it: another content under the same key is another command. */
const withContent = (envelope: Envelope, { size, hash }: Content): Envelope => ({
  ...envelope,
  hash: sha256(JSON.stringify([envelope.hash, size, hash])),
});

export const FILE_HANDLERS = [UploadFileHandler, RegisterFileHandler];
