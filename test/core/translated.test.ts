import { describe, expect, test } from 'vitest';
import { FORMATS, NDJSON } from '../../src/api/export.js';
import { digestOf } from '../../src/events/codec.js';
import { EVENTS, type LetheEvent } from '../../src/events/events.js';
import { BadLine, readExport, type Exported } from '../../src/events/exported.js';
import { withPositions } from '../../src/events/positions.js';
import { Positions, Translation } from '../../src/events/translated.js';
import { positionSchema } from '../../src/events/vocabulary.js';
import { historyRow } from '../../src/projections/project.js';
import type { StoredEvent } from '../../src/storage/event-store/port.js';
import {
  DATASET,
  FILE,
  file,
  instanceCreated,
  operationStarted,
  plain,
  purgeRequested,
  registered,
  trashed,
  uidFor,
  updated,
} from '../../src/testing/events.js';
import { TestLog } from '../../src/testing/log.js';
import { Chain } from '../../src/upkeep/chain.js';
import { shapeOf, TYPES, type Shape } from '../harness/event-arbitraries.js';

const LABEL = { registry: 'labels', uid: uidFor('label') };
const OPERATION = { registry: 'operations', uid: uidFor('operation') };

const exportOf = async (log: TestLog): Promise<Exported[]> => {
  const bytes = Buffer.from(FORMATS[NDJSON].lines(log.recorded.map(historyRow)));
  const exported: Exported[] = [];
  for await (const each of readExport(only(bytes), 'lethe.')) exported.push(each);
  return exported;
};

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The log as it comes to lie where each event gets ten times its position, and a thousand more. */
const translatedOf = async (log: TestLog): Promise<StoredEvent[]> => {
  const exported = await exportOf(log);
  const positions = new Positions(exported.length);
  const translation = new Translation(positions);
  return exported.map((each) => {
    const translated = translation.next(each);
    const position = 1_000n + each.stored.position * 10n;
    positions.add(each.stored.position, position);
    return { ...translated, position };
  });
};

const dataOf = (event: StoredEvent | undefined): unknown => JSON.parse(event?.data ?? 'null');
const metaOf = (event: StoredEvent | undefined): { previous: string | null } =>
  JSON.parse(event?.metadata ?? 'null') as { previous: string | null };

describe('positions', () => {
  const positions = new Positions(3);
  positions.add(5n, 512n);
  positions.add(6n, 700n);
  positions.add(90n, 1_300n);

  test.each([
    ['before the first', 0n, 0n],
    ['right before the first', 4n, 0n],
    ['of the first', 5n, 512n],
    ['of one in the middle', 6n, 700n],
    ['in a gap', 89n, 700n],
    ['of the last', 90n, 1_300n],
    ['after the last', 2n ** 63n, 1_300n],
  ])('a position %s is that of the last event at or before it', (_, before, now) => {
    expect(positions.of(before)).toBe(now);
  });

  test('rise in both logs, or are refused', () => {
    expect(() => positions.add(90n, 1_400n)).toThrow(RangeError);
    expect(() => positions.add(91n, 1_300n)).toThrow(RangeError);
    expect([...positions.inOrder()]).toEqual([512n, 700n, 1_300n]);
  });
});

describe('events that name positions', () => {
  /** The fields of an event that its schema says hold a position. */
  const positionFields = (shape: Shape): string[] =>
    Object.entries(shape.properties ?? {})
      .filter(([, field]) => JSON.stringify(field).includes(JSON.stringify(shapeOf(positionSchema).pattern)))
      .map(([name]) => name);

  test.each(TYPES)('%s: each field that holds one is replaced, and nothing else', (type) => {
    const shape = shapeOf(EVENTS[type].schema);
    const named = positionFields(shape);
    const event = Object.fromEntries([['type', type], ...named.map((name) => [name, '7'])]) as unknown as LetheEvent;
    const seen: string[] = [];
    const replaced = withPositions(event, (position) => {
      seen.push(position);
      return '70';
    });
    expect(replaced).toEqual(Object.fromEntries([['type', type], ...named.map((name) => [name, '70'])]));
    expect(seen).toHaveLength(named.length);
  });

  test('those that name none are left as they are', () => {
    const event: LetheEvent = { type: 'RecordUpdated', changes: {}, withdraws: null };
    expect(withPositions(event, () => '70')).toBe(event);
  });
});

