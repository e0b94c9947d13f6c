import { z } from 'zod';
import { Corrupt, Unavailable } from '../errors.js';
import type { NewEvent, Position, StoredEvent } from './port.js';

/** An event as the client takes it: it writes the JSON itself. */
export interface Message {
  readonly id: string;
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
}

/** @throws TypeError: its data or metadata are not the JSON text of an object. The client would wait for ever, or store something else. */
export const toMessage = ({ id, type, data, metadata }: NewEvent): Message => ({
  id: id.toLowerCase(),
  type,
  data: parseObject(data, `data of event ${id}`),
  metadata: parseObject(metadata, `metadata of event ${id}`),
});

const parseObject = (text: string, what: string): Record<string, unknown> => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TypeError(`the ${what} are not JSON`, { cause: error });
  }
  if (!isObject(value)) throw new TypeError(`the ${what} are JSON, but not an object`);
  return value;
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Of any event in the store, also of other services and of the server's own: where it is. */
const Placed = z.object({ event: z.object({ streamId: z.string(), position: z.object({ commit: z.bigint() }) }) });

export interface Place {
  readonly stream: string;
  readonly position: Position;
}

export const toPlace = (item: unknown): Place => {
  const { event } = Placed.parse(item);
  return { stream: event.streamId, position: event.position.commit };
};

const Recorded = z.object({
  event: z.object({
    streamId: z.string(),
    id: z.string(),
    type: z.string(),
    revision: z.bigint(),
    data: z.unknown(),
    metadata: z.unknown(),
    position: z.object({ commit: z.bigint() }).optional(),
  }),
});

/**
 * @throws Corrupt: it lies in one of this log's streams, and is not what Lethe wrote there. Unavailable: the server is older than 22.6, and
 * does not say where in the log an event is.
 */
export const toStored = (item: unknown): StoredEvent => {
  const { event } = Recorded.parse(item);
  const { streamId: stream, id, type, revision, data, metadata, position } = event;
  if (type === '$streamDeleted') throw deleted(stream);
  if (!isObject(data) || data instanceof Uint8Array || !isObject(metadata) || metadata instanceof Uint8Array) {
    throw new Corrupt(
      `stream ${stream} holds an event that Lethe did not write (${type}, revision ${revision}): its data or metadata are no JSON ` +
        'object. Find who writes to this prefix, and give that service or Lethe another one (LETHE_STREAM_PREFIX)',
    );
  }
  if (position === undefined)
    throw new Unavailable('the server does not say where in the log an event is: EventStoreDB 22.6 or later is needed');
  return {
    stream,
    revision: Number(revision),
    position: position.commit,
    id: id.toLowerCase(),
    type,
    data: JSON.stringify(data),
    metadata: JSON.stringify(metadata),
  };
};

/** @throws Corrupt: an event is missing. Nothing in Lethe takes one out: someone did, or the stream was told to keep only so many. */
export const assertWhole = (stream: string, from: number, events: readonly StoredEvent[]): void => {
  events.forEach(({ revision }, index) => {
    if (revision !== from + index) throw cut(stream, from + index);
  });
};

export const cut = (stream: string, missing: number): Corrupt =>
  new Corrupt(
    `stream ${stream} has no revision ${missing}, but a later one: its events were deleted, or expired by $maxAge, $maxCount or $tb ` +
      'in its metadata. Take that out of the metadata before the next scavenge, or restore the database from a backup',
  );

export const deleted = (stream: string): Corrupt =>
  new Corrupt(`stream ${stream} was deleted for ever (a tombstone): restore the database from a backup`);
