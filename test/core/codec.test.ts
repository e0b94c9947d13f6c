import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, digestOf, encode, streamOf, Unreadable } from '../../src/events/codec.js';
import { EVENTS, metadataSchema, type LetheEvent, type Metadata, type Recorded } from '../../src/events/events.js';
import { historyRow } from '../../src/projections/project.js';
import type { StoredEvent } from '../../src/storage/event-store/port.js';
import {
  DATASET,
  dataset,
  deletionStarted,
  FILE,
  purged,
  purgeRequested,
  registered,
  trashed,
} from '../../src/testing/events.js';
import { TestLog } from '../../src/testing/log.js';
import {
  describe as described,
  expectedNames,
  presentNames,
  readGolden,
  writeMissing,
} from '../golden/golden-events.js';
import { anyEvent, anyMetadata, shapeOf } from '../harness/event-arbitraries.js';

const PREFIX = 'lethe.';
if (process.env['LETHE_GOLDEN'] === 'write') writeMissing();

const storedOf = (event: LetheEvent, meta: Metadata, registry = 'files', uid = FILE.uid): StoredEvent => ({
  ...encode(meta.commandId, event, meta),
  stream: streamOf(PREFIX, registry, uid),
  revision: 3,
  position: 7n,
});

const one = (): StoredEvent => {
  const log = new TestLog();
  log.happens(FILE, trashed());
  const [stored] = log.stored;
  if (stored === undefined) throw new Error('nothing was stored');
  return stored;
};

const failure = (stored: StoredEvent, upcasters?: Parameters<typeof decode>[2]): unknown => {
  try {
    return decode(PREFIX, stored, upcasters);
  } catch (error) {
    return error;
  }
};

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('golden files', () => {
  test('there is one for every version of every event, and for nothing else', () => {
    expect(presentNames(), 'LETHE_GOLDEN=write npx vitest run test/core/codec.test.ts writes what is missing').toEqual(
      expectedNames(),
    );
  });

  describe.each(presentNames())('%s', (name) => {
    const golden = readGolden(name);
    const read = golden.examples.map(({ stored }): StoredEvent => ({ ...stored, position: BigInt(stored.position) }));

    test('is named as what is in it', () => {
      expect(name).toBe(`${golden.type}.v${golden.version}.json`);
      expect(golden.examples.length).toBeGreaterThan(0);
      for (const { stored, recorded } of golden.examples) {
        expect(stored.type).toBe(golden.type);
        expect(recorded.meta.version).toBe(golden.version);
      }
    });

    test('decodes to exactly what is kept beside it', () => {
      golden.examples.forEach(({ recorded }, index) => {
        const stored = read[index];
        expect(stored && decode(PREFIX, stored)).toStrictEqual(recorded);
      });
    });

    test('keeps its digests: a chain that was written holds for ever', () => {
      golden.examples.forEach(({ digest, recorded }, index) => {
        const stored = read[index];
        expect(stored && digestOf(stored, recorded.meta)).toBe(digest);
      });
    });

    if (golden.version === EVENTS[golden.type].version) {
      test('is what is written today, byte for byte', () => {
        for (const stored of read) {
          const { id, type, data, metadata } = stored;
          const recorded = decode(PREFIX, stored);
          expect(recorded && encode(id, recorded.event, recorded.meta)).toEqual({ id, type, data, metadata });
        }
      });

      test('has the fields of the schema: a changed one is a new version of the event', () => {
        expect(asJson(described(shapeOf(EVENTS[golden.type].schema)))).toEqual(golden.shape);
      });

      test('is refused with a field that is missing, renamed, of another type, or one too many', () => {
        for (const stored of read) {
          const data = JSON.parse(stored.data) as object;
          for (const { what, changed } of changesOf(data, FREE[golden.type] ?? [])) {
            expect(failure({ ...stored, data: JSON.stringify(changed) }), `${what} in ${stored.data}`).toBeInstanceOf(
              Unreadable,
            );
          }
        }
      });
    }

    test('is refused with other metadata than there are', () => {
      const [stored] = read;
      if (stored === undefined) return;
      for (const { what, changed } of changesOf(JSON.parse(stored.metadata) as object, [])) {
        expect(failure({ ...stored, metadata: JSON.stringify(changed) }), what).toBeInstanceOf(Unreadable);
      }
    });
  });

  test('the metadata have the fields that they had in version 1 of every event', () => {
    expect(described(shapeOf(metadataSchema))).toEqual({
      version: 'integer > 0',
      actor: 'string',
      reason: 'string | null',
      commandId: 'string uuid',
      commandHash: 'string | null',
      correlationId: 'string',
      at: 'string ^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
      previous: 'string | null',
    });
  });
});

/** Where an event holds JSON of its own: whatever lies there is a caller's. */
const FREE: Readonly<Record<string, readonly string[]>> = {
  RecordRegistered: ['fields.data'],
  RecordUpdated: ['changes', 'changes.*.from', 'changes.*.to'],
  OperationStarted: ['criteria'],
};

