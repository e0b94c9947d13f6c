import type { Clock, Log } from './ports.js';
import type { Progress } from './projections/progress.js';
import { Timer } from './projections/timer.js';
import type { ReadModel } from './storage/read-model/port.js';

/** How often the shared model is asked how far it is: while somebody waits for it, and while nobody does. */
const AWAITED_MS = 10;
const IDLE_MS = 500;
const FAILED_MS = 1_000;

/** Tells a process that does not project how far those have come that do. @returns how to stop it */
export const watchCheckpoint = (
  model: ReadModel,
  progress: Progress,
  clock: Clock,
  log: Log,
): (() => Promise<void>) => {
  const stop = new AbortController();
  let wake = (): void => undefined;
  progress.onAwaited = () => {
    wake();
  };
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const awaited = new Promise<void>((resolve) => {
        wake = resolve;
      });
      let wait = progress.isAwaited ? AWAITED_MS : IDLE_MS;
      try {
        const checkpoint = await model.checkpoint();
        progress.moved(checkpoint, checkpoint);
      } catch (error) {
        wait = FAILED_MS;
        log.warn({ error: error instanceof Error ? error.message : String(error) }, 'the read model does not answer');
      }
      const timer = new Timer(stop.signal);
      const slept = clock.sleep(wait, timer.signal).catch(() => undefined);
      await (wait === IDLE_MS ? Promise.race([awaited, slept]) : slept);
      timer.end();
    }
  };
  const running = run();
  return async () => {
    stop.abort();
    await running;
  };
};
