import { readFileSync } from 'node:fs';

const MIB = 1024;

const read = (pid: number, name: 'VmRSS' | 'VmHWM'): number => {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / MIB;
};

/** What a process holds in memory now, in MiB. */
export const residentOf = (pid: number): number => read(pid, 'VmRSS');

/** The most that a process has held since it began, in MiB. */
export const peakOf = (pid: number): number => read(pid, 'VmHWM');

/** Looks every 50 ms while something runs. @returns the most that the process held meanwhile, in MiB, beside the outcome */
export const watching = async <T>(pid: number, run: () => Promise<T>): Promise<{ outcome: T; most: number }> => {
  let most = residentOf(pid);
  const look = (): void => {
    most = Math.max(most, residentOf(pid));
  };
  const timer = setInterval(look, 50);
  try {
    const outcome = await run();
    look();
    return { outcome, most };
  } finally {
    clearInterval(timer);
  }
};
