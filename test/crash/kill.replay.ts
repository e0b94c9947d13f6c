import { join } from 'node:path';
import { decode } from '../../src/events/codec.js';
import { project } from '../../src/projections/project.js';
import { openSqliteEventStore } from '../../src/storage/event-store/sqlite.js';
import { COLLECTIONS, type Collection, type ReadModel } from '../../src/storage/read-model/port.js';
import { openSqliteReadModel } from '../../src/storage/read-model/sqlite.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';
import type { Chance } from './kill.chance.js';
import { PREFIX, type Violation } from './kill.ledger.js';

/** The read model that the service left behind against one that is made of its log from the beginning, in batches of other sizes. */
export const compareWithReplay = async (data: string, chance: Chance): Promise<Violation[]> => {
  const replayed = inMemoryReadModel();
  await replay(join(data, 'events.sqlite'), replayed, chance);
  const live = await openSqliteReadModel({ file: join(data, 'read-model.sqlite'), mode: 'read-only' });
  try {
    const found: Violation[] = [];
    const [stands, head] = [await live.checkpoint(), await replayed.checkpoint()];
    if (stands !== head) found.push({ what: `the read model stands at ${stands}, the log at ${head}`, record: null });
    for (const collection of COLLECTIONS) found.push(...(await compare(collection, live, replayed)));
    return found;
  } finally {
    await live.close();
  }
};

const replay = async (file: string, model: ReadModel, chance: Chance): Promise<void> => {
  const log = await openSqliteEventStore({ file, prefix: PREFIX, mode: 'read-only' });
  try {
    for (let from = 0n, more = true; more;) {
      more = false;
      const batchSize = 1 + chance.below(chance.maybe(0.5) ? 5 : 700);
      for await (const batch of log.readAll(from, { batchSize })) {
        const to = batch.at(-1)?.position ?? from;
        const known = batch.map((stored) => decode(PREFIX, stored)).filter((recorded) => recorded !== null);
        await model.apply(await project(model, known), from, to);
        from = to;
        more = true;
        break;
      }
    }
  } finally {
    await log.close();
  }
};

const compare = async (collection: Collection, live: ReadModel, replayed: ReadModel): Promise<Violation[]> => {
  const [ours, theirs] = [await rowsOf(collection, live), await rowsOf(collection, replayed)];
  const found: Violation[] = [];
  for (const key of new Set([...ours.keys(), ...theirs.keys()])) {
    const [a, b] = [ours.get(key), theirs.get(key)];
    if (a === b) continue;
    const what = `the row ${key} of ${collection} is ${a ?? 'absent'}, and in a replay ${b ?? 'absent'}`;
    found.push({ what, record: collection === 'catalogue' || collection === 'purges' ? key : null });
  }
  return found;
};

const rowsOf = async (collection: Collection, model: ReadModel): Promise<Map<string, string>> => {
  const rows = new Map<string, string>();
  for await (const { key, row } of model.dump(collection)) rows.set(String(key), canonical(row));
  return rows;
};

/** JSON with the members of its objects in one order. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
