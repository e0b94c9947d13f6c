import { status, type ServerWritableStream } from '@grpc/grpc-js';
import streams from '@eventstore/db-client/generated/streams_pb.js';
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { EventStoreDbLog, LogEvent } from './eventstoredb.log.js';
import {
  caughtUp,
  checkpoint,
  confirmation,
  eventMessage,
  nameOf,
  serverError,
  streamDeleted,
  streamNotFound,
} from './eventstoredb.messages.js';

type Call = ServerWritableStream<ReadReq, ReadResp>;
type Send = (message: ReadResp) => Promise<void>;

/** What the server looks through at once. Between two pages a subscription may send a checkpoint. */
const PAGE = 32;

/** Answers a read or feeds a subscription, until it ends or the client leaves. */
export const serveRead = async (
  log: EventStoreDbLog,
  call: Call,
  id: string,
  seen: { events: number },
): Promise<void> => {
  const send = async (message: ReadResp): Promise<void> => {
    if (message.hasEvent()) seen.events += 1;
    await sendOver(call, message);
  };
  const options = call.request.getOptions();
  if (options === undefined) throw serverError(status.INVALID_ARGUMENT, 'no options');
  if (options.hasSubscription()) {
    await send(confirmation(id));
    if (options.hasStream()) await feedStream(log, call, send, options);
    else await feedAll(log, call, send, options);
    return;
  }
  const count = Number(options.getCount());
  if (count < 1) throw serverError(status.INVALID_ARGUMENT, `'${count}' is not a valid count`);
  if (options.hasStream()) await readStream(log, send, options, count);
  else await readAll(log, send, options, count);
  call.end();
};

const isBackwards = (options: ReadReq.Options): boolean =>
  options.getReadDirection() === streams.ReadReq.Options.ReadDirection.BACKWARDS;

const readStream = async (log: EventStoreDbLog, send: Send, options: ReadReq.Options, count: number): Promise<void> => {
  const wanted = options.getStream();
  const name = nameOf(wanted?.getStreamIdentifier());
  if (log.isTombstoned(name)) throw streamDeleted(name);
  const events = log.stream(name);
  if (events === null) return send(streamNotFound(name));
  const from = wanted?.hasRevision() === true ? BigInt(wanted.getRevision()) : null;
  const chosen = isBackwards(options)
    ? events.filter(({ revision }) => from === null || revision <= from).reverse()
    : events.filter(({ revision }) => from === null || revision >= from);
  for (const event of chosen.slice(0, count)) await send(eventMessage(event));
};

/** Forwards from a position, inclusive; backwards from before it. It has to be a place where a record begins. */
const readAll = async (log: EventStoreDbLog, send: Send, options: ReadReq.Options, count: number): Promise<void> => {
  const wanted = options.getAll()?.getPosition()?.getCommitPosition();
  const from = wanted === undefined ? null : BigInt(wanted);
  if (from !== null) assertRecord(log, from);
  if (isBackwards(options)) {
    let index = (from === null ? log.events.length : log.indexOf(from)) - 1;
    for (let sent = 0; sent < count && index >= 0; sent += 1, index -= 1) await send(at(log, index));
    return;
  }
  let index = from === null ? 0 : log.indexOf(from);
  for (let sent = 0; sent < count && index < log.events.length; sent += 1, index += 1) await send(at(log, index));
};

const at = (log: EventStoreDbLog, index: number): ReadResp => {
  const event = log.events[index];
  if (event === undefined) throw serverError(status.UNKNOWN, `no event ${index}`);
  return eventMessage(event);
};

const assertRecord = (log: EventStoreDbLog, position: bigint): void => {
  if (!log.isReadable(position)) throw serverError(status.INVALID_ARGUMENT, 'Trying to read from an invalid position');
};

