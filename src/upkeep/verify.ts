import type { Journal } from '../commands/execute.js';
import type { Clock } from '../ports.js';
import { Corrupt } from '../storage/errors.js';
import type { Position } from '../storage/event-store/port.js';
import type { ObjectStores } from '../storage/object-store/port.js';
import type { ReadModel } from '../storage/read-model/port.js';
import { Chain } from './chain.js';
import { compareModels } from './compare.js';
import { Findings, messageOf, type Finding } from './findings.js';
import { checkLeaks } from './leaks.js';
import { checkObjects } from './objects.js';
import { Shadow } from './shadow.js';
import { knownStorages } from './storages.js';

export interface VerifyPorts {
  readonly journal: Journal;
  readonly live: ReadModel;
  /** An empty model, for what the log makes of one. */
  readonly spare: ReadModel;
  readonly stores: ObjectStores;
  /** Whether a service may be at work on these stores. */
  readonly busy: () => boolean;
  readonly clock: Clock;
  readonly hash: boolean;
  readonly doing: (what: Doing, done: number, total: number) => Promise<void>;
  readonly signal: AbortSignal;
}

export type Doing = 'reading the log' | 'looking at the objects';

/** What was compared, and what was found. */
export interface Verified {
  /** Up to here the log was read. */
  readonly position: string;
  readonly rows: number;
  readonly objects: number;
  /** How many findings there are, by kind; of each kind the first thousand are told. */
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
}

/**
 * Asks whether all that Lethe keeps is what it was: the log a chain without a gap, the read model what the log makes of one, each object
 * that the log names in its place with the bytes that it was registered with, and nothing else where only Lethe writes. It changes nothing,
 * and a service may go on meanwhile.
 */
export const verify = async (ports: VerifyPorts): Promise<Verified> => {
  const { journal, live, spare, stores, busy, clock, hash, doing, signal } = ports;
  const { store: events, prefix } = journal;
  const findings = new Findings();
  const found = (finding: Finding): void => findings.add(finding);
  const chain = new Chain(prefix, found);
  const shadow = new Shadow({ events, prefix, model: spare, see: (stored) => chain.see(stored), signal });
  const head = await events.head();
  const reached = (at: Position): Promise<void> => doing('reading the log', Number(at), Number(head));

  await reached(0n);
  const rows = await compareLive(live, shadow, journal, found, reached);
  await shadow.advance(maxOf(head, shadow.readTo), reached);
  while (chain.another()) {
    for await (const batch of events.readAll(0n, { signal })) {
      for (const stored of batch) if (stored.position <= shadow.readTo) chain.see(stored);
    }
  }
  const storages = await knownStorages(spare);
  const { rows: files } = await spare.total('catalogue', [{ path: 'registry', op: 'eq', value: 'files' }]);
  const looked = (objects: number): Promise<void> => doing('looking at the objects', objects, files);
  const objects = await checkObjects({ journal, model: spare, stores, storages, hash, found, reached: looked, signal });
  await checkLeaks({ journal, model: spare, stores, storages, busy, clock, found, signal });
  return { position: String(shadow.readTo), rows, objects, counts: findings.byKind(), findings: findings.told };
};

const maxOf = (a: Position, b: Position): Position => (a > b ? a : b);

const compareLive = async (
  live: ReadModel,
  shadow: Shadow,
  { store }: Journal,
  found: (finding: Finding) => void,
  reached: (at: Position) => Promise<void>,
): Promise<number> => {
  let checkpoint: Position;
  try {
    checkpoint = await live.checkpoint();
  } catch (error) {
    found({
      kind: error instanceof Corrupt ? 'model-damaged' : 'model-missing',
      what: `the read model cannot be read: ${messageOf(error)}`,
      todo: 'Start the service, which builds what is missing, or build it now (lethe rebuild)',
    });
    return 0;
  }
  // After the checkpoint: the log may have moved since, and the model with it.
  const head = await store.head();
  if (checkpoint > head) {
    found({
      kind: 'log-cut',
      what: `the read model stands at position ${checkpoint}, and the log ends at ${head}: the log has lost its end, as one restored from an older backup has`,
      todo: 'Restore the newest backup of the log; if there is none, rebuild the model (lethe rebuild), and what came after is lost',
    });
    return 0;
  }
  return compareModels(live, shadow, checkpoint, found, reached);
};
