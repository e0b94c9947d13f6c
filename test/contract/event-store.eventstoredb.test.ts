import { openEventStoreDb } from '../../src/storage/event-store/eventstoredb.js';
import { startEventStoreDouble } from '../doubles/eventstoredb.js';
import { eventStoreContract } from './event-store.contract.js';

eventStoreContract('the EventStoreDB adapter', async (prefix) => {
  const double = await startEventStoreDouble();
  const reopen = (other = prefix) => openEventStoreDb({ url: double.url, prefix: other, mode: 'read-write' });
  return { store: await reopen(), reopen, cleanup: () => double.stop() };
});
