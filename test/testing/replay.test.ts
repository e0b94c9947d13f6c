import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORMATS, NDJSON } from '../../src/api/export.js';
import { historyRow } from '../../src/projections/project.js';
import { differences, dumpOf, folded } from '../../src/testing/folding.js';
import {
  DATASET,
  dataset,
  FILE,
  file,
  given,
  Invalid,
  LABEL,
  plain,
  PurgeRecord,
  purged,
  purgeRequested,
  registered,
  replay,
  startLethe,
  TestLog,
  trashed,
  uidFor,
} from '../../src/testing/testing.js';
import { command } from '../harness/command.js';
import { generateLog } from '../harness/log-generator.js';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'lethe-replay-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const written = async (name: string, log: TestLog): Promise<string> => {
  const path = join(home, name);
  await writeFile(path, FORMATS[NDJSON].lines(log.recorded.map(historyRow)));
  return path;
};

const other = (name: string) => ({ registry: 'files', uid: uidFor(name) });
const story = (): TestLog => {
  const log = new TestLog();
  log.happens(FILE, registered({ fields: file({ size: 5_000 }) }));
  log.happens(other('two'), registered({ fields: file({ path: '.lethe/two', suffix: '.parquet' }) }), trashed());
  log.happens(
    other('three'),
    registered({ fields: file({ path: '.lethe/three' }) }),
    trashed(),
    purgeRequested(),
    purged(),
  );
  log.happens(DATASET, registered({ fields: dataset({ files: [FILE.uid] }), visibility: 0 }));
  log.happens(LABEL, registered({ fields: plain() }));
  return log;
};

describe('a replay', () => {
  test('takes the queries of the API, on a file and on events alike', async () => {
    const log = story();
    for (const rows of [await replay(await written('story.ndjson', log)), await replay(log.recorded)]) {
      expect(rows).toMatchObject({ events: log.head, position: String(log.head) });
      expect(rows.find({ visibility: -1 })).toMatchObject([{ registry: 'files', uid: uidFor('two') }]);
      expect(rows.trash()).toHaveLength(1);
      expect(rows.find().map(({ registry }) => registry)).toEqual(['files', 'labels']);
      expect(rows.find({ registry: 'files', visibility: null, 'size[gte]': 1_000 })).toMatchObject([{ uid: FILE.uid }]);
      expect(rows.find({ registry: 'files', visibility: 'any', sort: 'size', limit: 1 })).toMatchObject([{ size: 12 }]);
      expect(rows.count({ visibility: 'any' })).toBe(4);
      expect(rows.find({ visibility: 'any', files: FILE.uid })).toMatchObject([{ uid: DATASET.uid }]);
      expect(rows.get(FILE)).toMatchObject({ size: 5_000, visibility: 1 });
      expect(rows.get(other('three'))).toBeNull();
      expect(rows.purges('done')).toMatchObject([{ uid: uidFor('three'), state: 'done' }]);
      expect(rows.purges('parked')).toEqual([]);
      expect(rows.history(other('two')).map(({ type }) => type)).toEqual(['RecordRegistered', 'RecordTrashed']);
      expect(rows.history()).toHaveLength(log.head);
      expect(() => rows.find({ colour: 'red' })).toThrow(Invalid);
      expect(() => rows.find({ registry: 'labels', 'size[gte]': 1 })).toThrow(Invalid);
    }
  });

  test('finds all rows, however many there are', async () => {
    const log = new TestLog();
    for (let n = 0; n < 1_100; n += 1)
      log.happens(other(`n${n}x`), registered({ fields: file({ path: `.lethe/${n}` }) }));
    expect((await replay(log.recorded)).find()).toHaveLength(1_100);
  });

  test('says how a decision is told as a story', () => {
    given(registered(), trashed())
      .when(new PurgeRecord({ storage: 'delete' }))
      .then(purgeRequested({ storage: 'delete' }));
  });
});

test('two dumps differ where a value does, value by value', async () => {
  const [a, b] = [story(), story()];
  b.happens(FILE, trashed());
  const found = differences(await dumpOf(await folded(a.recorded)), await dumpOf(await folded(b.recorded)));
  expect(found).toContainEqual({ at: `catalogue files/${FILE.uid} record visibility`, expected: 1, found: -1 });
  expect(differences(await dumpOf(await folded(a.recorded)), await dumpOf(await folded(story().recorded)))).toEqual([]);
});

test('a service for a test answers, and is gone at the end', async () => {
  let left: string;
  {
    await using lethe = await startLethe();
    left = lethe.data;
    const made = await fetch(`${lethe.url}/v1/labels`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'raw' }),
    });
    expect(made.status).toBe(201);
    expect(existsSync(left)).toBe(true);
  }
  expect(existsSync(left)).toBe(false);
});

describe('lethe replay', () => {
  test('writes a snapshot, and finds what is different later', async () => {
    const log = generateLog(4, 300);
    const path = await written('log.ndjson', log);
    const snapshot = join(home, 'snapshot.json');
    expect(await command(['replay', path, '--write', snapshot])).toMatchObject({ code: 0, err: '' });
    expect(await command(['replay', path, '--expect', snapshot])).toMatchObject({ code: 0, err: '' });

    const after = await written('story2.ndjson', story());
    expect((await command(['replay', after, '--write', snapshot])).code).toBe(0);
    const more = story();
    more.happens(FILE, trashed());
    const { code, out, err } = await command(['replay', await written('more.ndjson', more), '--expect', snapshot]);
    expect(code).toBe(1);
    expect(out).toContain(`catalogue files/${FILE.uid} record visibility\n  - 1\n  + -1\n`);
    expect(err).toMatch(/lethe: \d+ values differ from .*snapshot\.json/);
  });

  test('says in which line a file is wrong, and when a snapshot is none', async () => {
    const path = join(home, 'wrong.ndjson');
    await writeFile(path, '{}\n');
    expect(await command(['replay', path])).toMatchObject({ code: 1 });
    expect((await command(['replay', path])).err).toContain('line 1: is not an event as it is exported');
    const log = await written('right.ndjson', story());
    const { code, err } = await command(['replay', log, '--expect', log]);
    expect(code).toBe(1);
    expect(err).toContain('is no snapshot: make one with lethe replay --write');
  });
});
