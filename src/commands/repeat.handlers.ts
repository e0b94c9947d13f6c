import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { refKey } from '../events/vocabulary.js';
import { RecogniseRepeat } from './commands.js';
import { findRepeat, readRecord } from './execute.js';
import { COMMAND_PORTS, type CommandPorts } from './ports.js';
import { IdempotencyMismatch } from './refusals.js';

/** Streams that are read at once. */
const AT_ONCE = 32;

@CommandHandler(RecogniseRepeat)
export class RecogniseRepeatHandler implements ICommandHandler<RecogniseRepeat, void> {
  constructor(@Inject(COMMAND_PORTS) private readonly ports: CommandPorts) {}

  /**
   * See ADR 14. Two calls with one key that come at the same moment, each with records of its own, are not told apart.
   * @throws IdempotencyMismatch; ProjectionBehind where the model does not come to hold what was written before
   */
  async execute({ commandId, named, steps }: RecogniseRepeat): Promise<void> {
    await this.refuseOthers(commandId, new Set(named.map(refKey)));
    for (let from = 0; from < steps.length; from += AT_ONCE) {
      await Promise.all(
        steps
          .slice(from, from + AT_ONCE)
          .map(async ({ ref, envelope }) => findRepeat(await readRecord(this.ports.journal, ref), envelope)),
      );
    }
  }

  /** No stream of these records knows of a call that named none of them; one event of it says enough, since it tells the whole call apart. */
  private async refuseOthers(commandId: string, named: ReadonlySet<string>): Promise<void> {
    const { model, journal, reach } = this.ports;
    // Another process may have carried the first one out.
    await reach(await journal.store.head());
    const earlier = await model.find('history', {
      where: [{ path: 'commandId', op: 'eq', value: commandId }],
      sort: [{ path: 'position', descending: false }],
      after: null,
      limit: 1,
    });
    if (earlier.some((event) => !named.has(refKey(event)))) throw new IdempotencyMismatch();
  }
}
