import type { WithdrawEvent } from '../commands/commands.js';
import { withdrawalOf } from '../commands/withdraw.js';
import type { ReadModel, WithdrawalRow } from '../storage/read-model/port.js';
import { Rounds, type RoundsPorts } from './rounds.js';

const PAGE = 200;
const IDLE_MS = 5_000;

export interface WithdrawalsSagaPorts extends RoundsPorts {
  readonly model: ReadModel;
  readonly withdraw: (command: WithdrawEvent) => Promise<void>;
  /** Resolves once the read model holds all that this process appended. */
  readonly reach: () => Promise<void>;
}

/** Takes back what came too late and whose handler did not live to do so. Its work-list is the projection's. */
export class WithdrawalsSaga {
  constructor(private readonly ports: WithdrawalsSagaPorts) {}

  async run(signal: AbortSignal): Promise<void> {
    await new Rounds(this.ports).run(signal, IDLE_MS, 'a withdrawal stopped and will be repeated', async () => {
      for (let after: number[] | null = null; !signal.aborted;) {
        const page: WithdrawalRow[] = await this.ports.model.find('withdrawals', {
          where: [{ path: 'open', op: 'eq', value: true }],
          sort: [{ path: 'position', descending: false }],
          after,
          limit: PAGE,
        });
        for (const row of page) await this.ports.withdraw(withdrawalOf(row));
        const last = page.at(-1);
        if (last === undefined) break;
        after = [last.position];
        // The list is read again only once it shows what was taken back.
        await this.ports.reach();
      }
      return IDLE_MS;
    });
  }
}
