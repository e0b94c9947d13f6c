import type { Journal } from '../commands/execute.js';
import { readInstance, readOwner, whyNotOwned } from '../commands/ownership.js';
import { decode } from '../events/codec.js';
import type { Ids } from '../ports.js';
import type { ObjectStore, ObjectStores } from '../storage/object-store/port.js';
import type { ReadModel } from '../storage/read-model/port.js';
import { ok, warning, wrong, type Check } from './checks.js';
import { PROBE } from './naming.js';

/*
 * What the three stores are asked by whoever wonders why a Lethe does not work.
 */

/** Times of events come from this machine's clock, those of objects from the store's. */
const SKEW_MS = { noted: 10_000, wrong: 300_000 };

/** The log: whether it answers, and whether this machine's clock has come as far as its last event. */
export const examineLog = async ({ store, prefix, clock }: Journal): Promise<Check[]> => {
  const head = await store.head();
  const checks = [ok('event store', `answers; the log ends at position ${head}`)];
  // Elsewhere positions do not say where the last event begins.
  if (!store.numbersEvents || head === 0n) return checks;
  for await (const [last] of store.readAll(head - 1n)) {
    const at = last === undefined ? null : (decode(prefix, last)?.meta.at ?? null);
    const aheadMs = at === null ? 0 : Date.parse(at) - clock.now().getTime();
    if (aheadMs > SKEW_MS.noted) {
      const what = `the last event is of ${at ?? ''}, ${Math.round(aheadMs / 1_000)} s after what this machine's clock says`;
      checks.push(wrong('clock', what, 'Set this machine’s clock (NTP)'));
    }
  }
  return checks;
};

/** The read model: whether it answers, belongs to this log, and what waits in it for a person. */
export const examineModel = async (model: ReadModel, journal: Journal | null): Promise<Check[]> => {
  const checkpoint = await model.checkpoint();
  if (journal === null) return [ok('read model', `answers; at position ${checkpoint}`)];
  const head = await journal.store.head();
  if (checkpoint > head) {
    return [
      wrong(
        'read model',
        `stands at position ${checkpoint}, and the log ends at ${head}: the log lost its end, or is another one`,
        'Restore the log that belongs to it, or, if there is none, rebuild the model (lethe rebuild)',
      ),
    ];
  }
  const behind = head - checkpoint;
  const checks = [ok('read model', `answers; at position ${checkpoint}${behind === 0n ? '' : `, the log at ${head}`}`)];
  const { rows: parked } = await model.total('purges', [{ path: 'state', op: 'eq', value: 'parked' }]);
  if (parked > 0) {
    const todo = 'See why: lethe purges --state parked; then lethe purges retry <uid>';
    checks.push(warning('purges', `${parked} could not end and ${parked === 1 ? 'waits' : 'wait'} for a person`, todo));
  }
  return checks;
};

export interface NamedStorage {
  readonly name: string;
  readonly root: string;
  readonly managed: boolean;
}

/** A storage: whether it can be reached, is this log's, takes a file and gives it up again, and what its clock says. */
export const examineStorage = async (
  { name, root, managed }: NamedStorage,
  stores: ObjectStores,
  journal: Journal | null,
  ids: Ids,
): Promise<Check[]> => {
  const about = `storage ${name}`;
  const store = await stores.at(root);
  const owner = await readOwner(store);
  if (!managed) return [ok(about, 'can be read; it is not managed, so nothing is written to it')];
  if (journal === null) return [ok(about, 'can be read; without the log nobody knows whether it may be written to')];
  const log = { instance: await readInstance(journal), head: await journal.store.head() };
  const why = owner === null ? null : whyNotOwned(name, owner, log);
  if (why !== null)
    return [wrong(about, why, 'Name the log that belongs to it, or give this one a storage of its own')];
  const skewMs = (await probe(store, ids)) - journal.clock.now().getTime();
  const checks = [ok(about, 'takes a file, and gives it up again')];
  if (Math.abs(skewMs) > SKEW_MS.noted) {
    const what = `its clock is ${Math.round(Math.abs(skewMs) / 1_000)} s ${skewMs > 0 ? 'ahead of' : 'behind'} this machine's`;
    const say = Math.abs(skewMs) > SKEW_MS.wrong ? wrong : warning;
    checks.push(say(about, what, 'Set both clocks (NTP)'));
  }
  return checks;
};

/** @returns milliseconds: what the store's clock says */
const probe = async (store: ObjectStore, ids: Ids): Promise<number> => {
  const path = `${PROBE}${ids.uuid()}`;
  await store.replace(path, 'lethe doctor\n');
  const seen = await store.stat(path);
  if (seen === null) throw new Error(`${path} was written, and is not there`);
  await store.delete(path, seen);
  return Date.parse(seen.modifiedAt);
};
