import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import { readModelContract } from './read-model.contract.js';

readModelContract('in memory', async () => {
  const model = inMemoryReadModel();
  return { model, reopen: async () => model, second: async () => model, cleanup: async () => undefined };
});
