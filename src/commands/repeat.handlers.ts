import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { RecogniseRepeat } from './commands.js';
import { findRepeat, readRecord } from './execute.js';
import { COMMAND_PORTS, type CommandPorts } from './ports.js';

/** Streams that are read at once. */
const AT_ONCE = 32;

@CommandHandler(RecogniseRepeat)
export class RecogniseRepeatHandler implements ICommandHandler<RecogniseRepeat, void> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  /** @throws IdempotencyMismatch */
  async execute({ steps }: RecogniseRepeat): Promise<void> {
    for (let from = 0; from < steps.length; from += AT_ONCE) {
      await Promise.all(
        steps
          .slice(from, from + AT_ONCE)
          .map(async ({ ref, envelope }) => findRepeat(await readRecord(this.ports.journal, ref), envelope)),
      );
    }
  }
}
