import type { Seen } from '../../src/events/events.js';
import type { Refusal } from '../../src/commands/refusals.js';
import type { RecordEvent } from '../../src/events/events.js';
import { describe, test } from 'vitest';
import { given, type Command, type Facts } from '../../src/testing/given.js';
import {
  deletionFailed,
  deletionStarted,
  file,
  held,
  objectDeleted,
  objectKept,
  purgeCancelled,
  purged,
  purgeRequested,
  purgeRetried,
  registered,
  trashed,
  type Happening,
} from '../../src/testing/events.js';
import type { RecordState } from '../../src/events/record.js';

/** A folder's listing that has to be cleared away before its record's purge can end. */
export const FOLDER: Seen = {
  kind: 'folder',
  digest: 'x8WxE0bPpPLtqXOLXoaHPhsRi0bOnCBzs2Vy2VwTTyA',
  objects: 2,
  bytes: 12,
  manifest: '.lethe/deletions/a.jsonl',
};

const folder = registered({ fields: file({ key: 'a/', keyIsVirtual: false, objects: 2, hashType: 'md5-d' }) });
const parked = deletionFailed({ attempt: 1, waitMs: null });

/** Every state that a file's record can be in, and how it got there. */
export const STATES = {
  'never existed': [],
  visible: [registered()],
  hidden: [registered({ visibility: 0 })],
  trashed: [registered(), trashed()],
  'trashed from hidden': [registered({ visibility: 0 }), trashed({ from: 0 })],
  held: [registered(), held({ reason: 'audit' })],
  'held in the trash': [registered(), held({ reason: 'audit' }), trashed()],
  purging: [registered(), purgeRequested()],
  'purging from the trash': [registered(), trashed(), purgeRequested()],
  'failed before its deletion started': [registered(), purgeRequested(), deletionFailed()],
  'being deleted': [registered(), purgeRequested(), deletionStarted()],
  failed: [registered(), purgeRequested(), deletionStarted(), deletionFailed()],
  parked: [registered(), purgeRequested(), deletionStarted(), parked],
  'parked before its deletion started': [registered(), purgeRequested(), parked],
  retried: [registered(), purgeRequested(), deletionStarted(), parked, purgeRetried()],
  'asked to keep': [registered(), purgeRequested(), deletionStarted(), parked, purgeRetried({ storage: 'keep' })],
  'asked to keep before its deletion started': [
    registered(),
    purgeRequested(),
    parked,
    purgeRetried({ storage: 'keep' }),
  ],
  'asked to keep, and failed again': [
    registered(),
    purgeRequested(),
    deletionStarted(),
    parked,
    purgeRetried({ storage: 'keep' }),
    deletionFailed(),
  ],
  kept: [
    folder,
    purgeRequested(),
    deletionStarted({ seen: FOLDER }),
    parked,
    purgeRetried({ storage: 'keep' }),
    objectKept(),
  ],
  deleted: [folder, purgeRequested(), deletionStarted({ seen: FOLDER }), objectDeleted({ objects: 2 })],
  'purged, its object kept': [registered(), purgeRequested(), objectKept({ why: 'semantic-key' }), purged()],
  'purged, its object deleted': [registered(), purgeRequested(), deletionStarted(), objectDeleted(), purged()],
  'called off': [registered(), purgeRequested(), purgeCancelled()],
  'called off in the trash': [registered(), trashed(), purgeRequested(), purgeCancelled()],
  'called off, and requested again': [registered(), purgeRequested(), purgeCancelled(), purgeRequested()],
} as const satisfies Record<string, readonly Happening<RecordEvent>[]>;

export type State = keyof typeof STATES;

/** A purge was requested and stands: the record is gone, whatever has become of its object. */
export const GONE = [
  'purging',
  'purging from the trash',
  'failed before its deletion started',
  'being deleted',
  'failed',
  'parked',
  'parked before its deletion started',
  'retried',
  'asked to keep',
  'asked to keep before its deletion started',
  'asked to keep, and failed again',
  'kept',
  'deleted',
  'purged, its object kept',
  'purged, its object deleted',
  'called off, and requested again',
] as const satisfies readonly State[];

export type Expected = readonly Happening<RecordEvent>[] | (abstract new (...args: never[]) => Refusal);

/** The same outcome in several states. */
export const all = <S extends State>(states: readonly S[], expected: Expected): Record<S, Expected> => {
  const entries: Partial<Record<S, Expected>> = {};
  for (const state of states) entries[state] = expected;
  return entries as Record<S, Expected>;
};

/** One command on every state. A state that the table does not name does not compile. */
export const onEveryState = (
  name: string,
  command: Command | ((record: RecordState | null) => Command),
  table: Record<State, Expected>,
  facts: Facts = {},
): void => {
  describe(name, () => {
    for (const [state, expected] of Object.entries(table)) {
      const happenings: readonly Happening<RecordEvent>[] = STATES[state as State];
      test(`on a record that ${isOrHas(state)}${state}: ${said(expected)}`, () => {
        const decided = given(...happenings).when(command, facts);
        if (typeof expected === 'function') decided.then(expected);
        else decided.then(...expected);
      });
    }
  });
};

const isOrHas = (state: string): string => (state === 'never existed' ? '' : 'is ');

const said = (expected: Expected): string => {
  if (typeof expected === 'function') return `refused, ${expected.name}`;
  return expected.length === 0 ? 'nothing' : expected.map(({ event }) => event(0).type).join(', ');
};
