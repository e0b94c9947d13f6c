import { beforeEach, describe, expect, it } from 'vitest';
import { Progress } from '../../src/projections/progress.js';
import { ManualClock } from '../harness/manual-clock.js';

describe('a command', () => {
  let clock: ManualClock;
  let progress: Progress;
  beforeEach(() => {
    clock = new ManualClock();
    progress = new Progress(clock, 5_000);
    progress.moved(10n, 10n);
  });

  /** Whether a command goes on that came now; what hangs on this turn of the event loop has happened. */
  const sent = (): (() => Promise<boolean>) => {
    let goesOn = false;
    void progress.pace().then(() => {
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

  it('waits for nothing that others appended', async () => {
    progress.awaits(100n);
    clock.pass(1_500);
    expect(await sent()()).toBe(true);
  });
});
