import type { Json } from '../../events/vocabulary.js';
import type { Collection, Rows } from './port.js';
import { isObject } from './sqlite.columns.js';
import { corrupt } from './sqlite.errors.js';
import type { Doc } from './sqlite.read.js';

/** What every row of a collection has. Only this is looked at: the file is Lethe's own, and each answer is read on the event loop. */
const NAMES: { readonly [C in Collection]: readonly string[] } = {
  catalogue: ['registry', 'uid', 'live', 'record'],
  history: ['position', 'registry', 'uid', 'data'],
  purges: ['registry', 'uid', 'state', 'verdict', 'purge'],
  withdrawals: ['registry', 'uid', 'kind', 'targets'],
  operations: ['id', 'state', 'criteria'],
  stats: ['registry', 'records', 'bytes'],
};

const isRow = <C extends Collection>(collection: C, value: unknown): value is Rows[C] =>
  isObject(value) && NAMES[collection].every((name) => name in value);

/** @throws Corrupt where the document is none of this collection */
export const rowOf = <C extends Collection>(file: string, collection: C, doc: Doc): Rows[C] => {
  const value = parse(file, doc);
  if (isRow(collection, value)) return value;
  throw corrupt(file, `the read model ${file} has a row in ${collection} that is none`);
};

export const jsonOf = (file: string, doc: Doc): Json => {
  const value = parse(file, doc);
  if (isJson(value)) return value;
  throw corrupt(file, `the read model ${file} has a row that is no JSON`);
};

const isJson = (value: unknown): value is Json => value !== undefined;

const parse = (file: string, doc: Doc): unknown => {
  try {
    return JSON.parse(doc);
  } catch (cause) {
    throw corrupt(file, `the read model ${file} has a row that is no JSON`, cause);
  }
};
