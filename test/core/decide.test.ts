import { describe, expect, test } from 'vitest';
import { mergePatch } from '../../src/commands/merge-patch.js';
import {
  Conflict,
  InTrash,
  NotFound,
  NotTrashable,
  OnHold,
  Purged,
  Refusal,
  RevisionChanged,
} from '../../src/commands/refusals.js';
import type { Json } from '../../src/events/vocabulary.js';
import {
  HoldRecord,
  RegisterRecord,
  ReleaseHold,
  RestoreRecord,
  TrashRecord,
  UpdateRecord,
} from '../../src/testing/commands.js';
import {
  dataset,
  file,
  held,
  holdReleased,
  LABEL,
  plain,
  purged,
  purgeRequested,
  registered,
  restored,
  storage,
  trashed,
  uidFor,
  updated,
} from '../../src/testing/events.js';
import { given } from '../../src/testing/given.js';
import { all, GONE, onEveryState, STATES } from './states.js';

const gone = all(GONE, Purged);

onEveryState('TrashRecord', new TrashRecord(), {
  'never existed': NotFound,
  visible: [trashed({ from: 1 })],
  hidden: [trashed({ from: 0 })],
  trashed: [],
  'trashed from hidden': [],
  held: [trashed({ from: 1 })],
  'held in the trash': [],
  ...all(GONE, []),
  'called off': [trashed({ from: 1 })],
  'called off in the trash': [],
});

onEveryState('RestoreRecord', new RestoreRecord(), {
  'never existed': NotFound,
  visible: [],
  hidden: [],
  trashed: [restored({ to: 1 })],
  'trashed from hidden': [restored({ to: 0 })],
  held: [],
  'held in the trash': [restored({ to: 1 })],
  ...gone,
  'called off': [],
  'called off in the trash': [restored({ to: 1 })],
});

onEveryState('HoldRecord for another reason', new HoldRecord({ reason: 'litigation' }), {
  'never existed': NotFound,
  visible: [held()],
  hidden: [held()],
  trashed: [held()],
  'trashed from hidden': [held()],
  held: [held()],
  'held in the trash': [held()],
  ...gone,
  'called off': [held()],
  'called off in the trash': [held()],
});

onEveryState('HoldRecord for the same reason', new HoldRecord({ reason: 'audit' }), {
  'never existed': NotFound,
  visible: [held()],
  hidden: [held()],
  trashed: [held()],
  'trashed from hidden': [held()],
  held: [],
  'held in the trash': [],
  ...gone,
  'called off': [held()],
  'called off in the trash': [held()],
});

onEveryState('ReleaseHold', new ReleaseHold(), {
  'never existed': NotFound,
  visible: [],
  hidden: [],
  trashed: [],
  'trashed from hidden': [],
  held: [holdReleased()],
  'held in the trash': [holdReleased()],
  ...gone,
  'called off': [],
  'called off in the trash': [],
});

const described = updated({ changes: { description: { from: null, to: 'new' } } });
onEveryState('UpdateRecord', new UpdateRecord({ patch: { description: 'new' } }), {
  'never existed': NotFound,
  visible: [described],
  hidden: [described],
  trashed: [described],
  'trashed from hidden': [described],
  held: [described],
  'held in the trash': [described],
  ...gone,
  'called off': [described],
  'called off in the trash': [described],
});

const hiding = updated({ changes: { visibility: { from: 1, to: 0 } } });
onEveryState('UpdateRecord that hides', new UpdateRecord({ patch: { visibility: 0 } }), {
  'never existed': NotFound,
  visible: [hiding],
  hidden: [],
  trashed: InTrash,
  'trashed from hidden': InTrash,
  held: [hiding],
  'held in the trash': InTrash,
  ...gone,
  'called off': [hiding],
  'called off in the trash': InTrash,
});

onEveryState('RegisterRecord', new RegisterRecord(), {
  'never existed': [registered()],
  visible: Conflict,
  hidden: Conflict,
  trashed: Conflict,
  'trashed from hidden': Conflict,
  held: Conflict,
  'held in the trash': Conflict,
  ...all(GONE, Conflict),
  'called off': Conflict,
  'called off in the trash': Conflict,
});

