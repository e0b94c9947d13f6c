import { isLive, type Tale } from './judge.fold.js';
import type { Operation } from './operations.js';
import type { Schedule } from './schedule.js';

/*
 * The races that the rules of deleting were made for, one by one. Each is a few calls at once; which of them wins, and who sees what, is
 * explored by one seed after the other.
 */

type Unnamed = Operation extends infer O ? (O extends Operation ? Omit<O, 'id'> : never) : never;

interface Scenario {
  readonly objects?: Readonly<Record<string, string>>;
  readonly setup: readonly Unnamed[];
  readonly clients: readonly (readonly Unnamed[])[];
  /** A process dies at any moment. */
  readonly crash?: boolean;
  /** One process goes on where another dies. */
  readonly two?: boolean;
  /** The storages are buckets without versions. */
  readonly bucket?: boolean;
  /** What the race is about: some seed has to bring it about, or nothing was explored. */
  readonly shows: (tale: Tale) => boolean;
}

const O = { 'memory:/s/o': 'c1' };
const FOLDER = { 'memory:/s/a/b': 'c1', 'memory:/s/a/c': 'c2' };

const file = (name: string, path: string, more: object = {}): Unnamed => ({
  do: 'register',
  name,
  storage: 'default',
  path,
  ...more,
});
const virtual = (name: string, more: object = {}): Unnamed => ({
  do: 'upload',
  name,
  storage: 'default',
  path: null,
  content: `of ${name}`,
  ...more,
});
const upload = (name: string, path: string, content: string, more: object = {}): Unnamed => ({
  do: 'upload',
  name,
  storage: 'default',
  path,
  content,
  ...more,
});
const dataset = (name: string, more: object = {}): Unnamed => ({ do: 'create', name, registry: 'datasets', ...more });
const run = (name: string): Unnamed => ({ do: 'create', name, registry: 'runs' });
const purge = (target: string, storage: 'delete' | null = null): Unnamed => ({
  do: 'purge',
  target,
  storage,
  dryRun: false,
  waitMs: 0,
});
const patch = (target: string, more: object): Unnamed => ({ do: 'patch', target, ...more });
const after = (target: string, event: (Operation & { do: 'await' })['event']): Unnamed => ({
  do: 'await',
  target,
  event,
});
const trash = (target: string): Unnamed => ({ do: 'trash', target, permanent: null, storage: null, dryRun: false });
const restore = (target: string): Unnamed => ({ do: 'restore', target });
const empty: Unnamed = { do: 'empty', registry: null };

/** Its append comes after the target's purge is asked for, and its handler dies. */
const tooLate = (target: string) => ({ dies: true, appendAfter: { target, event: 'RecordPurgeRequested' } }) as const;

const requests = ({ records }: Tale) => [...records.values()].flatMap((record) => record.requests);
const files = ({ records }: Tale): number =>
  [...records.values()].filter(({ registry }) => registry === 'files').length;
const calledOff = (tale: Tale): boolean => requests(tale).some(({ fate }) => fate === 'called-off');
const late = ({ records }: Tale): boolean => [...records.values()].some(({ everLate }) => everLate.length > 0);
const lateTimes =
  (times: number) =>
  ({ records }: Tale): boolean =>
    [...records.values()].filter(({ everLate }) => everLate.length > 0).length >= times;
const fate =
  (...fates: string[]) =>
  (tale: Tale): boolean =>
    fates.every((each) => requests(tale).some((request) => request.fate === each));
const both = (tale: Tale): boolean => calledOff(tale) || late(tale);
const skipped = ({ records, operations }: Tale): boolean =>
  operations.size > 0 && [...records.values()].some((record) => record.registry === 'files' && isLive(record));

