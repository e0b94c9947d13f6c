import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { isPurging, type RecordState } from '../events/record.js';
import type { PlainFields } from '../events/events.js';
import { storageDataSchema, storageFacts } from '../events/storage-data.js';
import { allStorages, everyStorage, pointingAt, storedOf, unmanagedAt } from '../projections/neighbours.js';
import { InvalidPath } from '../storage/errors.js';
import {
  HoldRecord,
  PurgeRecord,
  RegisterRecord,
  ReleaseHold,
  ReportPurgeStep,
  RestoreRecord,
  RetryPurge,
  TrashRecord,
  UpdateRecord,
  WithdrawEvent,
  type Envelope,
} from './commands.js';
import { decideHold, decideRegister, decideRelease, decideRestore, decideTrash, decideUpdate } from './decide.js';
import { decidePurge, decidePurgeStep, decideRetry, refusePurge, type PurgeFacts } from './decide-purge.js';
import { consider, execute, executeNew, readRecord, type Executed } from './execute.js';
import { purgeAfter } from './log-time.js';
import { COMMAND_PORTS, type CommandPorts } from './ports.js';
import { checkReferences } from './references.js';
import { ConfirmationRequired, Forbidden, Invalid, Referenced } from './refusals.js';
import { result, type Result, type Warning } from './result.js';
import { registerStorage } from './storages.js';
import { assertStands, withdraw } from './withdraw.js';

/** The most references that a refusal names. */
const NAMED = 100;

@CommandHandler(RegisterRecord)
class RegisterRecordHandler implements ICommandHandler<RegisterRecord, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: RegisterRecord): Promise<Result> {
    const { journal, registries } = this.ports;
    const { ref, envelope, fields } = command;
    if (fields.kind === 'plain') {
      const faults = registries.faultsOf(ref.registry, fields.data);
      if (faults.length > 0) throw new Invalid(faults);
      if (ref.registry === 'storages') return result('created', await this.storage(envelope, fields));
    }
    const done = await executeNew(journal, ref, envelope, async (record) => {
      await checkReferences(journal, ref.registry, fields);
      return decideRegister(record, command);
    });
    await assertStands(this.ports, done);
    return result('created', done);
  }

  /** A storage that a caller makes lies below a configured root, and is managed only where that is. */
  private async storage(envelope: Envelope, fields: PlainFields): Promise<Executed> {
    const { stores, journal, model, reach } = this.ports;
    const asked = storageDataSchema.safeParse(fields.data);
    if (!asked.success) throw new Invalid([{ path: '/data', message: 'must be {"root", "managed"}' }]);
    const { root, managed } = asked.data;
    const granted = await this.granted(root);
    if (granted === null) {
      throw new Forbidden(`The root ${root} lies below no root of the configuration. Name it there first.`);
    }
    await reach();
    const complete = {
      ...fields,
      data: { root, managed: managed && granted.managed },
      place: await stores.placeOf(root),
    };
    return registerStorage(journal, envelope, complete, await everyStorage(model));
  }

  private async granted(root: string): Promise<{ managed: boolean } | null> {
    try {
      return await this.ports.stores.grant(root);
    } catch (error) {
      if (error instanceof InvalidPath) throw new Invalid([{ path: '/data/root', message: error.message }]);
      throw error;
    }
  }
}

@CommandHandler(UpdateRecord)
class UpdateRecordHandler implements ICommandHandler<UpdateRecord, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: UpdateRecord): Promise<Result> {
    const { journal, registries } = this.ports;
    const done = await execute(journal, command.ref, command.envelope, async (record) => {
      const events = decideUpdate(record, command);
      for (const event of events) {
        if (event.type !== 'RecordUpdated') continue;
        const { data, key } = event.changes;
        if (data !== undefined) {
          const faults = registries.faultsOf(record.registry, data.to);
          if (faults.length > 0) throw new Invalid(faults);
        }
        if (key !== undefined && record.fields.kind === 'file' && !record.fields.keyIsVirtual) {
          throw new Invalid([{ path: '/key', message: "a semantic key is its object's path and does not change" }]);
        }
        await checkReferences(journal, record.registry, newPointers(event.changes));
      }
      return events;
    });
    await assertStands(this.ports, done);
    return result(done.events.length === 0 ? 'unchanged' : 'updated', done);
  }
}

const newPointers = (changes: Readonly<Record<string, { to: unknown }>>): Parameters<typeof checkReferences>[2] => {
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  const texts = (value: unknown): string[] =>
    Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  return {
    ...(changes['labels'] && { labels: texts(changes['labels'].to) }),
    ...(changes['files'] && { files: texts(changes['files'].to) }),
    ...(changes['run'] && { run: text(changes['run'].to) }),
    ...(changes['transform'] && { transform: text(changes['transform'].to) }),
  };
};

@CommandHandler(TrashRecord)
export class TrashRecordHandler implements ICommandHandler<TrashRecord, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: TrashRecord): Promise<Result> {
    const { journal } = this.ports;
    const { ref, envelope, storage, permanent, dryRun } = command;
    const decide = (record: RecordState, at: string) =>
      decideTrash(record, command, { purgeAfter: purgeAfter(at, this.ports.trashDays) });
    const done = dryRun
      ? await consider(journal, ref, envelope, decide)
      : await execute(journal, ref, envelope, decide);
    const { record } = done;
    if (isPurging(record) && !done.replayed) return result('purging', done, storageChanged(record, storage));
    const warnings: Warning[] =
      storage === null
        ? []
        : [{ code: 'storage-ignored', message: 'storage= has no meaning until the record is purged' }];
    if (done.events.length > 0) return result('trashed', done, warnings);
    if (permanent === false) return result('unchanged', done, warnings);
    refusePurge(record, storage, await factsOf(this.ports, record));
    throw new ConfirmationRequired(
      'The record is already in the trash. Repeat with permanent=true to purge it; this cannot be undone.',
    );
  }
}

