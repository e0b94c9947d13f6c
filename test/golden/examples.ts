import type { EventOf, EventType, LetheEvent } from '../../src/events/events.js';
import type { Ref } from '../../src/events/vocabulary.js';
import {
  clockTicked,
  dataset,
  DATASET,
  deletionFailed,
  deletionStarted,
  FILE,
  file,
  held,
  holdReleased,
  instanceCreated,
  LABEL,
  objectDeleted,
  objectKept,
  operationCompleted,
  operationStarted,
  plain,
  purgeCancelled,
  purged,
  purgeRequested,
  purgeRetried,
  registered,
  restored,
  storage,
  STORAGE,
  trashed,
  uidFor,
  updated,
  type Happening,
} from '../../src/testing/events.js';

/** What a golden file of an event's current version is made from: each field with each kind of value that it can have. */
export interface Example<E extends LetheEvent> {
  readonly ref: Ref;
  readonly happening: Happening<E>;
}

const OPERATION: Ref = { registry: 'operations', uid: uidFor('operation') };
const said = { actor: 'svc:ingest', reason: 'asked for by “Zoë”', correlationId: 'a1b2c3' };
const at =
  (ref: Ref) =>
  <E extends LetheEvent>(...happenings: Happening<E>[]): Example<E>[] =>
    happenings.map((happening) => ({ ref, happening }));
const onFile = at(FILE);

const folderSeen = {
  kind: 'folder',
  digest: 'x8WxE0bPpPLtqXOLXoaHPhsRi0bOnCBzs2Vy2VwTTyA',
  objects: 2,
  bytes: 2_240,
  manifest: '.lethe/deletions/file0000000000000000-2-x8WxE0bPpPLtqXOLXoaHPhsRi0bOnCBzs2Vy2VwTTyA.jsonl',
} as const;
const versioned = {
  kind: 'file',
  etag: '"9b2cf535f27731c974343645a3985328"',
  size: 12,
  modifiedAt: '2026-01-01T00:00:00.000Z',
  versions: ['3HL4kqtJlcpXroDTDmJ-rmSpXd3dIbrHY', 'null'],
} as const;

export const EXAMPLES: { readonly [T in EventType]: readonly Example<EventOf<T>>[] } = {
  RecordRegistered: [
    ...onFile(
      registered({}, said),
      registered({
        visibility: 0,
        seenAt: '9007199254740991',
        fields: file({
          key: 'images/plate 1/',
          keyIsVirtual: false,
          path: 'images/plate 1/',
          suffix: null,
          accessor: 'AnnData',
          description: 'two lines\nand “quotes”',
          version: '2',
          initialVersion: uidFor('first'),
          size: 2_240,
          hashType: 'md5-d',
          objects: 2,
          run: uidFor('run'),
          transform: uidFor('transform'),
          labels: [uidFor('labelA'), uidFor('labelB')],
          seen: folderSeen,
        }),
      }),
      registered({ fields: file({ key: null, seen: { ...versioned, versions: [...versioned.versions] } }) }),
      registered({ fields: file({ seen: null }) }),
    ),
    ...at(DATASET)(
      registered({ fields: dataset({ files: [FILE.uid], run: uidFor('run'), labels: [LABEL.uid] }) }),
      registered({
        fields: dataset({ name: null, description: 'd', version: '2', initialVersion: uidFor('first'), transform: uidFor('t') }),
      }),
    ),
    ...at(LABEL)(registered({ fields: plain({ description: 'd', data: { a: [1, 0.5, null, true, { b: 'c' }] } }) })),
    ...at(STORAGE)(registered({ fields: storage() })),
  ],
  RecordUpdated: onFile(
    updated({}, said),
    updated({
      changes: {
        visibility: { from: 1, to: 0 },
        labels: { from: [], to: [LABEL.uid] },
        data: { from: null, to: { nested: { a: 1 } } },
      },
      withdraws: '1043',
    }),
  ),
  RecordTrashed: onFile(trashed({}, said), trashed({ from: 0, purgeAfter: '2026-02-01T00:00:00.000Z' })),
  RecordRestored: onFile(restored({}, said), restored({ to: 0 })),
  RecordHeld: onFile(held(said), held()),
  RecordHoldReleased: onFile(holdReleased(said)),
  RecordPurgeRequested: onFile(
    purgeRequested({}, said),
    purgeRequested({ storage: 'keep', withdraws: '1043' }),
    purgeRequested({ storage: 'delete', operation: OPERATION.uid }),
  ),
  RecordPurgeCancelled: onFile(purgeCancelled({ request: 1 }, said)),
  ObjectKept: onFile(
    objectKept({ request: 1 }, said),
    objectKept({ request: 1, why: 'shared', by: [{ registry: 'files', uid: uidFor('other') }] }),
    objectKept({ request: 1, why: 'foreign-storage' }),
    objectKept({ request: 1, why: 'semantic-key' }),
  ),
  ObjectDeletionStarted: onFile(
    deletionStarted({ request: 1 }, said),
    deletionStarted({ request: 1, seen: folderSeen }),
    deletionStarted({ request: 1, seen: { ...folderSeen, manifest: null } }),
    deletionStarted({ request: 1, seen: { ...versioned, versions: [...versioned.versions] } }),
    deletionStarted({ request: 1, seen: null }),
  ),
  ObjectDeletionFailed: onFile(deletionFailed({ request: 1 }, said), deletionFailed({ request: 1, attempt: 10, waitMs: null })),
  RecordPurgeRetried: onFile(purgeRetried({ request: 1 }, said), purgeRetried({ request: 1, storage: 'keep' })),
  ObjectDeleted: onFile(
    objectDeleted({ request: 1 }, said),
    objectDeleted({ request: 1, objects: 0, bytes: 0, changed: true }),
  ),
  RecordPurged: onFile(purged({ request: 1 }, said)),
  OperationStarted: at(OPERATION)(
    operationStarted({}, said),
    operationStarted({
      kind: 'retention',
      criteria: { registry: 'files', olderThan: 'P30D', trashedBefore: '2026-01-01T00:00:00.000Z' },
      position: '1043',
      total: { records: 120_000, bytes: 268_800_000 },
    }),
  ),
  OperationCompleted: at(OPERATION)(
    operationCompleted({}, said),
    operationCompleted({ purged: 3, skippedCount: 1, skipped: [{ ...FILE, code: 'on-hold' }] }),
  ),
  InstanceCreated: at({ registry: 'log', uid: 'instance' })(instanceCreated({}, { ...said, commandHash: null })),
  ClockTicked: at({ registry: 'log', uid: 'clock' })(clockTicked({}, said)),
};
