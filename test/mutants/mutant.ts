/** A fault put into the code on purpose: one text in one file, in the place of another. */
export interface Mutant {
  readonly id: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly before: string;
  readonly after: string;
  /** What the service then does wrong. */
  readonly breaks: string;
  readonly caughtBy: Simulated | Tested;
}

/** The simulation, by its judge alone: which invariant is broken, within so many seeds from 1 on. */
interface Simulated {
  readonly by: 'simulation';
  readonly says: RegExp;
  readonly seeds: number;
}

/** By the simulation: many more seeds than it needs, since each change of it moves the one that finds something. */
export const simulation = (says: RegExp, seeds = 600): Simulated => ({ by: 'simulation', says, seeds });

/** Named tests of one file. */
interface Tested {
  readonly by: 'test';
  readonly file: string;
  /** What their full names hold. */
  readonly name: string;
}

/** @throws Error where the text does not stand there exactly once: the code has changed, and the mutant has to follow */
export const mutated = (text: string, { id, file, before, after }: Mutant): string => {
  const [head, tail, ...others] = text.split(before);
  if (head === undefined || tail === undefined || others.length > 0)
    throw new Error(`${id}: the text to change does not stand in ${file} exactly once: ${JSON.stringify(before)}`);
  return head + after + tail;
};
