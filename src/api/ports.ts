import type { Registries } from '../commands/registries.js';
import type { Storage } from '../commands/storages.js';
import type { Feed } from '../projections/feed.js';
import type { Progress } from '../projections/progress.js';
import type { Clock, Ids, Log } from '../ports.js';
import type { Position } from '../storage/event-store/port.js';
import type { ObjectStore } from '../storage/object-store/port.js';
import type { ApiKey } from './keys.js';

/** What the HTTP layer itself needs beside the two buses. */
export interface ApiPorts {
  /** Those who may call; empty: whoever is on this machine. */
  readonly keys: readonly ApiKey[];
  readonly registries: Registries;
  readonly progress: Progress;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  /** A storage's store, for reading. @throws StoreUnavailable */
  readonly open: (storage: string) => Promise<{ storage: Storage; store: ObjectStore }>;
  /** What is not ready, by name, each with a sentence; empty when all is. */
  readonly notReady: () => Promise<Readonly<Record<string, string>>>;
  /** All events, in pages or live. */
  readonly feed: Feed;
  /** What Prometheus asks for. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** The position of the log's last event. @throws Unavailable */
  readonly head: () => Promise<Position>;
  /** Aborts when the service ends: answers that have no end of their own end then. */
  readonly stopping: AbortSignal;
  /** What the service waits for before it can answer at all; null once it has started. */
  readonly waitsFor: () => string | null;
}

export const API_PORTS = Symbol('ApiPorts');
