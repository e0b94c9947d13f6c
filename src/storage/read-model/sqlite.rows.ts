import type { Json } from '../../events/vocabulary.js';
import { isRow, type Collection, type Rows } from './port.js';
import { corrupt } from './sqlite.errors.js';
import type { Doc } from './sqlite.read.js';

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
