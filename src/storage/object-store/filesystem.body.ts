import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { Unavailable } from '../errors.js';
import { onDisk } from './filesystem.errors.js';

/** How many bytes are read at once, and at most ahead. */
const CHUNK = 64 * 1024;

/**
 * The bytes `start` up to, without, `end` of an open file, read as they are asked for. It owns `file` and closes it when it ends, fails or is
 * destroyed. A file that was cut short meanwhile is an error, never a short answer.
 */
export class FileBody extends Readable {
  private position: number;

  constructor(
    private readonly file: FileHandle,
    private readonly path: string,
    start: number,
    private readonly end: number,
  ) {
    super({ highWaterMark: CHUNK });
    this.position = start;
  }

  override _read(size: number): void {
    this.next(Math.min(size, this.end - this.position)).then(
      (bytes) => this.push(bytes),
      (error: unknown) => this.destroy(error instanceof Error ? error : new Unavailable(String(error))),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // A close that fails loses nothing: the file was only read.
    const closed = () => done(error);
    this.file.close().then(closed, closed);
  }

  private async next(size: number): Promise<Buffer | null> {
    if (size <= 0) return null;
    const { bytesRead, buffer } = await onDisk('read', this.path, () =>
      this.file.read(Buffer.allocUnsafe(size), 0, size, this.position),
    );
    if (bytesRead === 0) {
      throw new Unavailable(
        `${JSON.stringify(this.path)} was cut short while it was read: byte ${this.position} of ${this.end} is gone; look again`,
      );
    }
    this.position += bytesRead;
    return buffer.subarray(0, bytesRead);
  }
}
