/**
 * A signal of one's own, which another one that lives longer aborts as well. To be ended in any case: `AbortSignal.any` would leave
 * something with the other signal for as long as that lives.
 */
export class Timer {
  readonly #controller = new AbortController();
  readonly #other: AbortSignal;

  constructor(other: AbortSignal) {
    this.#other = other;
    other.addEventListener('abort', this.end, { once: true });
    if (other.aborted) this.end();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly end = (): void => {
    this.#other.removeEventListener('abort', this.end);
    this.#controller.abort();
  };
}
