import type { Json } from '../events/vocabulary.js';
import { Corrupt, Unavailable } from '../storage/errors.js';
import type { Position } from '../storage/event-store/port.js';
import { COLLECTIONS, type Collection, type Key, type ReadModel } from '../storage/read-model/port.js';
import type { Finding } from './findings.js';
import type { Shadow } from './shadow.js';

const REBUILD = 'Rebuild the model (lethe rebuild): the log has all that is in it';

interface Row {
  readonly key: Key;
  readonly row: Json;
}

/**
 * Compares the live model with what the log makes of one, row by row and byte by byte, while the live one goes on: each collection as it
 * stood at one checkpoint, up to which the other is carried.
 *
 * @param checkpoint where the live one stood a moment ago
 * @returns how many rows were compared
 * @throws what its store throws; what cannot be read in it is found
 */
export const compareModels = async (
  live: ReadModel,
  shadow: Shadow,
  checkpoint: Position,
  found: (finding: Finding) => void,
  reached: (at: Position) => Promise<void>,
): Promise<number> => {
  let rows = 0;
  // Before any dump begins: a server keeps the moment of one for some minutes only.
  await shadow.advance(checkpoint, reached);
  for (const collection of COLLECTIONS) {
    try {
      for await (const { key, is } of compareCollection(live, shadow, collection, reached)) {
        rows += 1;
        if (is !== 'equal') found(findingOf(collection, key, is));
      }
    } catch (error) {
      if (error instanceof NotCompared) found({ kind: 'model-not-compared', what: error.message, todo: error.todo });
      else if (error instanceof Corrupt) found({ kind: 'model-damaged', what: error.message, todo: REBUILD });
      else throw error;
    }
  }
  return rows;
};

class NotCompared extends Error {
  override readonly name = 'NotCompared';
  constructor(
    message: string,
    readonly todo: string,
  ) {
    super(message);
  }
}

/** @throws NotCompared; Corrupt where the live model cannot be read */
async function* compareCollection(
  live: ReadModel,
  shadow: Shadow,
  collection: Collection,
  reached: (at: Position) => Promise<void>,
): AsyncGenerator<{ key: Key; is: Is }> {
  const of = <T>(work: Promise<T>): Promise<T> => answered(collection, work);
  const moments: Position[] = [];
  const rows = live.dump(collection, (at) => moments.push(at))[Symbol.asyncIterator]();
  try {
    const first = await of(rows.next());
    const [checkpoint] = moments;
    if (checkpoint === undefined) throw new TypeError(`a dump of ${collection} began and told no moment`);
    await shadow.advance(checkpoint, reached);
    if (shadow.readTo > checkpoint) {
      throw new NotCompared(
        `${collection}: another model, which stands further back, took the place of the one that was being looked at`,
        'Verify again',
      );
    }
    if (shadow.holds < checkpoint) {
      throw new NotCompared(
        `${collection}: the read model stands at ${checkpoint}, and from position ${shadow.holds} on the log cannot be projected`,
        'See what is said of the events after it',
      );
    }
    yield* differences(beginningWith(first, rows, of), shadow.model.dump(collection));
  } finally {
    await rows.return?.();
  }
}

async function* beginningWith(
  first: IteratorResult<Row>,
  rest: AsyncIterator<Row>,
  of: <T>(work: Promise<T>) => Promise<T>,
): AsyncGenerator<Row, void> {
  for (let next = first; next.done !== true; next = await of(rest.next())) yield next.value;
}

/** A model that does not answer keeps nobody from looking at the rest. @throws NotCompared */
const answered = async <T>(collection: Collection, work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    throw new NotCompared(`${collection}: ${error.message}`, 'Verify again when the read model answers');
  }
};

type Is = 'equal' | 'differs' | 'missing' | 'surplus';

/** Both by key: what the live one has, against what it should have. */
async function* differences(live: AsyncIterable<Row>, right: AsyncIterable<Row>): AsyncGenerator<{ key: Key; is: Is }> {
  const expected = right[Symbol.asyncIterator]();
  try {
    let wanted = await expected.next();
    for await (const { key, row } of live) {
      while (wanted.done !== true && isBefore(wanted.value.key, key)) {
        yield { key: wanted.value.key, is: 'missing' };
        wanted = await expected.next();
      }
      if (wanted.done === true || wanted.value.key !== key) {
        yield { key, is: 'surplus' };
        continue;
      }
      yield { key, is: JSON.stringify(wanted.value.row) === JSON.stringify(row) ? 'equal' : 'differs' };
      wanted = await expected.next();
    }
    for (; wanted.done !== true; wanted = await expected.next()) yield { key: wanted.value.key, is: 'missing' };
  } finally {
    await expected.return?.();
  }
}

/** By number, or by code point: the order in which every adapter dumps. */
const isBefore = (a: Key, b: Key): boolean => {
  if (a === b) return false;
  if (typeof a === 'number' && typeof b === 'number') return a < b;
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b))) < 0;
};

const findingOf = (collection: Collection, key: Key, is: Exclude<Is, 'equal'>): Finding => {
  const row = `the row ${key} in ${collection}`;
  switch (is) {
    case 'differs':
      return {
        kind: 'row-differs',
        what: `${row} of the read model is not what the log makes of it: the row, or an event, was changed behind Lethe's back`,
        todo: `${REBUILD}. Where it is the log that was changed, restore that from a backup first`,
      };
    case 'missing':
      return { kind: 'row-missing', what: `${row} is missing in the read model`, todo: REBUILD };
    case 'surplus':
      return { kind: 'row-surplus', what: `${row} of the read model follows from no event`, todo: REBUILD };
  }
};
