import { pipeline } from 'node:stream';
import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { FileFields } from '../events/events.js';
import { base62From, sha256 } from '../events/ids.js';
import { Exists, InvalidPath, OutcomeUnknown } from '../storage/errors.js';
import type { ObjectStore, SeenFile } from '../storage/object-store/port.js';
import type { CatalogueRow } from '../storage/read-model/port.js';
import { RegisterRecord, type Envelope } from './commands.js';
import { contentOf, measuring, seenFile, whole, type Content } from './content.js';
import { decideRegister } from './decide.js';
import { executeNew, findRepeat, readRecord, type Executed } from './execute.js';
import { UploadFile } from './file.commands.js';
import { existing, fieldsOf, findExisting, refuseForeign, refuseWhereDeleting, storageNamed } from './file-record.js';
import { COMMAND_PORTS, type CommandPorts } from './ports.js';
import { checkReferences } from './references.js';
import { Conflict, Invalid } from './refusals.js';
import { result, type Result, type Warning } from './result.js';
import type { Storage } from './storages.js';
import { suffixOf } from './suffix.js';
import { assertStands } from './withdraw.js';

/** An upload whose bytes lay this long without an event gives up: what no event names is cleared away later. */
const UNACKNOWLEDGED_MS = 60 * 60 * 1000;

/**
 * What lies below `.lethe/` for a day without an event is cleared away (`LEFT_AFTER_MS` in upkeep/naming.ts), and some stores count that day from
 * where the upload began.
 */
const LONGEST_MS = 23 * 60 * 60 * 1000;

/** Bytes that lie in a store: written by this upload, or found there. */
interface Stored {
  readonly content: Content;
  readonly seen: SeenFile;
  readonly own: boolean;
}

/** The visible record that the content belongs to already. Ends an upload before any of its bytes is visible. */
class AlreadyThere extends Error {
  constructor(readonly row: CatalogueRow) {
    super('the same content is registered already');
  }
}

