import { sizeText } from './text.js';

/** How far something is, on stderr where that is a terminal; else nothing. */
export interface Bar {
  /** @param note what is being done now */
  at(value: number, note?: string): void;
  /** Makes room for a line of output. */
  pause(): void;
  stop(): void;
}

const NO_BAR: Bar = { at: () => undefined, pause: () => undefined, stop: () => undefined };

export const startBar = async (total: number, unit: 'bytes' | 'records' | 'events' | 'objects'): Promise<Bar> => {
  if (!process.stderr.isTTY || total === 0) return NO_BAR;
  const { SingleBar } = await import('cli-progress');
  const show = unit === 'bytes' ? sizeText : String;
  const bar = new SingleBar({
    stream: process.stderr,
    format: '{bar} {percentage}% {done} of {all} {note}',
    clearOnComplete: true,
    hideCursor: null,
    gracefulExit: false,
    barsize: 20,
  });
  const payload = (value: number, note: string) => ({ done: show(value), all: show(total), note });
  let now = 0;
  let doing = '';
  const run = (): void => bar.start(total, now, payload(now, doing));
  run();
  return {
    at: (value, note = doing) => {
      now = Math.min(value, total);
      doing = note;
      if (!bar.isActive) run();
      bar.update(now, payload(now, doing));
    },
    pause: () => bar.stop(),
    stop: () => bar.stop(),
  };
};
