import { describe, expect, it } from 'vitest';
import { executeNew, type Journal } from '../../src/commands/execute.js';
import type { RecordEvent } from '../../src/events/events.js';
import { OutcomeUnknown, Unavailable } from '../../src/storage/errors.js';
import { systemClock } from '../../src/system.js';
import { envelope } from '../../src/testing/commands.js';
import { plain, uidFor } from '../../src/testing/events.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';

const REF = { registry: 'labels', uid: uidFor('label') };
const REGISTERED: RecordEvent = { type: 'RecordRegistered', visibility: 1, fields: plain(), seenAt: null };

describe('a command that was appended', () => {
  it('is of unknown outcome where it cannot be read back: nobody takes back what it names', async () => {
    const store = new InMemoryLog().open('lethe.');
    let appended = false;
    const journal: Journal = {
      store: Object.assign(Object.create(store), {
        readStream: async (stream: string) => {
          if (appended) throw new Unavailable('it went away');
          return store.readStream(stream);
        },
      }),
      prefix: 'lethe.',
      clock: systemClock,
      appended: () => {
        appended = true;
      },
    };
    const call = executeNew(journal, REF, envelope(), () => [REGISTERED]);
    await expect(call).rejects.toBeInstanceOf(OutcomeUnknown);
    expect(await store.readStream(`lethe.labels-${REF.uid}`)).toHaveLength(1);
  });
});
