import { z } from 'zod';
import type { Fields } from './events.js';

/** The `data` of a record of the registry `storages`. */
export const storageDataSchema = z.strictObject({ root: z.string(), managed: z.boolean() });

export interface StorageFacts {
  readonly name: string;
  readonly root: string;
  readonly managed: boolean;
  /** The root with links resolved, ending in `/`. */
  readonly place: string;
}

/** What a storage's record says of it; null for fields that are not a storage's. */
export const storageFacts = (fields: Fields): StorageFacts | null => {
  if (fields.kind !== 'plain' || fields.place === null || fields.name === null) return null;
  const data = storageDataSchema.safeParse(fields.data);
  return data.success ? { name: fields.name, ...data.data, place: fields.place } : null;
};
