import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Takes what comes over a stream of the client's, as it comes. The stream itself holds no more than its high-water mark, and the server
 * sends no more until that was taken. Its errors are heard from the first moment: one that nobody hears would end the process.
 */
export class Inlet {
  private failure: { readonly error: unknown } | null = null;
  private isOver = false;
  private isTouched = false;
  private wake: () => void = () => undefined;

  constructor(private readonly items: Readable) {
    items.on('error', (error) => {
      this.failure ??= { error };
      this.wake();
    });
    items.on('readable', () => this.wake());
    for (const over of ['end', 'close']) {
      items.on(over, () => {
        this.isOver = true;
        this.wake();
      });
    }
  }

  /** Something came that is no item: whoever waits hears of it, after the items before it. */
  touch(): void {
    this.isTouched = true;
    this.wake();
  }

  /**
   * @param patienceMs how long nothing may come; null: for ever
   * @returns 1 to `size` items; none after a touch, or when one of the signals aborts; null when the stream has ended
   * @throws what the stream failed with, after all that came before; Late
   */
  async next(size: number, signals: readonly AbortSignal[], patienceMs: number | null): Promise<unknown[] | null> {
    for (let isLate = false; ;) {
      const batch = await this.gather(size);
      if (batch.length > 0) return batch;
      if (this.isTouched || signals.some(({ aborted }) => aborted)) {
        this.isTouched = false;
        return [];
      }
      if (this.failure !== null) throw this.failure.error;
      if (this.isOver) return null;
      if (isLate) throw new Late(patienceMs ?? 0);
      isLate = await this.wait(signals, patienceMs);
    }
  }

  /** What has come, and what comes with it: a batch is made of what the network brings at once, and not of its first item. */
  private async gather(size: number): Promise<unknown[]> {
    const batch = this.take(size);
    for (let come = batch.length; come > 0 && batch.length < size;) {
      await nextTurn();
      const more = this.take(size - batch.length);
      come = more.length;
      batch.push(...more);
    }
    return batch;
  }

  private take(size: number): unknown[] {
    const batch: unknown[] = [];
    while (batch.length < size) {
      const item: unknown = this.items.read();
      if (item === null) break;
      batch.push(item);
    }
    return batch;
  }

  /** @returns whether it was in vain */
  private wait(signals: readonly AbortSignal[], patienceMs: number | null): Promise<boolean> {
    return new Promise((resolve) => {
      const go = (inVain: boolean): void => {
        clearTimeout(timer);
        for (const signal of signals) signal.removeEventListener('abort', woken);
        this.wake = () => undefined;
        resolve(inVain);
      };
      const woken = (): void => go(false);
      const timer = patienceMs === null ? undefined : setTimeout(() => go(true), patienceMs);
      this.wake = woken;
      for (const signal of signals) signal.addEventListener('abort', woken);
    });
  }
}

/** Nothing came for too long. */
export class Late extends Error {
  override readonly name = 'Late';
  constructor(waitedMs: number) {
    super(`nothing came for ${waitedMs} ms`);
  }
}
