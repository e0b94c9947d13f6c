import type { CommandPorts } from './commands/ports.js';
import { someLinger } from './projections/lingering.js';
import { allStorages, managedStorages, storedOf } from './projections/neighbours.js';
import type { Progress } from './projections/progress.js';
import type { RetryPolicy } from './sagas/next-step.js';
import { Ticks } from './sagas/due.js';
import { OperationsSaga } from './sagas/operations.saga.js';
import { PurgeSaga } from './sagas/purge.saga.js';
import { RetentionSaga } from './sagas/retention.saga.js';
import { WithdrawalsSaga } from './sagas/withdrawals.saga.js';

/** How often each storage is told how far the log has come. */
const NOTE_MS = 60_000;

/** What carries a command out: Nest's CommandBus in a service. */
interface Bus {
  execute(command: object): Promise<unknown>;
}

/** Starts what works on without being asked. @returns how to stop it, between two steps */
export const startSagas = (
  bus: Bus,
  ports: CommandPorts,
  progress: Progress,
  retries: RetryPolicy,
): (() => Promise<void>) => {
  const stop = new AbortController();
  const { journal, model, ownership, clock, random, log } = ports;
  const onWork = (listener: () => void): (() => void) => progress.onWork(listener);
  const patienceMs = (): number => progress.patienceMs();
  const send = async (command: object): Promise<void> => {
    await progress.pace(stop.signal);
    await bus.execute(command);
  };
  const purges = new PurgeSaga({
    journal,
    model,
    ownership,
    clock,
    random,
    log,
    retries,
    report: send,
    onWork,
    patienceMs,
    checkpoint: () => progress.checkpoint,
  });
  const ticks = new Ticks(journal);
  const operations = new OperationsSaga({
    model,
    clock,
    log,
    purge: send,
    complete: send,
    onWork,
    patienceMs,
    reach: () => progress.reach(),
    ticks,
    retains: ports.trashDays !== null,
  });
  const retention = new RetentionSaga({
    model,
    clock,
    log,
    ticks,
    tick: send,
    start: send,
    onWork,
    patienceMs,
    reach: (position) => progress.reach(position),
    managed: () => managedStorages(model),
    retains: ports.trashDays !== null,
    lingering: () => someLinger(model),
  });
  const withdrawals = new WithdrawalsSaga({
    model,
    clock,
    log,
    withdraw: send,
    onWork,
    patienceMs,
    reach: () => progress.reach(),
  });
  const note = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await clock.sleep(NOTE_MS, stop.signal).catch(() => undefined);
      try {
        await ownership.note(storedOf(await allStorages(model)));
      } catch (error) {
        log.warn(
          { error: error instanceof Error ? error.message : String(error) },
          'a storage could not be told how far the log has come',
        );
      }
    }
  };
  const noting = note();
  const running = [purges, withdrawals, operations, retention].map((saga) => saga.run(stop.signal));
  return async () => {
    stop.abort();
    await Promise.all([...running, noting]);
  };
};
