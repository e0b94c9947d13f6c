import type { NewEvent } from './port.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_EVENTS = 100;
const MAX_APPEND_BYTES = 1024 * 1024;

/**
 * Refuses what no adapter can store, before it is queued beside others. The size counts as EventStoreDB's own limit does (`Event.SizeOnDisk`).
 *
 * @returns the size in bytes
 * @throws TypeError, RangeError: a mistake of the caller
 */
export const checkAppend = (stream: string, expectedRevision: number, events: readonly NewEvent[]): number => {
  if (typeof stream !== 'string' || stream === '') throw new TypeError('an append needs the name of a stream');
  if (!Number.isSafeInteger(expectedRevision) || expectedRevision < -1) {
    throw new RangeError(
      `an expected revision is -1 or more, a whole number, not ${expectedRevision} (stream ${stream})`,
    );
  }
  if (events.length < 1 || events.length > MAX_EVENTS) {
    throw new RangeError(`an append holds 1 to ${MAX_EVENTS} events, not ${events.length} (stream ${stream})`);
  }
  let bytes = 0;
  for (const { id, type, data, metadata } of events) {
    if (typeof id !== 'string' || !UUID.test(id))
      throw new TypeError(`an event's id is a UUID, not ${id} (stream ${stream})`);
    for (const [name, text] of Object.entries({ type, data, metadata })) {
      if (typeof text !== 'string' || text === '')
        throw new TypeError(`an event's ${name} is a text, and not empty (stream ${stream}, event ${id})`);
    }
    bytes += 2 * type.length + Buffer.byteLength(data) + Buffer.byteLength(metadata);
  }
  if (bytes > MAX_APPEND_BYTES)
    throw new RangeError(`an append holds at most ${MAX_APPEND_BYTES} bytes, not ${bytes} (stream ${stream})`);
  return bytes;
};

/** UUIDs are numbers: their letters' case says nothing. */
export const canonical = ({ id, type, data, metadata }: NewEvent): NewEvent => ({
  id: id.toLowerCase(),
  type,
  data,
  metadata,
});
