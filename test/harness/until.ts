import { setTimeout } from 'node:timers/promises';

const TICK_MS = 10;
const ATTEMPTS = 1_500;

/**
 * Asks until there is an answer: anything but `null`, `undefined` and `false`.
 * @param what is awaited, for the error's sentence
 * @throws Error after so many attempts that something must be wrong
 */
export const until = async <T>(
  what: string,
  check: () => Promise<T | null | undefined | false>,
  attempts = ATTEMPTS,
): Promise<T> => {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const found = await check();
    if (found !== null && found !== undefined && found !== false) return found;
    await setTimeout(TICK_MS);
  }
  throw new Error(`waited in vain: ${what}`);
};
