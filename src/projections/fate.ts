import type { FileFields, KeptWhy, StorageWish } from '../events/events.js';
import type { Ref } from '../events/vocabulary.js';

/** What decides an object's fate beside its own record. */
export interface FateFacts {
  readonly managed: boolean;
  /** Other live records whose object is the same place, inside it, or a folder around it. */
  readonly sharedWith: readonly Ref[];
}

export type Fate =
  { readonly fate: 'keep'; readonly why: KeptWhy } | { readonly fate: 'delete'; readonly why: 'virtual-key' | 'asked' };

/** The contract's table (section 2), row by row: the first that applies. */
export const fateOf = (fields: FileFields, storage: StorageWish, { managed, sharedWith }: FateFacts): Fate => {
  if (!managed) return { fate: 'keep', why: 'foreign-storage' };
  if (storage === 'keep') return { fate: 'keep', why: 'asked' };
  if (sharedWith.length > 0) return { fate: 'keep', why: 'shared' };
  if (fields.keyIsVirtual) return { fate: 'delete', why: 'virtual-key' };
  return storage === 'delete' ? { fate: 'delete', why: 'asked' } : { fate: 'keep', why: 'semantic-key' };
};
