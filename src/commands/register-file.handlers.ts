import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { InvalidPath } from '../storage/errors.js';
import type { ObjectStore } from '../storage/object-store/port.js';
import { RegisterRecord } from './commands.js';
import { look, type Found } from './content.js';
import { decideRegister } from './decide.js';
import { executeNew, findRepeat, readRecord } from './execute.js';
import { RegisterFile, type FileMetadata } from './file.commands.js';
import { existing, fieldsOf, findExisting, refuseWhereDeleting, storageNamed } from './file-record.js';
import { COMMAND_PORTS, type CommandPorts } from './ports.js';
import { checkReferences } from './references.js';
import { Conflict, Invalid } from './refusals.js';
import { result, type Result, type Warning } from './result.js';
import { storeOf } from './storages.js';
import { suffixOf } from './suffix.js';
import { assertStands } from './withdraw.js';

@CommandHandler(RegisterFile)
export class RegisterFileHandler implements ICommandHandler<RegisterFile, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute({ ref, envelope, metadata, path }: RegisterFile): Promise<Result> {
    const { journal, stores } = this.ports;
    const repeat = findRepeat(await readRecord(journal, ref), envelope);
    if (repeat !== null) {
      await assertStands(this.ports, repeat);
      return result('created', repeat);
    }
    const storage = await storageNamed(this.ports, metadata.storage);
    await checkReferences(journal, ref.registry, { ...metadata, labels: [...metadata.labels] });
    const seenAt = await journal.store.head();
    await refuseWhereDeleting(this.ports, storage, path);
    const store = await storeOf(stores, storage);
    const found = await lookAt(store, path);
    const warnings: Warning[] = [];
    const row = await findExisting(
      this.ports,
      metadata,
      store,
      storage,
      found.content,
      path.endsWith('/') ? path : null,
      ref.uid,
      warnings,
    );
    const semantic: FileMetadata = { ...metadata, key: path, keyIsVirtual: false };
    if (row !== null) return existing(row, semantic, warnings);
    const suffix = metadata.suffix ?? suffixOf(path);
    const fields = fieldsOf(semantic, storage, {
      path,
      suffix,
      ...found,
      own: false,
    });
    const register = new RegisterRecord(ref, envelope, fields, metadata.visibility, String(seenAt));
    const done = await executeNew(journal, ref, envelope, async (record) => {
      await checkReferences(journal, ref.registry, fields);
      return decideRegister(record, register);
    });
    await assertStands(this.ports, done);
    return result('created', done, warnings);
  }
}

const lookAt = async (store: ObjectStore, path: string): Promise<Found> => {
  try {
    const found = await look(store, path);
    if (found === null) throw new Invalid([{ path: '/path', message: `nothing lies at '${path}'` }]);
    if (found === 'changed')
      throw new Conflict(`What lies at ${path} changed while it was read. Try again when nobody writes to it.`);
    return found;
  } catch (error) {
    if (error instanceof InvalidPath) throw new Invalid([{ path: '/path', message: error.message }]);
    throw error;
  }
};
