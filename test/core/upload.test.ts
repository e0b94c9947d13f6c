import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { UploadFile } from '../../src/commands/file.commands.js';
import type { Ownership } from '../../src/commands/ownership.js';
import type { CommandPorts } from '../../src/commands/ports.js';
import { Conflict } from '../../src/commands/refusals.js';
import { UploadFileHandler } from '../../src/commands/upload.handlers.js';
import type { EventStore } from '../../src/storage/event-store/port.js';
import { systemIds } from '../../src/system.js';
import { envelope } from '../../src/testing/commands.js';
import { FILE, STORAGE } from '../../src/testing/events.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { InMemoryObjects } from '../../src/testing/in-memory-object-store.js';
import { ManualClock } from '../harness/manual-clock.js';
import { projected } from '../harness/projecting.js';
import { Story } from '../harness/story.js';

const HOUR = 3_600_000;
const METADATA = {
  ...{ key: 'a.csv', keyIsVirtual: true, storage: STORAGE.uid, suffix: null, accessor: null, description: null },
  ...{ version: null, initialVersion: null, labels: [], run: null, transform: null },
  ...({ visibility: 1, onDuplicate: 'create' } as const),
};

/**
 * An upload whose bytes are in, and which then waits for so long before it can be registered.
 * @param bytesMs how long the bytes took
 */
const uploaded = async (ms: number, bytesMs = 0): Promise<{ call: Promise<unknown>; left: () => string[] }> => {
  const clock = new ManualClock();
  const objects = new InMemoryObjects(clock);
  const store = objects.open('file:/data/');
  const log = new InMemoryLog();
  const story = new Story();
  log.load(story.log.stored);
  const open = log.open('lethe.');
  const slow: EventStore = Object.assign(Object.create(open), {
    readStream: async (stream: string, from?: number) => {
      if (objects.locations().length > 0 && stream.includes(FILE.uid)) clock.pass(ms);
      return open.readStream(stream, from);
    },
  });
  const ports = {
    journal: { store: slow, prefix: 'lethe.', clock, appended: () => undefined },
    model: await projected(story.log.recorded),
    stores: { at: async () => store },
    ownership: { assertOwned: async () => store } as unknown as Ownership,
    clock,
    ids: systemIds,
    reach: async () => undefined,
  } as unknown as CommandPorts;
  const bytes = async function* (): AsyncGenerator<Buffer> {
    clock.pass(bytesMs);
    yield Buffer.from('1');
  };
  const body = Readable.from(bytes(), { objectMode: false });
  const upload = new UploadFile(FILE, envelope({ repeatable: false }), METADATA, null, body);
  return { call: new UploadFileHandler(ports).execute(upload), left: () => objects.locations() };
};

describe('an upload whose bytes are in', () => {
  it('is registered within an hour', async () => {
    const { call, left } = await uploaded(HOUR - 1);
    await expect(call).resolves.toMatchObject({ outcome: 'created' });
    expect(left()).toHaveLength(1);
  });

  it('gives up after an hour, and takes its bytes back: they may be cleared away by then', async () => {
    const { call, left } = await uploaded(HOUR);
    await expect(call).rejects.toThrow(Conflict);
    expect(left()).toEqual([]);
  });

  it('and whose bytes took nearly a day gives up sooner: a store may count the day from their beginning', async () => {
    const { call, left } = await uploaded(HOUR / 2, 22.5 * HOUR);
    await expect(call).rejects.toThrow(Conflict);
    expect(left()).toEqual([]);
    const other = await uploaded(HOUR / 2 - 1, 22.5 * HOUR);
    await expect(other.call).resolves.toMatchObject({ outcome: 'created' });
  });
});