describe('trashing', () => {
  test('remembers when retention may purge', () => {
    const purgeAfter = '2026-02-01T00:00:00.000Z';
    given(registered()).when(new TrashRecord(), { purgeAfter }).then(trashed({ purgeAfter }));
  });

  test.each(['permanent', 'storage', 'dryRun'] as const)('does not depend on %s', (option) => {
    const options = {
      permanent: { permanent: false },
      storage: { storage: 'delete' },
      dryRun: { dryRun: true },
    } as const;
    given(registered()).when(new TrashRecord(options[option])).then(trashed());
    given(registered(), trashed()).when(new TrashRecord(options[option])).then();
  });

  test('a dataset goes there too', () => {
    given(registered({ fields: dataset() }))
      .when(new TrashRecord())
      .then(trashed());
  });

  test.each([
    { what: 'a label', fields: plain() },
    { what: 'a storage', fields: storage() },
  ])('$what has no trash', ({ fields }) => {
    given(registered({ fields }))
      .when(new TrashRecord({ permanent: false }))
      .then(NotTrashable);
  });

  test('a purged plain record answers as every purged one, without a word about trash', () => {
    given(registered({ fields: plain() }), purgeRequested())
      .when(new TrashRecord({ permanent: false }))
      .then();
    given(registered({ fields: plain() }), purgeRequested(), purged())
      .when(new TrashRecord())
      .then();
  });

  test('and back, as often as one likes, gives back what was', () => {
    given(registered({ visibility: 0 }))
      .when(new TrashRecord())
      .then(trashed({ from: 0 }))
      .when(new RestoreRecord())
      .then(restored({ to: 0 }))
      .when(new UpdateRecord({ patch: { visibility: 1 } }))
      .then(updated({ changes: { visibility: { from: 0, to: 1 } } }))
      .when(new TrashRecord())
      .then(trashed({ from: 1 }))
      .when(new RestoreRecord())
      .then(restored({ to: 1 }));
  });
});

describe('a hold', () => {
  test('takes its reason and its author from whoever asks for it', () => {
    const { record } = given(registered())
      .when(new HoldRecord({ reason: 'litigation', actor: 'bob' }))
      .then(held());
    expect(record?.hold).toMatchObject({ reason: 'litigation', by: 'bob' });
  });

  test('without a reason is a hold, and repeating it changes nothing', () => {
    const once = given(registered()).when(new HoldRecord()).then(held());
    once.when(new HoldRecord()).then();
    once.when(new HoldRecord({ reason: 'audit' })).then(held());
  });

  test('forbids neither trashing, restoring nor changing', () => {
    given(registered(), held())
      .when(new TrashRecord())
      .then(trashed())
      .when(new RestoreRecord())
      .then(restored())
      .when(new UpdateRecord({ patch: { description: 'new' } }))
      .then(described);
  });
});

describe('If-Match', () => {
  const live = ['visible', 'hidden', 'trashed', 'held', 'held in the trash', 'called off in the trash'] as const;
  const commands = [
    (ifMatch: number) => new TrashRecord({ ifMatch }),
    (ifMatch: number) => new RestoreRecord({ ifMatch }),
    (ifMatch: number) => new UpdateRecord({ ifMatch, patch: { description: 'new' } }),
    (ifMatch: number) => new HoldRecord({ ifMatch }),
    (ifMatch: number) => new ReleaseHold({ ifMatch }),
  ];
  for (const state of live) {
    test(`on a record that is ${state} must name its revision, also where nothing would change`, () => {
      const record = given(...STATES[state]);
      const revision = record.record?.revision ?? -1;
      for (const command of commands) {
        expect(record.when(command(revision)).refusal, command(revision).constructor.name).toBeNull();
        record.when(command(revision + 1)).then(new RevisionChanged(revision + 1, revision));
        record.when(command(0 - 1)).then(RevisionChanged);
      }
    });
  }

  test('comes after what is gone, and before all else that could be refused', () => {
    for (const command of [
      new RestoreRecord({ ifMatch: 9 }),
      new UpdateRecord({ ifMatch: 9, patch: { visibility: 1 } }),
    ]) {
      given(...STATES.purging)
        .when(command)
        .then(Purged);
    }
    given(...STATES.purging)
      .when(new TrashRecord({ ifMatch: 9 }))
      .then();
    given(...STATES.trashed)
      .when(new UpdateRecord({ ifMatch: 9, patch: { visibility: 1 } }))
      .then(RevisionChanged);
    given(registered({ fields: plain() }))
      .when(new TrashRecord({ ifMatch: 9 }))
      .then(RevisionChanged);
  });
});

