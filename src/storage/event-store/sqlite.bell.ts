/** Where those who reached the end of the log wait. */
export class Bell {
  private readonly waiting = new Set<() => void>();

  ring(): void {
    for (const wake of [...this.waiting]) wake();
  }

  /** Until the next ring, the signal's abort, or the poll, whichever comes first. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(poll);
        signal.removeEventListener('abort', wake);
        this.waiting.delete(wake);
        resolve();
      };
      const poll = setTimeout(wake, POLL_MS).unref();
      signal.addEventListener('abort', wake, { once: true });
      this.waiting.add(wake);
    });
  }
}

/** How long a subscription at the end sleeps at most: a safety net for writers that cannot wake it. */
const POLL_MS = 1_000;