/** Bytes first, then the event that names them (design, section 4). */
@CommandHandler(UploadFile)
export class UploadFileHandler implements ICommandHandler<UploadFile, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: UploadFile): Promise<Result> {
    const { journal, ownership, ids, clock } = this.ports;
    const { ref, envelope, metadata, content: body } = command;
    const stream = await readRecord(journal, ref);
    if (stream.record !== null) {
      const repeat = findRepeat(stream, withContent(envelope, await contentOf(body)));
      if (repeat !== null) {
        await assertStands(this.ports, repeat);
        return result('created', repeat);
      }
    }
    const storage = await storageNamed(this.ports, metadata.storage);
    await checkReferences(journal, ref.registry, { ...metadata, labels: [...metadata.labels] });
    const seenAt = await journal.store.head();
    const suffix = metadata.suffix ?? suffixOf(metadata.key ?? command.filename ?? '');
    // Each attempt writes to a path of its own: two of them never mix, and a failed one takes back only what is its own.
    const path = metadata.keyIsVirtual
      ? `.lethe/${ref.uid}-${base62From(ids.uuid(), 6)}${suffix ?? ''}`
      : (metadata.key ?? '');
    await refuseForeign(this.ports, storage, path);
    await refuseWhereDeleting(this.ports, storage, path);
    const store = await ownership.assertOwned(storage);
    const warnings: Warning[] = [];
    const begunAt = clock.monotonic();
    let stored: Stored;
    try {
      stored = await this.store(command, storage, store, path, warnings);
    } catch (error) {
      if (error instanceof AlreadyThere) return existing(error.row, metadata, warnings);
      if (error instanceof InvalidPath) throw new Invalid([{ path: '/key', message: error.message }]);
      throw error;
    }
    const { content, own } = stored;
    const fields = fieldsOf(metadata, storage, { path, suffix, content, seen: seenFile(stored.seen), own });
    const longest = metadata.keyIsVirtual ? begunAt + LONGEST_MS : Infinity;
    const late = Math.min(longest, clock.monotonic() + UNACKNOWLEDGED_MS);
    const done = await this.register(command, fields, String(seenAt), store, stored, late);
    await assertStands(this.ports, done);
    return result('created', done, warnings);
  }

  /** Writes the body to `path`, or finds the same bytes there; nothing is ever overwritten. */
  private async store(
    { ref, metadata, content: body }: UploadFile,
    storage: Storage,
    store: ObjectStore,
    path: string,
    warnings: Warning[],
  ): Promise<Stored> {
    const notRegistered = async (content: Content): Promise<void> => {
      const row = await findExisting(this.ports, metadata, store, storage, content, null, ref.uid, warnings);
      if (row !== null) throw new AlreadyThere(row);
    };
    if (!metadata.keyIsVirtual && (await store.stat(path)) !== null) {
      const content = await contentOf(body);
      const seen = await sameBytes(store, path, content);
      await notRegistered(content);
      return { content, seen, own: false };
    }
    const { tap, content } = measuring();
    // The store destroys what it was given where it refuses; the body itself is the request's and ends with it.
    pipeline(body, tap, () => undefined);
    try {
      const seen = await store.put(path, tap, { publish: () => notRegistered(whole(content())) });
      return { content: whole(content()), seen, own: true };
    } catch (error) {
      const came = content();
      if (!(error instanceof Exists)) throw error;
      if (came === null) throw new Conflict(`An object came to lie at ${path} meanwhile. Try again.`);
      return { content: came, seen: await sameBytes(store, path, came, IN_THE_WAY), own: false };
    }
  }

  private async register(
    { ref, envelope, metadata }: UploadFile,
    fields: FileFields,
    seenAt: string,
    store: ObjectStore,
    { content, seen }: Stored,
    late: number,
  ): Promise<Executed> {
    const { journal, clock } = this.ports;
    const complete = withContent(envelope, content);
    const register = new RegisterRecord(ref, complete, fields, metadata.visibility, seenAt);
    let done: Executed;
    try {
      done = await executeNew(journal, ref, complete, async (record) => {
        await checkReferences(journal, ref.registry, fields);
        if (clock.monotonic() < late) return decideRegister(record, register);
        throw new Conflict(
          'The upload took too long to be registered. Try again, or lay the file into a storage and register it by its path.',
        );
      });
    } catch (error) {
      // After an unknown outcome the event may stand, and then it names these bytes.
      if (metadata.keyIsVirtual && !(error instanceof OutcomeUnknown)) await store.delete(fields.path, seen);
      throw error;
    }
    // Another attempt at the same command may have won: its event names its own bytes, and these are nobody's.
    const won = done.record.fields.kind === 'file' && done.record.fields.path === fields.path;
    if (metadata.keyIsVirtual && !won) await store.delete(fields.path, seen);
    return done;
  }
}

/** Why something is there and no object: a folder has that name, or a file the name of a folder on the way. */
const IN_THE_WAY =
  'a folder lies there, or a file where its path needs a folder. Choose another key, or try again if it went away just now';

/** What lies under a semantic key already is found where it is the same, and never overwritten. */
const sameBytes = async (
  store: ObjectStore,
  path: string,
  content: Content,
  otherwise = 'it went away while it was compared. Try again',
): Promise<SeenFile> => {
  const there = await store.get(path);
  if (there === null) throw new Conflict(`No object can be compared at ${path}: ${otherwise}.`);
  const { size, hash } = await contentOf(there.body);
  if (size === content.size && hash === content.hash) return there.seen;
  throw new Conflict(`An object with other content lies at ${path}. Register it by its path, or choose another key.`);
};

/** The command with the content that came with it: another content under the same key is another command. */
const withContent = (envelope: Envelope, { size, hash }: Content): Envelope => ({
  ...envelope,
  hash: sha256(JSON.stringify([envelope.hash, size, hash])),
});
