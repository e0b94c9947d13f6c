import { Inject, Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { API_PORTS, type ApiPorts } from './ports.js';

/** A reader that takes nothing for so long is gone, or as good as gone. */
const STUCK_MS = 10_000;
const LOOK_MS = 1_000;
/** What a live reader takes at once. */
const SLICE_BYTES = 64 * 1024;

interface Stream {
  /** Since when a piece waits to be taken; null while none does. */
  waitingSince: number | null;
  readonly drop: () => void;
  /** The service ends. */
  readonly end: () => void;
}

/**
 * Answers that go on: made as fast as the caller takes them, and no faster. What is ready and not taken is one piece and what the
 * connection's own buffer holds.
 */
@Injectable()
export class Streaming {
  private readonly live = new Set<Stream>();
  /** How many live ones ended because their reader took nothing. */
  dropped = 0;

  constructor(@Inject(API_PORTS) private readonly ports: ApiPorts) {
    // One listener for however many streams.
    const endAll = (): void => {
      for (const stream of this.live) stream.end();
    };
    ports.stopping.addEventListener('abort', endAll, { once: true });
  }

  /** Sends a file as it is made; to HEAD its headers alone. */
  async send(
    request: FastifyRequest,
    reply: FastifyReply,
    pieces: (signal: AbortSignal) => AsyncGenerator<string | Buffer>,
  ): Promise<void> {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const body = request.method === 'HEAD' ? [] : this.told(request, pieces(gone.signal));
    await reply.send(Readable.from(body));
  }

  /**
   * Sends what happens as it happens. It ends when the caller leaves or the service ends; a reader that is stuck is dropped, since it
   * could not say whether it is still there.
   * @param first is sent at once: the headers go with it
   */
  async sendLive(
    request: FastifyRequest,
    reply: FastifyReply,
    first: string,
    pieces: (signal: AbortSignal) => AsyncGenerator<string | Buffer>,
  ): Promise<void> {
    const { stopping, log } = this.ports;
    const { raw } = reply;
    const gone = new AbortController();
    const stream: Stream = {
      waitingSince: null,
      drop: () => {
        this.dropped += 1;
        log.warn({ correlationId: request.correlationId }, 'a reader of the event stream took nothing and was dropped');
        raw.destroy();
      },
      end: () => {
        gone.abort();
        // What it has not taken it would not take in time.
        if (stream.waitingSince !== null) raw.destroy();
      },
    };
    raw.once('close', () => {
      this.live.delete(stream);
      gone.abort();
    });
    this.watch(stream);
    if (stopping.aborted) stream.end();
    await reply.send(Readable.from(this.timed(first, this.told(request, pieces(gone.signal)), stream)));
  }

  /** Knows since when the last slice waits: who is slow takes one after the other, who is stuck takes none. */
  private async *timed(
    first: string,
    pieces: AsyncIterable<string | Buffer>,
    stream: Stream,
  ): AsyncGenerator<string | Buffer> {
    yield first;
    for await (const piece of pieces) {
      for (const slice of slicesOf(piece)) {
        stream.waitingSince = this.ports.clock.monotonic();
        yield slice;
        stream.waitingSince = null;
      }
    }
  }

  /** The answer has begun: that it breaks off is all that the caller sees of a failure. */
  private async *told(
    request: FastifyRequest,
    pieces: AsyncIterable<string | Buffer>,
  ): AsyncGenerator<string | Buffer> {
    try {
      yield* pieces;
    } catch (error) {
      const { correlationId, routeOptions } = request;
      this.ports.log.warn({ correlationId, route: routeOptions.url, err: error }, 'an answer broke off');
      throw error;
    }
  }

  private watch(stream: Stream): void {
    this.live.add(stream);
    if (this.live.size === 1) void this.look();
  }

  /** One clock for all of them. */
  private async look(): Promise<void> {
    const { clock, stopping } = this.ports;
    while (this.live.size > 0 && !stopping.aborted) {
      const stuck = [...this.live].filter(
        ({ waitingSince }) => waitingSince !== null && clock.monotonic() - waitingSince >= STUCK_MS,
      );
      for (const stream of stuck) {
        this.live.delete(stream);
        stream.drop();
      }
      await clock.sleep(LOOK_MS, stopping).catch(() => undefined);
    }
  }
}

/** They share the piece's bytes, and all readers may share the piece. */
function* slicesOf(piece: string | Buffer): Generator<Buffer> {
  const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
  for (let from = 0; from < bytes.length; from += SLICE_BYTES) yield bytes.subarray(from, from + SLICE_BYTES);
}
