import { Unavailable } from '../errors.js';
import { appendError, atLeader, unknown } from './eventstoredb.errors.js';
import { cut, type Message } from './eventstoredb.events.js';
import { Late } from './eventstoredb.inlet.js';
import type { Wire } from './eventstoredb.wire.js';
import type { Appended, Position } from './port.js';

/** What may wait for the server: the client queues without a bound. */
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** Appends, each a call of its own, and each with an end. */
export class Writer {
  private readonly waiting = new Set<Promise<unknown>>();
  private waitingBytes = 0;

  /** @param positionOf reads where in the log a stream's event is */
  constructor(
    private readonly wire: Wire,
    private readonly timeoutMs: number,
    private readonly positionOf: (stream: string, revision: number) => Promise<Position | null>,
  ) {}

  async append(stream: string, expected: number, messages: readonly Message[], bytes: number): Promise<Appended> {
    if (this.waiting.size >= MAX_WAITING || this.waitingBytes + bytes > MAX_WAITING_BYTES) {
      throw new Unavailable(
        `${this.waiting.size} appends wait for ${this.wire.place} already, with ${this.waitingBytes} bytes: append less at a time`,
      );
    }
    const sent = this.send(stream, expected, messages);
    this.waiting.add(sent);
    this.waitingBytes += bytes;
    try {
      return await sent;
    } finally {
      this.waiting.delete(sent);
      this.waitingBytes -= bytes;
    }
  }

  /** Until each append that waits has its answer, or none in time. */
  async drain(): Promise<void> {
    await Promise.allSettled([...this.waiting]);
  }

  private async send(stream: string, expected: number, messages: readonly Message[]): Promise<Appended> {
    const { revision, position } = await this.answer(stream, expected, messages);
    // A stream that was soft-deleted takes an event after "no stream", and counts on.
    if (revision !== expected + messages.length) throw cut(stream, expected + 1);
    return { revision, position: position ?? (await this.lookUp(stream, revision)) };
  }

  private async answer(stream: string, expected: number, messages: readonly Message[]): ReturnType<Wire['append']> {
    try {
      const call = atLeader(() => this.wire.append(stream, expected, messages, this.timeoutMs));
      return await inTime(call, this.timeoutMs);
    } catch (error) {
      throw appendError(error, this.wire.place, stream, expected);
    }
  }

  /**
   * The server answers an append, and a repeat of it, with the position of its last event; but a repeat of one that its index has not taken
   * in yet, with none. That it is written is certain by then: what fails here is the answer.
   */
  private async lookUp(stream: string, revision: number): Promise<Position> {
    const { place } = this.wire;
    try {
      const position = await this.positionOf(stream, revision);
      if (position !== null) return position;
    } catch (error) {
      throw unknown(place, stream, error instanceof Error ? error.message : String(error));
    }
    throw unknown(place, stream, 'its position cannot be read yet');
  }
}

/** The call itself goes on, unheard: gRPC's own deadline ends it, but not where it still looks for a node to talk to. */
const inTime = <T>(call: Promise<T>, ms: number): Promise<T> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Late(ms)), ms);
    void call.then(resolve, reject).finally(() => clearTimeout(timer));
  });
