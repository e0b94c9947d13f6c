import { z } from 'zod';
import { EVENTS, metadataSchema, type EventType, type LetheEvent, type Metadata, type Recorded } from './events.js';
import { sha256 } from './ids.js';
import { registryNameSchema } from './vocabulary.js';

/** An event as a store holds it. The event store's port has the same shape. */
export interface StoredForm {
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
}

interface Placed extends StoredForm {
  readonly stream: string;
  readonly revision: number;
  readonly position: bigint;
}

/** A stored event that does not read as what this version of Lethe writes, or once wrote. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable';
}

/**
 * From an event's older version to the next one, by type: `{ RecordTrashed: [v1 → v2, v2 → v3] }`.
 * Empty while every event is at its first version.
 */
type Upcaster = (data: Record<string, unknown>) => Record<string, unknown>;
const UPCASTERS: Partial<Record<EventType, readonly Upcaster[]>> = {};

const isKnown = (type: string): type is EventType => Object.hasOwn(EVENTS, type);

export const streamOf = (prefix: string, registry: string, uid: string): string => `${prefix}${registry}-${uid}`;

const addressOf = (prefix: string, stream: string): { registry: string; uid: string } => {
  const dash = stream.indexOf('-', prefix.length);
  if (!stream.startsWith(prefix) || dash < 0)
    throw new Unreadable(`stream ${stream} is not named ${prefix}<registry>-<uid>`);
  return { registry: stream.slice(prefix.length, dash), uid: stream.slice(dash + 1) };
};

export const encode = (id: string, event: LetheEvent, meta: Metadata): StoredForm => {
  const { type, ...data } = event;
  return { id, type, data: JSON.stringify(data), metadata: JSON.stringify(meta) };
};

/**
 * @param upcasters for tests of this mechanism; everyone else takes those of this version
 * @returns null for a type that this version does not know, and for another log's event: whoever follows the log skips and counts it
 * @throws Unreadable for an event of a known type that cannot be read
 */
export const decode = (prefix: string, stored: Placed, upcasters = UPCASTERS): Recorded | null => {
  if (!isKnown(stored.type)) return null;
  const where = `event ${stored.position} (${stored.type} of ${stored.stream})`;
  const known = EVENTS[stored.type];
  const { registry, uid } = addressOf(prefix, stored.stream);
  // A log whose prefix begins with this one's: `lethe.test.files-…` is a stream of `lethe.test.`, and nobody's record in `lethe.`.
  if (!registryNameSchema.safeParse(registry).success) return null;
  const described = asObject(parseJson(stored.metadata, where), where);
  // First: what else a newer version says of its events, this one cannot know.
  if (typeof described['version'] === 'number' && described['version'] > known.version) {
    throw new Unreadable(
      `${where} has version ${described['version']}, this is Lethe with version ${known.version}: upgrade Lethe`,
    );
  }
  const meta = parse(metadataSchema, described, where);
  let data = asObject(parseJson(stored.data, where), where);
  for (const upcast of upcasters[stored.type]?.slice(meta.version - 1) ?? []) data = upcast(data);
  const schema: z.ZodType<LetheEvent> = known.schema;
  const event: unknown = { ...data, type: stored.type };
  assertReads(schema, event, where);
  return { event, meta, id: stored.id, registry, uid, revision: stored.revision, position: Number(stored.position) };
};

/**
 * What the stream's next event carries as `previous`. It covers all that an export holds of the event but its position, so that an
 * exported log proves itself wherever it is read. (The command's hash is bound by the id, which derives from it.)
 */
export const digestOf = ({ id, type, data }: StoredForm, meta: Metadata): string => {
  const { version, at, actor, reason, commandId, correlationId, previous } = meta;
  return sha256(JSON.stringify([id, type, version, at, actor, reason, commandId, correlationId, previous, data]));
};

const asObject = (value: unknown, where: string): Record<string, unknown> => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new Unreadable(`${where} is not a JSON object`);
};

const parseJson = (text: string, where: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Unreadable(`${where} is not JSON`, { cause });
  }
};

const parse = <T>(schema: z.ZodType<T>, value: unknown, where: string): T => {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new Unreadable(`${where} cannot be read: ${z.prettifyError(result.error)}`);
};

/** For a value that is kept as it is: the schema's copy has its members in another order, and the digest of an exported event covers that. */
function assertReads<T>(schema: z.ZodType<T>, value: unknown, where: string): asserts value is T {
  parse(schema, value, where);
}
