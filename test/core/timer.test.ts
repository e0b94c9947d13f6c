import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { Timer } from '../../src/projections/timer.js';

test('ends with the other signal, or by itself, and leaves nothing with the other', () => {
  const other = new AbortController();
  const timers = [new Timer(other.signal), new Timer(other.signal)] as const;
  expect(getEventListeners(other.signal, 'abort')).toHaveLength(2);
  timers[0].end();
  expect(timers.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  expect(getEventListeners(other.signal, 'abort')).toHaveLength(1);
  other.abort();
  expect(timers[1].signal.aborted).toBe(true);
  expect(getEventListeners(other.signal, 'abort')).toHaveLength(0);
});

test('of a signal that is aborted already has ended', () => {
  expect(new Timer(AbortSignal.abort()).signal.aborted).toBe(true);
});
