/*
 * What `import … from 'lethe/testing'` gives.
 */

export * from './commands.js';
export * from './events.js';
export { given, type Command, type Decided, type ExpectedRefusal, type Facts, type Given } from './given.js';
export { historyOf, TestLog } from './log.js';
export { replay, type Replayed, type ReplayQuery } from './replay.js';
export { SimulatedIds, SimulatedRandom, SimulatedTime } from './simulated.js';
export { startLethe, type TestLethe } from './start-lethe.js';
export * from '../commands/refusals.js';
export { BadLine } from '../events/exported.js';
export type { Recorded, RecordEvent } from '../events/events.js';
export type { Ref } from '../events/vocabulary.js';
