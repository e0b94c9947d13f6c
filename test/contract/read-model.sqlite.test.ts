import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteReadModel } from '../../src/storage/read-model/sqlite.js';
import { readModelContract } from './read-model.contract.js';

readModelContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lethe-model-'));
  const file = join(folder, 'model.db');
  const open = () => openSqliteReadModel({ file, mode: 'read-write' });
  const model = await open();
  const opened = [model];
  const another = async () => {
    const next = await open();
    opened.push(next);
    return next;
  };
  return {
    model,
    reopen: async () => {
      await model.close();
      return another();
    },
    second: another,
    cleanup: async () => {
      for (const each of opened) await each.close();
      await rm(folder, { recursive: true });
    },
  };
});
