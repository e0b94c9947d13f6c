import type { Boot } from './boot.js';
import type { Clock } from './ports.js';
import type { Progress } from './projections/progress.js';
import type { Projector } from './projector.js';
import type { EventStore } from './storage/event-store/port.js';
import type { ObjectStores } from './storage/object-store/port.js';
import type { ReadModel } from './storage/read-model/port.js';

/** A store that does not answer within this time is not ready. */
const ANSWER_MS = 2_000;
/** A projection that lags and has not moved for so long is an error. */
const STALLED_MS = 10_000;

export interface ReadinessPorts {
  readonly clock: Clock;
  readonly boot: Boot;
  readonly store: EventStore;
  readonly model: ReadModel;
  readonly stores: ObjectStores;
  /** The root of the storage `default`. */
  readonly root: string;
  readonly progress: Progress;
  /** Null in a process that does not project. */
  readonly projector: Projector | null;
  /** The head of the log at the start; null as long as nobody could ask. */
  readonly startedAt: () => bigint | null;
}

/** What keeps the service from its work, by name, each with a sentence. */
export const readiness = (ports: ReadinessPorts) => async (): Promise<Record<string, string>> => {
  const { clock, boot, store, model, stores, root } = ports;
  const asked: Record<string, () => Promise<unknown>> = {
    eventStore: () => store.head(),
    readModel: () => model.checkpoint(),
    objectStore: async () => (await stores.at(root)).stat('.lethe/owner'),
  };
  const found = await Promise.all(
    Object.entries(asked).map(async ([name, ask]) => [name, await whyNot(clock, ask)] as const),
  );
  const notReady = Object.fromEntries(found.filter((pair): pair is [string, string] => pair[1] !== null));
  if (boot.waitsFor !== null) notReady['start'] = boot.waitsFor;
  const projection = projectionFault(ports);
  if (projection !== null) notReady['projection'] = projection;
  return notReady;
};

const whyNot = async (clock: Clock, ask: () => Promise<unknown>): Promise<string | null> => {
  const timer = new AbortController();
  const late = clock.sleep(ANSWER_MS, timer.signal).then(
    () => `does not answer within ${ANSWER_MS / 1_000} s`,
    () => null,
  );
  const answered = ask().then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const why = await Promise.race([answered, late]);
  timer.abort();
  return why;
};

/** A projection that lags while it stands still is as good as down. */
const projectionFault = ({ projector, progress, startedAt }: ReadinessPorts): string | null => {
  const started = startedAt();
  if (started === null) return null;
  const status = projector?.status ?? null;
  if (projector !== null && status === null) return 'is starting';
  if (status?.error != null) return status.error;
  if (progress.checkpoint < started) {
    return `is catching up: at position ${status?.loaded ?? progress.checkpoint} of ${started}`;
  }
  const stalled = progress.stalledMs();
  if (stalled <= STALLED_MS) return null;
  const { checkpoint, lastAppended } = progress;
  return `has stood at position ${checkpoint} for ${Math.round(stalled / 1_000)} s, behind ${lastAppended}`;
};
