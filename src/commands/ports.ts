import type { Clock, Ids, Log, Random } from '../ports.js';
import type { ObjectStores } from '../storage/object-store/port.js';
import type { ReadModel } from '../storage/read-model/port.js';
import type { Journal } from './execute.js';
import type { Ownership } from './ownership.js';
import type { Registries } from './registries.js';

/** Everything that a command handler may touch. */
export interface CommandPorts {
  readonly journal: Journal;
  readonly model: ReadModel;
  readonly stores: ObjectStores;
  readonly ownership: Ownership;
  readonly registries: Registries;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly log: Log;
  /** How many days of the log's time something stays in the trash before retention purges it; null: as long as it takes. */
  readonly trashDays: number | null;
  /** Resolves once the read model holds a position and all that this process appended. */
  readonly reach: (position?: bigint) => Promise<void>;
}

export const COMMAND_PORTS = Symbol('CommandPorts');