/** Every way to change one field of a value, at any depth. */
const changesOf = (value: object, free: readonly string[], path = ''): { what: string; changed: object }[] => {
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown, index) =>
      isObject(item)
        ? changesOf(item, free, path).map(({ what, changed }) => ({
            what,
            changed: value.with(index, changed) as object,
          }))
        : [],
    );
  }
  const entries = Object.entries(value) as [string, unknown][];
  const open = free.includes(path);
  const own = open
    ? []
    : [
        { what: `${path} has one too many`, changed: { ...value, surplus: 1 } },
        ...entries.flatMap(([name, item]) => {
          const at = pathOf(path, name);
          if (isFree(at, free)) return [];
          const { [name]: _, ...rest } = value as Record<string, unknown>;
          return [
            { what: `${at} is missing`, changed: rest },
            { what: `${at} is renamed`, changed: { ...rest, [`${name}X`]: item } },
            { what: `${at} has another type`, changed: { ...value, [name]: { of: 'another type' } } },
          ];
        }),
      ];
  const deeper = entries.flatMap(([name, item]) => {
    const at = pathOf(path, name);
    if (!isObject(item) || (isFree(at, free) && !free.some((other) => other.startsWith(`${at}.`)))) return [];
    return changesOf(item, free, at).map(({ what, changed }) => ({ what, changed: { ...value, [name]: changed } }));
  });
  return [...own, ...deeper];
};

