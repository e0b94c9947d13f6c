import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { eventStoreContract } from './event-store.contract.js';

eventStoreContract('the in-memory double', async (prefix) => {
  const log = new InMemoryLog();
  return { store: log.open(prefix), reopen: async (other = prefix) => log.open(other), cleanup: async () => undefined };
});
