import { describe, expect, it } from 'vitest';
import type { CompleteOperation } from '../../src/commands/operation.handlers.js';
import { Ticks } from '../../src/sagas/due.js';
import { OperationsSaga } from '../../src/sagas/operations.saga.js';
import {
  dataset,
  file,
  operationStarted,
  purgeRequested,
  registered,
  trashed,
  uidFor,
} from '../../src/testing/events.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import type { TestLog } from '../../src/testing/log.js';
import { ManualClock } from '../harness/manual-clock.js';
import { projected } from '../harness/projecting.js';
import { datasets, files, Story } from '../harness/story.js';

const OPERATION = { registry: 'operations', uid: uidFor('operation') };

/** What the saga does in one round with what stands in a log, in its order. */
const round = async (log: TestLog): Promise<string[]> => {
  const clock = new ManualClock();
  const store = new InMemoryLog();
  store.load(log.stored);
  const model = await projected(log.recorded);
  const stop = new AbortController();
  const did: string[] = [];
  const saga = new OperationsSaga({
    // It rests once its round is over.
    clock: Object.assign(Object.create(clock), { sleep: async () => stop.abort() }),
    log: {
      info: () => undefined,
      warn: () => undefined,
      error: (fields, message) => did.push(`${message}: ${JSON.stringify(fields)}`),
    },
    onWork: () => () => undefined,
    patienceMs: () => 0,
    model,
    purge: async ({ ref: { registry, uid } }) => void did.push(`${registry}/${uid}`),
    complete: async ({ purged }: CompleteOperation) => void did.push(`complete: ${purged}`),
    reach: async () => void did.push('reach'),
    ticks: new Ticks({ store: store.open('lethe.'), prefix: 'lethe.', clock, appended: () => undefined }),
    retains: true,
  });
  await saga.run(stop.signal);
  return did;
};

const started = (log: TestLog): TestLog => {
  log.happens(OPERATION, operationStarted({ position: String(log.head) }));
  return log;
};

describe('emptying the trash', () => {
  it('goes from what points to what is pointed at, and waits for the projection before each step', async () => {
    const [D, E, F, G] = [datasets('D'), datasets('E'), files('F'), files('G')];
    const { log } = new Story();
    log.happens(F, registered({ fields: file() }), trashed());
    log.happens(G, registered({ fields: file({ initialVersion: F.uid }) }), trashed());
    log.happens(D, registered({ fields: dataset({ files: [F.uid] }) }), trashed());
    log.happens(E, registered({ fields: dataset({ initialVersion: D.uid }) }), trashed());
    const steps = [E, D, G, F].flatMap(({ registry, uid }) => ['reach', `${registry}/${uid}`]);
    expect(await round(started(log))).toEqual([...steps, 'reach', 'complete: 0', 'reach']);
  });

  it('is not complete while one of its purges is under way', async () => {
    const { log } = new Story();
    log.happens(files('F'), registered(), trashed());
    const { uid } = OPERATION;
    started(log).happens(files('F'), purgeRequested({ operation: uid }));
    const did = await round(log);
    expect(did).toContain('reach');
    expect(did).not.toContainEqual(expect.stringContaining('complete'));
  });
});
