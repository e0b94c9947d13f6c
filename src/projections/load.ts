import { CheckpointMoved } from '../storage/errors.js';
import type { EventStore, Position } from '../storage/event-store/port.js';
import type { Rebuild } from '../storage/read-model/port.js';
import { project } from './project.js';
import { readable } from './readable.js';

const BATCH = 1_000;

export interface Loading {
  readonly events: EventStore;
  readonly prefix: string;
  readonly built: Rebuild;
  /** Told after each batch how far the model has come. */
  readonly reached: (to: Position) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Carries all of the log into a model that nobody reads yet, and puts it in the live one's place: once, where the follower does it for good.
 * @returns the position that it has come to
 * @throws Unreadable at an event that no model can hold; what the stores throw; the signal's reason
 */
export const load = async (loading: Loading): Promise<Position> => {
  const { model } = loading.built;
  await model.beginLoad();
  for (;;) {
    try {
      await loadFrom(loading, await model.checkpoint());
      await model.endLoad();
      // What came while the indexes were made, and again until nobody loses sight of anything.
      const reached = await loadFrom(loading, await model.checkpoint());
      if (await loading.built.replace()) return reached;
    } catch (error) {
      // A worker that was started meanwhile fills the same model: whoever is quicker, it goes on from there.
      if (!(error instanceof CheckpointMoved)) throw error;
      loading.signal.throwIfAborted();
    }
  }
};

const loadFrom = async (
  { events, prefix, built: { model }, reached, signal }: Loading,
  checkpoint: Position,
): Promise<Position> => {
  let at = checkpoint;
  for await (const batch of events.readAll(checkpoint, { batchSize: BATCH, signal })) {
    const { events: known, unreadable } = readable(prefix, batch);
    if (unreadable !== null) throw unreadable;
    const to = batch.at(-1)?.position ?? at;
    await model.apply(await project(model, known), at, to);
    at = to;
    await reached(at);
  }
  return at;
};
