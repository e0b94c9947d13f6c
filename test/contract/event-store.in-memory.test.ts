import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { eventStoreContract } from './event-store.contract.js';

const opened = (log: InMemoryLog) => async (prefix: string) => ({
  store: log.open(prefix),
  reopen: async (other = prefix) => log.open(other),
  cleanup: async () => undefined,
});

eventStoreContract('the log in memory', (prefix) => opened(new InMemoryLog())(prefix));
eventStoreContract('the log in memory, with gaps', (prefix) => opened(new InMemoryLog(() => 7))(prefix));
