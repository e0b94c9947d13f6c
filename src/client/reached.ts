import { Forbidden } from './errors.js';
import type { Lethe } from './lethe.js';

/** Asks the service for next to nothing: whoever connects hears at once that nobody is there, or that the key is wrong. */
export const reached = async (lethe: Lethe): Promise<Lethe> => {
  try {
    await lethe.users.filter().first();
  } catch (error) {
    if (!(error instanceof Forbidden)) throw error; // a key that may only write has answered the question, too
  }
  return lethe;
};
