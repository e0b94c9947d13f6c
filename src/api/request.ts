import { isUtf8 } from 'node:buffer';
import type {} from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Envelope } from '../commands/commands.js';
import { Invalid, type Fault } from '../commands/refusals.js';
import { commandIdOf, sha256 } from '../events/ids.js';
import type { Ids } from '../ports.js';
import { pointerPart } from './json.js';
import type { ApiKey } from './keys.js';
import { Problem } from './problem.js';

/*
 * What a request says, read at the edge: every header, query parameter and body passes through here once, and is then a type.
 */

declare module 'fastify' {
  interface FastifyRequest {
    correlationId: string;
    /** The key that was sent; null where nobody needs one. */
    caller: ApiKey | null;
  }
}

const parametersSchema = z.record(z.string(), z.string());

/** A parameter of the route's path. */
export const pathParameter = (request: FastifyRequest, name: string): string =>
  parametersSchema.parse(request.params)[name] ?? '';

const PRINTABLE = /^[\x20-\x7e]{1,255}$/;

/** @throws Invalid with a fault for each field that is wrong or unknown */
export const parseBody = <T>(schema: z.ZodType<T>, body: unknown): T => {
  const parsed = schema.safeParse(body === undefined ? {} : body);
  if (parsed.success) return parsed.data;
  throw new Invalid(faultsOf(parsed.error));
};

/** The body of a command that says nothing without one. */
export const neededBody = ({ body }: FastifyRequest): unknown => {
  if (body === undefined) throw new Problem('malformed', 'The body is empty. Send JSON, {} at the least.');
  return body;
};

const faultsOf = (error: z.ZodError): Fault[] =>
  error.issues.flatMap((issue) => {
    const at = issue.path.map((part) => `/${pointerPart(String(part))}`).join('');
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ path: `${at}/${pointerPart(key)}`, message: 'is not a field here' }));
    return [{ path: at, message: lower(issue.message) }];
  });

const lower = (message: string): string => message.charAt(0).toLowerCase() + message.slice(1);

/** The query of a request, each parameter once. */
export const queryOf = (request: FastifyRequest): Map<string, string> => {
  const mark = request.url.indexOf('?');
  const query = new Map<string, string>();
  if (mark < 0) return query;
  const faults: Fault[] = [];
  const text = request.url.slice(mark + 1);
  // What other bytes become when they are decoded is also a character that may be meant.
  const isText = areUtf8(text);
  for (const [name, value] of new URLSearchParams(text)) {
    if (query.has(name)) faults.push({ path: `?${name}`, message: 'comes twice' });
    if (!value.isWellFormed() || value.includes('\0') || (!isText && value.includes('\ufffd')))
      faults.push({ path: `?${name}`, message: 'is not text in UTF-8' });
    query.set(name, value);
  }
  if (faults.length > 0) throw new Invalid(faults);
  return query;
};

/** Whether the bytes that stand in an address as `%c3%a9` are text. */
const areUtf8 = (encoded: string): boolean =>
  (encoded.match(/(?:%[0-9a-f]{2})+/gi) ?? []).every((run) => isUtf8(Buffer.from(run.replaceAll('%', ''), 'hex')));

/** @throws Invalid for a parameter that this route does not take */
export const onlyParameters = (query: ReadonlyMap<string, string>, known: readonly string[]): void => {
  const faults = [...query.keys()]
    .filter((name) => !known.includes(name))
    .map((name) => ({ path: `?${name}`, message: 'is not a parameter here' }));
  if (faults.length > 0) throw new Invalid(faults);
};

export const flag = (query: ReadonlyMap<string, string>, name: string): boolean | null => {
  const value = query.get(name);
  if (value === undefined) return null;
  if (value === 'true' || value === 'false') return value === 'true';
  throw new Invalid([{ path: `?${name}`, message: `must be true or false, got '${value}'` }]);
};