@CommandHandler(RestoreRecord)
class RestoreRecordHandler implements ICommandHandler<RestoreRecord, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: RestoreRecord): Promise<Result> {
    const { ref, envelope, dryRun } = command;
    const carryOut = dryRun ? consider : execute;
    const done = await carryOut(this.ports.journal, ref, envelope, (record) => decideRestore(record, command));
    return result(done.events.length === 0 ? 'unchanged' : 'restored', done);
  }
}

@CommandHandler(HoldRecord)
class HoldRecordHandler implements ICommandHandler<HoldRecord, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: HoldRecord): Promise<Result> {
    const done = await execute(this.ports.journal, command.ref, command.envelope, (record) =>
      decideHold(record, command),
    );
    return result(done.events.length === 0 ? 'unchanged' : 'held', done);
  }
}

@CommandHandler(ReleaseHold)
class ReleaseHoldHandler implements ICommandHandler<ReleaseHold, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: ReleaseHold): Promise<Result> {
    const done = await execute(this.ports.journal, command.ref, command.envelope, (record) =>
      decideRelease(record, command),
    );
    return result(done.events.length === 0 ? 'unchanged' : 'released', done);
  }
}

@CommandHandler(PurgeRecord)
export class PurgeRecordHandler implements ICommandHandler<PurgeRecord, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: PurgeRecord): Promise<Result> {
    const { journal } = this.ports;
    const { ref, envelope, storage, dryRun } = command;
    const decide = async (record: RecordState) => decidePurge(record, command, await factsOf(this.ports, record));
    const done = dryRun
      ? await consider(journal, ref, envelope, decide)
      : await execute(journal, ref, envelope, decide);
    if (done.replayed) await this.assertNotCalledOff(done);
    return result('purging', done, done.events.length === 0 ? storageChanged(done.record, storage) : []);
  }

  /** A repeat of a purge that was called off answers that, whatever came after. */
  private async assertNotCalledOff({ record }: Executed): Promise<void> {
    const { recorded } = await readRecord(this.ports.journal, record);
    for (const { event } of recorded) {
      if (event.type === 'RecordPurgeCancelled' && event.request === record.purge?.request)
        throw new Referenced(event.by, event.by.length);
    }
  }
}

@CommandHandler(RetryPurge)
class RetryPurgeHandler implements ICommandHandler<RetryPurge, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: RetryPurge): Promise<Result> {
    const done = await execute(this.ports.journal, command.ref, command.envelope, (record) =>
      decideRetry(record, command),
    );
    return result('purging', done);
  }
}

@CommandHandler(WithdrawEvent)
class WithdrawEventHandler implements ICommandHandler<WithdrawEvent, void> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: WithdrawEvent): Promise<void> {
    await withdraw(this.ports.journal, command);
  }
}

@CommandHandler(ReportPurgeStep)
class ReportPurgeStepHandler implements ICommandHandler<ReportPurgeStep, Result> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  async execute(command: ReportPurgeStep): Promise<Result> {
    const done = await execute(this.ports.journal, command.ref, command.envelope, (record) =>
      decidePurgeStep(record, command),
    );
    return result('purging', done);
  }
}

/** What the other records say, as far as the read model knows once it has caught up with this process. */
const factsOf = async ({ model, reach, stores }: CommandPorts, record: RecordState): Promise<PurgeFacts> => {
  await reach();
  const { fields } = record;
  return {
    referencedBy: await referrersOf(model, record),
    unmanaged: fields.kind === 'file' ? await unmanagedStorage(model, fields.storage, fields.path) : null,
    protectedBy: record.registry === 'storages' ? configuredAs(stores, record) : null,
  };
};

const referrersOf = async (model: CommandPorts['model'], record: RecordState): Promise<PurgeFacts['referencedBy']> => {
  const referrers = await pointingAt(model, record, (found) => found.length > NAMED);
  const by = referrers.map(({ registry, uid }) => ({ registry, uid }));
  if (by.length <= NAMED) return { by, count: by.length };
  const target = `${record.registry}/${record.uid}`;
  const { rows } = await model.total('catalogue', [
    { path: 'pointsTo', op: 'has', value: target },
    { path: 'live', op: 'eq', value: true },
  ]);
  return { by: by.slice(0, NAMED), count: rows };
};

const unmanagedStorage = async (model: CommandPorts['model'], storage: string, path: string): Promise<string | null> =>
  unmanagedAt(storedOf(await allStorages(model)), storage, path)?.facts.name ?? null;

const configuredAs = (stores: CommandPorts['stores'], record: RecordState): string | null => {
  const facts = storageFacts(record.fields);
  if (facts === null || !stores.isConfigured(facts.name)) return null;
  return `The configuration names the storage ${facts.name}. Take it out there before you purge its record.`;
};

const storageChanged = (record: RecordState, storage: 'keep' | 'delete' | null): Warning[] => {
  if (storage === null || record.purge === null || record.purge.storage === storage) return [];
  const first = record.purge.storage === null ? 'no storage=' : `storage=${record.purge.storage}`;
  return [{ code: 'storage-ignored', message: `the purge was requested with ${first}, which stands` }];
};

export const RECORD_HANDLERS = [
  RegisterRecordHandler,
  UpdateRecordHandler,
  TrashRecordHandler,
  RestoreRecordHandler,
  HoldRecordHandler,
  ReleaseHoldHandler,
  PurgeRecordHandler,
  RetryPurgeHandler,
  WithdrawEventHandler,
  ReportPurgeStepHandler,
];
