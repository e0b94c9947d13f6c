import { startBar, type Bar } from './progress.js';

const LINE_MS = 2_000;
/** Before this nothing can be said of the rest. */
const EARLY_MS = 500;

/** How far long work is and how long it still takes, on stderr: a bar on a terminal, elsewhere a line now and then. */
export class Pace {
  private readonly begun = performance.now();
  private saidAt: number | null = null;
  private bar: Promise<Bar> | null = null;

  /** @param doing such as `rebuilding the read model` */
  constructor(
    private readonly doing: string,
    private readonly note: (text: string) => void,
  ) {}

  async at(done: number, total: number): Promise<void> {
    const now = performance.now();
    const left = leftText(done, total, now - this.begun);
    if (process.stderr.isTTY) {
      this.bar ??= startBar(total, 'events');
      (await this.bar).at(done, left);
    } else if (this.saidAt === null || now - this.saidAt >= LINE_MS) {
      this.saidAt = now;
      this.note(
        `${this.doing}: ${done} of ${total} (${Math.floor((100 * done) / Math.max(total, 1))} %) ${left}`.trim(),
      );
    }
  }

  async stop(): Promise<void> {
    (await this.bar)?.stop();
  }
}

const leftText = (done: number, total: number, ms: number): string => {
  if (done === 0 || ms < EARLY_MS) return '';
  const seconds = Math.ceil((((total - done) / done) * ms) / 1_000);
  return `about ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`} left`;
};
