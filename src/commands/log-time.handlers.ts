import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { LogEvent } from '../events/events.js';
import { derivedId, sha256 } from '../events/ids.js';
import { RevisionConflict } from '../storage/errors.js';
import { appendSurely, seal, timeAfter } from './execute.js';
import { clockOf, readTick, TICK_MS, type Tick } from './log-time.js';
import { COMMAND_PORTS, type CommandPorts } from './ports.js';

/** Advances the log's time by an hour, unless somebody has since `last`. */
export class TickClock {
  constructor(readonly last: Tick | null) {}
}

@CommandHandler(TickClock)
export class TickClockHandler implements ICommandHandler<TickClock, void> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: Pick<CommandPorts, 'journal'>) {}

  async execute({ last }: TickClock): Promise<void> {
    const { journal } = this.ports;
    const stream = clockOf(journal);
    const [stored, next] = await journal.store.readStream(stream, last?.revision ?? 0);
    if (last === null ? stored !== undefined : next !== undefined) return;
    const before = stored === undefined ? null : { stored, meta: readTick(journal, stored).meta };
    const revision = last?.revision ?? -1;
    const event: LogEvent = {
      type: 'ClockTicked',
      advanceMs: TICK_MS,
      logTimeMs: (last?.logTimeMs ?? 0) + TICK_MS,
    };
    const commandId = derivedId('tick', revision + 1);
    const envelope = {
      commandId,
      repeatable: true,
      hash: sha256(commandId),
      actor: 'system:clock',
      reason: null,
      correlationId: commandId,
      ifMatch: null,
    };
    const sealed = seal(timeAfter(journal.clock, before), before, envelope, [event]);
    try {
      const { position } = await appendSurely(
        journal,
        stream,
        revision,
        sealed.map(({ form }) => form),
      );
      journal.appended(position);
    } catch (error) {
      // Another worker's clock was ahead by a moment, and this hour is told.
      if (!(error instanceof RevisionConflict)) throw error;
    }
  }
}

export const LOG_TIME_HANDLERS = [TickClockHandler];