/** What is deleted is what was there when the deletion started. */
export const OVERWRITTEN: Scenario = {
  objects: O,
  setup: [file('X', 'o')],
  clients: [
    [purge('X', 'delete')],
    [after('X', 'ObjectDeletionStarted'), { do: 'write', location: 'memory:/s/o', content: 'c9' }],
  ],
  shows: (tale) => requests(tale).some(({ deleted }) => deleted?.changed === true),
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'an update comes to point at what is being purged': {
    objects: O,
    setup: [file('F', 'o'), dataset('D')],
    clients: [[patch('D', { files: ['F'] })], [purge('F', 'delete')]],
    shows: both,
  },
  'a registration comes to point at what is being purged': {
    setup: [virtual('F')],
    clients: [[dataset('D', { files: ['F'] })], [purge('F')]],
    shows: both,
  },
  'and its handler dies': {
    setup: [virtual('F')],
    clients: [[dataset('D', { files: ['F'], ...tooLate('F') })], [purge('F')]],
    shows: late,
  },
  'what is to be withdrawn is pointed at itself': {
    two: true,
    setup: [run('R')],
    clients: [
      [virtual('Y', { run: 'R', ...tooLate('R') })],
      [purge('R')],
      [after('Y', 'RecordRegistered'), dataset('D', { files: ['Y'], ...tooLate('Y') })],
    ],
    shows: lateTimes(2),
  },
  'what is to be withdrawn is pointed at by an update': {
    two: true,
    setup: [run('R'), dataset('D')],
    clients: [
      [virtual('Y', { run: 'R', ...tooLate('R') })],
      [purge('R')],
      [after('Y', 'RecordRegistered'), patch('D', { files: ['Y'], ...tooLate('Y') })],
    ],
    shows: lateTimes(2),
  },
  'what is to be withdrawn is held': {
    two: true,
    setup: [run('R')],
    clients: [
      [virtual('Y', { run: 'R', ...tooLate('R') })],
      [purge('R')],
      [after('Y', 'RecordRegistered'), { do: 'hold', target: 'Y' }],
    ],
    shows: ({ records }) => [...records.values()].some(({ held, everLate }) => held && everLate.length > 0),
  },
  'what is to be withdrawn shares an object': {
    objects: O,
    two: true,
    setup: [run('R'), file('X', 'o')],
    clients: [
      [file('Y', 'o', { run: 'R', ...tooLate('R') })],
      [purge('R')],
      [{ ...purge('X', 'delete'), appendAfter: { target: 'Y', event: 'RecordRegistered' } }],
    ],
    shows: (tale) => late(tale) && fate('delete')(tale),
  },
  'what is to be withdrawn calls no purge off': {
    two: true,
    setup: [run('R'), { do: 'create', name: 'L', registry: 'labels' }],
    clients: [
      [virtual('Y', { run: 'R', labels: ['L'], ...tooLate('R') })],
      [purge('R')],
      [{ ...purge('L'), appendAfter: { target: 'Y', event: 'RecordRegistered' } }],
    ],
    shows: (tale) => late(tale) && requests(tale).length === 3 && !calledOff(tale),
  },
  'an upload is registered, and nobody hears of it': {
    setup: [],
    clients: [[virtual('Y', { unanswered: true })]],
    shows: (tale) => files(tale) === 1,
  },
  'two records on one object are purged': {
    objects: O,
    setup: [file('X', 'o'), file('Y', 'o')],
    clients: [[purge('X', 'delete')], [purge('Y', 'delete')]],
    shows: fate('shared', 'delete'),
  },
  'two records on one object are purged, and one is called off': {
    objects: O,
    setup: [file('X', 'o'), file('Y', 'o')],
    clients: [[dataset('D', { files: ['X'] })], [purge('X', 'delete')], [purge('Y', 'delete')]],
    shows: fate('called-off', 'shared'),
  },
  'a record is purged again after its purge was called off': {
    setup: [virtual('F')],
    clients: [
      [dataset('D', { files: ['F'] })],
      [purge('F'), after('F', 'RecordPurgeCancelled'), purge('D'), after('D', 'RecordPurged'), purge('F')],
    ],
    shows: fate('called-off', 'delete'),
  },
  'a purge is called off twice': {
    setup: [virtual('F'), dataset('D'), dataset('E')],
    clients: [
      [
        patch('D', { files: ['F'] }),
        after('F', 'RecordPurgeCancelled'),
        patch('D', { files: [] }),
        patch('E', { files: ['F'] }),
      ],
      [purge('F'), after('F', 'RecordPurgeCancelled'), after('D', 'RecordUpdated'), purge('F')],
    ],
    shows: calledOff,
  },
  'an object is registered while it is deleted': {
    objects: O,
    setup: [file('X', 'o')],
    clients: [[file('Y', 'o')], [purge('X', 'delete')]],
    shows: late,
  },
  'an object is registered while it is deleted, and the handler dies': {
    objects: O,
    setup: [file('X', 'o')],
    clients: [[file('Y', 'o', tooLate('X'))], [purge('X', 'delete')]],
    shows: late,
  },
  'an upload goes into a folder that is deleted': {
    objects: FOLDER,
    setup: [file('G', 'a/')],
    clients: [[upload('Y', 'a/d', 'c3')], [purge('G', 'delete')]],
    shows: late,
  },
  'the same bytes are uploaded where they are deleted': {
    objects: O,
    setup: [file('X', 'o')],
    clients: [[upload('Y', 'o', 'c1')], [purge('X', 'delete')]],
    shows: late,
  },
  'other bytes are uploaded where some are deleted': {
    objects: O,
    setup: [file('X', 'o')],
    clients: [[upload('Y', 'o', 'c2')], [purge('X', 'delete')]],
    shows: fate('delete'),
  },
  'an upload is refused whose bytes another found': {
    setup: [run('R')],
    clients: [[upload('Y', 'o', 'c1', { run: 'R' })], [file('Z', 'o')], [purge('R')]],
    shows: (tale) => files(tale) === 1 && requests(tale).length > 0,
  },
  'an upload is refused whose bytes another upload found': {
    setup: [run('R')],
    clients: [[upload('Y', 'o', 'c1', { run: 'R' })], [upload('Z', 'o', 'c1')], [purge('R')]],
    shows: (tale) => files(tale) === 1 && requests(tale).length > 0,
  },
  'a worker dies while it deletes a folder': {
    objects: FOLDER,
    setup: [file('G', 'a/')],
    clients: [[purge('G', 'delete')]],
    crash: true,
    shows: fate('delete'),
  },
  'a part of a folder is registered while it is deleted': {
    objects: FOLDER,
    setup: [file('G', 'a/')],
    clients: [[purge('G', 'delete')], [file('Y', 'a/c')]],
    shows: late,
  },
  'a folder and a part of it are purged, and another part registered': {
    objects: FOLDER,
    setup: [file('G', 'a/'), file('X', 'a/b')],
    clients: [[purge('G', 'delete')], [purge('X', 'delete')], [file('Y', 'a/c')]],
    shows: fate('shared', 'delete'),
  },
  'a keep is asked for while a deletion fails': {
    objects: O,
    setup: [file('X', 'o')],
    clients: [
      [{ do: 'down', store: 'objects', ms: 1_500 }, purge('X', 'delete')],
      [after('X', 'ObjectDeletionFailed'), { do: 'retry', target: 'X', storage: 'keep' }],
    ],
    shows: (tale) => requests(tale).some(({ keepAsked }) => keepAsked !== null),
  },
  'a keep is asked for after a deletion began, and the object registered': {
    objects: O,
    setup: [file('X', 'o')],
    clients: [
      [purge('X', 'delete'), after('X', 'ObjectDeletionStarted'), { do: 'down', store: 'objects', ms: 1_500 }],
      [after('X', 'ObjectDeletionFailed'), { do: 'retry', target: 'X', storage: 'keep' }],
      [after('X', 'ObjectDeletionFailed'), file('Y', 'o')],
    ],
    shows: (tale) => requests(tale).some(({ keepAsked, started }) => keepAsked !== null && started !== null),
  },
  'a keep is asked for after the object went, and nobody heard of it': {
    objects: O,
    setup: [file('X', 'o')],
    clients: [
      [purge('X', 'delete')],
      [after('X', 'ObjectDeletionStarted'), { do: 'deaf', store: 'objects', ms: 3_000 }],
      [after('X', 'ObjectDeletionFailed'), { do: 'retry', target: 'X', storage: 'keep' }],
    ],
    shows: (tale) => requests(tale).some(({ keepAsked, deleted }) => keepAsked !== null && deleted !== null),
  },
  'an update that replaces a reference is withdrawn': {
    setup: [virtual('F0'), virtual('F1'), dataset('D', { files: ['F0'] })],
    clients: [[patch('D', { files: ['F1'] })], [purge('F1')]],
    shows: late,
  },
  'what a withdrawn update puts back is purged, too': {
    two: true,
    setup: [virtual('F0'), virtual('F1'), dataset('D', { files: ['F0'] })],
    clients: [
      [patch('D', { files: ['F1'], ...tooLate('F1') })],
      [purge('F1')],
      [after('D', 'RecordUpdated'), purge('F0')],
    ],
    shows: (tale) => late(tale) && requests(tale).length > 1,
  },
  'a record whose update is to be withdrawn is purged': {
    setup: [virtual('F'), dataset('D')],
    clients: [
      [patch('D', { files: ['F'], ...tooLate('F') })],
      [purge('F')],
      [dataset('V', { initial: 'D' })],
      [after('D', 'RecordUpdated'), purge('D')],
    ],
    shows: late,
  },
  'what is trashed again is not purged by an older emptying': {
    setup: [virtual('X'), trash('X')],
    clients: [[empty], [empty], [restore('X'), trash('X')]],
    shows: skipped,
  },
  'what was only patched since is purged by an emptying': {
    setup: [virtual('X'), trash('X')],
    clients: [[empty], [patch('X', { description: 'new' })], [restore('X')]],
    shows: skipped,
  },
  'what is to be withdrawn lies in the trash that is emptied': {
    setup: [run('R')],
    clients: [
      [virtual('Y', { run: 'R', ...tooLate('R') })],
      [purge('R')],
      [after('Y', 'RecordRegistered'), trash('Y')],
      [empty],
    ],
    shows: late,
  },
  'an outsider swaps what an upload put into a folder that is deleted': {
    objects: { 'memory:/s/a/b': 'c1' },
    two: true,
    setup: [file('G', 'a/')],
    clients: [
      [upload('Y', 'a/c', 'c2', tooLate('G'))],
      [purge('G', 'delete')],
      [after('Y', 'RecordRegistered'), { do: 'write', location: 'memory:/s/a/c', content: 'c9' }],
    ],
    shows: late,
  },
  'an outsider overwrites what is being deleted': OVERWRITTEN,
  'the same bytes come again to a bucket, and a call of the deletion that has ended comes late': {
    bucket: true,
    two: true,
    setup: [upload('X', 'o', 'c1')],
    clients: [
      [purge('X', 'delete')],
      [after('X', 'ObjectDeleted'), upload('Y', 'o', 'c1')],
      [after('X', 'ObjectDeleted'), { do: 'pause', ms: 30_000 }],
    ],
    // Refused at once, or too late: the judge finds out what stays, once the call that is late has taken its object.
    shows: (tale) => requests(tale).some(({ deleted }) => deleted !== null) && (files(tale) === 1 || late(tale)),
  },
  'an outsider removes what another then uploads and a purge deletes': {
    objects: O,
    setup: [file('X', 'o')],
    clients: [[{ do: 'remove', location: 'memory:/s/o' }], [upload('Y', 'o', 'c2')], [purge('X', 'delete')]],
    shows: fate('delete'),
  },
};

/** One exploration of a scenario. */
export const scheduleFor = ({ objects, setup, clients, crash, two, bucket }: Scenario, seed: number): Schedule => {
  const named = (at: string, operations: readonly Unnamed[]): Operation[] =>
    operations.map((operation, index) => ({ ...operation, id: `${at}.${index}` }));
  const both = { api: true, worker: true };
  return {
    seed,
    uneven: seed % 2 === 0,
    stalls: [0, 0.1, 0.3][seed % 3] ?? 0,
    trashDays: null,
    flips: false,
    gaps: seed % 5 === 0,
    ...(bucket === true && { bucket }),
    processes: seed % 3 === 0 || crash === true || two === true ? [both, both] : [both],
    skews: [0, 0],
    objects: objects ?? {},
    setup: named('setup', setup),
    clients: clients.map((operations, index) => named(String(index), operations)),
    faults: crash === true ? [{ at: 10 + (seed % 90), kind: 'crash-after', ms: 0 }] : [],
  };
};
