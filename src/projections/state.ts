import { metadataSchema } from '../events/events.js';
import type { Clock } from '../ports.js';
import type { EventStore, Position } from '../storage/event-store/port.js';
import type { PurgeState, ReadModel, StatsRow } from '../storage/read-model/port.js';
import type { Progress } from './progress.js';

/* How the service stands, in numbers. */

/** How far the read model is behind the log. */
export interface ProjectionState {
  readonly position: Position;
  /** The position of the log's last event. */
  readonly head: Position;
  /** How many events are not in yet; null where positions do not number them. */
  readonly lagEvents: number | null;
  /** How long ago the first of those happened, in milliseconds; 0 where there is none. */
  readonly lagMs: number;
}

export interface StatePorts {
  readonly events: Pick<EventStore, 'head' | 'readAll' | 'numbersEvents'>;
  readonly progress: Progress;
  readonly clock: Clock;
}

export const projectionState = async ({ events, progress, clock }: StatePorts): Promise<ProjectionState> => {
  const head = await events.head();
  const position = progress.checkpoint;
  // It moved on meanwhile, and so did the log.
  if (position >= head) return { position, head: position, lagEvents: events.numbersEvents ? 0 : null, lagMs: 0 };
  const since = await firstAfter(events, position);
  return {
    position,
    head,
    lagEvents: events.numbersEvents ? Number(head - position) : null,
    lagMs: since === null ? 0 : Math.max(0, clock.now().getTime() - since),
  };
};

const atSchema = metadataSchema.pick({ at: true }).loose();

/** When the first event after a position happened; null where it does not say. */
const firstAfter = async (events: StatePorts['events'], position: Position): Promise<number | null> => {
  for await (const [first] of events.readAll(position, { batchSize: 1 })) {
    const said = first === undefined ? null : atSchema.safeParse(JSON.parse(first.metadata));
    return said?.success === true ? Date.parse(said.data.at) : null;
  }
  return null;
};

/** What a purge can wait in. */
export const OPEN_STATES = ['pending', 'failed', 'parked'] as const satisfies readonly PurgeState[];
export type PurgeQueue = Readonly<Record<(typeof OPEN_STATES)[number], number>>;

/** How many purges have not ended, by what they wait in. */
export const purgeQueue = async (model: ReadModel): Promise<PurgeQueue> => {
  const count = async (state: PurgeState): Promise<number> => {
    const { rows } = await model.total('purges', [
      { path: 'open', op: 'eq', value: true },
      { path: 'state', op: 'eq', value: state },
    ]);
    return rows;
  };
  const [pending, failed, parked] = await Promise.all([count('pending'), count('failed'), count('parked')]);
  return { pending, failed, parked };
};

const PAGE = 1_000;

/** The groups that have records, by registry, suffix and visibility. */
export const groupsOf = async (model: ReadModel): Promise<StatsRow[]> => {
  const groups: StatsRow[] = [];
  for (let after: (string | number | null)[] | null = null; ;) {
    const page: StatsRow[] = await model.find('stats', {
      where: [{ path: 'records', op: 'gt', value: 0 }],
      sort: [
        { path: 'registry', descending: false },
        { path: 'suffix', descending: false },
        { path: 'visibility', descending: false },
      ],
      after,
      limit: PAGE,
    });
    groups.push(...page);
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return groups;
    after = [last.registry, last.suffix, last.visibility];
  }
};