describe('an update', () => {
  test('says old and new of what changes, and nothing of the rest', () => {
    const fields = file({ description: 'old', version: '1' });
    given(registered({ fields }))
      .when(new UpdateRecord({ patch: { description: 'new', version: '1', accessor: null, visibility: 1 } }))
      .then(updated({ changes: { description: { from: 'old', to: 'new' } } }));
  });

  test('that changes nothing is none', () => {
    const labels = [uidFor('a'), uidFor('b')];
    given(registered({ fields: file({ labels }) }))
      .when(new UpdateRecord({ patch: { labels, description: null, visibility: 1 } }))
      .then();
    given(registered())
      .when(new UpdateRecord({ patch: {} }))
      .then();
  });

  test('takes fields and visibility together', () => {
    given(registered())
      .when(new UpdateRecord({ patch: { visibility: 0, version: '2' } }))
      .then(updated({ changes: { visibility: { from: 1, to: 0 }, version: { from: null, to: '2' } } }));
  });

  test('replaces lists as a whole', () => {
    const [a, b] = [uidFor('a'), uidFor('b')];
    given(registered({ fields: dataset({ files: [a, b] }) }))
      .when(new UpdateRecord({ patch: { files: [b, a] } }))
      .then(updated({ changes: { files: { from: [a, b], to: [b, a] } } }));
  });

  test('puts a field to nothing', () => {
    given(registered({ fields: file({ description: 'old' }) }))
      .when(new UpdateRecord({ patch: { description: null } }))
      .then(updated({ changes: { description: { from: 'old', to: null } } }));
  });

  describe("merges a plain record's data (RFC 7396)", () => {
    const updating = (from: Json, patch: Json) =>
      given(registered({ fields: plain({ data: from }) })).when(
        new UpdateRecord({ ref: LABEL, patch: { data: patch } }),
      );

    test('deep down, and says the whole before and after', () => {
      const from = { a: 1, b: { c: 2, d: [1, 2] } };
      const to = { a: 1, b: { c: 3, d: [1, 2] } };
      updating(from, { b: { c: 3 } }).then(updated({ changes: { data: { from, to } } }));
    });

    test('nothing where the patch says what is', () => {
      updating({ a: { b: 1 } }, { a: { b: 1 } }).then();
      updating({ a: 1 }, { gone: null }).then();
      updating({ a: 1 }, {}).then();
      updating(null, null).then();
    });

    test('and takes it away with null', () => {
      updating({ a: 1 }, null).then(updated({ changes: { data: { from: { a: 1 }, to: null } } }));
    });
  });

  test('of another field called data is a change like any other', () => {
    given(registered({ fields: plain({ data: { a: 1 } }) }))
      .when(new UpdateRecord({ patch: { name: 'other', data: { b: 2 } } }))
      .then(updated({ changes: { name: { from: 'raw', to: 'other' }, data: { from: { a: 1 }, to: { a: 1, b: 2 } } } }));
  });

  test('with the same members in another order changes nothing', () => {
    given(registered({ fields: plain({ data: { list: [{ a: 1, b: 2 }] } }) }))
      .when(new UpdateRecord({ patch: { data: { list: [{ b: 2, a: 1 }] } } }))
      .then();
  });
});

/** The appendix of RFC 7396, row by row. */
test.each<[Json, Json, Json]>([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])('mergePatch(%j, %j) is %j', (target, patch, result) => {
  expect(mergePatch(target, patch)).toEqual(result);
});

test('mergePatch changes neither of its arguments, and no prototype', () => {
  const [target, patch] = [{ a: { b: 1 } }, JSON.parse('{"a":{"c":2},"__proto__":{"polluted":true}}') as Json];
  const merged = mergePatch(target, patch);
  expect(target).toEqual({ a: { b: 1 } });
  expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
  expect(JSON.stringify(merged)).toBe('{"a":{"b":1,"c":2},"__proto__":{"polluted":true}}');
});

test('every refusal says its code, its name, and in a sentence what to do', () => {
  const refusals = [
    given().when(new TrashRecord()),
    given(...STATES.purging).when(new RestoreRecord()),
    given(...STATES['purged, its object kept']).when(new RestoreRecord()),
    given(registered()).when(new RestoreRecord({ ifMatch: 3 })),
    given(registered()).when(new RegisterRecord()),
    given(registered(), trashed()).when(new UpdateRecord({ patch: { visibility: 0 } })),
    given(registered({ fields: plain() })).when(new TrashRecord()),
  ].map(({ refusal }) => refusal);
  for (const refusal of refusals) {
    expect(refusal).toBeInstanceOf(Refusal);
    expect(refusal?.message).toMatch(/^\S.{20,}\.$/);
  }
  expect(refusals.map((refusal) => refusal?.code)).toEqual([
    'not-found',
    'purged',
    'purged',
    'revision-changed',
    'conflict',
    'trashed',
    'not-trashable',
  ]);
});

describe('given, when, then', () => {
  test('fails where other events come than are expected', () => {
    expect(() => given(registered()).when(new TrashRecord()).then()).toThrow(/RecordTrashed/);
    expect(() =>
      given(registered())
        .when(new TrashRecord())
        .then(trashed({ from: 0 })),
    ).toThrow(/from/);
    expect(() => given(registered()).when(new RestoreRecord()).then(restored())).toThrow(/RecordRestored/);
  });

  test('fails where a refusal is expected and none comes, or another one', () => {
    expect(() => given(registered()).when(new TrashRecord()).then(Purged)).toThrow(/nothing was refused.*Purged/);
    expect(() => given().when(new TrashRecord()).then(OnHold)).toThrow(/NotFound.*OnHold/);
    expect(() =>
      given(registered())
        .when(new TrashRecord({ ifMatch: 3 }))
        .then(new RevisionChanged(4, 0)),
    ).toThrow(/4/);
  });

  test('throws the refusal where events are expected', () => {
    expect(() => given().when(new TrashRecord()).then(trashed())).toThrow(NotFound);
  });
});
