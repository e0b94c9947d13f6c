import { z } from 'zod';

/** The words that every other file uses; LaminDB's numbers for visibility. */
export const VISIBLE = 1;
export const HIDDEN = 0;
export const TRASHED = -1;
export type Visibility = 1 | 0 | -1;
export type Shown = 1 | 0;

export const uidSchema = z.string().regex(/^[0-9A-Za-z]{20}$/, 'must be 20 base62 characters');
export const registryNameSchema = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'must match [a-z][a-z0-9_]{0,39}');

/** Words that the routes take, and so no registry may be named. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'trash',
  'bulk',
  'purges',
  'audit',
  'events',
  'stats',
  'operations',
]);
export const TRASHABLE: readonly string[] = ['files', 'datasets'];
export const BUILT_IN_PLAIN: readonly string[] = ['storages', 'users', 'transforms', 'runs', 'labels'];

export const isTrashable = (registry: string): boolean => TRASHABLE.includes(registry);

/** Names one record. */
export const refSchema = z.strictObject({ registry: registryNameSchema, uid: uidSchema });
export type Ref = z.infer<typeof refSchema>;

export const refKey = (ref: Ref): string => `${ref.registry}/${ref.uid}`;
export const sameRef = (a: Ref, b: Ref): boolean => a.uid === b.uid && a.registry === b.registry;

/** Whether a path in a storage leads below what is Lethe's own: a storage within this one has such a folder at whatever depth. */
export const isReserved = (path: string): boolean => path.split('/').includes('.lethe');

/** A global position as texts and JSON carry it. */
export const positionSchema = z.string().regex(/^(0|[1-9][0-9]{0,18})$/, 'must be a decimal number');

/** RFC 3339 in UTC with milliseconds: text order is time order. */
export const instantSchema = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/, 'must be an RFC 3339 time in UTC');

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export const jsonSchema: z.ZodType<Json> = z.json();
