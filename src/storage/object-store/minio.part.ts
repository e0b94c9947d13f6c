import { createHash, type Hash } from 'node:crypto';
import type { Payload } from './minio.wire.js';

const MIB = 1024 * 1024;
const FIRST_BYTES = 64 * 1024;

/** S3's own limit of one object. */
export const MAX_OBJECT_BYTES = 5 * 1024 * 1024 * MIB;

/**
 * How many bytes the parts of an upload have. There are at most 10,000 of them, and how many bytes come nobody says in advance, so later parts
 * are larger: 8 MiB of memory is enough up to 8 GiB, 64 MiB up to 195 GiB, 1 GiB from there up to the 5 TiB that S3 takes at most.
 *
 * @param number from 1
 */
export function partBytes(number: number): number {
  if (number <= 1_000) return 8 * MIB;
  return number <= 4_000 ? 64 * MIB : 1024 * MIB;
}

/** The bytes of one part after the other, in one piece of memory that is used again for each. */
export class PartBuffer {
  private memory = Buffer.allocUnsafe(FIRST_BYTES);
  private hash: Hash = createHash('sha256');
  private used = 0;

  get size(): number {
    return this.used;
  }

  /** Takes what fits below `limit`. @returns how many bytes that were */
  fill(bytes: Uint8Array, limit: number): number {
    const taken = bytes.subarray(0, limit - this.used);
    this.reserve(this.used + taken.length, limit);
    this.memory.set(taken, this.used);
    this.hash.update(taken);
    this.used += taken.length;
    return taken.length;
  }

  /** What it holds, to be sent; good until `clear`. */
  payload(): Payload {
    return { bytes: this.memory.subarray(0, this.used), sha256: this.hash.copy().digest('hex') };
  }

  clear(): void {
    this.used = 0;
    this.hash = createHash('sha256');
  }

  /** Small bodies are many, and take little. */
  private reserve(bytes: number, limit: number): void {
    if (bytes <= this.memory.length) return;
    const larger = Buffer.allocUnsafe(Math.min(limit, Math.max(bytes, 2 * this.memory.length)));
    this.memory.copy(larger, 0, 0, this.used);
    this.memory = larger;
  }
}