const feedStream = async (log: EventStoreDbLog, call: Call, send: Send, options: ReadReq.Options): Promise<void> => {
  const wanted = options.getStream();
  const name = nameOf(wanted?.getStreamIdentifier());
  let next = wanted?.hasRevision() === true ? BigInt(wanted.getRevision()) + 1n : 0n;
  if (wanted?.hasEnd() === true) next = BigInt(log.stream(name)?.length ?? 0);
  for (let isCaughtUp = false; !isGone(call);) {
    const events = (log.stream(name) ?? []).filter(({ revision }) => revision >= next);
    for (const event of events) {
      await send(eventMessage(event));
      next = event.revision + 1n;
    }
    if (events.length > 0) continue;
    if (!isCaughtUp) await send(caughtUp());
    isCaughtUp = true;
    await more(log, call, () => (log.stream(name)?.at(-1)?.revision ?? -1n) >= next);
  }
};

/** Where it begins, the server steps over one event: it takes that at or after the position for the one which the client has seen. */
const feedAll = async (log: EventStoreDbLog, call: Call, send: Send, options: ReadReq.Options): Promise<void> => {
  const wanted = options.getAll();
  const from = wanted?.hasPosition() === true ? BigInt(wanted.getPosition()?.getCommitPosition() ?? '0') : null;
  if (from !== null) assertRecord(log, from);
  let index = from === null ? 0 : log.indexOf(from) + 1;
  if (wanted?.hasEnd() === true) index = log.events.length;
  const filter = options.getFilter();
  const isWanted = matcher(filter);
  const window = filter?.hasMax() === true ? filter.getMax() : PAGE;
  const interval = (filter?.getCheckpointintervalmultiplier() ?? 1) * window;
  let considered = 0;
  for (let isCaughtUp = false; !isGone(call);) {
    let [matched, looked] = [0, 0];
    let last: LogEvent | undefined;
    for (; matched < PAGE && looked < window && index < log.events.length; index += 1, looked += 1) {
      last = log.events[index];
      if (last === undefined || !isWanted(last) || (from !== null && last.position <= from)) continue;
      matched += 1;
      await send(eventMessage(last));
    }
    considered += looked;
    if (filter !== undefined && last !== undefined && considered >= interval) {
      considered %= interval;
      await send(checkpoint(last.position));
    }
    if (index < log.events.length) {
      await new Promise((resolve) => setImmediate(resolve)); // a real server has threads
      continue;
    }
    if (!isCaughtUp) await send(caughtUp());
    isCaughtUp = true;
    await more(log, call, () => index < log.events.length);
  }
};

const matcher = (filter: ReadReq.Options.FilterOptions | undefined): ((event: LogEvent) => boolean) => {
  if (filter === undefined) return () => true;
  const ofStream = filter.getStreamIdentifier();
  const expression = ofStream ?? filter.getEventType();
  const regex = expression?.getRegex() ?? '';
  const pattern = regex === '' ? null : new RegExp(regex);
  const prefixes = expression?.getPrefixList() ?? [];
  return (event) => {
    const text = ofStream === undefined ? event.type : event.stream;
    return pattern === null ? prefixes.some((prefix) => text.startsWith(prefix)) : pattern.test(text);
  };
};

/** The client has left, or the call was ended by an error. */
const isGone = (call: Call): boolean => call.cancelled || call.destroyed || call.writableEnded;

/** Sends one message, and waits where the client is slow to take them. */
const sendOver = async (call: Call, message: ReadResp): Promise<void> => {
  if (isGone(call) || call.write(message)) return;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      for (const event of ['drain', 'cancelled', 'close', 'error']) call.off(event, go);
      resolve();
    };
    for (const event of ['drain', 'cancelled', 'close', 'error']) call.on(event, go);
  });
};

const more = (log: EventStoreDbLog, call: Call, isThere: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    const go = (): void => {
      if (!isThere() && !isGone(call)) return;
      stop();
      call.off('cancelled', go);
      call.off('close', go);
      resolve();
    };
    const stop = log.onWrite(go);
    call.on('cancelled', go);
    call.on('close', go);
    go();
  });
