import { TextDecoder } from 'node:util';
import { z } from 'zod';
import { decode, digestOf, streamOf, Unreadable, type StoredForm } from './codec.js';
import type { Recorded } from './events.js';
import { withPositions } from './positions.js';
import { instantSchema, positionSchema } from './vocabulary.js';

/*
 * A log as `events export` writes it: one event a line, in the log's order. A line holds all that its event's digest covers, so that the
 * file proves itself: whoever reads it here gets events that are what they were, or hears in which line they are not.
 */

/** An event of the file, as the log that it came from held it. Only the command's hash is not in the file. */
export interface Exported {
  /** From 1. */
  readonly line: number;
  readonly stored: StoredForm & { readonly stream: string; readonly revision: number; readonly position: bigint };
  readonly recorded: Recorded;
}

/** A line that no export wrote, or that does not go on where the lines before it ended. */
export class BadLine extends Error {
  override readonly name = 'BadLine';
  constructor(
    readonly line: number,
    why: string,
    options?: ErrorOptions,
  ) {
    super(`line ${line}: ${why}`, options);
  }
}

/** What to do about a line that is wrong. */
export const AGAIN = 'Export the log again, without filters and oldest first (lethe events export)';

const rowSchema = z.strictObject({
  position: positionSchema,
  registry: z.string(),
  uid: z.string().regex(/^[0-9A-Za-z]{1,40}$/, 'must be base62 characters'),
  revision: z.int().nonnegative(),
  id: z.uuid(),
  at: instantSchema,
  actor: z.string(),
  type: z.string(),
  version: z.int().positive(),
  reason: z.string().nullable(),
  data: z.unknown(),
  commandId: z.uuid(),
  correlationId: z.string(),
  previous: z.string().nullable(),
});

/** Where a stream has come to. */
interface Tip {
  readonly revision: number;
  readonly at: string;
  readonly digest: string;
}

const NO_EVENTS: Tip = { revision: -1, at: '', digest: '' };

/**
 * Reads an export, and checks each line as it comes: its shape, its position in the log, and its stream, whose revisions have no gap, whose
 * times never go back, and whose digests are what the events say; and the positions that it names, which come before its own.
 *
 * @param bytes the file's
 * @throws BadLine with the number of the first line that is wrong, why, and what to do
 */
export async function* readExport(bytes: AsyncIterable<Uint8Array>, prefix: string): AsyncGenerator<Exported> {
  const tips = new Map<string, Tip>();
  let before = 0n;
  for await (const { line, text } of linesOf(bytes)) {
    const exported = exportedOf(line, text, prefix);
    const { stored, recorded } = exported;
    if (stored.position <= before) {
      throw new BadLine(line, `position ${stored.position} comes after ${before}: positions rise. ${AGAIN}`);
    }
    assertFollows(line, tips.get(stored.stream) ?? NO_EVENTS, recorded);
    assertNamesThePast(line, recorded);
    before = stored.position;
    const { revision, meta } = recorded;
    tips.set(stored.stream, { revision, at: meta.at, digest: digestOf(stored, meta) });
    yield exported;
  }
}

const exportedOf = (line: number, text: string, prefix: string): Exported => {
  const parsed = rowSchema.safeParse(jsonOf(line, text));
  if (!parsed.success) {
    throw new BadLine(line, `is not an event as it is exported: ${z.prettifyError(parsed.error)}. ${AGAIN}`);
  }
  const { position, registry, uid, revision, id, type, data, ...said } = parsed.data;
  const { version, actor, reason, commandId, correlationId, at, previous } = said;
  // As execute.ts seals it; what came from elsewhere has no hash.
  const meta = { version, actor, reason, commandId, commandHash: null, correlationId, at, previous };
  const stored = {
    id,
    type,
    data: JSON.stringify(data),
    metadata: JSON.stringify(meta),
    stream: streamOf(prefix, registry, uid),
    revision,
    position: BigInt(position),
  };
  try {
    const recorded = decode(prefix, stored);
    if (recorded !== null) return { line, stored, recorded };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    throw new BadLine(line, error.message, { cause: error });
  }
  throw new BadLine(
    line,
    `holds a ${type} of ${registry}, which this version of Lethe does not know: use the version that exported it, or a later one`,
  );
};

const jsonOf = (line: number, text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BadLine(line, `is not JSON, and may be cut off. ${AGAIN}`, { cause });
  }
};

const assertFollows = (line: number, tip: Tip, { event, meta, registry, uid, revision }: Recorded): void => {
  const what = `${event.type} of ${registry}/${uid}`;
  if (revision !== tip.revision + 1) {
    throw new BadLine(
      line,
      `the ${what} has revision ${revision}, and ${tip.revision + 1} was to come: lines are missing, or come twice. ${AGAIN}`,
    );
  }
  if (meta.at < tip.at) {
    throw new BadLine(line, `the ${what} is of ${meta.at}, before the event that it follows (${tip.at}). ${AGAIN}`);
  }
  const previous = tip === NO_EVENTS ? null : tip.digest;
  if (meta.previous !== previous) {
    throw new BadLine(
      line,
      `the ${what} follows an event with the digest ${meta.previous ?? 'null'}, and the one before it here has ${previous ?? 'none'}: ` +
        `one of the two was changed after it was written. ${AGAIN}`,
    );
  }
};

/** Whoever wrote an event knew no position but those before it. */
const assertNamesThePast = (line: number, { event, registry, uid, position }: Recorded): void => {
  withPositions(event, (named) => {
    if (BigInt(named) < BigInt(position)) return named;
    throw new BadLine(
      line,
      `the ${event.type} of ${registry}/${uid} is at position ${position} and names position ${named}, which it cannot have known: it was ` +
        `changed after it was written. ${AGAIN}`,
    );
  });
};

const LINE_FEED = 10;
/** An append holds at most 1 MiB, and what JSON writes of it in a row is not much more. */
const LONGEST = 8 * 1024 * 1024;

/**
 * Lines end with LF alone: a text may hold U+2028, at which other readers part lines, too. The last LF may be missing.
 * @throws BadLine for one that is not UTF-8, or longer than any event
 */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<{ line: number; text: string }> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let line = 1;
  let begun: Uint8Array[] = [];
  let length = 0;
  const add = (part: Uint8Array): void => {
    length += part.length;
    if (length > LONGEST) throw new BadLine(line, `is longer than ${LONGEST} bytes: it is no export. ${AGAIN}`);
    if (part.length > 0) begun.push(part);
  };
  const end = (): { line: number; text: string } => {
    const ended = { line, text: textOf(decoder, line, begun) };
    [line, begun, length] = [line + 1, [], 0];
    return ended;
  };
  for await (const chunk of bytes) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, from)) {
      add(chunk.subarray(from, at));
      yield end();
      from = at + 1;
    }
    add(chunk.subarray(from));
  }
  if (length > 0) yield end();
}

const textOf = (decoder: TextDecoder, line: number, parts: readonly Uint8Array[]): string => {
  try {
    return decoder.decode(Buffer.concat(parts));
  } catch (cause) {
    throw new BadLine(line, `is not UTF-8. ${AGAIN}`, { cause });
  }
};