export const storageWish = (query: ReadonlyMap<string, string>): 'keep' | 'delete' | null => {
  const value = query.get('storage');
  if (value === undefined) return null;
  if (value === 'keep' || value === 'delete') return value;
  throw new Invalid([{ path: '?storage', message: `must be keep or delete, got '${value}'` }]);
};

const reasonSchema = z.string().min(1).max(1_000);

/**
 * The envelope of a command: who sends it, its id from the idempotency key, the hash of all it says.
 * @param reason of the body, where the route has one there
 */
export const envelopeOf = (
  request: FastifyRequest,
  ids: Ids,
  query: ReadonlyMap<string, string>,
  reason?: string | null,
): Envelope => {
  const actor = actorOf(request);
  const key = header(request, 'idempotency-key');
  const path = request.url.split('?', 1)[0] ?? request.url;
  const asked = query.get('reason') ?? null;
  const said = reason ?? asked;
  // Both: a wrong one is not passed over because the body's goes before it.
  if (![said, asked].every((one) => one === null || reasonSchema.safeParse(one).success))
    throw new Invalid([{ path: '?reason', message: 'must have 1 to 1,000 characters' }]);
  return {
    repeatable: key !== null,
    commandId: key === null ? ids.uuid() : commandIdOf(actor, request.method, path, key),
    hash: sha256(
      canonical([
        request.method,
        path,
        [...query].sort(([a], [b]) => (a < b ? -1 : 1)),
        request.isMultipart() ? null : request.body,
      ]),
    ),
    actor,
    reason: said,
    correlationId: request.correlationId,
    ifMatch: ifMatch(request),
  };
};

/** Who was let in by a key; without keys for callers the actor is who they say they are. */
const actorOf = (request: FastifyRequest): string =>
  request.caller?.subject ?? header(request, 'x-actor') ?? 'anonymous';

/** One header, printable ASCII, 1 to 255 characters; null where it is absent. */
export const header = (request: FastifyRequest, name: string): string | null => {
  const value = request.headers[name];
  if (value === undefined) return null;
  if (typeof value === 'string' && PRINTABLE.test(value)) return value;
  throw new Invalid([{ path: name, message: 'must come once, with 1 to 255 printable ASCII characters' }]);
};

const ifMatch = (request: FastifyRequest): number | null => {
  const value = request.headers['if-match'];
  if (value === undefined || value === '*') return null;
  const revision = /^"(\d{1,15})"$/.exec(value)?.[1];
  if (revision === undefined)
    throw new Invalid([{ path: 'if-match', message: 'must be a revision in quotes, such as "3"' }]);
  return Number(revision);
};

/** @throws Invalid where a command on many records names a revision */
export const refuseIfMatch = ({ ifMatch: revision }: Envelope): void => {
  if (revision !== null)
    throw new Invalid([{ path: 'if-match', message: 'is one record’s, and has no meaning for many' }]);
};

/** `Prefer: wait=<seconds>`, at most 30; null where the caller did not ask to wait. @returns milliseconds */
export const preferredWait = (request: FastifyRequest): number | null => {
  const value = request.headers['prefer'];
  const text = Array.isArray(value) ? value.join(',') : (value ?? '');
  const seconds = /(?:^|[,;])\s*wait\s*=\s*"?(\d+)"?\s*(?:$|[,;])/i.exec(text)?.[1];
  return seconds === undefined ? null : Math.min(Number(seconds), 30) * 1_000;
};

export const minPosition = (request: FastifyRequest): bigint | null => {
  const value = request.headers['x-min-position'];
  if (value === undefined) return null;
  if (typeof value === 'string' && /^\d{1,19}$/.test(value)) return BigInt(value);
  throw new Invalid([{ path: 'x-min-position', message: 'must be a position, such as 1043' }]);
};

/** JSON with its members in one order, so that the same content has the same hash. */
const canonical = (value: unknown): string =>
  JSON.stringify(value ?? null, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
