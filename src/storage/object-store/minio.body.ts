import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { Unavailable } from '../errors.js';

/**
 * The bytes of an answer, read as they are asked for. It owns the answer, and ends it when it is destroyed. A server that falls silent while
 * bytes are asked for, and an answer that ends too soon, are errors, never a short or an endless body.
 */
export class S3Body extends Readable {
  private missing: number;
  private timer: NodeJS.Timeout | null = null;

  /** @param size how many bytes are to come @param silenceMs how long to wait for the next of them */
  constructor(
    private readonly answer: IncomingMessage,
    private readonly path: string,
    size: number,
    private readonly silenceMs: number,
  ) {
    super();
    this.missing = size;
    answer.pause(); // before anybody listens: nothing comes until it is asked for
    answer.on('data', (chunk: Buffer) => {
      this.missing -= chunk.length;
      this.rest();
      if (this.push(chunk)) this.await();
      else answer.pause();
    });
    answer.once('end', () => {
      this.rest();
      if (this.missing === 0) this.push(null);
      else this.fail('ended too soon');
    });
    answer.once('error', () => this.fail('broke off'));
    answer.once('close', () => {
      if (!answer.readableEnded) this.fail('broke off');
    });
  }

  override _read(): void {
    // It may have broken off before anybody listened.
    if (this.answer.destroyed && !this.answer.readableEnded) {
      this.fail('broke off');
      return;
    }
    this.await();
    this.answer.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.rest();
    this.answer.destroy();
    done(error);
  }

  private await(): void {
    this.timer ??= setTimeout(() => this.fail(`gave nothing for ${this.silenceMs} ms`), this.silenceMs);
  }

  private rest(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private fail(what: string): void {
    this.destroy(
      new Unavailable(
        `reading ${JSON.stringify(this.path)} ${what}, with ${this.missing} bytes still to come; try again`,
      ),
    );
  }
}