describe('a log that gets other positions', () => {
  test.each([
    ['seenAt of a registration', registered({ fields: file(), seenAt: '2' }), { seenAt: '1020' }],
    ['seenAt before the first event', registered({ fields: file(), seenAt: '0' }), { seenAt: '0' }],
    ['no seenAt', registered({ fields: plain(), seenAt: null }), { seenAt: null }],
    ['withdraws of an update', updated({ withdraws: '2' }), { withdraws: '1020' }],
    ['withdraws of a purge', purgeRequested({ withdraws: '1' }), { withdraws: '1010' }],
    ['position of an operation', operationStarted({ position: '2' }), { position: '1020' }],
  ])('names its own: %s', async (_, happening, expected) => {
    const log = new TestLog();
    log.happens({ registry: 'log', uid: 'instance' }, instanceCreated());
    log.happens(LABEL, registered({ fields: plain() }));
    log.happens(OPERATION, happening);
    const [stored] = log.stored.slice(-1);
    const moved = (await translatedOf(log)).at(-1);
    expect(moved).toMatchObject({ id: stored?.id, type: stored?.type, stream: stored?.stream, revision: 0 });
    expect(dataOf(moved)).toEqual({ ...Object(dataOf(stored)), ...expected });
    expect(Object.keys(Object(dataOf(moved)))).toEqual(Object.keys(Object(dataOf(stored))));
    expect(metaOf(moved)).toEqual({ ...metaOf(stored), commandHash: null });
  });

  test('is a chain again: digests change after what was changed, and nowhere else', async () => {
    const log = new TestLog();
    log.happens({ registry: 'log', uid: 'instance' }, instanceCreated());
    log.happens(LABEL, registered({ fields: plain() }), updated(), trashed());
    log.happens(FILE, registered({ fields: file(), seenAt: '3' }), updated(), trashed(), purgeRequested());
    log.happens(DATASET, registered({ fields: plain() }), updated(), updated({ withdraws: '10' }), trashed());
    const moved = await translatedOf(log);
    const chain = new Chain('lethe.', (finding) => expect.unreachable(finding.what));
    for (const event of moved) chain.see(event);
    expect(chain.another()).toBe(false);
    const changed = moved.map((event, index) => metaOf(event).previous !== metaOf(log.stored[index]).previous);
    const ofFile = [false, true, true, true];
    const ofDataset = [false, false, false, true];
    expect(changed).toEqual([false, false, false, false, ...ofFile, ...ofDataset]);
    expect(moved.map(({ data }, index) => data !== log.stored[index]?.data).filter(Boolean)).toHaveLength(2);
  });

  test('has the digests of what is stored', async () => {
    const log = new TestLog();
    log.happens({ registry: 'log', uid: 'instance' }, instanceCreated());
    log.happens(FILE, registered({ fields: file(), seenAt: '1' }), updated());
    const [, first, second] = await translatedOf(log);
    const [, recorded] = log.recorded;
    if (first === undefined || recorded === undefined) throw new Error('nothing was registered');
    expect(metaOf(second).previous).toBe(digestOf(first, recorded.meta));
  });
});

test.each(['3', '4', '9000000000000000000'])(
  'an event at position 3 that names position %s is refused',
  async (seenAt) => {
    const log = new TestLog();
    log.happens({ registry: 'log', uid: 'instance' }, instanceCreated());
    log.happens(LABEL, registered({ fields: plain() }));
    log.happens(FILE, registered({ fields: file(), seenAt }));
    const refused = exportOf(log);
    await expect(refused).rejects.toThrow(BadLine);
    await expect(refused).rejects.toThrow(
      `line 3: the RecordRegistered of files/${FILE.uid} is at position 3 and names`,
    );
  },
);
