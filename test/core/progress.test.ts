import type { CommandBus, QueryBus } from '@nestjs/cqrs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Commanding } from '../../src/api/commanding.js';
import type { CommandPorts } from '../../src/commands/ports.js';
import { Progress } from '../../src/projections/progress.js';
import { systemRandom } from '../../src/system.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { startSagas } from '../../src/workers.js';
import { ManualClock } from '../harness/manual-clock.js';
import { projected } from '../harness/projecting.js';
import { files, Story } from '../harness/story.js';

describe('a command', () => {
  let clock: ManualClock;
  let progress: Progress;
  let ending: AbortController;
  beforeEach(() => {
    clock = new ManualClock();
    ending = new AbortController();
    progress = new Progress(clock, 5_000);
    progress.moved(10n, 10n);
  });

  /** Whether a command goes on that came now; what hangs on this turn of the event loop has happened. */
  const sent = (): (() => Promise<boolean>) => {
    let goesOn = false;
    void progress.pace(ending.signal).then(() => {
      goesOn = true;
    });
    return async () => {
      await new Promise(setImmediate);
      return goesOn;
    };
  };

  it('goes on where queries see all that came before', async () => {
    progress.appended(11n);
    progress.moved(11n, 11n);
    clock.pass(60_000);
    expect(await sent()()).toBe(true);
  });

  it('goes on where queries are late by less than a second', async () => {
    progress.appended(11n);
    clock.pass(999);
    expect(await sent()()).toBe(true);
    expect(progress.paced).toBe(0);
  });

  it('waits where they are late by more, until they have come near', async () => {
    progress.appended(11n);
    clock.pass(500);
    progress.appended(12n);
    clock.pass(500);
    const goesOn = sent();
    expect(await goesOn()).toBe(false);
    clock.pass(500);
    progress.moved(11n, 11n);
    expect(await goesOn()).toBe(false); // What came half a second later is late by now, too.
    progress.moved(12n, 12n);
    expect(await goesOn()).toBe(true);
    expect(progress.paced).toBe(1);
  });

  it('waits for no model that stands still for three seconds, be it long ago', async () => {
    progress.appended(11n);
    clock.pass(1_000);
    const goesOn = sent();
    clock.pass(1_999);
    expect(await goesOn()).toBe(false);
    clock.pass(1);
    expect(await goesOn()).toBe(true);
    clock.pass(60_000);
    expect(await sent()()).toBe(true);
  });

  it('waits for two seconds at most, though the model moves and never gets there', async () => {
    for (let at = 11; at < 100; at += 1) progress.appended(BigInt(at));
    clock.pass(1_000);
    const goesOn = sent();
    for (let at = 11n; at < 30n; at += 1n) {
      expect(await goesOn()).toBe(false);
      clock.pass(100);
      progress.moved(at, at);
    }
    clock.pass(100);
    expect(await goesOn()).toBe(true);
  });

  it('waits no longer than until the service ends', async () => {
    progress.appended(11n);
    clock.pass(1_000);
    const goesOn = sent();
    expect(await goesOn()).toBe(false);
    ending.abort();
    expect(await goesOn()).toBe(true);
    expect(await sent()()).toBe(true);
  });

  it('waits for the last of very many, too', async () => {
    for (let at = 11; at <= 20_000; at += 1) progress.appended(BigInt(at));
    clock.pass(1_000);
    const goesOn = sent();
    progress.moved(19_999n, 19_999n);
    expect(await goesOn()).toBe(false);
    progress.moved(20_000n, 20_000n);
    expect(await goesOn()).toBe(true);
  });

  it('waits for nothing that others appended', async () => {
    progress.awaits(100n);
    clock.pass(1_500);
    expect(await sent()()).toBe(true);
  });
});

describe('where commands are sent from', () => {
  /** The model is late by a second, and moved not long ago. */
  const late = (): { progress: Progress; clock: ManualClock } => {
    const clock = new ManualClock();
    const progress = new Progress(clock, 5_000);
    progress.moved(1_000n, 1_000n);
    progress.appended(1_001n);
    clock.pass(1_000);
    return { progress, clock };
  };

  it('a request waits', async () => {
    const { progress } = late();
    const execute = vi.fn(async () => 'done');
    const stopping = new AbortController().signal;
    const commanding = new Commanding({ execute } as unknown as CommandBus, {} as QueryBus, { progress, stopping });
    const sent = commanding.send({}, files('F'));
    await new Promise(setImmediate);
    expect(execute).not.toHaveBeenCalled();
    progress.moved(1_001n, 1_001n);
    expect(await sent).toBe('done');
  });

  it('a saga waits, and is told to end meanwhile', async () => {
    const story = new Story().file('F').purge(files('F'), null);
    const log = new InMemoryLog();
    log.load(story.log.stored);
    const { progress, clock } = late();
    const execute = vi.fn(async () => undefined);
    const ports = {
      journal: { store: log.open('lethe.'), prefix: 'lethe.', clock, appended: () => undefined },
      model: await projected(story.log.recorded),
      clock,
      random: systemRandom,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      trashDays: null,
    } as unknown as CommandPorts;
    const stop = startSagas({ execute }, ports, progress, { attempts: 3, firstWaitMs: 1, maxWaitMs: 1 });
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(execute).not.toHaveBeenCalled();
    await stop();
    expect(execute).toHaveBeenCalledOnce(); // The step that was under way.
  });
});
