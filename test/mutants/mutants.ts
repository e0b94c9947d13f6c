import type { Mutant } from './mutant.js';
import { DECIDING } from './mutants.deciding.js';
import { DELETING } from './mutants.deleting.js';
import { FOLLOWING } from './mutants.following.js';
import { STORING } from './mutants.storing.js';

/** Every mutant. Each is caught, by the test or the invariant that it names. */
export const MUTANTS: readonly Mutant[] = [...DECIDING, ...FOLLOWING, ...DELETING, ...STORING];
