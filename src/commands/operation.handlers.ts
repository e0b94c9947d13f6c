import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { decode, streamOf } from '../events/codec.js';
import type { OperationEvent, Recorded } from '../events/events.js';
import { eventIdOf, uidOf } from '../events/ids.js';
import type { Json } from '../events/vocabulary.js';
import type { Envelope } from './commands.js';
import { appendSurely, seal, timeAfter, type Journal } from './execute.js';
import type { NewEvent } from '../storage/event-store/port.js';
import { COMMAND_PORTS, type CommandPorts } from './ports.js';
import { IdempotencyMismatch } from './refusals.js';

/** Starts long work on everything that is in the trash at a position and meets the criteria. */
export class StartOperation {
  constructor(
    readonly envelope: Envelope,
    readonly kind: 'empty-trash' | 'retention',
    readonly criteria: Readonly<Record<string, Json>>,
    readonly total: { readonly records: number; readonly bytes: number },
    readonly position: string,
  ) {}
}

export class CompleteOperation {
  constructor(
    readonly id: string,
    readonly envelope: Envelope,
    readonly purged: number,
    readonly skippedCount: number,
    readonly skipped: readonly { readonly registry: string; readonly uid: string; readonly code: string }[],
  ) {}
}

export interface Started {
  readonly id: string;
  readonly position: bigint;
  readonly replayed: boolean;
}

@CommandHandler(StartOperation)
export class StartOperationHandler implements ICommandHandler<StartOperation, Started> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: Pick<CommandPorts, 'journal'>) {}

  async execute({ envelope, kind, criteria, total, position }: StartOperation): Promise<Started> {
    const { journal } = this.ports;
    const id = uidOf(envelope.commandId);
    const [first] = await readOperation(journal, id);
    if (first !== undefined) {
      if (first.id !== eventIdOf(envelope.commandId, envelope.hash, 0)) throw new IdempotencyMismatch();
      return { id, position: BigInt(first.position), replayed: true };
    }
    const event: OperationEvent = { type: 'OperationStarted', kind, criteria, position, total };
    const sealed = seal(timeAfter(journal.clock, null), null, envelope, [event]);
    const appended = await appendSurely(
      journal,
      streamOf(journal.prefix, 'operations', id),
      -1,
      sealed.map(({ form }) => form),
    );
    journal.appended(appended.position);
    return { id, position: appended.position, replayed: !(await this.isMine(id, sealed)) };
  }

  /** Another call with the same key may have been quicker: the append was then taken for its repeat. */
  private async isMine(id: string, [mine]: readonly { readonly form: NewEvent }[]): Promise<boolean> {
    const { journal } = this.ports;
    const [stored] = await journal.store.readStream(streamOf(journal.prefix, 'operations', id));
    return stored?.metadata === mine?.form.metadata;
  }
}

@CommandHandler(CompleteOperation)
export class CompleteOperationHandler implements ICommandHandler<CompleteOperation, void> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: Pick<CommandPorts, 'journal'>) {}

  async execute({ id, envelope, purged, skippedCount, skipped }: CompleteOperation): Promise<void> {
    const { journal } = this.ports;
    const stream = streamOf(journal.prefix, 'operations', id);
    const [stored, second] = await journal.store.readStream(stream);
    const [started] = await readOperation(journal, id);
    if (stored === undefined || started === undefined || second !== undefined) return;
    const event: OperationEvent = { type: 'OperationCompleted', purged, skippedCount, skipped: [...skipped] };
    const last = { stored, meta: started.meta };
    const sealed = seal(timeAfter(journal.clock, last), last, envelope, [event]);
    const { position } = await appendSurely(
      journal,
      stream,
      0,
      sealed.map(({ form }) => form),
    );
    journal.appended(position);
  }
}

const readOperation = async (journal: Journal, id: string): Promise<Recorded[]> => {
  const stored = await journal.store.readStream(streamOf(journal.prefix, 'operations', id));
  return stored.map((event) => decode(journal.prefix, event)).filter((recorded) => recorded !== null);
};

export const OPERATION_HANDLERS = [StartOperationHandler, CompleteOperationHandler];