const pathOf = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);
const isFree = (path: string, free: readonly string[]): boolean =>
  free.some((pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]+')}$`).test(path));
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

describe('what was encoded', () => {
  test('decodes to the same, whatever the event', () => {
    fc.assert(
      fc.property(anyEvent(), anyMetadata, (event, meta) => {
        const recorded: Recorded = { event, meta, id: meta.commandId, ...FILE, revision: 3, position: 7 };
        expect(decode(PREFIX, storedOf(event, meta))).toStrictEqual(recorded);
      }),
      { numRuns: 500 },
    );
  });

  test('keeps its members in the order in which they were written', () => {
    const { files, ...fields } = dataset({ name: 'sales' });
    const log = new TestLog();
    log.happens(DATASET, registered({ fields: { files, ...fields } }));
    const [stored] = log.stored;
    const recorded = stored === undefined ? null : decode(PREFIX, stored);
    expect(recorded && JSON.stringify(historyRow(recorded).data)).toBe(stored?.data);
    expect(stored?.data).toMatch(/"fields":\{"files"/);
  });

  test('is encoded the same when it was decoded, byte for byte: an export proves itself by its digests', () => {
    fc.assert(
      fc.property(anyEvent(), anyMetadata, (event, meta) => {
        const stored = storedOf(event, meta);
        const recorded = decode(PREFIX, stored);
        if (recorded === null) throw new Error('it is not known');
        expect(JSON.stringify(historyRow(recorded).data)).toBe(stored.data);
        expect(encode(stored.id, recorded.event, recorded.meta)).toMatchObject({
          data: stored.data,
          metadata: stored.metadata,
        });
      }),
      { numRuns: 500 },
    );
  });

  test('says whose it is: the registry and uid are those of the stream, whatever the prefix', () => {
    const meta: Metadata = { ...metadata(one()), version: 1 };
    for (const prefix of ['lethe.', 'team_1.lethe.', 'x']) {
      const stored = { ...storedOf({ type: 'RecordHeld' }, meta), stream: streamOf(prefix, 'my_registry2', 'a-b') };
      expect(decode(prefix, stored)).toMatchObject({ registry: 'my_registry2', uid: 'a-b' });
    }
  });

  const metadata = (stored: StoredEvent): Metadata => metadataSchema.parse(JSON.parse(stored.metadata));
});

describe('what cannot be read', () => {
  test('a type that this version does not know is null, whatever else it holds', () => {
    for (const type of ['RecordTeleported', 'toString', '__proto__', '']) {
      expect(decode(PREFIX, { ...one(), type, data: 'garbage', metadata: 'garbage', stream: 'other' })).toBeNull();
    }
  });

  test('a newer version is Unreadable, and says to upgrade', () => {
    const stored = one();
    const newer = { ...stored, metadata: JSON.stringify({ ...(JSON.parse(stored.metadata) as object), version: 2 }) };
    const error = failure(newer);
    expect(error).toBeInstanceOf(Unreadable);
    expect(String(error)).toMatch(/event 1 \(RecordTrashed of lethe\.files-file0{16}\).*version 2.*version 1.*upgrade/);
  });

  test('a newer version with metadata that are no longer those of today says to upgrade as well', () => {
    const stored = one();
    const newer = { ...(JSON.parse(stored.metadata) as object), version: 2, tenant: 'acme' };
    expect(String(failure({ ...stored, metadata: JSON.stringify(newer) }))).toMatch(/upgrade/);
  });

  test.each([
    { what: 'data that are no JSON', change: { data: '{"from":1' } },
    { what: 'no data', change: { data: '' } },
    { what: 'data that are a list', change: { data: '[]' } },
    { what: 'data that are a text', change: { data: '"x"' } },
    { what: 'data that are null', change: { data: 'null' } },
    { what: 'data of another event', change: { data: '{"to":1}' } },
    { what: 'metadata that are no JSON', change: { metadata: '?' } },
    { what: 'metadata that are a list', change: { metadata: '[]' } },
    { what: 'empty metadata', change: { metadata: '{}' } },
    { what: 'a stream of another name', change: { stream: 'lethe.files' } },
    { what: 'a stream of another prefix', change: { stream: 'other.files-abc' } },
  ])('$what is Unreadable, and says which event it is', ({ what, change }) => {
    const error = failure({ ...one(), ...change });
    expect(error).toBeInstanceOf(Unreadable);
    expect(String(error)).toMatch(change.stream ?? /event 1 \(RecordTrashed of lethe\.files/);
    expect(String(error), what).not.toMatch(/upgrade/);
  });

  test('any bytes at all are Unreadable or read, and nothing else happens', () => {
    const text = fc.oneof(fc.string(), fc.json());
    fc.assert(
      fc.property(text, text, (data, metadata) => {
        const result = failure({ ...one(), data, metadata });
        expect(result instanceof Unreadable).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('an event of an older version', () => {
  /** Version 1 called it `visibility`, version 2 `was`, today's says `from`, and whether retention was on. */
  const upcasters: Parameters<typeof decode>[2] = {
    RecordTrashed: [
      ({ visibility, ...rest }) => ({ ...rest, was: visibility }),
      ({ was, ...rest }) => ({ ...rest, from: was, purgeAfter: null }),
    ],
  };
  const old = (version: number, data: object): StoredEvent => {
    const stored = one();
    return {
      ...stored,
      data: JSON.stringify(data),
      metadata: JSON.stringify({ ...(JSON.parse(stored.metadata) as object), version }),
    };
  };
  /** As if today's version of the event were this one. */
  const atVersion = <T>(version: number, use: () => T): T => {
    const known = EVENTS.RecordTrashed;
    const today = known.version;
    Object.assign(known, { version });
    try {
      return use();
    } finally {
      Object.assign(known, { version: today });
    }
  };

  test.each([
    { version: 1, data: { visibility: 0 } },
    { version: 2, data: { was: 0 } },
    { version: 3, data: { from: 0, purgeAfter: null } },
  ])('$version is lifted step by step to what it is today', ({ version, data }) => {
    const recorded = atVersion(3, () => decode(PREFIX, old(version, data), upcasters));
    expect(recorded?.event).toEqual({ type: 'RecordTrashed', from: 0, purgeAfter: null });
    expect(recorded?.meta.version, 'it says in which version it was written').toBe(version);
  });

  test('that is newer than the last upcaster knows is Unreadable', () => {
    expect(String(atVersion(3, () => failure(old(4, { from: 0, purgeAfter: null }), upcasters)))).toMatch(/upgrade/);
  });

  test('whose upcaster leaves it unfinished is Unreadable: no silent gap', () => {
    const unfinished = { RecordTrashed: [(data: Record<string, unknown>) => data] };
    expect(atVersion(2, () => failure(old(1, { visibility: 0 }), unfinished))).toBeInstanceOf(Unreadable);
  });

  test('leaves other events alone', () => {
    const log = new TestLog();
    log.happens(FILE, registered(), purgeRequested(), deletionStarted(), purged());
    for (const [index, stored] of log.stored.entries()) {
      expect(decode(PREFIX, stored, upcasters)).toEqual(log.recorded[index]);
    }
  });
});

describe('the digest of an event', () => {
  const stored = one();
  const recorded = decode(PREFIX, stored);
  if (recorded === null) throw new Error('it is not known');
  const { meta } = recorded;
  const digest = digestOf(stored, meta);

  test('is base64url of 32 bytes', () => {
    expect(digest).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  test.each(['id', 'type', 'data'] as const)('covers its %s', (name) => {
    expect(digestOf({ ...stored, [name]: `${stored[name]} ` }, meta)).not.toBe(digest);
  });

  test.each(['version', 'at', 'actor', 'reason', 'commandId', 'correlationId', 'previous'] as const)(
    'covers its %s',
    (name) => {
      expect(digestOf(stored, { ...meta, [name]: name === 'version' ? 9 : 'other' })).not.toBe(digest);
    },
  );

  test('covers all that an export holds of it but its place', () => {
    const { position: _, registry: __, uid: ___, revision: ____, ...row } = historyRow(recorded);
    expect(Object.keys(row).sort()).toEqual(
      ['actor', 'at', 'commandId', 'correlationId', 'data', 'id', 'previous', 'reason', 'type', 'version'].sort(),
    );
  });

  test('chains a stream: each event carries that of the one before', () => {
    const log = new TestLog();
    log.happens(FILE, registered(), trashed(), purgeRequested());
    let previous: string | null = null;
    for (const event of log.stored) {
      const read = decode(PREFIX, event);
      expect(read?.meta.previous).toBe(previous);
      previous = read === null ? null : digestOf(event, read.meta);
    }
  });
});
