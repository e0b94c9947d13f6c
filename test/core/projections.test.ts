import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FileFields, StorageWish } from '../../src/events/events.js';
import { refKey, type Ref } from '../../src/events/vocabulary.js';
import { fateOf, type Fate } from '../../src/projections/fate.js';
import { inSpan, spanIn } from '../../src/projections/overlap.js';
import { KEEP_AFTER_MS, nextStep, waitAfter, type Step } from '../../src/sagas/next-step.js';
import type { PurgeRow, ReadModel, StatsRow, Verdict } from '../../src/storage/read-model/port.js';
import {
  clockTicked,
  dataset,
  deletionFailed,
  deletionStarted,
  FILE,
  file,
  held,
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
import { given } from '../../src/testing/given.js';
import { TestLog } from '../../src/testing/log.js';
import { generateLog } from '../harness/log-generator.js';
import { projected } from '../harness/projecting.js';
import {
  calledOff,
  catalogueRow,
  datasets,
  DELETE,
  files,
  modelsOf,
  purgeRow,
  rowsOf,
  shared,
  storages,
  Story,
} from '../harness/story.js';
import { FOLDER, STATES, type State } from './states.js';

describe('the fate of an object, row by row of the contract', () => {
  const other = [files('other')];
  const virtual = file();
  const semantic = file({ key: 'sales/2026.csv', keyIsVirtual: false });
  const keep = (why: Extract<Fate, { fate: 'keep' }>['why']): Fate => ({ fate: 'keep', why });

  test.each<{ row: string; fields: FileFields; wish: StorageWish; managed: boolean; sharedWith: Ref[]; fate: Fate }>([
    { row: 'not managed', fields: virtual, wish: null, managed: false, sharedWith: [], fate: keep('foreign-storage') },
    {
      row: 'not managed, deleted',
      fields: virtual,
      wish: 'delete',
      managed: false,
      sharedWith: [],
      fate: keep('foreign-storage'),
    },
    {
      row: 'not managed, kept and shared',
      fields: semantic,
      wish: 'keep',
      managed: false,
      sharedWith: other,
      fate: keep('foreign-storage'),
    },
    { row: 'storage=keep', fields: virtual, wish: 'keep', managed: true, sharedWith: [], fate: keep('asked') },
    {
      row: 'storage=keep, semantic',
      fields: semantic,
      wish: 'keep',
      managed: true,
      sharedWith: [],
      fate: keep('asked'),
    },
    {
      row: 'storage=keep, shared',
      fields: semantic,
      wish: 'keep',
      managed: true,
      sharedWith: other,
      fate: keep('asked'),
    },
    { row: 'shared', fields: virtual, wish: null, managed: true, sharedWith: other, fate: keep('shared') },
    {
      row: 'shared, storage=delete',
      fields: virtual,
      wish: 'delete',
      managed: true,
      sharedWith: other,
      fate: keep('shared'),
    },
    { row: 'shared, semantic', fields: semantic, wish: null, managed: true, sharedWith: other, fate: keep('shared') },
    {
      row: 'shared, semantic, storage=delete',
      fields: semantic,
      wish: 'delete',
      managed: true,
      sharedWith: other,
      fate: keep('shared'),
    },
    { row: 'semantic', fields: semantic, wish: null, managed: true, sharedWith: [], fate: keep('semantic-key') },
    {
      row: 'semantic, storage=delete',
      fields: semantic,
      wish: 'delete',
      managed: true,
      sharedWith: [],
      fate: { fate: 'delete', why: 'asked' },
    },
    {
      row: 'virtual',
      fields: virtual,
      wish: null,
      managed: true,
      sharedWith: [],
      fate: { fate: 'delete', why: 'virtual-key' },
    },
    {
      row: 'virtual, storage=delete',
      fields: virtual,
      wish: 'delete',
      managed: true,
      sharedWith: [],
      fate: { fate: 'delete', why: 'virtual-key' },
    },
    {
      row: 'no key',
      fields: file({ key: null }),
      wish: null,
      managed: true,
      sharedWith: [],
      fate: { fate: 'delete', why: 'virtual-key' },
    },
  ])('$row', ({ fields, wish, managed, sharedWith, fate }) => {
    expect(fateOf(fields, wish, { managed, sharedWith })).toEqual(fate);
  });
});

describe('two objects overlap', () => {
  const overlaps = (place: string, path: string, location: string): boolean => {
    const span = spanIn(place, location);
    return span !== null && inSpan(span, path);
  };

  test.each([
    { what: 'the same file', place: 'file:/d/', path: 'a', location: 'file:/d/a', expected: true },
    { what: 'the same folder', place: 'file:/d/', path: 'a/', location: 'file:/d/a/', expected: true },
    { what: 'a file within the folder', place: 'file:/d/', path: 'a/b', location: 'file:/d/a/', expected: true },
    { what: 'a file deep within it', place: 'file:/d/', path: 'a/b/c/d', location: 'file:/d/a/', expected: true },
    { what: 'a folder within it', place: 'file:/d/', path: 'a/b/', location: 'file:/d/a/', expected: true },
    { what: 'a folder around the file', place: 'file:/d/', path: 'a/', location: 'file:/d/a/b', expected: true },
    { what: 'a folder around the folder', place: 'file:/d/', path: 'a/', location: 'file:/d/a/b/', expected: true },
    {
      what: 'the outermost folder around it',
      place: 'file:/d/',
      path: 'a/',
      location: 'file:/d/a/b/c/d',
      expected: true,
    },
    { what: 'ab beside a/', place: 'file:/d/', path: 'ab', location: 'file:/d/a/', expected: false },
    { what: 'a/ beside ab', place: 'file:/d/', path: 'a/', location: 'file:/d/ab', expected: false },
    { what: 'a beside a/', place: 'file:/d/', path: 'a', location: 'file:/d/a/', expected: false },
    { what: 'a beside a/b', place: 'file:/d/', path: 'a', location: 'file:/d/a/b', expected: false },
    { what: 'a/b beside a/c', place: 'file:/d/', path: 'a/b', location: 'file:/d/a/c', expected: false },
    { what: 'through an alias of the storage', place: 'file:/d/', path: 'a', location: 'file:/d/a', expected: true },
    {
      what: 'in an inner storage, the same file',
      place: 'file:/d/in/',
      path: 'a',
      location: 'file:/d/in/a',
      expected: true,
    },
    {
      what: 'in an inner storage, within the folder',
      place: 'file:/d/in/',
      path: 'a',
      location: 'file:/d/in/',
      expected: true,
    },
    {
      what: 'in a storage within the folder',
      place: 'file:/d/in/deep/',
      path: 'a',
      location: 'file:/d/in/',
      expected: true,
    },
    {
      what: 'in the outer storage, a folder around it',
      place: 'file:/d/',
      path: 'in/',
      location: 'file:/d/in/a',
      expected: true,
    },
    { what: 'in an inner storage, elsewhere', place: 'file:/d/in/', path: 'a', location: 'file:/d/a', expected: false },
    {
      what: 'in an inner storage, beside the file',
      place: 'file:/d/in/',
      path: 'a',
      location: 'file:/d/in',
      expected: false,
    },
    {
      what: 'in a storage whose name begins alike',
      place: 'file:/d/inner/',
      path: 'a',
      location: 'file:/d/in/',
      expected: false,
    },
    { what: 'on another machine', place: 's3://h/b/', path: 'a', location: 's3://h2/b/a', expected: false },
  ])('$what: $expected', ({ place, path, location, expected }) => {
    expect(overlaps(place, path, location)).toBe(expected);
  });

  /** Concrete places where bytes could lie: two objects overlap where one of these belongs to both. */
  const segment = fc.constantFrom('a', 'ab', 'b');
  const path = fc
    .tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([segments, folder]) => segments.join('/') + (folder ? '/' : ''));
  const place = fc.array(segment, { maxLength: 2 }).map((segments) => ['file:', ...segments, ''].join('/'));
  const belongs = (bytes: string, location: string): boolean =>
    location.endsWith('/') ? bytes.startsWith(location) : bytes === location;
  const bytesOf = (location: string): string => (location.endsWith('/') ? `${location}any file` : location);
  const share = (a: string, b: string): boolean =>
    [a, b].map(bytesOf).some((bytes) => belongs(bytes, a) && belongs(bytes, b));

  test('exactly where they share bytes, through whichever storages', () => {
    fc.assert(
      fc.property(place, path, place, path, (placeA, pathA, placeB, pathB) => {
        const [a, b] = [placeA + pathA, placeB + pathB];
        expect(overlaps(placeB, pathB, a)).toBe(share(a, b));
        expect(overlaps(placeA, pathA, b)).toBe(share(a, b));
      }),
      { numRuns: 1_000 },
    );
  });

  test('and a purge is judged by just those', async () => {
    const object = fc.record({ storage: fc.nat({ max: 3 }), path, gone: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(place, { minLength: 4, maxLength: 4 }),
        fc.array(object, { minLength: 2, maxLength: 6 }),
        async (places, objects) => {
          const log = new TestLog();
          places.forEach((root, index) =>
            log.happens(storages(`s${index}`), registered({ fields: storage(`s${index}`, { root }) })),
          );
          objects.forEach((each, index) => {
            const fields = file({ key: each.path, keyIsVirtual: false, storage: uidFor(`s${each.storage}`) });
            log.happens(files(`f${index}`), registered({ fields }));
          });
          objects.forEach(({ gone }, index) => {
            if (gone && index > 0) log.happens(files(`f${index}`), purgeRequested({ storage: 'keep' }));
          });
          log.happens(files('f0'), purgeRequested({ storage: 'delete' }));
          const at = ({ storage: s, path: p }: (typeof objects)[number]): string => `${places[s] ?? ''}${p}`;
          const [first] = objects;
          const by = objects.flatMap((each, index) => {
            const shares = index > 0 && !each.gone && first !== undefined && share(at(each), at(first));
            return shares ? [files(`f${index}`)] : [];
          });
          const expected: Verdict = by.length === 0 ? { fate: 'delete' } : { fate: 'keep', why: 'shared', by };
          expect((await purgeRow(await projected(log.recorded, 3), files('f0')))?.verdict).toEqual(expected);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('a purge is judged by what stands before it in the log', () => {
  const F = files('F');
  const [X, Y, G] = [files('X'), files('Y'), files('G')];
  const D = datasets('D');

  test('refReg: a dataset registered before it calls it off, one registered after it does not', async () => {
    expect(await new Story().file('F').dataset('D', 'F').purge(F).verdict(F)).toEqual(calledOff(D));
    expect(await new Story().file('F').purge(F).dataset('D', 'F').verdict(F)).toEqual(DELETE);
  });

  test('refRace: so does an update, by its own place', async () => {
    const story = (): Story => new Story().file('F').dataset('D');
    expect(await story().points('D', [], ['F']).purge(F).verdict(F)).toEqual(calledOff(D));
    expect(await story().purge(F).points('D', [], ['F']).verdict(F)).toEqual(DELETE);
  });

  test('a reference that was taken away before it does not count', async () => {
    const story = new Story().file('F').dataset('D', 'F').points('D', ['F'], []).purge(F);
    expect(await story.verdict(F)).toEqual(DELETE);
  });

  test.each<{ state: string; happenings: Happening[] }>([
    { state: 'hidden', happenings: [updated({ changes: { visibility: { from: 1, to: 0 } } })] },
    { state: 'in the trash', happenings: [trashed()] },
    { state: 'held', happenings: [held()] },
    { state: 'called off by its own purge', happenings: [purgeRequested(), purgeCancelled()] },
  ])('a dataset that is $state protects its files: it is live', async ({ happenings }) => {
    const story = new Story()
      .file('F')
      .dataset('D', 'F')
      .happens(D, ...happenings)
      .purge(F);
    expect(await story.verdict(F)).toEqual(calledOff(D));
  });

  test.each<{ state: string; happenings: Happening[] }>([
    { state: 'purging', happenings: [purgeRequested()] },
    { state: 'purged', happenings: [purgeRequested(), purged()] },
  ])('a dataset that is $state protects nothing', async ({ happenings }) => {
    const story = new Story()
      .file('F')
      .dataset('D', 'F')
      .happens(D, ...happenings)
      .purge(F);
    expect(await story.verdict(F)).toEqual(DELETE);
  });

  test('a dataset whose purge is called off by the verdict protects, before the event says so', async () => {
    const E = { registry: 'labels', uid: uidFor('L') };
    const story = new Story().file('F').happens(E, registered({ fields: plain() }));
    story.happens(D, registered({ fields: dataset({ files: [F.uid] }) }));
    story.happens(datasets('V2'), registered({ fields: dataset({ initialVersion: D.uid }) }));
    expect(await story.purge(D).purge(F).verdict(F)).toEqual(calledOff(D));
  });

  test('staleRow, secondCancel: each request is judged anew, and its row names it', async () => {
    const story = new Story().file('F').dataset('D', 'F').purge(F).happens(F, purgeCancelled());
    const cancelled = await purgeRow(await modelsOf(story.log), F);
    expect(cancelled).toMatchObject({ state: 'cancelled', open: false, verdict: calledOff(D), purge: { request: 1 } });
    story.purge(F);
    const again = await purgeRow(await modelsOf(story.log), F);
    expect(again).toMatchObject({ state: 'pending', open: true, verdict: calledOff(D), purge: { request: 3 } });
    story.happens(F, purgeCancelled()).purge(D).purge(F);
    expect(await purgeRow(await modelsOf(story.log), F)).toMatchObject({
      verdict: DELETE,
      deleting: true,
      purge: { request: 5 },
    });
  });

  test("twoOnOne: of two purges on one object, the later one's fate decides", async () => {
    const story = (): Story => new Story().file('X', 'o').file('Y', 'o');
    const both = story().purge(X).purge(Y);
    expect(await both.verdict(X)).toEqual(shared(Y));
    expect(await both.verdict(Y)).toEqual(DELETE);
    const kept = story().purge(X).purge(Y, null);
    expect(await kept.verdict(X)).toEqual(shared(Y));
    expect(await kept.verdict(Y)).toEqual({ fate: 'keep', why: 'semantic-key', by: [] });
    expect(await story().purge(X).purge(Y, 'keep').verdict(Y)).toEqual({ fate: 'keep', why: 'asked', by: [] });
  });

  test('twoOnOneCalledOff: a record whose purge is called off goes on protecting its object', async () => {
    const story = new Story().file('X', 'o').file('Y', 'o').dataset('D', 'X').purge(X).purge(Y);
    expect(await story.verdict(X)).toEqual(calledOff(D));
    expect(await story.verdict(Y)).toEqual(shared(X));
    const after = new Story()
      .file('X', 'o')
      .file('Y', 'o')
      .dataset('D', 'X')
      .purge(X)
      .happens(X, purgeCancelled())
      .purge(Y);
    expect(await after.verdict(Y)).toEqual(shared(X));
  });

  test('regVsDelete: another record on the object counts where it was registered before, not after', async () => {
    expect(await new Story().file('X', 'o').file('Y', 'o').purge(X).verdict(X)).toEqual(shared(Y));
    expect(await new Story().file('X', 'o').purge(X).file('Y', 'o').verdict(X)).toEqual(DELETE);
  });

  test('uploadIntoFolder: a file inside protects the folder around it, and the other way round', async () => {
    const inside = new Story().file('G', 'a/').file('Y', 'a/c');
    expect(await inside.purge(G).verdict(G)).toEqual(shared(Y));
    expect(await new Story().file('G', 'a/').file('Y', 'a/c').purge(Y).verdict(Y)).toEqual(shared(G));
    expect(await new Story().file('G', 'a/').file('Y', 'ab').purge(G).verdict(G)).toEqual(DELETE);
  });

  test('folderFile: the later of the two decides here too', async () => {
    const folderFirst = new Story().file('G', 'a/').file('X', 'a/b').purge(G).purge(X);
    expect([await folderFirst.verdict(G), await folderFirst.verdict(X)]).toEqual([shared(X), DELETE]);
    const fileFirst = new Story().file('G', 'a/').file('X', 'a/b').purge(X).purge(G);
    expect([await fileFirst.verdict(X), await fileFirst.verdict(G)]).toEqual([shared(G), DELETE]);
  });

  test.each<{ state: string; happenings: Happening[] }>([
    { state: 'hidden', happenings: [updated({ changes: { visibility: { from: 1, to: 0 } } })] },
    { state: 'in the trash', happenings: [trashed()] },
  ])('a record that is $state protects its object', async ({ happenings }) => {
    const story = new Story()
      .file('X', 'o')
      .file('Y', 'o')
      .happens(Y, ...happenings)
      .purge(X);
    expect(await story.verdict(X)).toEqual(shared(Y));
  });

  test('a record whose object was kept by its own purge protects nothing any more', async () => {
    const story = new Story()
      .file('X', 'o')
      .file('Y', 'o')
      .purge(Y, 'keep')
      .happens(Y, objectKept(), purged())
      .purge(X);
    expect(await story.verdict(X)).toEqual(DELETE);
  });

  describe('objects are compared by where they lie, through whichever storage', () => {
    const withStorages = (): Story =>
      new Story()
        .happens(storages('inner'), registered({ fields: storage('inner', { root: 'file:/data/in/' }) }))
        .happens(storages('alias'), registered({ fields: storage('alias') }))
        .happens(storages('elsewhere'), registered({ fields: storage('elsewhere', { root: 'file:/elsewhere/' }) }));

    test.each([
      { what: 'an inner storage, the same object', one: 'in/a', other: 'a', storage: 'inner', expected: true },
      { what: 'an inner storage, a folder around it', one: 'in/', other: 'a', storage: 'inner', expected: true },
      { what: 'an inner storage, inside its folder', one: 'in/a/b', other: 'a/', storage: 'inner', expected: true },
      { what: 'an inner storage, beside', one: 'a', other: 'a', storage: 'inner', expected: false },
      {
        what: 'an inner storage, a name that begins alike',
        one: 'inner/',
        other: 'a',
        storage: 'inner',
        expected: false,
      },
      { what: 'an alias', one: 'a', other: 'a', storage: 'alias', expected: true },
      { what: 'another storage', one: 'a', other: 'a', storage: 'elsewhere', expected: false },
    ])('$what: $expected', async ({ one, other, storage: name, expected }) => {
      const story = (): Story =>
        withStorages()
          .file('X', one)
          .file('Y', other, { storage: uidFor(name) });
      expect(await story().purge(X).verdict(X)).toEqual(expected ? shared(Y) : DELETE);
      expect(await story().purge(Y).verdict(Y)).toEqual(expected ? shared(X) : DELETE);
    });

    test('a storage that moved is compared by its new place, from then on', async () => {
      const changes = { place: { from: 'file:/elsewhere/', to: 'file:/data/' } };
      const story = (): Story =>
        withStorages()
          .file('X', 'a')
          .file('Y', 'a', { storage: uidFor('elsewhere') });
      expect(await story().happens(storages('elsewhere'), updated({ changes })).purge(X).verdict(X)).toEqual(shared(Y));
      expect(await story().purge(X).happens(storages('elsewhere'), updated({ changes })).verdict(X)).toEqual(DELETE);
    });

    test('a storage that is not managed keeps what lies there, asked or not', async () => {
      const foreign: Verdict = { fate: 'keep', why: 'foreign-storage', by: [] };
      const lab = (): Story =>
        new Story().happens(
          storages('lab'),
          registered({ fields: storage('lab', { root: 'file:/lab/', managed: false }) }),
        );
      expect(
        await lab()
          .file('X', 'a', { storage: uidFor('lab') })
          .purge(X)
          .verdict(X),
      ).toEqual(foreign);
      const managed = { root: 'file:/lab/', managed: true };
      const changes = { data: { from: { ...managed, managed: false }, to: managed } };
      const follows = lab().happens(storages('lab'), updated({ changes }));
      expect(
        await follows
          .file('X', 'a', { storage: uidFor('lab') })
          .purge(X)
          .verdict(X),
      ).toEqual(DELETE);
    });

    test('a storage that nobody registered is not managed: nothing is deleted from it', async () => {
      const story = new Story().file('X', 'a', { storage: uidFor('nowhere') }).purge(X);
      expect(await story.verdict(X)).toEqual({ fate: 'keep', why: 'foreign-storage', by: [] });
    });

    test.each([
      { what: 'within a storage that is not managed', root: 'file:/data/', path: 'a', lab: 'file:/', expected: false },
      {
        what: 'where a storage lies that is not managed',
        root: 'file:/data/',
        path: 'in/a',
        lab: 'file:/data/in/',
        expected: false,
      },
      {
        what: 'around a storage that is not managed',
        root: 'file:/data/',
        path: 'in/',
        lab: 'file:/data/in/deep/',
        expected: false,
      },
      {
        what: 'beside a storage that is not managed',
        root: 'file:/data/',
        path: 'a',
        lab: 'file:/data/in/',
        expected: true,
      },
      {
        what: 'beside one whose name begins alike',
        root: 'file:/data/',
        path: 'inner/a',
        lab: 'file:/data/in/',
        expected: true,
      },
    ])('$what, storage=delete deletes: $expected', async ({ root, path, lab, expected }) => {
      const story = new Story()
        .happens(storages('mine'), registered({ fields: storage('mine', { root }) }))
        .happens(storages('lab'), registered({ fields: storage('lab', { root: lab, managed: false }) }))
        .file('X', path, { storage: uidFor('mine') })
        .purge(X);
      expect(await story.verdict(X)).toEqual(expected ? DELETE : { fate: 'keep', why: 'foreign-storage', by: [] });
    });

    test.each([
      { first: 'A5x', second: 'z' },
      { first: 'z', second: 'A5x' },
    ])('two storages among very many: $first and $second', async ({ first, second }) => {
      const story = new Story();
      story.happens(storages('z'), registered({ fields: storage('z', { root: 'file:/many/5/' }) }));
      for (let n = 0; n < 1_100; n += 1) {
        story.happens(storages(`A${n}x`), registered({ fields: storage(`A${n}`, { root: `file:/many/${n}/` }) }));
      }
      story
        .file('X', 'a', { storage: uidFor(first) })
        .file('Y', 'a', { storage: uidFor(second) })
        .purge(X);
      expect((await purgeRow(await projected(story.log.recorded, 100), X))?.verdict).toEqual(shared(Y));
    });
  });

  test('a withdrawal is called off by no reference, and keeps what is shared all the same', async () => {
    const story = (): Story => new Story().file('X', 'o').dataset('D', 'X');
    const withdrawal = purgeRequested({ storage: 'delete', withdraws: '2' });
    expect(await story().happens(X, withdrawal).verdict(X)).toEqual(DELETE);
    expect(await story().file('Y', 'o').happens(X, withdrawal).verdict(X)).toEqual(shared(Y));
  });

  test('what has no object is called off, or ends', async () => {
    const story = (): Story => new Story().happens(LABEL, registered({ fields: plain() }));
    expect(await story().purge(LABEL).verdict(LABEL)).toEqual({ fate: 'no-object' });
    expect(
      await story()
        .file('X', 'o', { labels: [LABEL.uid] })
        .purge(LABEL)
        .verdict(LABEL),
    ).toEqual(calledOff(X));
    const emptied = story()
      .file('X', 'o', { labels: [LABEL.uid] })
      .purge(X)
      .purge(LABEL);
    expect(await emptied.verdict(LABEL)).toEqual({ fate: 'no-object' });
    expect(await new Story().dataset('D').purge(D).verdict(D)).toEqual({ fate: 'no-object' });
    expect(await new Story().dataset('D').dataset('E').purge(D).verdict(D)).toEqual({ fate: 'no-object' });
  });

  test('the first of a line is called off while live others are in it; a storage, while files lie there', async () => {
    const line = new Story().file('X', 'o').file('Y', 'p', { initialVersion: X.uid });
    expect(await line.purge(X).verdict(X)).toEqual(calledOff(Y));
    expect(await line.purge(Y).purge(X).verdict(Y)).toEqual(DELETE);
    expect(await new Story().file('X', 'o').purge(STORAGE).verdict(STORAGE)).toEqual(calledOff(X));
    expect(await new Story().file('X', 'o').purge(X).purge(STORAGE).verdict(STORAGE)).toEqual({ fate: 'no-object' });
  });

  test('an upload that came too late for its storage leaves nothing there, but what others share', async () => {
    const late = (): Story => new Story().file('Y', 'shared').purge(Y).purge(STORAGE);
    const withdrawal = purgeRequested({ storage: 'delete', withdraws: '5' });
    expect(await late().file('X', 'o').happens(X, withdrawal).verdict(X)).toEqual(DELETE);
    const inner = registered({ fields: storage('inner', { root: 'file:/data/in/' }) });
    const sharing = new Story().happens(storages('inner'), inner).file('Y', 'a', { storage: uidFor('inner') });
    expect(await sharing.purge(STORAGE).file('X', 'in/a').happens(X, withdrawal).verdict(X)).toEqual(shared(Y));
  });

  test('a record that points to itself is no reference to itself', async () => {
    const story = new Story().file('X', 'o', { initialVersion: X.uid }).purge(X);
    expect(await story.verdict(X)).toEqual(DELETE);
  });

  test('who stands against it is named in order, the first hundred', async () => {
    const story = new Story().happens(LABEL, registered({ fields: plain() }));
    const names = Array.from({ length: 130 }, (_, n) => `n${String(n).padStart(3, '0')}x`);
    for (const name of names.toReversed()) story.file(name, name, { labels: [LABEL.uid] });
    expect(await story.purge(LABEL).verdict(LABEL)).toEqual(calledOff(...names.slice(0, 100).map(files)));
  });

  test('the first hundred are the same however the log is cut, also of very many', async () => {
    const story = new Story().happens(LABEL, registered({ fields: plain() }));
    const names = Array.from({ length: 1_150 }, (_, n) => `n${String(n).padStart(4, '0')}x`);
    const referring = registered({ fields: dataset({ labels: [LABEL.uid] }) });
    for (const name of names) story.happens(datasets(name), referring);
    const before = story.log.recorded.length;
    for (const name of names.slice(0, 990)) story.purge(datasets(name));
    story.purge(LABEL);
    const expected = calledOff(...names.slice(990, 1_090).map(datasets));
    const model = await projected(story.log.recorded.slice(0, before));
    await projected(story.log.recorded, 1_000, model);
    const cut = await projected(story.log.recorded.slice(0, before));
    await projected(story.log.recorded, 90, cut);
    expect((await purgeRow(cut, LABEL))?.verdict).toEqual(expected);
    expect((await purgeRow(model, LABEL))?.verdict).toEqual(expected);
  });

  test('a verdict does not depend on what comes later', async () => {
    const { recorded } = generateLog(11, 500);
    const whole = await projected(recorded);
    const model = await projected([]);
    for (const [index, { event, registry, uid, revision }] of recorded.entries()) {
      await projected(recorded.slice(0, index + 1), 1, model);
      if (event.type !== 'RecordPurgeRequested') continue;
      const now = await purgeRow(model, { registry, uid });
      const later = await purgeRow(whole, { registry, uid });
      expect(now?.purge.request).toBe(revision);
      if (later?.purge.request === revision) expect(later.verdict).toEqual(now?.verdict);
    }
  });
});

describe('the row of a purge', () => {
  const rowAfter = async (...happenings: Happening[]): Promise<Partial<PurgeRow> | undefined> => {
    const story = new Story().file('X', 'o').happens(files('X'), ...happenings);
    const row = await purgeRow(await modelsOf(story.log), files('X'));
    if (row === undefined) return undefined;
    const { state, open, deleting } = row;
    return { state, open, deleting };
  };
  const requested = purgeRequested({ storage: 'delete' });
  const parked = deletionFailed({ waitMs: null });

  test.each<{ state: string; happenings: Happening[]; row: Partial<PurgeRow> | undefined }>([
    { state: 'live', happenings: [trashed()], row: undefined },
    { state: 'requested', happenings: [requested], row: { state: 'pending', open: true, deleting: true } },
    {
      state: 'requested, to be kept',
      happenings: [purgeRequested()],
      row: { state: 'pending', open: true, deleting: false },
    },
    {
      state: 'started',
      happenings: [requested, deletionStarted()],
      row: { state: 'pending', open: true, deleting: true },
    },
    {
      state: 'failed',
      happenings: [requested, deletionFailed()],
      row: { state: 'failed', open: true, deleting: true },
    },
    {
      state: 'parked',
      happenings: [requested, deletionStarted(), parked],
      row: { state: 'parked', open: true, deleting: true },
    },
    {
      state: 'retried',
      happenings: [requested, parked, purgeRetried()],
      row: { state: 'pending', open: true, deleting: true },
    },
    {
      state: 'asked to keep',
      happenings: [requested, deletionStarted(), parked, purgeRetried({ storage: 'keep' })],
      row: { state: 'pending', open: true, deleting: true },
    },
    {
      state: 'deleted, its listing not yet cleared away',
      happenings: [requested, deletionStarted({ seen: FOLDER }), objectDeleted()],
      row: { state: 'pending', open: true, deleting: false },
    },
    { state: 'kept', happenings: [requested, objectKept()], row: { state: 'pending', open: true, deleting: false } },
    {
      state: 'done',
      happenings: [requested, deletionStarted(), objectDeleted(), purged()],
      row: { state: 'done', open: false, deleting: false },
    },
    {
      state: 'done, kept',
      happenings: [purgeRequested(), objectKept(), purged()],
      row: { state: 'done', open: false, deleting: false },
    },
    {
      state: 'done after failures',
      happenings: [requested, deletionStarted(), deletionFailed(), objectDeleted(), purged()],
      row: { state: 'done', open: false, deleting: false },
    },
    {
      state: 'called off',
      happenings: [requested, purgeCancelled()],
      row: { state: 'cancelled', open: false, deleting: false },
    },
    {
      state: 'called off, and changed since',
      happenings: [requested, purgeCancelled(), updated(), trashed()],
      row: { state: 'cancelled', open: false, deleting: false },
    },
    {
      state: 'called off, and requested again',
      happenings: [requested, purgeCancelled(), purgeRequested({ storage: 'keep' })],
      row: { state: 'pending', open: true, deleting: false },
    },
  ])('$state', async ({ happenings, row }) => {
    expect(await rowAfter(...happenings)).toEqual(row);
  });

  test('keeps what the tombstone tells: the object, the purge as it ended', async () => {
    const story = new Story()
      .file('X', 'o/')
      .happens(files('X'), purgeRequested({ storage: 'keep' }, { actor: 'bob', reason: 'old' }));
    story.happens(files('X'), objectKept(), purged());
    expect(await purgeRow(await modelsOf(story.log), files('X'))).toMatchObject({
      ...files('X'),
      object: { storage: STORAGE.uid, path: 'o/', keyIsVirtual: false, objects: 1, bytes: 12 },
      purge: { request: 1, by: 'bob', reason: 'old', outcome: { fate: 'kept', why: 'asked' }, ended: { position: 5 } },
    });
  });

  test('has no object where there is none', async () => {
    const story = new Story().dataset('D').purge(datasets('D'));
    expect(await purgeRow(await modelsOf(story.log), datasets('D'))).toMatchObject({
      object: null,
      deleting: false,
    });
  });

  test("a purge's step changes only the row of its own request", async () => {
    const story = new Story().file('X', 'o').purge(files('X')).happens(files('X'), purgeCancelled()).purge(files('X'));
    story.happens(files('X'), deletionFailed({ request: 1, waitMs: null }));
    expect(await purgeRow(await modelsOf(story.log), files('X'))).toMatchObject({
      state: 'pending',
      purge: { request: 3, failure: null },
    });
  });
});

describe('the row of a record', () => {
  test('is live until its purge is requested, and again once that is called off, by verdict or event', async () => {
    const X = files('X');
    const live = async (story: Story): Promise<boolean | undefined> =>
      (await catalogueRow(await modelsOf(story.log), X))?.live;
    const story = (): Story => new Story().file('X', 'o');
    expect(await live(story())).toBe(true);
    expect(await live(story().happens(X, trashed()))).toBe(true);
    expect(await live(story().purge(X))).toBe(false);
    expect(await live(story().dataset('D', 'X').purge(X))).toBe(true);
    expect(await live(story().dataset('D', 'X').purge(X).happens(X, purgeCancelled()))).toBe(true);
    expect(await live(story().purge(X).happens(X, objectKept(), purged()))).toBe(false);
  });

  test('stays after a purge, as a tombstone with all that the record was', async () => {
    const story = new Story().file('X', 'o').purge(files('X'), 'keep').happens(files('X'), objectKept(), purged());
    const row = await catalogueRow(await modelsOf(story.log), files('X'));
    expect(row).toMatchObject({ live: false, record: { revision: 3, fields: { key: 'o' }, purge: { ended: {} } } });
  });

  test('says what it points to', async () => {
    const fields = dataset({ files: [uidFor('X')], labels: [LABEL.uid] });
    const story = new Story().file('X', 'o').happens(datasets('D'), registered({ fields }));
    expect((await catalogueRow(await modelsOf(story.log), datasets('D')))?.pointsTo.toSorted()).toEqual([
      refKey(files('X')),
      refKey(LABEL),
    ]);
  });

  test('comes from no event that a registration does not precede', async () => {
    const story = new Story().happens(files('X'), trashed(), purgeRequested());
    const model = await modelsOf(story.log);
    expect(await catalogueRow(model, files('X'))).toBeUndefined();
    expect(await rowsOf(model, 'history')).toHaveLength(3);
  });
});

describe('the latest of a line', () => {
  const line = (): Story =>
    new Story()
      .file('V1', '1')
      .file('V2', '2', { initialVersion: uidFor('V1') })
      .file('V3', '3', { initialVersion: uidFor('V1') });
  const latest = async (story: Story): Promise<string[]> => {
    const rows = await rowsOf(await modelsOf(story.log), 'catalogue');
    return rows
      .filter(({ registry, isLatest }) => registry !== 'storages' && isLatest)
      .map(({ uid }) => uid.replace(/0+$/, ''));
  };
  const hide = updated({ changes: { visibility: { from: 1, to: 0 } } });
  const show = updated({ changes: { visibility: { from: 0, to: 1 } } });
  const [V1, V2, V3] = [files('V1'), files('V2'), files('V3')];

  test.each<{ what: string; story: () => Story; expected: string[] }>([
    { what: 'alone: itself', story: () => new Story().file('V1', '1'), expected: ['V1'] },
    {
      what: 'alone and in the trash: itself',
      story: () => new Story().file('V1', '1').happens(V1, trashed()),
      expected: ['V1'],
    },
    { what: 'the last registered', story: line, expected: ['V3'] },
    { what: 'not one that is in the trash', story: () => line().happens(V3, trashed()), expected: ['V2'] },
    { what: 'not one that is hidden', story: () => line().happens(V3, hide), expected: ['V2'] },
    {
      what: 'not one that was registered hidden',
      story: () =>
        line().happens(
          files('V4'),
          registered({ visibility: 0, fields: file({ key: '4', keyIsVirtual: false, initialVersion: V1.uid }) }),
        ),
      expected: ['V3'],
    },
    { what: 'again, once it is restored', story: () => line().happens(V3, trashed(), restored()), expected: ['V3'] },
    { what: 'again, once it is shown', story: () => line().happens(V3, hide, show), expected: ['V3'] },
    { what: 'not one that is purging', story: () => line().purge(V3), expected: ['V2'] },
    {
      what: 'again, once its purge is called off',
      story: () => line().purge(V3).happens(V3, purgeCancelled()),
      expected: ['V3'],
    },
    {
      what: 'still, where its purge is called off by the verdict',
      story: () => line().dataset('D', 'V3').purge(V3),
      expected: ['D', 'V3'],
    },
    {
      what: 'the first, where no other is visible',
      story: () => line().happens(V3, trashed()).happens(V2, hide),
      expected: ['V1'],
    },
    {
      what: 'none, where none is visible',
      story: () => line().happens(V3, trashed()).happens(V2, hide).happens(V1, trashed()),
      expected: [],
    },
    {
      what: 'of its own line',
      story: () =>
        line()
          .file('W1', 'w')
          .file('W2', 'x', { initialVersion: uidFor('W1') }),
      expected: ['V3', 'W2'],
    },
    {
      what: 'of its own registry',
      story: () =>
        line().happens(
          { registry: 'datasets', uid: V1.uid },
          registered({ fields: dataset({ initialVersion: V1.uid }) }),
        ),
      expected: ['V1', 'V3'],
    },
    {
      what: 'unmoved by a change of anything else',
      story: () => line().happens(V1, updated(), held()),
      expected: ['V3'],
    },
  ])('$what', async ({ story, expected }) => {
    expect((await latest(story())).sort()).toEqual(expected);
  });
});

describe('the stats', () => {
  const statsOf = async (model: ReadModel): Promise<StatsRow[]> =>
    (await rowsOf(model, 'stats'))
      .filter(({ records }) => records > 0)
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  const group = (
    registry: string,
    suffix: string | null,
    visibility: number,
    records: number,
    bytes: number,
  ): StatsRow => ({
    registry,
    suffix,
    visibility,
    records,
    bytes,
  });

  test('count live records and their bytes, by registry, suffix and visibility', async () => {
    const story = new Story()
      .file('A', 'a', { size: 10 })
      .file('B', 'b', { size: 20 })
      .file('C', 'c', { size: 30, suffix: '.parquet' })
      .file('D', 'd', { size: 40, suffix: null })
      .dataset('E');
    expect(await statsOf(await modelsOf(story.log))).toEqual([
      group('datasets', null, 1, 1, 0),
      group('files', '.csv', 1, 2, 30),
      group('files', '.parquet', 1, 1, 30),
      group('files', null, 1, 1, 40),
      group('storages', null, 1, 1, 0),
    ]);
  });

  test('follow a record through the trash and out of being', async () => {
    const A = files('A');
    const story = new Story().file('A', 'a', { size: 10 }).happens(A, trashed());
    const filesOnly = async (): Promise<StatsRow[]> =>
      (await statsOf(await modelsOf(story.log))).filter(({ registry }) => registry === 'files');
    expect(await filesOnly()).toEqual([group('files', '.csv', -1, 1, 10)]);
    story.happens(A, restored());
    expect(await filesOnly()).toEqual([group('files', '.csv', 1, 1, 10)]);
    story.purge(A);
    expect(await filesOnly()).toEqual([]);
    story.happens(A, purgeCancelled());
    expect(await filesOnly()).toEqual([group('files', '.csv', 1, 1, 10)]);
  });

  test.each([21, 22])('are what counting the records gives, whatever happened (seed %i)', async (seed) => {
    const { recorded } = generateLog(seed, 600);
    const model = await projected(recorded, 50);
    const counted = new Map<string, StatsRow>();
    for (const { live, registry, record } of await rowsOf(model, 'catalogue')) {
      if (!live) continue;
      const { fields, visibility } = record;
      const suffix = fields.kind === 'file' ? fields.suffix : null;
      const key = JSON.stringify([registry, suffix, visibility]);
      const { records, bytes } = counted.get(key) ?? { records: 0, bytes: 0 };
      const size = fields.kind === 'file' ? fields.size : 0;
      counted.set(key, group(registry, suffix, visibility, records + 1, bytes + size));
    }
    const byText = (a: StatsRow, b: StatsRow): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
    expect(await statsOf(model)).toEqual([...counted.values()].sort(byText));
    expect((await rowsOf(model, 'stats')).every(({ records, bytes }) => records >= 0 && bytes >= 0)).toBe(true);
  });
});

describe('history and operations', () => {
  test('every event has a row, with all that was said about it', async () => {
    const { recorded } = generateLog(5, 200);
    const rows = await rowsOf(await projected(recorded, 9), 'history');
    expect(rows).toHaveLength(200);
    rows.forEach((row, index) => {
      const known = recorded[index];
      if (known === undefined) throw new Error('there are more rows than events');
      const { type, ...data } = known.event;
      const { meta, id, registry, uid, revision, position } = known;
      const { commandHash: _, ...said } = meta;
      expect(row).toEqual({ position: String(position), registry, uid, revision, id, type, data, ...said });
    });
  });

  test('an operation runs until it is completed, with what it skipped', async () => {
    const ref = { registry: 'operations', uid: uidFor('op') };
    const total = { records: 3, bytes: 36 };
    const log = new TestLog();
    log.happens({ registry: 'log', uid: 'instance' }, instanceCreated());
    log.happens(
      ref,
      operationStarted({ criteria: { registry: 'files' }, position: '1', total }, { actor: 'bob', reason: 'old' }),
    );
    log.happens({ registry: 'log', uid: 'clock' }, clockTicked());
    const [running] = await rowsOf(await modelsOf(log), 'operations');
    expect(running).toMatchObject({
      id: ref.uid,
      state: 'running',
      startedBy: 'bob',
      reason: 'old',
      total,
      endedAt: null,
      revision: 0,
    });
    const skipped = [{ ...FILE, code: 'on-hold' }];
    log.happens(ref, operationCompleted({ purged: 2, skippedCount: 1, skipped }));
    const [done] = await rowsOf(await modelsOf(log), 'operations');
    expect(done).toMatchObject({ state: 'done', purged: 2, skippedCount: 1, skipped, startedBy: 'bob', revision: 1 });
    expect(done?.endedAt).not.toBeNull();
  });

  test("the log's own events are in the history, and in nothing else", async () => {
    const log = new TestLog();
    log.happens({ registry: 'log', uid: 'instance' }, instanceCreated());
    log.happens({ registry: 'log', uid: 'clock' }, clockTicked());
    const model = await modelsOf(log);
    expect((await rowsOf(model, 'history')).map(({ registry }) => registry)).toEqual(['log', 'log']);
    for (const collection of ['catalogue', 'purges', 'operations', 'stats'] as const)
      expect(await rowsOf(model, collection)).toEqual([]);
  });
});

describe('what the purge saga does next', () => {
  const now = { sinceFailure: 0, sinceKeep: 0 };
  const verdicts: Record<string, Verdict> = {
    'called off': { fate: 'called-off', by: [LABEL] },
    kept: { fate: 'keep', why: 'semantic-key', by: [] },
    'no object': { fate: 'no-object' },
    deleted: { fate: 'delete' },
  };
  const stepIn = (state: State, verdict: Verdict, waited = now): Step => {
    const { record } = given(...STATES[state]);
    return nextStep(record, record?.purge?.request ?? 0, verdict, waited);
  };
  const nothing: Step = { do: 'nothing' };
  const seen = file().seen;

  test.each<{ state: State; verdict: string; step: Step }>([
    { state: 'purging', verdict: 'called off', step: { do: 'report', report: { step: 'cancel', by: [LABEL] } } },
    {
      state: 'purging',
      verdict: 'kept',
      step: { do: 'report', report: { step: 'keep', why: 'semantic-key', by: [] } },
    },
    { state: 'purging', verdict: 'no object', step: { do: 'report', report: { step: 'end' } } },
    { state: 'purging', verdict: 'deleted', step: { do: 'start' } },
    { state: 'purging from the trash', verdict: 'deleted', step: { do: 'start' } },
    { state: 'called off, and requested again', verdict: 'deleted', step: { do: 'start' } },
    { state: 'being deleted', verdict: 'deleted', step: { do: 'delete', seen } },
    { state: 'retried', verdict: 'deleted', step: { do: 'delete', seen } },
    { state: 'failed', verdict: 'deleted', step: { do: 'wait', ms: 1_000 } },
    { state: 'failed before its deletion started', verdict: 'deleted', step: { do: 'wait', ms: 1_000 } },
    { state: 'parked', verdict: 'deleted', step: nothing },
    { state: 'parked before its deletion started', verdict: 'deleted', step: nothing },
    {
      state: 'asked to keep before its deletion started',
      verdict: 'deleted',
      step: { do: 'report', report: { step: 'keep', why: 'asked', by: [] } },
    },
    { state: 'asked to keep', verdict: 'deleted', step: { do: 'wait', ms: KEEP_AFTER_MS } },
    { state: 'asked to keep, and failed again', verdict: 'deleted', step: { do: 'wait', ms: 1_000 } },
    { state: 'deleted', verdict: 'deleted', step: { do: 'clear', manifest: '.lethe/deletions/a.jsonl' } },
    { state: 'kept', verdict: 'deleted', step: { do: 'clear', manifest: '.lethe/deletions/a.jsonl' } },
    { state: 'purged, its object deleted', verdict: 'deleted', step: nothing },
    { state: 'purged, its object kept', verdict: 'kept', step: nothing },
    { state: 'visible', verdict: 'deleted', step: nothing },
    { state: 'never existed', verdict: 'deleted', step: nothing },
    { state: 'called off', verdict: 'called off', step: nothing },
  ])('$state, to be $verdict: $step.do', ({ state, verdict, step }) => {
    const known = verdicts[verdict];
    if (known === undefined) throw new Error(`there is no verdict ${verdict}`);
    expect(stepIn(state, known)).toEqual(step);
  });

  test('a verdict on another request than the open one is not carried out', () => {
    const { record } = given(...STATES['called off, and requested again']);
    for (const verdict of Object.values(verdicts)) expect(nextStep(record, 1, verdict, now)).toEqual(nothing);
  });

  test('what is settled ends, whatever the verdict was', () => {
    const { record } = given(registered(), purgeRequested(), objectKept());
    for (const verdict of Object.values(verdicts)) {
      expect(nextStep(record, 1, verdict, now)).toEqual({ do: 'report', report: { step: 'end' } });
    }
  });

  test('a wait is over once it was waited, not before', () => {
    const waited = (sinceFailure: number): Step => stepIn('failed', { fate: 'delete' }, { ...now, sinceFailure });
    expect(waited(400)).toEqual({ do: 'wait', ms: 600 });
    expect(waited(999.5)).toEqual({ do: 'wait', ms: 0.5 });
    expect(waited(1_000)).toEqual({ do: 'delete', seen });
    expect(waited(5_000)).toEqual({ do: 'delete', seen });
  });

  test('a keep after a start waits for an hour, then looks whether the object is whole', () => {
    const waited = (sinceKeep: number): Step => stepIn('asked to keep', { fate: 'delete' }, { ...now, sinceKeep });
    expect(KEEP_AFTER_MS).toBe(3_600_000);
    expect(waited(KEEP_AFTER_MS - 1)).toEqual({ do: 'wait', ms: 1 });
    expect(waited(KEEP_AFTER_MS)).toEqual({ do: 'settle', seen });
  });

  test('a keep after a start is never answered with a deletion', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 * KEEP_AFTER_MS }), fc.nat({ max: 5_000 }), (sinceKeep, sinceFailure) => {
        for (const state of ['asked to keep', 'asked to keep, and failed again'] as const) {
          expect(stepIn(state, { fate: 'delete' }, { sinceKeep, sinceFailure }).do).not.toBe('delete');
        }
      }),
    );
  });
});

describe('how long the saga waits after a failure', () => {
  const policy = { attempts: 5, firstWaitMs: 1_000, maxWaitMs: 6_000 };

  test.each([
    { attempt: 1, least: 500, most: 1_000 },
    { attempt: 2, least: 1_000, most: 2_000 },
    { attempt: 3, least: 2_000, most: 4_000 },
    { attempt: 4, least: 3_000, most: 6_000 },
  ])('try $attempt: between $least and $most ms', ({ attempt, least, most }) => {
    expect(waitAfter(attempt, policy, 0)).toBe(least);
    expect(waitAfter(attempt, policy, 0.5)).toBe((least + most) / 2);
    expect(waitAfter(attempt, policy, 1 - Number.EPSILON)).toBe(most);
  });

  test('after the last try it is parked', () => {
    expect(waitAfter(5, policy, 0)).toBeNull();
    expect(waitAfter(6, policy, 0.9)).toBeNull();
    expect(waitAfter(1, { ...policy, attempts: 1 }, 0)).toBeNull();
  });

  test('it is never longer than the longest, nor shorter than half of what it could be, however often', () => {
    const any = fc.record({
      attempts: fc.integer({ min: 1, max: 100 }),
      firstWaitMs: fc.integer({ min: 1, max: 60_000 }),
      maxWaitMs: fc.integer({ min: 1, max: 3_600_000 }),
    });
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(any, fc.integer({ min: 1, max: 100 }), chance, (some, attempt, by) => {
        const wait = waitAfter(attempt, some, by);
        if (attempt >= some.attempts) expect(wait).toBeNull();
        else {
          const full = Math.min(some.firstWaitMs * 2 ** (attempt - 1), some.maxWaitMs);
          expect(wait).toBeGreaterThanOrEqual(Math.floor(full / 2));
          expect(wait).toBeLessThanOrEqual(full);
          expect(Number.isInteger(wait)).toBe(true);
        }
      }),
    );
  });
});
