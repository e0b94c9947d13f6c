import { expect } from 'vitest';
import type { FileFields, StorageWish } from '../../src/events/events.js';
import { refKey, type Ref } from '../../src/events/vocabulary.js';
import type {
  CatalogueRow,
  Collection,
  PurgeRow,
  ReadModel,
  Rows,
  Verdict,
} from '../../src/storage/read-model/port.js';
import {
  dataset,
  file,
  purgeRequested,
  registered,
  storage,
  STORAGE,
  uidFor,
  updated,
  type Happening,
} from '../../src/testing/events.js';
import { TestLog } from '../../src/testing/log.js';
import { dumpOf, projected } from './projecting.js';

export const files = (name: string): Ref => ({ registry: 'files', uid: uidFor(name) });
export const datasets = (name: string): Ref => ({ registry: 'datasets', uid: uidFor(name) });
export const storages = (name: string): Ref => ({ registry: 'storages', uid: uidFor(name) });

/** The same log in batches of 1, of 3 and as one: whatever is asked of it has one answer. */
export const modelsOf = async (log: TestLog): Promise<ReadModel> => {
  const whole = await projected(log.recorded);
  const expected = await dumpOf(whole);
  for (const size of [1, 3]) expect(await dumpOf(await projected(log.recorded, size))).toBe(expected);
  return whole;
};

export const rowsOf = async <C extends Collection>(model: ReadModel, collection: C): Promise<Rows[C][]> => {
  const keys = [];
  for await (const { key } of model.dump(collection)) keys.push(key);
  return model.get(collection, keys);
};
export const catalogueRow = async (model: ReadModel, ref: Ref): Promise<CatalogueRow | undefined> =>
  (await model.get('catalogue', [refKey(ref)]))[0];
export const purgeRow = async (model: ReadModel, ref: Ref): Promise<PurgeRow | undefined> =>
  (await model.get('purges', [refKey(ref)]))[0];

/**
 * A log with a managed storage at `file:/data/`, told by short names. The scenarios come from the model of the races; what is judged here
 * is the log's order alone.
 */
export class Story {
  readonly log = new TestLog();

  constructor() {
    this.log.happens(STORAGE, registered({ fields: storage() }));
  }

  file(name: string, path = name, fields: Partial<Omit<FileFields, 'kind'>> = {}): this {
    return this.happens(files(name), registered({ fields: file({ key: path, keyIsVirtual: false, path, ...fields }) }));
  }

  dataset(name: string, ...names: string[]): this {
    return this.happens(datasets(name), registered({ fields: dataset({ files: names.map(uidFor) }) }));
  }

  /** A dataset's files, from now on. */
  points(name: string, from: string[], to: string[]): this {
    return this.happens(
      datasets(name),
      updated({ changes: { files: { from: from.map(uidFor), to: to.map(uidFor) } } }),
    );
  }

  purge(ref: Ref, wish: StorageWish = 'delete'): this {
    return this.happens(ref, purgeRequested({ storage: wish }));
  }

  happens(ref: Ref, ...happenings: Happening[]): this {
    this.log.happens(ref, ...happenings);
    return this;
  }

  async verdict(ref: Ref): Promise<Verdict | undefined> {
    return (await purgeRow(await modelsOf(this.log), ref))?.verdict;
  }
}

export const DELETE: Verdict = { fate: 'delete' };
export const calledOff = (...by: Ref[]): Verdict => ({ fate: 'called-off', by });
export const shared = (...by: Ref[]): Verdict => ({ fate: 'keep', why: 'shared', by });
